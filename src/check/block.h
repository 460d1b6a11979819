/* block.h - what a record says of its cell, for the files of this room. */
#ifndef NEB_CHECK_BLOCK_H
#define NEB_CHECK_BLOCK_H

#include "check/check.h"
#include "os/lock.h"

struct block {
    unsigned char *begin; /* what the program has */
    size_t size, front, slack;
    enum family family;
    enum record_state state;
    bool was_resized;
};

/* The block of a cell that has a record. */
struct block neb_block_of(const struct cell *cell);
/* Its size, in any case. False: p is not its beginning, or it is free; reported as the call's error. */
bool neb_block_size(const void *p, const struct cell *cell, const char *call, size_t *size);
/* Reports what the releasing call states wrongly. stated, made: alignments, the call's and the block's own. */
void neb_block_check_statement(const void *p, const struct check_call *call, const struct cell *cell, size_t stated, size_t made);
const char *neb_family_name(enum family family);
/* Small number of the calling thread, for records. */
uint16_t neb_thread_number_slow(void);
NEB_INLINE uint16_t thread_number(void)
{
    return NEB_LIKELY(neb_hold.number != 0) ? neb_hold.number : neb_thread_number_slow();
}
/* Its kernel id and, as long as it runs, its name. */
uint32_t neb_thread_number_id(uint16_t number);
/* Whether the contents of a block that was freed are out of reach. */
bool neb_block_is_hidden(const struct cell *cell);

#endif
