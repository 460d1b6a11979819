/* capture.c - see capture.h. */
#include "trace/capture.h"

#include "base/attr.h"
#include "base/ptr.h"
#include "heap/meta.h"
#include "trace/depot.h"
#include "trace/state.h"
#include <string.h>

enum { CHECKS_MAX = 2 * STACK_FRAMES_MAX, STACK_ORDER = 13 };
/* Of fp: not looked at; it was the first frame's; else the check that compares the slot it came from. */
enum { FP_UNUSED = 0xffff, FP_FIRST = 0xfffe };

struct frame {
    uintptr_t pc, sp, fp;
    uint32_t node;
    uint16_t first_check : 15; /* of those that were made on the way to the caller */
    uint16_t is_exact : 1;
    uint16_t fp_check;
};

/* Slots are distances from the first frame's sp. */
struct stack {
    uintptr_t pc, sp, fp;
    uint64_t generation;
    uint32_t node, note;
    uint16_t frame_count, check_count;
    uint8_t uses_fp;      /* the first frame's fp decided something */
    uint8_t is_complete;  /* not cut off at the depth */
    uint8_t is_checkable; /* checks describe all that was read */
    uint32_t distance[CHECKS_MAX];
    uintptr_t value[CHECKS_MAX];
    struct frame frame[STACK_FRAMES_MAX];
};
_Static_assert(sizeof(struct stack) <= 1 << STACK_ORDER, "a stack is one array of metadata");
_Static_assert((unsigned)CHECKS_MAX < (unsigned)FP_FIRST && CHECKS_MAX < 1 << 15, "a check's number fits");

/* ---- checks ---------------------------------------------------------------------------------------------------------------- */

NEB_INLINE bool check_holds(const struct stack *stack, unsigned i, const unsigned char *first)
{
    uintptr_t value;
    memcpy(&value, first + stack->distance[i], sizeof value);
    return value == stack->value[i];
}

/* All of them: most of what a stack that is remembered costs, so four in a turn; each only when the one before held. */
NEB_INLINE bool checks_hold_all(const struct stack *stack, const unsigned char *first)
{
    unsigned i = 0, count = stack->check_count;
    for (; i + 4 <= count; i += 4)
        if (!check_holds(stack, i, first) || !check_holds(stack, i + 1, first) || !check_holds(stack, i + 2, first) ||
            !check_holds(stack, i + 3, first))
            return false;
    for (; i < count; i++)
        if (!check_holds(stack, i, first))
            return false;
    return true;
}

/* The first check from one on whose word is another one, without the one to skip; check_count: there is none. It goes
 * no further: what lies behind may not even be there. first: the pointer to where the stack's sp is. */
static unsigned checks_hold(const struct stack *stack, const unsigned char *first, unsigned from, unsigned skip)
{
    for (unsigned i = from; i < stack->check_count; i++)
        if (i != skip && !check_holds(stack, i, first))
            return i;
    return stack->check_count;
}

static void check_add(struct stack *stack, const unsigned char *slot, uintptr_t value)
{
    uintptr_t distance = ptr_address(slot) - stack->sp;
    if (stack->check_count == CHECKS_MAX || distance > UINT32_MAX) {
        stack->is_checkable = 0; /* too long, or it goes on somewhere else, below this stack */
        return;
    }
    stack->distance[stack->check_count] = (uint32_t)distance;
    stack->value[stack->check_count++] = value;
}

/* ---- the walk -------------------------------------------------------------------------------------------------------------- */

struct walk {
    struct stack *stack;
    struct reach *reach;
    struct place here;
    bool is_exact;
    const unsigned char *fp_slot; /* where fp came from; NULL: from the first frame */
    uint16_t fp_check;
    uint16_t fp_frame;            /* the first frame that has this fp and does not know its check */
    unsigned depth;
};

static void frame_push(struct walk *walk)
{
    struct stack *stack = walk->stack;
    stack->frame[stack->frame_count++] =
        (struct frame){walk->here.pc, walk->here.sp, walk->here.fp, 0, (uint16_t)(stack->check_count & 0x7fff), walk->is_exact, FP_UNUSED};
}

/* The frames up to the newest depend on fp: where it came from is compared before what it leads to. */
static void fp_use(struct walk *walk, uintptr_t fp)
{
    struct stack *stack = walk->stack;
    if (walk->fp_check == FP_UNUSED && walk->fp_slot == NULL) {
        walk->fp_check = FP_FIRST;
        stack->uses_fp = 1;
    } else if (walk->fp_check == FP_UNUSED) {
        walk->fp_check = stack->check_count;
        check_add(stack, walk->fp_slot, fp);
    }
    for (; walk->fp_frame < stack->frame_count; walk->fp_frame++)
        stack->frame[walk->fp_frame].fp_check = walk->fp_check;
}

