/* tidy.c - what is done when somebody asks for it: blocks are looked at, memory is given back; see alloc.h.
 *
 * Law        no block that is in use changes; trim keeps errno */
#include "front/alloc_inner.h"
#include "heap/chunk.h"
#include "heap/large.h"
#include "heap/upkeep.h"
#include "heap/vacant.h"
#include <errno.h>

/* As many as wait now, not until none is left: the system may refuse to let go of some. */
static void quarantine_drain(void)
{
    void *raw[QUARANTINE_BATCH];
    for (size_t batches = (neb_check_waiting() + QUARANTINE_BATCH - 1) / QUARANTINE_BATCH; batches > 0; batches--)
        neb_free_raws(raw, neb_check_expired(raw, true));
}

void neb_verify(void)
{
    if (POLICY_GUARD)
        neb_guard_verify();
    if (!check_has(CHECK_CANARY))
        return; /* nothing of a block could have changed */
    quarantine_drain();
    neb_check_finish();
}

void neb_verify_freed(void)
{
    if (POLICY_FREE_EXACT || check_is_on() || neb_tls.state != THREAD_HAS_HEAP)
        return;
    struct heap *heap = neb_heap_enter();
    neb_heap_flush(heap);
    neb_vacant_retire(0, 0);
    neb_heap_leave(heap);
}

NEB_SELDOM size_t neb_trim(void)
{
    int saved = errno;
    if (heap_is_in_emergency())
        return 0;
    if (check_is_on())
        quarantine_drain();
    struct heap *heap = neb_heap_enter();
    size_t given = neb_heap_trim(heap);
    neb_heap_leave(heap);
    given += neb_chunk_trim();
    given += neb_huge_trim();
    errno = saved;
    return given;
}
