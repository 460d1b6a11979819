/* region.c - for Frama-C's Eva: the slab's entry points over a region that is modelled (scripts/verify eva).
 *
 *   region[]  stands for what the system maps: the only memory that blocks can be in
 *
 * An address that were made of an integer, or did not come from the region, would be a "garbled mix"; one out of bounds an alarm. Atomic
 * accesses count as plain ones: the analysis is of one thread.
 *
 * Every state that a slab of eight blocks can have, and from each every call that computes an address. */
#include "heap/slab.h"
#include "os/vm.h"

enum { FEW = 8, OF_FEW = CLASS_BIG_FIRST - 1 }; /* the class of BIG_MIN bytes: eight blocks in each slab */
_Static_assert(GRANULE_BYTES / BIG_MIN == FEW, "a slab of few blocks");

static unsigned char region[SLAB_GRANULES_MAX * GRANULE_BYTES];
static struct slab slab;
static void *blocks[FEW];

size_t neb_vm_page_size(void)
{
    return GRANULE_BYTES;
}

bool neb_vm_purge(void *base, size_t bytes)
{
    unsigned char *memory = base;
    memory[0] = 0;
    memory[bytes - 1] = 0;
    return true;
}

int region_lowest_bit(unsigned long long word)
{
    int lowest = 0;
    while ((word >> lowest & 1) == 0)
        lowest++;
    return lowest;
}

static void blocks_write(size_t count, size_t bytes)
{
    for (size_t i = 0; i < count; i++) {
        unsigned char *memory = blocks[i];
        memory[0] = 1;
        memory[bytes - 1] = 1;
    }
}

static void slab_make(unsigned bump, unsigned bits)
{
    neb_slab_init(&slab, region, OF_FEW, true);
    slab.bump = (uint16_t)bump;
    slab.free_bits[0] = bits;
    for (unsigned i = 0; i < FEW; i++)
        slab.free_count = (uint16_t)(slab.free_count + (bits >> i & 1));
}

static void slabs_of_few(void)
{
    enum slab_answer answer;
    for (unsigned bump = 0; bump <= FEW; bump++)
        for (unsigned bits = 0; bits < 1u << bump; bits++) {
            slab_make(bump, bits);
            blocks_write(neb_slab_take_fresh(&slab, blocks, FEW), BIG_MIN);
            slab_make(bump, bits);
            blocks_write(neb_slab_take_apart(&slab, blocks, FEW, APART_STRIDE), BIG_MIN);
            slab_make(bump, bits);
            size_t count = neb_slab_take_bits(&slab, blocks, FEW);
            blocks_write(count, BIG_MIN);
            (void)neb_slab_give(&slab, blocks, count, &answer);
            (void)neb_slab_purge(&slab);
        }
}

int main(void)
{
    slabs_of_few();
    return 0;
}
