/* capture.c - see capture.h. */
#include "trace/capture.h"

#include "base/attr.h"
#include "base/ptr.h"
#include "heap/meta.h"
#include "trace/depot.h"
#include "trace/state.h"
#include <limits.h>
#include <stddef.h>
#include <string.h>

enum { CHECKS_MAX = 2 * STACK_FRAMES_MAX, STACK_ORDER = 13 };
/* Of fp: not looked at; it was the first frame's; else the check that compares the slot it came from. */
enum { FP_UNUSED = 0xffff, FP_FIRST = 0xfffe };
/* Slots further than this from a stack's anchor are not compared. */
enum { DISTANCE_MAX = 1 << 30 };

struct frame {
    uintptr_t pc, sp;
    uint64_t hash; /* of the stack that ends here (depot.h) */
    uint32_t node;
    uint16_t check_count : 15; /* checks of this frame and of those further out: what its callers depend on */
    uint16_t is_exact : 1;
    uint16_t fp_check;
};

/* Frames and checks begin with the outermost: two stacks with the same callers begin with the same words. */
struct stack {
    uintptr_t pc, sp, fp;
    uintptr_t anchor; /* slots are distances from here; stacks that share frames share it */
    uint64_t generation; /* 0: not remembered */
    struct stack *next;  /* that came after this one the last time; NULL, or one that may be another one by now */
    void *note;          /* the caller's */
    uint32_t node;
    uint16_t frame_count, check_count;
    uint8_t uses_fp;      /* the first frame's fp decided something */
    uint8_t is_complete;  /* not cut off at the depth */
    uint8_t is_checkable; /* checks describe all that was read */
    uint8_t is_used;      /* since it was last looked at for a victim */
    int32_t distance[CHECKS_MAX];
    uintptr_t value[CHECKS_MAX];
    struct frame frame[STACK_FRAMES_MAX];
};
_Static_assert(sizeof(struct stack) <= 1 << STACK_ORDER, "a stack is one array of metadata");
_Static_assert((unsigned)CHECKS_MAX < (unsigned)FP_FIRST && CHECKS_MAX < 1 << 15, "a check's number fits");

/* ---- checks ---------------------------------------------------------------------------------------------------------------- */

static const unsigned char *anchor_of(const struct stack *stack, const struct place *here)
{
    return place_at(here, stack->anchor);
}

NEB_INLINE bool check_holds(const unsigned char *anchor, const int32_t *distance, const uintptr_t *value)
{
    uintptr_t now;
    memcpy(&now, anchor + *distance, sizeof now);
    return now == *value;
}

/* From the inner ones outwards, from high - 1 to low: the number above the first whose word is another one; low: there is none.
 * It goes no further: what lies behind may not even be there. Four in a turn: most of what a stack that is remembered costs. */
NEB_INLINE unsigned checks_broken(const struct stack *stack, const unsigned char *anchor, unsigned high, unsigned low)
{
    const int32_t *distance = stack->distance + high, *end = stack->distance + low;
    const uintptr_t *value = stack->value + high;
    for (; distance - end >= 4; distance -= 4, value -= 4)
        if (!check_holds(anchor, distance - 1, value - 1) || !check_holds(anchor, distance - 2, value - 2) ||
            !check_holds(anchor, distance - 3, value - 3) || !check_holds(anchor, distance - 4, value - 4))
            break;
    while (distance > end && check_holds(anchor, distance - 1, value - 1)) {
        distance--;
        value--;
    }
    return low + (unsigned)(distance - end);
}

/* ---- the walk -------------------------------------------------------------------------------------------------------------- */

/* Its frames and checks are written from the end of the stack's arrays downwards, so that they stand in the order of stacks; how
 * many there are further out is known last. Until then (walk_finish) checks are counted from the innermost, and a frame's
 * check_count is of those before it. */
