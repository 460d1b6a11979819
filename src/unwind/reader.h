/* reader.h - numbers as they stand in tables of unwind rules (DWARF 4, 7.6; LSB, DWARF exception header encoding).
 *
 * Failure    a reader that wanted more than there is has failed: all that is read from then on is 0 */
#ifndef NEB_UNWIND_READER_H
#define NEB_UNWIND_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct reader {
    const unsigned char *at, *end;
    bool failed;
};

/* The next bytes, which the reader goes over; where they are missing, eight bytes of 0. */
const unsigned char *neb_take(struct reader *reader, size_t bytes);
uint8_t neb_take_u8(struct reader *reader);
uint16_t neb_take_u16(struct reader *reader);
uint32_t neb_take_u32(struct reader *reader);
uint64_t neb_take_u64(struct reader *reader);
uint64_t neb_take_uleb(struct reader *reader);
int64_t neb_take_sleb(struct reader *reader);

enum { PE_ABSOLUTE = 0, PE_UDATA2 = 2, PE_UDATA4 = 3, PE_UDATA8 = 4, PE_SDATA2 = 10, PE_SDATA4 = 11, PE_SDATA8 = 12,
       PE_PCREL = 0x10, PE_DATAREL = 0x30, PE_OMIT = 0xff };

/* An encoded number; relative ones count from where they stand. */
uintptr_t neb_take_encoded(struct reader *reader, uint8_t encoding);

#endif
