/* stack.c - see stack.h.
 *
 *   place --> the guess, the set's ways: all words as they were? --> its number
 *         --> walk, into a draft, guided by the newest --> stacks.h --> its number; kept in the set when it comes again
 *
 * The order of frames and checks is from the innermost outwards. What the frame pointer is matters only where a frame is based
 * on it: elsewhere it is a register like others, whose value is never the same. */
#include "check/stack.h"

#include "base/attr.h"
#include "check/stacks.h"
#include "heap/meta.h"
#include "os/process.h"
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

enum {
    KNOWN_ORDER = 19,  /* 512 KiB for each thread, touched as they are used */
    KNOWN_SET_BITS = 6,
    KNOWN_SETS = 1 << KNOWN_SET_BITS,
    KNOWN_WAYS = 8,    /* stacks with the same place: loops that call from several places alternate. With 4 python3 took 5 % longer */
    RECENT = 1024,     /* stacks that came lately, whose numbers are known by their hashes: the table of all stacks is in no cache */
    CHECKS_MAX = 40,   /* a stack with more is not remembered */
    CHECKS_TURN = 4,   /* that many are compared in a turn: the last one stands there once more until it is full */
    FRAMES_MAX = STACK_DEPTH_MAX + STACK_OWN_FRAMES,
    FRAMES_KEPT = 17,  /* a stack with more guides no walk */
    /* What comes next is guessed from a number in which the newest stack has all bits, and those before as many fewer as they are older. */
    HISTORY_BITS = 11,
    HISTORY_SHIFT = 3,
    STACK_ORDER = 6    /* of what addresses of stacks are multiples of */
};
/* Slots further than this from a stack's anchor are not compared. */
enum { DISTANCE_MAX = 1 << 30, NO_SLOT = INT32_MIN };

/* Addresses of the stack as distances from an anchor, which stacks that share frames share. */
struct frame {
    uintptr_t pc;
    int32_t sp, fp_slot; /* where the fp came from with which the frame is entered; NO_SLOT: from a register, or it is a check already */
    uint8_t check_count; /* checks of the frames within */
    bool is_exact;
    bool uses_fp;        /* it, or one further out, is based on that fp */
};

/* Of what was read along a stack: pc, sp and depth tell whether it begins and ends in the same way, the checks whether it is the same. */
struct NEB_ALIGNED(1 << STACK_ORDER) stack {
    uintptr_t pc, sp, fp, anchor;
    uint32_t number;    /* 0: empty */
    uint8_t depth, frame_count, check_count;
    bool uses_fp;       /* the first frame's fp decided something */
    bool is_complete;   /* not cut off at the depth */
    int32_t distance[CHECKS_MAX];
    uintptr_t value[CHECKS_MAX];
    struct frame frame[FRAMES_KEPT]; /* frame_count 0: there were more */
};

struct tag {
    uintptr_t pc, sp;
};

/* A stack is taken for this one if all bits of its hash are the same. */
struct recent {
    uint64_t hash;
    uint32_t number; /* 0: none */
};

struct known {
    uintptr_t thread; /* address of its thread-local storage, which lies with its stack */
    struct reach reach;
    struct stack *newest; /* kept, or a draft; NULL: none */
    unsigned victim;      /* the way that makes room for the next stack */
    uint16_t history;     /* which stacks came lately */
    uint16_t guess[1 << HISTORY_BITS]; /* the one that came after them the last time, as its distance from here >> STACK_ORDER; 0: none did */
    struct stack draft[2]; /* where walks are made, in turn: the newest stack may be one, and guides the next */
    struct recent recent[RECENT];
    struct tag tag[KNOWN_SETS][KNOWN_WAYS];
    struct stack stack[KNOWN_SETS][KNOWN_WAYS]; /* of an empty tag: never written */
};
_Static_assert(sizeof(struct known) <= 1 << KNOWN_ORDER, "what is remembered is one array of metadata");
_Static_assert(CHECKS_MAX % CHECKS_TURN == 0, "the last turn is full");
_Static_assert(KNOWN_ORDER - STACK_ORDER <= 16, "a guess has 16 bits");
_Static_assert(sizeof(struct stack) % 128 == 64, "neighbours' first lines fall into different sets of a cache");

void neb_stack_enable(void)
{
    (void)neb_os_modules_init(); /* refused by an old libc: a stack is its innermost frame */
}