struct walk {
    struct stack *stack;
    struct reach *reach;
    struct place here;
    bool is_exact;
    const unsigned char *fp_slot; /* where fp came from; NULL: from the first frame */
    uint16_t fp_check;
    unsigned fp_frame;            /* the first frame that has this fp and does not know its check */
    unsigned frame_count, check_count;
    unsigned depth;
    bool keeps_nodes;             /* the frames that were taken over begin with the older stack's outermost one */
};

static bool is_near(uintptr_t address, uintptr_t anchor)
{
    return address - anchor + DISTANCE_MAX < 2 * (uintptr_t)DISTANCE_MAX;
}

static void check_add(struct walk *walk, const unsigned char *slot, uintptr_t value)
{
    struct stack *stack = walk->stack;
    if (walk->check_count == CHECKS_MAX || !is_near(ptr_address(slot), stack->anchor)) {
        stack->is_checkable = 0; /* too long, or it goes on somewhere else */
        return;
    }
    unsigned at = CHECKS_MAX - ++walk->check_count;
    stack->distance[at] = (int32_t)(intptr_t)(ptr_address(slot) - stack->anchor);
    stack->value[at] = value;
}

static struct frame *walk_frame(const struct walk *walk, unsigned i)
{
    return &walk->stack->frame[STACK_FRAMES_MAX - 1 - i];
}

static void frame_push(struct walk *walk)
{
    *walk_frame(walk, walk->frame_count++) = (struct frame){
        walk->here.pc, walk->here.sp, 0, 0, (uint16_t)(walk->check_count & 0x7fff), walk->is_exact, FP_UNUSED};
}

/* The frames up to the newest depend on fp: where it came from is compared before what it leads to. */
static void fp_use(struct walk *walk, uintptr_t fp)
{
    if (walk->fp_check == FP_UNUSED && walk->fp_slot == NULL) {
        walk->fp_check = FP_FIRST;
        walk->stack->uses_fp = 1;
    } else if (walk->fp_check == FP_UNUSED) {
        walk->fp_check = (uint16_t)walk->check_count;
        check_add(walk, walk->fp_slot, fp);
    }
    for (; walk->fp_frame < walk->frame_count; walk->fp_frame++)
        walk_frame(walk, walk->fp_frame)->fp_check = walk->fp_check;
}

static bool walk_step(struct walk *walk)
{
    struct step step;
    uintptr_t fp = walk->here.fp;
    bool goes_on = neb_step_out(walk->reach, &walk->here, &walk->is_exact, &step);
    if (step.used_fp)
        fp_use(walk, fp);
    for (unsigned i = 0; i < step.count; i++)
        check_add(walk, step.slot[i], step.value[i]);
    if (step.failed)
        walk->stack->is_checkable = 0;
    if (step.fp_slot != NULL) {
        walk->fp_slot = step.fp_slot;
        walk->fp_check = FP_UNUSED;
        walk->fp_frame = walk->frame_count;
    }
    return goes_on;
}

/* The place among a stack's checks of one that the walk counts from the innermost. */
static uint16_t check_number(const struct walk *walk, unsigned check)
{
    return (uint16_t)(check >= FP_FIRST ? check : walk->stack->check_count + walk->check_count - 1u - check);
}

/* ---- what two stacks share --------------------------------------------------------------------------------------------- */

enum { NO_CHECK = FP_UNUSED };

/* The check of the fp with which an older stack comes into a frame, if it is made behind that frame. */
static unsigned fp_check_behind(const struct frame *frame)
{
    return frame->fp_check < frame->check_count ? frame->fp_check : NO_CHECK;
}

/* Whether a frame is come into with this fp, if it matters. */
static bool fp_is(const struct stack *stack, const struct frame *frame, uintptr_t fp)
{
    if (NEB_LIKELY(frame->fp_check == FP_UNUSED))
        return true;
    return fp == (frame->fp_check == FP_FIRST ? stack->fp : stack->value[frame->fp_check]);
}

