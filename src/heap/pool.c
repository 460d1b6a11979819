/* pool.c - refill and flush; see pool.h. */
#include "heap/pool.h"

#include "base/panic.h"
#include "heap/fault.h"
#include "heap/magazine.h"
#include "heap/outbox.h"
#include "heap/owner.h"

/* ---- blocks back into slabs ---------------------------------------------------------------------------------------- */

static bool list_is_single(const struct list_node *head)
{
    return head->next == head->prev;
}

static void answer_check(enum slab_answer answer, const void *p, const char *call)
{
    if (NEB_UNLIKELY(answer == SLAB_ALREADY_FREE))
        neb_fault_double_free(call, p);
    if (NEB_UNLIKELY(answer != SLAB_OK))
        neb_fault_invalid(call, p);
}

static size_t bits_set(struct heap *heap, struct slab *slab, void *const *blocks, size_t count, const char *call)
{
    enum slab_answer answer;
    size_t given = neb_slab_give(slab, blocks, count, &answer);
    if (NEB_UNLIKELY(answer != SLAB_OK))
        answer_check(answer, blocks[given], call);
    counter_add(&heap->pool[slab->class_index].counts.returned, given);
    return given;
}

/* Blocks came back. */
static void slab_settle(struct heap *heap, struct pool *pool, struct slab *slab, bool had_bits)
{
    pool->is_emptied = 0;
    if (NEB_UNLIKELY(!had_bits)) {
        list_remove(&slab->node);
        list_push(&pool->partial, &slab->node);
    }
    /* The last slab is kept: the next refill would have to make it again. */
    if (NEB_UNLIKELY(slab_is_unused(slab)) && !list_is_single(&pool->partial))
        neb_slab_release(heap, slab);
}

static size_t slab_give(struct heap *heap, struct slab *slab, void *const *blocks, size_t count, const char *call)
{
    bool had_bits = slab->free_count != 0;
    size_t given = bits_set(heap, slab, blocks, count, call);
    slab_settle(heap, &heap->pool[slab->class_index], slab, had_bits);
    return given;
}

/* A thread that frees in bulk what it allocated in bulk flushes as often, but not much more than it took: its slabs are not for others,
 * with whose blocks its own would share cache lines. bench: threadtest. */
static bool frees_only(const struct heap *heap, unsigned class_index)
{
    const struct pool *pool = &heap->pool[class_index];
    return pool->streak <= -CONSUMER_FLUSHES && pool->balance < -(magazine_limit(heap, class_index) - pool->magazine);
}

/* Others may need the slab more: a heap that does not allocate passes it on, a big block's at once, little ones' by the second, and one
 * that does once it has another to refill from. A magazine that swings takes it back soon: it stays. */
static bool is_to_pass_on(const struct heap *heap, const struct slab *slab)
{
    const struct pool *pool = &heap->pool[slab->class_index];
    if (pool->streak > 0)
        return slab->free_count != 0 && !list_is_single(&pool->partial);
    bool stays = pool->streak < 0 && !frees_only(heap, slab->class_index);
    return !stays && neb_heap_others_exist() && (size_class_is_big(&neb_size_class[slab->class_index]) || slab_has_free(slab));
}

/* Brings the first block to where its slab's owner of this moment wants it: the bitmap, together with those behind it
 * that lie in the same slab, or an outbox. How many it brought. *refused: a batch whose owner is gone, for the caller
 * to give its blocks again, or NULL. */
static size_t blocks_give(struct heap *heap, void *const *blocks, size_t count, const char *call, struct batch **refused)
{
    void *p = blocks[0];
    *refused = NULL;
    for (bool claimed = false;;) {
        if (NEB_UNLIKELY(!entry_is_pooled(page_map_load(p))))
            neb_fault_double_free(call, p); /* its slab was released since it was freed for the first time */
        struct slab *slab = slab_of(p);
        uint32_t entry = page_map_load(slab->base);
        if (entry_owner(entry) == heap->id && claimed && is_to_pass_on(heap, slab)) {
            size_t given = bits_set(heap, slab, blocks, count, call);
            neb_slab_pass_on(heap, slab);
            return given;
        }
        if (entry_owner(entry) == heap->id)
            return slab_give(heap, slab, blocks, count, call);
        if (entry_owner(entry) != 0) {
            *refused = neb_outbox_put(heap, entry_owner(entry), p, slab->class_index);
            return 1;
        }
        claimed = neb_slab_claim(heap, slab, entry); /* another may be faster: look again */
    }
}