NEB_NOINLINE int neb_stack_capture(uintptr_t *pcs, int max)
{
    struct place place = PLACE_OF_CALLER();
    struct reach reach = {0, 0};
    return max > 0 ? (int)neb_step_walk(&reach, &place, pcs, (unsigned)max) : 0;
}

void neb_stack_spans(const struct heap *heap, struct spans *spans)
{
    if (heap != NULL && heap->known_stacks != NULL)
        neb_spans_add(spans, heap->known_stacks, sizeof(struct known));
}

/* ---- checks ------------------------------------------------------------------------------------------------------------------ */

NEB_INLINE bool check_holds(const struct stack *stack, const unsigned char *anchor, unsigned check)
{
    uintptr_t now;
    memcpy(&now, anchor + stack->distance[check], sizeof now);
    return now == stack->value[check];
}

NEB_INLINE bool turn_holds(const struct stack *stack, const unsigned char *anchor, unsigned check)
{
    return check_holds(stack, anchor, check) && check_holds(stack, anchor, check + 1) && check_holds(stack, anchor, check + 2) &&
           check_holds(stack, anchor, check + 3);
}

/* From check to end: the first whose word is another one, or end. It goes no further: what lies behind may not even be there. */
NEB_INLINE unsigned checks_held(const struct stack *stack, const unsigned char *anchor, unsigned check, unsigned end)
{
    while (end - check >= CHECKS_TURN && turn_holds(stack, anchor, check))
        check += CHECKS_TURN;
    while (check < end && check_holds(stack, anchor, check))
        check++;
    return check;
}

NEB_INLINE unsigned checks_padded(unsigned count)
{
    return (count + CHECKS_TURN - 1) / CHECKS_TURN * CHECKS_TURN;
}

/* All checks. */
NEB_INLINE bool stack_holds(const struct stack *stack, const unsigned char *anchor)
{
    for (unsigned check = 0; check < stack->check_count; check += CHECKS_TURN)
        if (!turn_holds(stack, anchor, check))
            return false;
    return true;
}

NEB_INLINE bool stack_is_at(const struct stack *stack, const struct place *place, unsigned depth)
{
    return stack->sp == place->sp && stack->pc == place->pc && stack->depth == depth && (!stack->uses_fp || stack->fp == place->fp) &&
           stack->number != 0 && stack_holds(stack, place_at(place, stack->anchor));
}

/* ---- the walk ---------------------------------------------------------------------------------------------------------------- */

struct walk {
    struct stack *stack;
    struct reach *reach;
    struct place here;
    uintptr_t *pcs;
    unsigned count, depth;        /* frames that are found; wanted */
    unsigned check_count;
    unsigned fp_frame;            /* the first frame that is entered with this fp */
    const unsigned char *fp_slot; /* where it came from */
    bool fp_is_first, is_exact;   /* it is that of the place */
    bool is_sound;                /* the checks are all that was read: it may be remembered */
};

/* The newest stack, looked at frame by frame while another one is walked. */
struct guide {
    const struct stack *stack;
    unsigned frame; /* those before cannot be met any more */
};

static bool is_near(uintptr_t address, uintptr_t anchor)
{
    return address - anchor + DISTANCE_MAX < 2 * (uintptr_t)DISTANCE_MAX;
}

static int32_t distance_of(struct walk *walk, uintptr_t address)
{
    walk->is_sound &= is_near(address, walk->stack->anchor);
    return (int32_t)(intptr_t)(address - walk->stack->anchor);
}

static void check_add(struct walk *walk, const unsigned char *slot, uintptr_t value)
{
    struct stack *stack = walk->stack;
    walk->is_sound &= walk->check_count < CHECKS_MAX;
    if (!walk->is_sound)
        return;
    stack->distance[walk->check_count] = distance_of(walk, ptr_address(slot));
    stack->value[walk->check_count++] = value;
}

static void frame_push(struct walk *walk)
{
    if (walk->count < FRAMES_KEPT)
        walk->stack->frame[walk->count] = (struct frame){walk->here.pc, distance_of(walk, walk->here.sp),
                                                         walk->fp_slot == NULL ? NO_SLOT : distance_of(walk, ptr_address(walk->fp_slot)),
                                                         (uint8_t)walk->check_count, walk->is_exact, false};
    walk->pcs[walk->count++] = walk->here.pc;
}

static void frames_use_fp(struct walk *walk)
{
    for (; walk->fp_frame < walk->count && walk->fp_frame < FRAMES_KEPT; walk->fp_frame++)
        walk->stack->frame[walk->fp_frame].uses_fp = true;
}