/* An older stack that is looked at frame by frame while this one is walked. */
struct guide {
    const struct stack *stack; /* NULL: none is of use */
    unsigned frame;            /* so many are left: the others cannot be met any more */
    unsigned broken;           /* a frame with so many checks leads to one that is broken */
};

/* Whether the words behind an older stack's frame are unchanged; how this walk's fp got there is its own matter. */
static bool rest_holds(struct guide *guide, const struct frame *at, const unsigned char *anchor)
{
    unsigned skip = fp_check_behind(at), low = skip == NO_CHECK ? 0 : skip + 1;
    unsigned broken = checks_broken(guide->stack, anchor, at->check_count, low);
    if (broken == low && skip != NO_CHECK)
        broken = checks_broken(guide->stack, anchor, skip, low = 0);
    if (broken != low)
        guide->broken = broken;
    return broken == low;
}

/* Whether the older stack has this frame, and goes on from it as it did. */
static bool guide_meets(struct guide *guide, const struct walk *walk)
{
    const struct stack *old = guide->stack;
    const struct place *here = &walk->here;
    while (guide->frame > 0 && old->frame[guide->frame - 1].sp < here->sp)
        guide->frame--;
    if (guide->frame == 0)
        return false;
    const struct frame *at = &old->frame[guide->frame - 1];
    if (at->sp != here->sp || at->pc != here->pc || at->is_exact != walk->is_exact || at->check_count >= guide->broken ||
        !fp_is(old, at, here->fp))
        return false;
    /* A stack that was cut off has no more frames than it has: this one must not need more. */
    if (!old->is_complete && walk->frame_count + guide->frame < walk->depth)
        return false;
    return rest_holds(guide, at, anchor_of(old, here));
}

/* The frames up to the newest that was taken over come to their fp in another way than in the older stack: their check is
 * one of the walk's now. Both stand innermost, so that nearly always nothing has to move. */
static void fp_replace(const struct walk *walk)
{
    struct stack *stack = walk->stack;
    unsigned old = stack->frame[stack->frame_count - 1].fp_check, behind = fp_check_behind(&stack->frame[stack->frame_count - 1]);
    if (behind != NO_CHECK) {
        size_t above = --stack->check_count - behind;
        memmove(&stack->distance[behind], &stack->distance[behind + 1], above * sizeof *stack->distance);
        memmove(&stack->value[behind], &stack->value[behind + 1], above * sizeof *stack->value);
    }
    for (unsigned i = stack->frame_count; i-- > 0;) {
        struct frame *frame = &stack->frame[i];
        bool is_above = behind != NO_CHECK && frame->check_count > behind, uses_it = frame->fp_check == old;
        if (!is_above && !uses_it)
            break;
        frame->check_count = (uint16_t)((frame->check_count - is_above) & 0x7fff);
        if (uses_it)
            frame->fp_check = check_number(walk, walk->fp_check);
    }
}

/* The frames that were taken over are without so many outermost ones, which the depth cuts off, and their checks. */
static void rest_renumber(struct stack *stack, unsigned checks)
{
    for (unsigned i = 0; checks > 0 && i < stack->frame_count; i++) {
        struct frame *frame = &stack->frame[i];
        frame->check_count = (uint16_t)((frame->check_count - checks) & 0x7fff);
        if (frame->fp_check < FP_FIRST)
            frame->fp_check = frame->fp_check < checks ? FP_UNUSED : (uint16_t)(frame->fp_check - checks);
    }
}

