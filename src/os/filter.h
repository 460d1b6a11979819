/* filter.h - a program that a text passes through: error reports get files and lines in another process,
 * which a broken heap cannot hurt.
 *
 *   begin --> write the text to `into` --> end: waits until the program has written it on
 *
 * Threads    any; any context. Takes no lock, allocates nothing, runs nobody's fork handlers
 * Failure    where no process is to be had (a sandbox, no memory) begin says so; a program that fails or
 * hangs is told by end */
#ifndef NEB_OS_FILTER_H
#define NEB_OS_FILTER_H

#include <stdbool.h>

struct os_filter {
    int into; /* what the text is written to; never blocks */
    int child;
};

bool neb_os_can_execute(const char *program);
/* Starts `program argument`, whose input is `into` and whose output the descriptor out. Its environment is
 * empty but for LC_ALL=C, so that nothing is preloaded into it, and its errors are nobody's. */
bool neb_os_filter_begin(struct os_filter *filter, char *program, char *argument, int out);
/* Closes `into`. False: the program did not end with 0 within so many milliseconds; it is gone all the same.
 */
bool neb_os_filter_end(const struct os_filter *filter, unsigned wait_ms);

#endif