static bool walk_step(struct walk *walk)
{
    struct step step;
    uintptr_t fp = walk->here.fp;
    bool goes_on = neb_step_out(walk->reach, &walk->here, &walk->is_exact, &step);
    if (step.used_fp)
        fp_use(walk, fp);
    for (unsigned i = 0; i < step.count; i++)
        check_add(walk->stack, step.slot[i], step.value[i]);
    if (step.failed)
        walk->stack->is_checkable = 0;
    if (step.fp_slot != NULL) {
        walk->fp_slot = step.fp_slot;
        walk->fp_check = FP_UNUSED;
        walk->fp_frame = walk->stack->frame_count;
    }
    return goes_on;
}

enum { NO_CHECK = FP_UNUSED };

/* The check of the fp with which an older stack comes into a frame, if it is made behind that frame. */
static unsigned fp_check_behind(const struct stack *old, unsigned frame)
{
    unsigned check = old->frame[frame].fp_check;
    return check < FP_FIRST && check >= old->frame[frame].first_check ? check : NO_CHECK;
}

/* Takes over an older stack from its frame on; how its fp got there is this walk's matter. */
static void rest_append(struct walk *walk, const struct stack *old, unsigned frame)
{
    struct stack *stack = walk->stack;
    unsigned frames = old->frame_count - frame, from = old->frame[frame].first_check, to = old->check_count;
    unsigned skip = fp_check_behind(old, frame), its_fp = old->frame[frame].fp_check;
    if (its_fp != FP_UNUSED)
        fp_use(walk, walk->here.fp);
    unsigned added = stack->check_count;
    if (stack->frame_count + frames > walk->depth) {
        frames = walk->depth - stack->frame_count;
        to = old->frame[frame + frames].first_check;
    }
    stack->is_complete = frame + frames == old->frame_count && old->is_complete;
    for (unsigned i = from; i < to; i++)
        if (i != skip)
            check_add(stack, place_at(&walk->here, old->sp + old->distance[i]), old->value[i]);
    for (unsigned i = frame; i < frame + frames; i++) {
        struct frame *copy = &stack->frame[stack->frame_count++];
        unsigned first = old->frame[i].first_check, check = old->frame[i].fp_check;
        *copy = old->frame[i];
        copy->first_check = (uint16_t)((first - from - (first > skip) + added) & 0x7fff);
        if (check == its_fp)
            copy->fp_check = its_fp == FP_UNUSED ? FP_UNUSED : walk->fp_check;
        else if (check < FP_FIRST)
            copy->fp_check = (uint16_t)(check - from - (check > skip) + added);
    }
}

/* An older stack that is looked at frame by frame while this one is walked. */
struct guide {
    const struct stack *stack; /* NULL: none is of use */
    unsigned frame;            /* those below cannot be met any more */
    unsigned broken;           /* the first check found to be broken, plus one: frames before it lead there */
};

/* Whether the older stack has this frame, and goes on from it as it did. */
static bool guide_meets(struct guide *guide, const struct walk *walk)
{
    const struct stack *old = guide->stack;
    const struct place *here = &walk->here;
    while (guide->frame < old->frame_count && old->frame[guide->frame].sp < here->sp)
        guide->frame++;
    if (guide->frame == old->frame_count)
        return false;
    const struct frame *at = &old->frame[guide->frame];
    if (at->sp != here->sp || at->pc != here->pc || at->is_exact != walk->is_exact || at->first_check < guide->broken ||
        (at->fp_check != FP_UNUSED && at->fp != here->fp))
        return false;
    unsigned broken = checks_hold(old, place_at(here, old->sp), at->first_check, fp_check_behind(old, guide->frame));
    guide->broken = broken + 1;
    if (broken < old->check_count)
        return false;
    /* A stack that was cut off has no more frames than it has: this one must not need more. */
    return old->is_complete || walk->stack->frame_count + (old->frame_count - guide->frame) >= walk->depth;
}

/* Walks into the stack, which is empty; the number of frames that have no node yet. */
static unsigned stack_walk(struct walk *walk, struct guide *guide, uint32_t *parent)
{
    struct stack *stack = walk->stack;
    for (;;) {
        if (guide->stack != NULL && guide_meets(guide, walk)) {
            unsigned own = stack->frame_count;
            rest_append(walk, guide->stack, guide->frame);
            *parent = guide->stack->frame[guide->frame].node;
            return guide->stack->is_complete && stack->is_complete ? own : stack->frame_count;
        }
        if (stack->frame_count == walk->depth) {
            stack->is_complete = 0;
            return stack->frame_count;
        }
        frame_push(walk);
        if (walk->here.stack == NULL || !walk_step(walk))
            return stack->frame_count;
    }
}