static bool walk_step(struct walk *walk)
{
    struct step step;
    uintptr_t fp = walk->here.fp;
    bool goes_on = neb_step_out(walk->reach, &walk->here, &walk->is_exact, &step);
    if (step.used_fp) {
        frames_use_fp(walk);
        walk->stack->uses_fp |= walk->fp_is_first;
        if (walk->fp_slot != NULL)
            check_add(walk, walk->fp_slot, fp);
        walk->fp_slot = NULL;
    }
    for (unsigned i = 0; i < step.count; i++)
        check_add(walk, step.slot[i], step.value[i]);
    if (step.fp_slot != NULL) {
        walk->fp_slot = step.fp_slot;
        walk->fp_frame = walk->count;
        walk->fp_is_first = false;
    }
    walk->is_sound &= !step.failed;
    return goes_on;
}

/* ---- what two stacks share --------------------------------------------------------------------------------------------------- */

/* How much of the older stack the walk can have from a frame on. */
struct rest {
    unsigned frames, check_end;
    bool goes_on; /* the older one was cut off: the walk goes on at its last frame */
};

static struct rest rest_of(const struct guide *guide, const struct walk *walk)
{
    const struct stack *old = guide->stack;
    unsigned left = old->frame_count - guide->frame, room = walk->depth - walk->count;
    if (left <= room && old->is_complete)
        return (struct rest){left, old->check_count, false};
    if (left >= room)
        return (struct rest){room, old->frame[guide->frame + room - 1].check_count, false};
    const struct frame *last = &old->frame[old->frame_count - 1];
    return (struct rest){last->fp_slot == NO_SLOT ? 0 : left - 1, last->check_count, true};
}

/* Whether the older stack has this frame. A frame pointer that matters has to come from the same slot: a check further out. */
static bool frame_is_here(const struct frame *frame, const struct walk *walk, uintptr_t anchor)
{
    if (anchor + (uintptr_t)(intptr_t)frame->sp != walk->here.sp || frame->pc != walk->here.pc || frame->is_exact != walk->is_exact)
        return false;
    return !frame->uses_fp || (frame->fp_slot != NO_SLOT && walk->fp_slot != NULL &&
                               anchor + (uintptr_t)(intptr_t)frame->fp_slot == ptr_address(walk->fp_slot));
}

/* Whether the walk goes on from here as the older stack did. A word that is another one spoils all frames up to it. */
static bool guide_meets(struct guide *guide, const struct walk *walk, struct rest *rest)
{
    const struct stack *old = guide->stack;
    int64_t sp = (int64_t)(walk->here.sp - old->anchor);
    while (guide->frame < old->frame_count && old->frame[guide->frame].sp < sp)
        guide->frame++;
    if (guide->frame == old->frame_count || !frame_is_here(&old->frame[guide->frame], walk, old->anchor))
        return false;
    *rest = rest_of(guide, walk);
    if (rest->frames == 0)
        return false;
    unsigned held = checks_held(old, place_at(&walk->here, old->anchor), old->frame[guide->frame].check_count, rest->check_end);
    if (held == rest->check_end)
        return true;
    while (guide->frame < old->frame_count && old->frame[guide->frame].check_count <= held)
        guide->frame++;
    return false;
}

static void rest_copy_checks(struct walk *walk, const struct stack *old, unsigned first, unsigned count)
{
    walk->is_sound &= walk->check_count + count <= CHECKS_MAX;
    if (!walk->is_sound)
        return;
    memcpy(&walk->stack->distance[walk->check_count], &old->distance[first], count * sizeof *old->distance);
    memcpy(&walk->stack->value[walk->check_count], &old->value[first], count * sizeof *old->value);
    walk->check_count += count;
}

/* Up to the first that saves it, the frames have the walk's fp: the older stack's may have come from elsewhere. */
static void rest_copy_frames(struct walk *walk, const struct frame *first, unsigned count)
{
    int32_t own = walk->fp_slot == NULL ? NO_SLOT : distance_of(walk, ptr_address(walk->fp_slot));
    unsigned room = walk->count < FRAMES_KEPT ? FRAMES_KEPT - walk->count : 0, kept = count < room ? count : room;
    struct frame *copies = walk->stack->frame + (FRAMES_KEPT - room);
    for (unsigned i = 0; i < kept; i++) {
        copies[i] = first[i];
        copies[i].check_count = (uint8_t)(first[i].check_count + walk->check_count - first->check_count);
    }
    for (unsigned i = 0; i < kept && first[i].fp_slot == first->fp_slot; i++)
        copies[i].fp_slot = own;
    for (unsigned i = 0; i < count; i++)
        walk->pcs[walk->count + i] = first[i].pc;
    walk->count += count;
}

