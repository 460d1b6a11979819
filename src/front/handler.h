/* handler.h - the program's signal handlers, behind one of this library's own that keeps the heap safe from them.
 *
 *   kernel --> handle_plain/_informed[_once] --> neb_heap_interrupt --> the program's handler --> neb_heap_resume
 *                    `--> the thread holds a lock: put off until it gives it (os/signal.h)
 *
 * Law        the kernel has one of four handlers of this file wherever the program installed a function; which of the
 *            four says whether the program's takes one argument or three, and whether it is called once. The program
 *            is told of its own handler, never of these. SIG_DFL and SIG_IGN pass untouched, and leave the table as it
 *            is: so a child of vfork, which shares this memory, may reset its handlers
 *            Where faults are looked at, the kernel has a fifth for SIGSEGV and SIGBUS instead of SIG_DFL, which ends the
 *            process as SIG_DFL would; the program is told SIG_DFL
 * Threads    any; in handlers too: no locks
 * Not seen   handlers that are installed without libc (a system call of the program's own) */
#ifndef NEB_FRONT_HANDLER_H
#define NEB_FRONT_HANDLER_H

#include "os/signal.h"

/* sigaction. 0, or -1 and errno. */
int neb_handler_action(int number, const struct sigaction *action, struct sigaction *old);
/* Once, before there are threads: false installs what the program gives. */
void neb_handler_set_wanted(bool wanted);
/* The same: look is called at SIGSEGV and SIGBUS, before what the program wants to happen. */
void neb_handler_watch_faults(void (*look)(const struct os_fault *fault));

#endif