static uint32_t child_find(struct stack_cache *cache, uint32_t parent, const struct frame *frame)
{
    uint32_t key = parent | (uint32_t)frame->is_exact << 31;
    uint64_t hash = (frame->pc ^ (uint64_t)key << 32 ^ key) * UINT64_C(0x9E3779B97F4A7C15);
    struct child *child = &cache->child[hash >> 32 & (STACK_CACHE_CHILDREN - 1)];
    if (NEB_LIKELY(child->node != 0 && child->pc == frame->pc && child->parent_and_exact == key))
        return child->node;
    uint32_t node = neb_depot_child(parent, frame->pc, frame->is_exact);
    if (node >= NBT_STACK_FIRST)
        *child = (struct child){frame->pc, key, node};
    return node;
}

/* Nodes of the frames that have none, from the outermost of them inwards. */
static void nodes_find(struct stack_cache *cache, struct stack *stack, unsigned unknown, uint32_t parent)
{
    for (unsigned i = unknown; i-- > 0;) {
        parent = child_find(cache, parent, &stack->frame[i]);
        stack->frame[i].node = parent;
    }
    stack->node = parent;
}

static void stack_capture(struct stack_cache *cache, struct stack *stack, const struct place *place, const struct stack *old)
{
    struct walk walk = {stack, &cache->reach, *place, false, NULL, FP_UNUSED, 0,
                        atomic_load_explicit(&neb_trace_page.state.depth, memory_order_relaxed)};
    struct guide guide = {old, 0, 0};
    uint32_t parent = NBT_STACK_NONE;
    stack->pc = place->pc;
    stack->sp = place->sp;
    stack->fp = place->fp;
    stack->generation = cache->generation;
    stack->note = 0;
    stack->frame_count = stack->check_count = 0;
    stack->uses_fp = 0;
    stack->is_complete = stack->is_checkable = 1;
    if (place->stack != NULL)
        neb_reach_move(&cache->reach, place->stack);
    unsigned unknown = stack_walk(&walk, &guide, &parent);
    nodes_find(cache, stack, unknown, unknown == stack->frame_count ? (stack->is_complete ? NBT_STACK_NONE : NBT_STACK_TRUNCATED) : parent);
}

/* ---- remembered stacks ------------------------------------------------------------------------------------------------- */

/* Stacks with the same place fall into one set; the newest is in front. */
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

static bool is_same_stack(const struct stack *stack, const struct place *place, uint64_t generation)
{
    return stack != NULL && stack->pc == place->pc && stack->sp == place->sp && stack->generation == generation &&
           (!stack->uses_fp || stack->fp == place->fp) &&
           checks_hold_all(stack, place->stack);
}

/* Into the spare stack, which then takes its place among the others. */
static NEB_NOINLINE struct captured capture_slow(struct stack_cache *cache, struct stack **set, const struct place *place)
{
    const struct stack *newest = cache->newest;
    if (cache->spare == NULL)
        cache->spare = neb_meta_array_take(STACK_ORDER);
    struct stack *stack = cache->spare;
    if (stack == NULL)
        return (struct captured){NBT_STACK_NONE, NULL};
    stack_capture(cache, stack, place, newest != NULL && newest->generation == cache->generation ? newest : NULL);
    if (stack->is_checkable && place->stack != NULL && stack->node != NBT_STACK_NONE) {
        cache->spare = set[STACK_CACHE_WAYS - 1];
        set[STACK_CACHE_WAYS - 1] = cache->newest = stack;
        set_move_to_front(set, STACK_CACHE_WAYS - 1);
    }
    return (struct captured){stack->node, &stack->note};
}

struct captured neb_capture(struct stack_cache *cache, const struct place *place)
{
    struct stack **set = set_of(cache, place);
    uint64_t generation = atomic_load_explicit(&neb_trace_page.state.generation, memory_order_relaxed); /* a hint */
    if (NEB_UNLIKELY(cache->generation != generation)) {
        cache->generation = generation;
        memset(cache->child, 0, sizeof cache->child);
    }
    for (unsigned way = 0; way < STACK_CACHE_WAYS; way++)
        if (is_same_stack(set[way], place, generation)) {
            set_move_to_front(set, way);
            cache->newest = set[0];
            return (struct captured){set[0]->node, &set[0]->note};
        }
    return capture_slow(cache, set, place);
}

void neb_capture_forget(struct stack_cache *cache)
{
    for (unsigned i = 0; i < STACK_CACHE_SLOTS; i++)
        if (cache->slot[i] != NULL)
            neb_meta_array_give(cache->slot[i], STACK_ORDER);
    if (cache->spare != NULL)
        neb_meta_array_give(cache->spare, STACK_ORDER);
    memset(cache, 0, sizeof *cache);
}