/* Whether the first two are neighbours, as blocks are that are freed in the order in which they were allocated, or in the reverse. */
static bool is_run(void *const *blocks, size_t count, size_t size)
{
    return count > 1 && (ptr_address(blocks[1]) - ptr_address(blocks[0]) == size || ptr_address(blocks[0]) - ptr_address(blocks[1]) == size);
}

/* The slab of this heap in which p lies, and the offset of its class's bin, where a slab is one granule: the page map and the address say
 * that. NULL: another. */
NEB_INLINE struct slab *own_slab(const struct heap *heap, const struct window *window, const void *p, size_t *offset)
{
    *offset = window_load(window, p) ^ heap->tag;
    if (NEB_UNLIKELY(*offset > ENTRY_OFFSET_MASK || size_class_is_wide(size_class_at(*offset))))
        return NULL;
    return &page_map_chunk(p)->slab[chunk_granule_of(p)];
}

/* The leading blocks that lie in slabs of this heap, as nearly all do; how many. What is wrong with the next one is for blocks_give to find
 * out. Batches hold few neighbours: no look for runs. */
NEB_INLINE size_t own_give(struct heap *heap, void *const *blocks, size_t count, bool has_runs, bool are_frees)
{
    const struct window window = window_copy();
    size_t given = 0, offset;
    for (struct slab *slab; given < count && (slab = own_slab(heap, &window, blocks[given], &offset)) != NULL;) {
        void *const *rest = blocks + given;
        const struct size_class *class = size_class_at(offset);
        bool had_bits = slab->free_count != 0;
        enum slab_answer answer;
        size_t now = has_runs && is_run(rest, count - given, class->size) ? neb_slab_give(slab, rest, count - given, &answer)
                                                                          : slab_give_at(slab, class, ptr_address(*rest) % GRANULE_BYTES);
        if (NEB_UNLIKELY(now == 0))
            break;
        struct pool *pool = &heap->pool[size_class_of_offset(offset)];
        given += now;
        counter_add(&pool->counts.returned, now);
        if (POLICY_COUNT && are_frees)
            counter_add(&pool->counts.frees, now);
        slab_settle(heap, pool, slab, had_bits);
    }
    return given;
}

/* Frees bring blocks to whoever owns their slab, so that who owns many gets many, while another heap may make new slabs for want of free
 * blocks. bench: epoch had 25 MiB in slabs for 3 MiB that were in use. */
static NEB_THREADED void surplus_share(struct heap *heap, unsigned class_index)
{
    struct pool *pool = &heap->pool[class_index];
    if (!neb_heap_others_exist() || !neb_ownerless_is_wanted(class_index) || list_is_empty(&pool->partial))
        return;
    for (unsigned given = 0; given < SURPLUS_SLABS && !list_is_single(&pool->partial); given++)
        neb_slab_pass_on(heap, LIST_OF(pool->partial.prev, struct slab, node));
}

static void batches_give(struct heap *heap, struct batch *work)
{
    while (work != NULL) {
        struct batch *batch = work;
        work = batch->next;
        uint32_t entry = page_map_load(batch->block[0]);
        for (uint32_t i = (uint32_t)own_give(heap, batch->block, batch->count, false, false); i < batch->count;) {
            struct batch *refused;
            i += (uint32_t)blocks_give(heap, batch->block + i, batch->count - i, "free", &refused);
            if (refused != NULL) {
                refused->next = work;
                work = refused;
            }
        }
        if (entry_is_pooled(entry))
            surplus_share(heap, entry_class(entry));
        neb_batch_recycle(heap, batch);
    }
}

static void blocks_give_fully(struct heap *heap, void *const *blocks, size_t count, const char *call)
{
    while (count > 0) {
        struct batch *refused;
        size_t given = blocks_give(heap, blocks, count, call, &refused);
        if (refused != NULL)
            batches_give(heap, refused);
        blocks += given;
        count -= given;
    }
}

