/* hide.h - which freed large blocks go out of reach: all of them, but where a program frees thousands in a second.
 *
 *   allowance   [256 ....... 1 more each millisecond ....... 256]  --free of a large block--> one less; none left: not hidden
 *
 * To hide a block and show it again takes three or four system calls, 10 us, and its pages have to be faulted in anew: git, which frees
 * 30,000 buffers of zlib in a second, took 1.7 and 4 times as long. What is not hidden waits in the quarantine all the same, filled where
 * freed blocks are filled, and is verified when it leaves. Blocks of more than HIDE_ALWAYS_BYTES are hidden whatever it costs: who works
 * on so many bytes will not notice.
 *
 * Threads    any
 * Failure    cannot fail
 * Sync       the allowance is a number, nothing more: relaxed is enough */
#ifndef NEB_CHECK_HIDE_H
#define NEB_CHECK_HIDE_H

#include <stdbool.h>
#include <stddef.h>

/* Whether a freed block of so many bytes is to be hidden. Takes one off the allowance when it is due for that. */
bool neb_hide_is_due(size_t bytes);

#endif