/* Takes over the older stack from the frame that was met on; the walk's own frames follow (walk_finish). */
static void rest_take(struct walk *walk, const struct guide *guide)
{
    const struct stack *old = guide->stack;
    const struct frame *met = &old->frame[guide->frame - 1];
    struct stack *stack = walk->stack;
    unsigned room = walk->depth - walk->frame_count, cut = guide->frame > room ? guide->frame - room : 0;
    unsigned checks_cut = cut == 0 ? 0 : old->frame[cut - 1].check_count, checks = met->check_count - checks_cut;
    if (met->fp_check != FP_UNUSED)
        fp_use(walk, walk->here.fp);
    walk->keeps_nodes = cut == 0;
    stack->is_complete = cut == 0 && old->is_complete;
    stack->frame_count = (uint16_t)(guide->frame - cut);
    memcpy(stack->frame, old->frame + cut, stack->frame_count * sizeof *stack->frame);
    if (walk->check_count + checks > CHECKS_MAX) {
        stack->is_checkable = 0;
        return;
    }
    stack->check_count = (uint16_t)checks;
    memcpy(stack->distance, old->distance + checks_cut, checks * sizeof *stack->distance);
    memcpy(stack->value, old->value + checks_cut, checks * sizeof *stack->value);
    rest_renumber(stack, checks_cut);
    if (met->fp_check != FP_UNUSED)
        fp_replace(walk);
}

/* The walk's own frames and checks, from the arrays' ends to where those taken over end; how many frames there are. */
static unsigned walk_finish(struct walk *walk)
{
    struct stack *stack = walk->stack;
    unsigned frames = stack->frame_count, own = walk->frame_count, checks = stack->check_count, own_checks = walk->check_count;
    memmove(stack->frame + frames, stack->frame + STACK_FRAMES_MAX - own, own * sizeof *stack->frame);
    stack->frame_count = (uint16_t)(frames + own);
    for (unsigned i = frames; i < frames + own; i++) {
        struct frame *frame = &stack->frame[i];
        frame->check_count = (uint16_t)((checks + own_checks - frame->check_count) & 0x7fff);
        frame->fp_check = check_number(walk, frame->fp_check);
    }
    if (!stack->is_checkable)
        return own;
    memmove(stack->distance + checks, stack->distance + CHECKS_MAX - own_checks, own_checks * sizeof *stack->distance);
    memmove(stack->value + checks, stack->value + CHECKS_MAX - own_checks, own_checks * sizeof *stack->value);
    stack->check_count = (uint16_t)(checks + own_checks);
    return own;
}

/* Walks until the stack ends, or is known. */
static void stack_walk(struct walk *walk, struct guide *guide)
{
    struct stack *stack = walk->stack;
    for (;;) {
        if (walk->frame_count == walk->depth) {
            stack->is_complete = 0;
            return;
        }
        if (guide->stack != NULL && guide_meets(guide, walk)) {
            rest_take(walk, guide);
            return;
        }
        frame_push(walk);
        if (walk->here.stack == NULL || !walk_step(walk))
            return;
    }
}

/* Nodes of an older depot are none of this one. */
static void children_check(struct stack_cache *cache)
{
    uint64_t number = neb_depot_number();
    if (NEB_LIKELY(cache->depot == number))
        return;
    if (cache->depot != 0) /* else nothing was ever written there */
        memset(cache->child, 0, sizeof cache->child);
    cache->depot = number;
}

static struct child *child_at(struct stack_cache *cache, const struct frame *frame)
{
    return &cache->child[frame->hash & (STACK_CACHE_CHILDREN - 1)];
}

/* To be looked for in the depot, most likely. */
static void child_prefetch(struct stack_cache *cache, const struct frame *frame)
{
    if (child_at(cache, frame)->pc != frame->pc)
        neb_depot_prefetch(frame->hash);
}

static uint32_t child_find(struct stack_cache *cache, uint32_t parent, const struct frame *frame)
{
    uint32_t key = parent | (uint32_t)frame->is_exact << 31;
    struct child *child = child_at(cache, frame);
    if (NEB_LIKELY(child->node != 0 && child->pc == frame->pc && child->parent_and_exact == key))
        return child->node;
    uint32_t node = neb_depot_child(parent, frame->hash, frame->pc, frame->is_exact);
    if (node >= NBT_STACK_FIRST)
        *child = (struct child){frame->pc, key, node};
    return node;
}