void neb_heap_apply_inbox(struct heap *heap)
{
    struct batch *batches = neb_inbox_take_all(&heap->inbox);
    for (const struct batch *batch = batches; batch != NULL; batch = batch->next)
        counter_add(&heap->counts.batches_applied, 1);
    batches_give(heap, batches);
}

void neb_heap_empty_outbox(struct heap *heap)
{
    for (unsigned slot = 0; slot < OUTBOX_SLOTS; slot++)
        if (heap->outbox[slot].batch != NULL)
            batches_give(heap, neb_outbox_send(heap, slot));
}

/* ---- blocks of other heaps ------------------------------------------------------------------------------------------- */

/* Of a block of another heap, whose slab is one granule; NULL: it is no such block. The page map and the address say all, without a look at
 * the slab's descriptor, whose line its owner is writing. */
static const struct size_class *foreign_class(const struct heap *heap, uint32_t entry)
{
    if (!entry_is_pooled(entry) || entry_owner(entry) == 0 || entry_owner(entry) == heap->id)
        return NULL;
    const struct size_class *class = size_class_at(entry & ENTRY_OFFSET_MASK);
    return size_class_is_wide(class) ? NULL : class;
}

static bool is_begin(const struct size_class *class, const void *p)
{
    return size_class_is_begin(class, ptr_address(p) % GRANULE_BYTES);
}

/* False: it is no block of another heap, or neb_outbox_put has more to do. */
static bool foreign_add(struct heap *heap, void *p)
{
    uint32_t entry = page_map_load(p);
    const struct size_class *class = foreign_class(heap, entry);
    return class != NULL && is_begin(class, p) && outbox_add(heap, entry_owner(entry), p, class->size);
}

/* Whether the program frees for a while more than it takes, of what it did take before: then it will soon take as many, and what it frees
 * is warm here, not there. Where frees and allocations alternate a kept block would come and go for ever, each time as a slow call. */
static bool is_burst(struct pool *pool, const struct bin *bin)
{
    uint16_t count = (uint16_t)(bin->top - pool->magazine);
    pool->burst = (uint8_t)(count < pool->burst_count ? 0 : pool->burst < BURST_FREES ? pool->burst + 1 : BURST_FREES);
    pool->burst_count = count;
    return pool->burst == BURST_FREES;
}

/* Own blocks come here while their magazine is wary. Out of line, so that the way of the others has no frame. */
static NEB_NOINLINE bool wary_give(struct heap *heap, void *p, size_t offset)
{
    unsigned class_index = size_class_of_offset(offset);
    const struct size_class *class = size_class_at(offset);
    if (heap->pool[class_index].wary == 0 || neb_inbox_has_batches(&heap->inbox) ||
        !slab_is_out(slab_of(p), class, p) || neb_magazine_knows(heap, class_index, p, 1) ||
        heap->bin[class_index].top == magazine_limit(heap, class_index))
        return false;
    neb_magazine_push(heap, class_index, p);
    return true;
}

/* The heap's own window will do: what it does not know is for neb_pool_give, which makes it anew. */
bool neb_pool_give_short(struct heap *heap, void *p)
{
    uint32_t entry = window_load(&heap->window, p);
    if ((entry ^ heap->tag) <= ENTRY_OFFSET_MASK)
        return wary_give(heap, p, entry ^ heap->tag);
    const struct size_class *class = foreign_class(heap, entry);
    if (NEB_UNLIKELY(class == NULL || !is_begin(class, p)))
        return false;
    struct pool *pool = &heap->pool[entry_class(entry)];
    struct bin *bin = heap_bin_at(heap, entry & ENTRY_OFFSET_MASK);
    bool can_keep = pool->streak > 0 && class->size >= KEPT_MIN && bin->top < bin->limit;
    if (!can_keep || !is_burst(pool, bin) || *bin->top == p)
        return outbox_add(heap, entry_owner(entry), p, class->size);
    bin->top[1] = p;
    atomic_signal_fence(memory_order_seq_cst); /* as in outbox_add */
    bin->top++;
    return true;
}

/* ---- flush --------------------------------------------------------------------------------------------------------- */