/* The older stack's last frame becomes the walk's next one. */
static void walk_resume(struct walk *walk, const struct stack *old, const struct frame *first)
{
    const struct frame *last = &old->frame[old->frame_count - 1];
    uintptr_t sp = old->anchor + (uintptr_t)(intptr_t)last->sp;
    walk->here.stack = place_at(&walk->here, sp);
    walk->here.sp = sp;
    walk->here.pc = last->pc;
    walk->is_exact = last->is_exact;
    if (last->fp_slot == first->fp_slot)
        return;
    walk->fp_slot = place_at(&walk->here, old->anchor + (uintptr_t)(intptr_t)last->fp_slot);
    walk->fp_is_first = false;
    memcpy(&walk->here.fp, walk->fp_slot, sizeof walk->here.fp);
    for (walk->fp_frame = walk->count; last[-1].fp_slot == last->fp_slot; last--)
        walk->fp_frame--;
}

/* False: it is the whole rest. */
static bool rest_take(struct walk *walk, const struct guide *guide, const struct rest *rest)
{
    const struct stack *old = guide->stack;
    const struct frame *first = &old->frame[guide->frame];
    if (first->uses_fp)
        frames_use_fp(walk);
    rest_copy_frames(walk, first, rest->frames);
    rest_copy_checks(walk, old, first->check_count, rest->check_end - first->check_count);
    if (rest->goes_on)
        walk_resume(walk, old, first);
    walk->stack->is_complete = !rest->goes_on && guide->frame + rest->frames == old->frame_count && old->is_complete;
    return rest->goes_on;
}

static void walk_all(struct walk *walk, struct guide *guide)
{
    struct rest rest;
    for (;;) {
        if (guide->stack != NULL && guide_meets(guide, walk, &rest)) {
            if (!rest_take(walk, guide, &rest))
                return;
            guide->stack = NULL;
        }
        frame_push(walk);
        walk->stack->is_complete = walk->count < walk->depth;
        if (!walk->stack->is_complete || !walk_step(walk))
            return;
    }
}

/* ---- what is remembered ---------------------------------------------------------------------------------------------------- */

static struct known *known_of_thread(void)
{
    struct tls *tls = &neb_tls;
    if (tls->state != THREAD_HAS_HEAP || tls->heap->known_are_busy)
        return NULL;
    if (NEB_UNLIKELY(tls->heap->known_stacks == NULL))
        tls->heap->known_stacks = neb_meta_array_take_zeroed(KNOWN_ORDER, offsetof(struct known, stack));
    return tls->heap->known_stacks;
}

static void known_set_busy(bool busy)
{
    atomic_signal_fence(memory_order_seq_cst);
    neb_tls.heap->known_are_busy = busy;
    atomic_signal_fence(memory_order_seq_cst);
}

static unsigned set_of(const struct place *place)
{
    return (unsigned)((place->pc ^ place->sp >> 3) * UINT64_C(0x9E3779B97F4A7C15) >> (64 - KNOWN_SET_BITS));
}

static uint16_t distance_within(const struct known *known, const struct stack *stack)
{
    return (uint16_t)(ptr_offset(stack, known) >> STACK_ORDER);
}

NEB_INLINE void history_add(struct known *known, struct stack *stack)
{
    uint32_t bits = distance_within(known, stack) * 0x9E3779B1u >> (32 - HISTORY_BITS);
    known->newest = stack;
    known->history = (uint16_t)(((unsigned)known->history << HISTORY_SHIFT ^ bits) % (1 << HISTORY_BITS));
}

/* A stack that was remembered already, or is from now on. */
static void guess_learn(struct known *known, struct stack *stack)
{
    known->guess[known->history] = distance_within(known, stack);
    history_add(known, stack);
}

static struct stack *draft_keep(struct known *known, unsigned set, const struct stack *draft)
{
    unsigned way = known->victim++ % KNOWN_WAYS;
    struct stack *stack = &known->stack[set][way];
    known->tag[set][way] = (struct tag){draft->pc, draft->sp};
    memcpy(stack, draft, offsetof(struct stack, distance));
    memcpy(stack->distance, draft->distance, checks_padded(draft->check_count) * sizeof *draft->distance);
    memcpy(stack->value, draft->value, checks_padded(draft->check_count) * sizeof *draft->value);
    memcpy(stack->frame, draft->frame, draft->frame_count * sizeof *draft->frame);
    return stack;
}

