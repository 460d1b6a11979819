/* leaks.h - blocks that nothing points to any more.
 *
 *   a copy of the process (os/snapshot.h) looks through what is no block: data, stacks, registers, mappings
 *   --> every block that a word there points into is reached, and every block that a reached one points into
 *   --> the rest is lost: by nobody, or by another lost block only; told by the stack that allocated it
 *
 * A word that looks like a pointer is one: what was lost may be missed, if an old pointer to it stands somewhere, and a
 * pointer that is kept only in another form (compressed, XORed) makes a block look lost.
 *
 * Threads    any one, at the end of the process; holds all locks while the copy is made
 * Failure    where no copy can be made or looked through, nothing is said but that
 * Complexity O(memory in use) */
#ifndef NEB_CHECK_LEAKS_H
#define NEB_CHECK_LEAKS_H

enum leaks { LEAKS_NONE, LEAKS_SAID, LEAKS_UNKNOWN };

/* In the checked policy: once, before there are threads; once, at the end. */
void neb_leaks_begin(void);
enum leaks neb_leaks_look(void);

#endif