/* Gives back the oldest entries. */
static void magazine_flush(struct heap *heap, unsigned class_index, size_t count)
{
    struct pool *pool = &heap->pool[class_index];
    struct bin *bin = &heap->bin[class_index];
    void **oldest = pool->magazine + 1;
    for (size_t given = 0; given < count;) {
        given += own_give(heap, oldest + given, count - given, true, false);
        if (given < count && !foreign_add(heap, oldest[given]))
            blocks_give_fully(heap, oldest + given, 1, "free");
        given += given < count;
    }
    size_t left = (size_t)(bin->top - pool->magazine) - count;
    for (size_t i = 0; i < left; i++)
        oldest[i] = oldest[i + count];
    bin->top -= count;
    atomic_store_explicit(&pool->counts.held, left, memory_order_relaxed);
}

void neb_pool_flush_all(struct heap *heap, unsigned class_index)
{
    magazine_flush(heap, class_index, bin_count(heap, class_index));
}

static bool is_consumer(const struct heap *heap, unsigned class_index)
{
    return frees_only(heap, class_index) && neb_heap_others_exist();
}

/* All but the one that a refill would take first. */
static NEB_THREADED void abandon_partial(struct heap *heap, struct pool *pool)
{
    if (list_is_empty(&pool->partial))
        return;
    while (!list_is_single(&pool->partial))
        neb_slab_pass_on(heap, LIST_OF(pool->partial.prev, struct slab, node));
}

static void pool_flush_half(struct heap *heap, unsigned class_index)
{
    struct pool *pool = &heap->pool[class_index];
    size_t count = bin_count(heap, class_index);
    pool->balance -= pool->balance > INT32_MIN / 2 ? (int32_t)((count + 1) / 2) : 0;
    magazine_flush(heap, class_index, (count + 1) / 2);
    counter_add(&pool->counts.flushes, 1);
    if (is_consumer(heap, class_index))
        abandon_partial(heap, pool);
}

/* Room for one more block in the magazine; false: there is no memory for a magazine. */
static bool pool_make_room(struct heap *heap, unsigned class_index)
{
    struct pool *pool = &heap->pool[class_index];
    if (pool->magazine == NULL)
        return neb_magazine_create(heap, class_index);
    bool swung = pool->streak > 0;
    pool->streak = (int8_t)(swung ? -1 : pool->streak > -STREAK_MAX ? pool->streak - 1 : pool->streak);
    pool->is_active = 1;
    if (!swung || !neb_magazine_grow(heap, class_index))
        pool_flush_half(heap, class_index);
    return true;
}

static NEB_THREADED bool foreign_give(struct heap *heap, void *p, const char *call)
{
    uint32_t entry = page_map_load(p);
    const struct size_class *class = foreign_class(heap, entry);
    if (class == NULL)
        return false;
    if (NEB_UNLIKELY(!is_begin(class, p)))
        neb_fault_invalid(call, p);
    batches_give(heap, neb_outbox_put(heap, entry_owner(entry), p, entry_class(entry)));
    return true;
}

/* What others freed of a class whose magazine is wary: p may be one of these blocks. */
static void wary_apply(struct heap *heap, void *p, const char *call)
{
    uint32_t entry = page_map_load(p);
    if (entry_owner(entry) != heap->id || heap->pool[entry_class(entry)].wary == 0 || !neb_inbox_has_batches(&heap->inbox))
        return;
    neb_heap_apply_inbox(heap);
    if (NEB_UNLIKELY(!entry_is_pooled(page_map_load(p))))
        neb_fault_double_free(call, p);
}

