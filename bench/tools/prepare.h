/* prepare.h - from a recorded trace to one that can be replayed. */
#ifndef PREPARE_H
#define PREPARE_H

/* Reads the trace and writes the prepared file. Ends the program with one line and exit status 2 when it
 * can't. */
void trace_prepare(const char *trace_path, const char *ready_path);

/* Maps a whole file read-only (private); its size goes to *size. */
const void *file_map(const char *path, unsigned long *size);

_Noreturn void replay_fail(const char *what, const char *detail);

#endif