/* Nodes of the newest frames, from first on. */
static void nodes_find(struct stack_cache *cache, struct stack *stack, unsigned first)
{
    uint32_t parent = first > 0 ? stack->frame[first - 1].node : stack->is_complete ? NBT_STACK_NONE : NBT_STACK_TRUNCATED;
    uint64_t hash = first > 0 ? stack->frame[first - 1].hash : parent;
    for (unsigned i = first; i < stack->frame_count; i++) {
        struct frame *frame = &stack->frame[i];
        frame->hash = hash = depot_hash(hash, frame->pc, frame->is_exact);
        child_prefetch(cache, frame);
    }
    for (unsigned i = first; i < stack->frame_count; i++) {
        parent = child_find(cache, parent, &stack->frame[i]);
        stack->frame[i].node = parent;
    }
    stack->node = parent;
}

/* old: a stack that may share frames, or NULL. */
static void stack_capture(struct stack_cache *cache, struct stack *stack, const struct place *place, const struct stack *old)
{
    if (old != NULL && !is_near(place->sp, old->anchor))
        old = NULL;
    struct walk walk = {.stack = stack, .reach = &cache->reach, .here = *place, .fp_check = FP_UNUSED,
                        .depth = atomic_load_explicit(&neb_trace_page.state.depth, memory_order_relaxed)};
    struct guide guide = {old, old == NULL ? 0 : old->frame_count, UINT_MAX};
    stack->pc = place->pc;
    stack->sp = place->sp;
    stack->fp = place->fp;
    stack->anchor = old == NULL ? place->sp : old->anchor;
    stack->generation = cache->generation;
    stack->note = NULL;
    stack->frame_count = stack->check_count = 0;
    stack->uses_fp = 0;
    stack->is_complete = stack->is_checkable = 1;
    if (place->stack != NULL)
        neb_reach_move(&cache->reach, place->stack);
    stack_walk(&walk, &guide);
    unsigned own = walk_finish(&walk);
    nodes_find(cache, stack, walk.keeps_nodes ? stack->frame_count - own : 0); /* of a stack that was cut off elsewhere, all are others */
}

/* ---- remembered stacks ------------------------------------------------------------------------------------------------- */

/* Stacks with the same place fall into one set; what was looked for last is in front. */
static struct stack **set_of(struct stack_cache *cache, const struct place *place)
{
    uintptr_t hash = (place->pc ^ place->sp >> 3) * (uintptr_t)UINT64_C(0x9E3779B97F4A7C15);
    return &cache->slot[(hash >> (sizeof hash * 8 - 6)) * STACK_CACHE_WAYS];
}
_Static_assert(STACK_CACHE_SLOTS == STACK_CACHE_WAYS << 6, "the hash has as many bits as there are sets");

static void set_move_to_front(struct stack **set, unsigned way)
{
    struct stack *found = set[way];
    for (; way > 0; way--)
        set[way] = set[way - 1];
    set[0] = found;
}

/* The way to give up: the hindmost that was of no use lately. Those that only ever come as somebody's next stand behind, too. */
static unsigned set_victim(struct stack **set)
{
    for (unsigned way = STACK_CACHE_WAYS; way-- > 0;) {
        if (set[way] == NULL || !set[way]->is_used)
            return way;
        set[way]->is_used = 0;
    }
    return STACK_CACHE_WAYS - 1;
}

NEB_INLINE bool is_same_stack(const struct stack *stack, const struct place *place, uint64_t generation)
{
    return stack != NULL && stack->pc == place->pc && stack->sp == place->sp && stack->generation == generation &&
           (!stack->uses_fp || stack->fp == place->fp) &&
           checks_broken(stack, anchor_of(stack, place), stack->check_count, 0) == 0;
}

static struct captured captured(struct stack_cache *cache, struct stack *stack)
{
    stack->is_used = 1;
    cache->newest = stack;
    return (struct captured){stack->node, &stack->note};
}