void neb_pool_give(struct heap *heap, void *p, const char *call)
{
    wary_apply(heap, p, call);
    if ((POLICY_FREE_EXACT && own_give(heap, &p, 1, false, false) == 1) || foreign_give(heap, p, call))
        return;
    struct slab *slab = slab_of(p);
    unsigned class_index = slab->class_index;
    if (NEB_UNLIKELY(slab_block_index(slab, p) == SIZE_MAX))
        neb_fault_invalid(call, p);
    uint32_t entry = page_map_load(slab->base);
    while (entry_owner(entry) == 0) {
        bool claimed = neb_slab_claim(heap, slab, entry);
        if (claimed && is_to_pass_on(heap, slab)) {
            (void)bits_set(heap, slab, &p, 1, call);
            neb_slab_pass_on(heap, slab);
            return;
        }
        entry = page_map_load(slab->base);
    }
    if (entry_owner(entry) != heap->id || POLICY_FREE_EXACT) {
        blocks_give_fully(heap, &p, 1, call);
        return;
    }
    answer_check(neb_slab_look(slab, p), p, call);
    if (NEB_UNLIKELY(neb_magazine_knows(heap, class_index, p, 1)))
        neb_fault_double_free(call, p);
    if (heap->bin[class_index].top == magazine_limit(heap, class_index) && !pool_make_room(heap, class_index)) {
        blocks_give_fully(heap, &p, 1, call);
        return;
    }
    neb_magazine_push(heap, class_index, p);
}

void neb_pool_take_back(struct heap *heap, void *p, uint32_t entry, const char *call)
{
    if (POLICY_COUNT)
        counter_add(&heap->pool[entry_class(entry)].counts.frees, 1);
    neb_pool_give(heap, p, call);
}

size_t neb_pool_take_back_all(struct heap *heap, void *const *blocks, size_t count, const char *call)
{
    size_t given = 0;
    for (;;) {
        given += own_give(heap, blocks + given, count - given, false, true);
        uint32_t entry = given < count ? page_map_load(blocks[given]) : ENTRY_NONE;
        if (!entry_is_pooled(entry))
            return given;
        neb_pool_take_back(heap, blocks[given++], entry, call);
    }
}

/* ---- refill -------------------------------------------------------------------------------------------------------- */

/* Where each free is to find the bitmap as it is no block may be out of it but those in use, unless records say what they are. */
static size_t exact_count(void)
{
    return neb_records_are_enabled() ? CHECKED_REFILL : 1;
}

static size_t fresh_count(unsigned class_index)
{
    size_t count = (neb_heap_is_hardened() ? HARDEN_FRESH_BYTES : FRESH_BYTES) / neb_size_class[class_index].size;
    return count == 0 ? 1 : count;
}

/* The first blocks of a little class do not lie side by side: a program that has few of a size does not hit another one when it writes a little
 * beyond its end. Then what lies between them is taken, before the bump arenas give more. In programs of many threads each heap would
 * touch more pages. */
static bool is_to_lie_apart(const struct heap *heap, const struct slab *slab)
{
    uint64_t taken = atomic_load_explicit(&heap->pool[slab->class_index].counts.taken, memory_order_relaxed); /* written by this thread */
    return NEB_UNLIKELY(taken < APART_BLOCKS) && !POLICY_EVERY_CALL_SLOW && neb_size_class[slab->class_index].size <= APART_MAX &&
           slab->bump < slab->capacity && !neb_heap_is_hardened() && !neb_heap_others_exist();
}

static size_t take_apart(struct slab *slab, void **into, size_t want)
{
    size_t stride = neb_size_class[slab->class_index].size <= APART_LITTLE ? APART_LITTLE_STRIDE : APART_STRIDE;
    return neb_slab_take_apart(slab, into, want < APART_TAKEN ? want : APART_TAKEN, stride);
}

/* What the slab has of up to want blocks; it leaves the heap when it has no more. */
static size_t slab_take(struct heap *heap, struct slab *slab, void **into, size_t want)
{
    struct pool *pool = &heap->pool[slab->class_index];
    size_t fresh = fresh_count(slab->class_index);
    size_t count = is_to_lie_apart(heap, slab) ? take_apart(slab, into, want)
                   : slab->free_count != 0     ? neb_slab_take_bits(slab, into, want)
                                               : neb_slab_take_fresh(slab, into, want < fresh ? want : fresh);
    if (!slab_has_free(slab)) {
        neb_slab_detach(slab);
    } else if (slab->free_count == 0) {
        list_remove(&slab->node);
        list_append(&pool->partial, &slab->node);
    }
    return count;
}

static struct slab *first_partial(const struct pool *pool)
{
    return list_is_empty(&pool->partial) ? NULL : LIST_OF(pool->partial.next, struct slab, node);
}