/* The stack is walked into the draft; how many frames. False: it cannot be remembered. */
static bool draft_walk(struct known *known, struct stack *draft, const struct place *place, uintptr_t *pcs, unsigned *count)
{
    struct guide guide = {known->newest, 0};
    if (guide.stack != NULL && !is_near(place->sp, guide.stack->anchor))
        guide.stack = NULL;
    struct walk walk = {.stack = draft, .reach = &known->reach, .here = *place, .pcs = pcs, .depth = *count, .fp_is_first = true,
                        .is_sound = true};
    draft->pc = place->pc;
    draft->sp = place->sp;
    draft->fp = place->fp;
    draft->anchor = guide.stack == NULL ? place->sp : guide.stack->anchor;
    draft->depth = (uint8_t)*count;
    draft->uses_fp = false;
    neb_reach_move(&known->reach, place->stack);
    walk_all(&walk, &guide);
    draft->frame_count = (uint8_t)(walk.count <= FRAMES_KEPT ? walk.count : 0);
    draft->check_count = (uint8_t)walk.check_count;
    for (unsigned last = walk.check_count; last % CHECKS_TURN != 0; last++) {
        draft->distance[last] = draft->distance[last - 1];
        draft->value[last] = draft->value[last - 1];
    }
    *count = walk.count;
    return walk.is_sound;
}

/* What comes a second time is kept: many stacks come once, and would take the places of those that come again. */
static NEB_NOINLINE uint32_t number_slow(struct known *known, unsigned set, const struct place *place, unsigned depth)
{
    uintptr_t pcs[FRAMES_MAX];
    unsigned count = depth;
    known_set_busy(true);
    if (known->thread != ptr_address(&neb_tls)) { /* the heap had another thread, whose stack may be gone */
        known->reach = (struct reach){0, 0};
        known->newest = NULL;
        known->thread = ptr_address(&neb_tls);
    }
    struct stack *draft = &known->draft[known->newest == &known->draft[0]];
    bool is_sound = draft_walk(known, draft, place, pcs, &count);
    uint64_t hash = neb_stacks_hash(pcs, (int)count);
    struct recent *recent = &known->recent[hash % RECENT];
    bool is_new = recent->hash != hash || recent->number == 0;
    if (is_new)
        *recent = (struct recent){hash, neb_stacks_put(pcs, (int)count, hash)};
    draft->number = is_sound ? recent->number : 0;
    if (draft->number != 0 && is_new)
        known->newest = draft;
    else if (draft->number != 0)
        guess_learn(known, draft_keep(known, set, draft));
    known_set_busy(false);
    return recent->number;
}

static NEB_NOINLINE uint32_t number_unknown(const struct place *place, unsigned depth)
{
    uintptr_t pcs[FRAMES_MAX];
    struct reach reach = {0, 0};
    int count = (int)neb_step_walk(&reach, place, pcs, depth);
    return neb_stacks_put(pcs, count, neb_stacks_hash(pcs, count));
}

/* Not the stack that was guessed. */
static NEB_NOINLINE uint32_t number_other(struct known *known, const struct place *place, unsigned depth)
{
    unsigned set = set_of(place);
    for (unsigned way = 0; way < KNOWN_WAYS; way++) {
        const struct tag *tag = &known->tag[set][way];
        struct stack *stack = &known->stack[set][way];
        if (tag->sp != place->sp || tag->pc != place->pc || !stack_is_at(stack, place, depth))
            continue;
        guess_learn(known, stack);
        return stack->number;
    }
    return number_slow(known, set, place, depth);
}

/* A signal handler that interrupts the making of an entry does without. */
uint32_t neb_stack_number(const struct place *place, unsigned depth)
{
    struct known *known = known_of_thread();
    if (depth == 0)
        return 0;
    if (known == NULL || place->stack == NULL)
        return number_unknown(place, depth);
    size_t guess = known->guess[known->history];
    struct stack *next = (void *)ptr_add(known, guess << STACK_ORDER);
    if (NEB_UNLIKELY(guess == 0 || !stack_is_at(next, place, depth)))
        return number_other(known, place, depth);
    history_add(known, next);
    return next->number;
}

NEB_NOINLINE uint32_t neb_stack_number_here(unsigned depth)
{
    struct place place = PLACE_OF_CALLER();
    return depth == 0 ? 0 : neb_stack_number(&place, depth + STACK_OWN_FRAMES);
}