/* Where the next walk is made: not the newest stack, which may guide it. NULL: no memory. */
static struct stack *draft_take(struct stack_cache *cache)
{
    struct stack **draft = &cache->draft[cache->draft[0] != NULL && cache->draft[0] == cache->newest];
    if (*draft == NULL)
        *draft = neb_meta_array_take(STACK_ORDER);
    return *draft;
}

/* Whether the stack came before, not long ago. */
static bool is_seen(struct stack_cache *cache, const struct stack *stack)
{
    uint32_t *seen = &cache->seen[stack->node % STACK_CACHE_SEEN];
    bool is_there = *seen == stack->node;
    *seen = stack->node;
    return is_there;
}

/* A copy of the draft, in the set. NULL: no memory. */
static struct stack *draft_keep(struct stack **set, const struct stack *draft)
{
    unsigned way = set_victim(set);
    if (set[way] == NULL && (set[way] = neb_meta_array_take(STACK_ORDER)) == NULL)
        return NULL;
    struct stack *stack = set[way];
    memcpy(stack, draft, offsetof(struct stack, distance));
    memcpy(stack->distance, draft->distance, draft->check_count * sizeof *draft->distance);
    memcpy(stack->value, draft->value, draft->check_count * sizeof *draft->value);
    memcpy(stack->frame, draft->frame, draft->frame_count * sizeof *draft->frame);
    set_move_to_front(set, way);
    return stack;
}

/* Into a draft, of which a copy is remembered when the same stack comes a second time: many come once, and would take the places of
 * those that come again. */
static NEB_NOINLINE struct captured capture_slow(struct stack_cache *cache, struct stack **set, const struct place *place)
{
    struct stack *newest = cache->newest, *draft = draft_take(cache), *kept = NULL;
    if (draft == NULL)
        return (struct captured){NBT_STACK_NONE, NULL};
    children_check(cache);
    stack_capture(cache, draft, place, newest != NULL && newest->generation == cache->generation ? newest : NULL);
    draft->next = NULL;
    if (!draft->is_checkable || place->stack == NULL || draft->node == NBT_STACK_NONE) {
        draft->generation = 0;
        return (struct captured){draft->node, &draft->note};
    }
    if (is_seen(cache, draft) && (kept = draft_keep(set, draft)) != NULL && newest != NULL)
        newest->next = kept;
    return captured(cache, kept != NULL ? kept : draft);
}

/* Not the stack that came after the newest one the last time. */
static NEB_NOINLINE struct captured capture_other(struct stack_cache *cache, const struct place *place)
{
    struct stack **set = set_of(cache, place);
    for (unsigned way = 0; way < STACK_CACHE_WAYS; way++)
        if (is_same_stack(set[way], place, cache->generation)) {
            set_move_to_front(set, way);
            if (cache->newest != NULL)
                cache->newest->next = set[0];
            return captured(cache, set[0]);
        }
    return capture_slow(cache, set, place);
}

struct captured neb_capture(struct stack_cache *cache, const struct place *place)
{
    uint64_t generation = atomic_load_explicit(&neb_trace_page.state.generation, memory_order_relaxed); /* a hint */
    struct stack *next = cache->newest == NULL ? NULL : cache->newest->next;
    cache->generation = generation;
    if (NEB_LIKELY(is_same_stack(next, place, generation))) /* programs do the same again and again */
        return captured(cache, next);
    return capture_other(cache, place);
}

void neb_capture_forget(struct stack_cache *cache)
{
    for (unsigned i = 0; i < STACK_CACHE_SLOTS; i++)
        if (cache->slot[i] != NULL)
            neb_meta_array_give(cache->slot[i], STACK_ORDER);
    for (unsigned i = 0; i < 2; i++)
        if (cache->draft[i] != NULL)
            neb_meta_array_give(cache->draft[i], STACK_ORDER);
    memset(cache, 0, sizeof *cache);
}