static size_t take_recycled(struct heap *heap, struct pool *pool, void **into, size_t want)
{
    size_t count = 0;
    for (struct slab *slab; count < want && (slab = first_partial(pool)) != NULL && slab->free_count != 0;)
        count += slab_take(heap, slab, into + count, want - count);
    return count;
}

/* The heap's own, or one that it owns from now on; NULL: no memory. */
static struct slab *slab_to_take(struct heap *heap, unsigned class_index)
{
    struct slab *slab = first_partial(&heap->pool[class_index]);
    if (slab == NULL)
        slab = neb_slab_adopt(heap, class_index);
    return slab != NULL ? slab : neb_slab_make(heap, class_index);
}

static bool others_free_its_blocks(const struct heap *heap)
{
    return atomic_load_explicit(&heap->counts.batches_applied, memory_order_relaxed) != 0; /* written by this thread */
}

/* At a refill the magazine is empty, so that every block of these slabs is in use. They were claimed by frees whose blocks went out
 * again by the magazine: who frees the next one may as well own the slab as send its blocks here. bench: blowup 0.050 to 0.039 s. */
void neb_pool_detach_full(struct pool *pool)
{
    while (!list_is_empty(&pool->full))
        neb_slab_detach(LIST_OF(pool->full.next, struct slab, node));
}

/* In the order of architecture: what is warm and mine first, fresh memory last. */
static size_t take_blocks(struct heap *heap, unsigned class_index, void **into, size_t want)
{
    struct pool *pool = &heap->pool[class_index];
    if (others_free_its_blocks(heap))
        neb_pool_detach_full(pool);
    size_t count = take_recycled(heap, pool, into, want);
    if (count == 0 && neb_inbox_has_batches(&heap->inbox)) {
        neb_heap_apply_inbox(heap);
        count = take_recycled(heap, pool, into, want);
    }
    if (count > 0)
        return count;
    struct slab *slab = slab_to_take(heap, class_index);
    return slab == NULL ? 0 : slab_take(heap, slab, into, want);
}

/* Whether half of a magazine of so many entries is less than a bump arena gives at a time. What would be gained beyond is lost in memory: blocks
 * that came back wait there, where no other class can have their slabs. */
static bool is_below_fresh(unsigned class_index, size_t entries)
{
    return entries / 2 < fresh_count(class_index);
}

bool neb_pool_refill(struct heap *heap, unsigned class_index)
{
    struct pool *pool = &heap->pool[class_index];
    if (pool->magazine == NULL && !neb_magazine_create(heap, class_index))
        return false;
    size_t entries = (size_t)(magazine_limit(heap, class_index) - pool->magazine);
    if ((pool->streak < 0 || (pool->streak >= PRODUCER_REFILLS && is_below_fresh(class_index, entries))) && neb_magazine_grow(heap, class_index))
        entries = (size_t)(heap->bin[class_index].limit - pool->magazine);
    if (pool->streak <= 0)
        pool->balance = 0;
    pool->streak = (int8_t)(pool->streak < 0 ? 1 : pool->streak < STREAK_MAX ? pool->streak + 1 : pool->streak);
    pool->is_active = 1;
    struct bin *bin = &heap->bin[class_index];
    size_t count = take_blocks(heap, class_index, pool->magazine + 1, POLICY_FREE_EXACT ? exact_count() : (entries + 1) / 2);
    bin->top = pool->magazine + count;
    pool->balance += pool->balance < INT32_MAX / 2 ? (int32_t)count : 0;
    counter_add(&pool->counts.refills, 1);
    counter_add(&pool->counts.taken, count);
    atomic_store_explicit(&pool->counts.held, count, memory_order_relaxed);
    return count > 0;
}

void *neb_pool_take_zero(struct heap *heap, unsigned class_index)
{
    struct slab *slab = slab_to_take(heap, class_index);
    if (slab == NULL || slab->free_count != 0 || !slab->is_clean)
        return NULL;
    void *block = NULL;
    (void)neb_slab_take_fresh(slab, &block, 1);
    if (!slab_has_free(slab))
        neb_slab_detach(slab);
    counter_add(&heap->pool[class_index].counts.taken, 1);
    return block;
}
