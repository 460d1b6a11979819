/* recorder.h - when something is recorded, and into which file: modes, sessions, dumps, the control channel, fork.
 *
 *   OFF --start--> a file is open, the mode is on --stop, exit, disk full--> the file is complete, OFF
 *
 * A thread of its own looks every 10 ms at the control channel in the file's first page and keeps the figures there; it
 * exists only while a file is open. With no file, the allocator's slow paths look for a request now and then.
 *
 * Locks  one of its own, taken before all others and by none that allocates; fork does not take it */
#ifndef NEB_FRONT_RECORDER_H
#define NEB_FRONT_RECORDER_H

#include "front/config.h"

/* From the library's start, with what was parsed; the text stays where it is. */
void neb_recorder_init(const char *text, const uint64_t values[OPTION_COUNT]);
/* From its end: the file is complete. */
void neb_recorder_exit(void);
/* In the child of a fork, after the locks were reset. */
void neb_recorder_child(void);
/* From slow paths, without locks: whether somebody asks for recording to begin. */
void neb_recorder_look(void);

#endif
