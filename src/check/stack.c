/* stack.c - see stack.h. */
#include "check/stack.h"

#include "base/attr.h"
#include "check/stacks.h"
#include "heap/meta.h"
#include "os/process.h"
#include "unwind/step.h"
#include <stdatomic.h>
#include <string.h>

enum {
    OWN_FRAMES = 6,    /* of this library, which come first; report.c leaves them out */
    KNOWN_ORDER = 19,  /* 512 KiB for each thread, touched as they are used */
    KNOWN_SETS = 128,
    KNOWN_WAYS = 8,    /* stacks with the same innermost frame: loops that call from several places alternate. With 4 python3 took 5 % longer */
    CHECKS_MAX = 40    /* a stack with more is not remembered */
};

/* Everything that was read on the way along a stack: words, as distances from the innermost frame. */
struct checks {
    uintptr_t value[CHECKS_MAX];
    uint32_t distance[CHECKS_MAX];
};

struct tag {
    uintptr_t frame; /* address of the innermost one */
    uint32_t number, check_count; /* number 0: empty */
};

struct known {
    uintptr_t thread; /* address of its thread-local storage, which lies with its stack */
    unsigned victim; /* the way that makes room for the next stack */
    struct reach reach;
    struct tag tag[KNOWN_SETS][KNOWN_WAYS];
    struct checks checks[KNOWN_SETS][KNOWN_WAYS]; /* of an empty tag: never written */
};
_Static_assert(sizeof(struct known) <= 1 << KNOWN_ORDER, "what is remembered is one array of metadata");

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

/* ---- the walk that is remembered -------------------------------------------------------------------------------------------- */

struct walk {
    struct place here;
    bool is_exact;
    const unsigned char *frame;   /* distances count from here */
    const unsigned char *fp_slot; /* where fp came from; NULL: it is among the checks */
    struct checks *checks;
    unsigned check_count; /* more than CHECKS_MAX: not to be remembered */
};

static void check_add(struct walk *walk, const unsigned char *slot, uintptr_t value)
{
    uintptr_t distance = ptr_address(slot) - ptr_address(walk->frame);
    if (walk->check_count >= CHECKS_MAX || distance > UINT32_MAX) {
        walk->check_count = CHECKS_MAX + 1;
        return;
    }
    walk->checks->distance[walk->check_count] = (uint32_t)distance;
    walk->checks->value[walk->check_count++] = value;
}

/* fp matters only where a frame is based on it: elsewhere it is a register like others, whose value is never the same. */
static bool walk_step(struct walk *walk, struct reach *reach)
{
    struct step step;
    uintptr_t fp = walk->here.fp;
    bool goes_on = neb_step_out(reach, &walk->here, &walk->is_exact, &step);
    if (step.used_fp && walk->fp_slot != NULL) {
        check_add(walk, walk->fp_slot, fp);
        walk->fp_slot = NULL;
    }
    for (unsigned i = 0; i < step.count; i++)
        check_add(walk, step.slot[i], step.value[i]);
    if (step.fp_slot != NULL)
        walk->fp_slot = step.fp_slot;
    if (step.failed)
        walk->check_count = CHECKS_MAX + 1;
    return goes_on;
}

static unsigned walk_all(struct walk *walk, struct reach *reach, uintptr_t *pcs, unsigned max)
{
    unsigned count = 0;
    neb_reach_move(reach, walk->here.stack);
    do
        pcs[count++] = walk->here.pc;
    while (count < max && walk_step(walk, reach));
    return count;
}

/* ---- what is remembered ---------------------------------------------------------------------------------------------------- */

static struct known *known_of_thread(void)
{
    struct tls *tls = &neb_tls;
    if (tls->state != THREAD_HAS_HEAP || tls->heap->known_are_busy)
        return NULL;
    if (NEB_UNLIKELY(tls->heap->known_stacks == NULL)) {
        struct known *made = neb_meta_array_take(KNOWN_ORDER);
        if (made == NULL)
            return NULL;
        memset(made, 0, offsetof(struct known, checks));
        tls->heap->known_stacks = made;
    }
    return tls->heap->known_stacks;
}

/* A slot is there if those before it are the same: it is read only then. */
static bool known_holds(const struct tag *tag, const struct checks *checks, const unsigned char *frame)
{
    if (tag->frame != ptr_address(frame) || tag->number == 0)
        return false;
    for (uint32_t i = 0; i < tag->check_count; i++) {
        uintptr_t value;
        memcpy(&value, frame + checks->distance[i], sizeof value);
        if (value != checks->value[i])
            return false;
    }
    return true;
}

static void known_set_busy(bool busy)
{
    atomic_signal_fence(memory_order_seq_cst);
    neb_tls.heap->known_are_busy = busy;
    atomic_signal_fence(memory_order_seq_cst);
}

static NEB_NOINLINE uint32_t number_slow(struct known *known, unsigned set, unsigned way, const unsigned char *frame, struct place place,
                                         unsigned depth)
{
    uintptr_t pcs[STACK_DEPTH_MAX + OWN_FRAMES];
    struct tag *tag = &known->tag[set][way];
    struct walk walk = {place, false, frame, frame, &known->checks[set][way], 0};
    known_set_busy(true);
    if (known->thread != ptr_address(&neb_tls)) { /* the heap had another thread, whose stack may be gone */
        known->reach = (struct reach){0, 0};
        known->thread = ptr_address(&neb_tls);
    }
    tag->number = 0;
    unsigned count = walk_all(&walk, &known->reach, pcs, depth + OWN_FRAMES);
    uint32_t number = neb_stacks_put(pcs, (int)count);
    if (walk.check_count <= CHECKS_MAX)
        *tag = (struct tag){ptr_address(frame), number, walk.check_count};
    known_set_busy(false);
    return number;
}

static NEB_NOINLINE uint32_t number_unknown(const struct place *place, unsigned depth)
{
    uintptr_t pcs[STACK_DEPTH_MAX + OWN_FRAMES];
    struct reach reach = {0, 0};
    return neb_stacks_put(pcs, (int)neb_step_walk(&reach, place, pcs, depth + OWN_FRAMES));
}

/* A signal handler that interrupts the making of an entry does without. */
NEB_NOINLINE uint32_t neb_stack_number(unsigned depth)
{
    if (depth == 0)
        return 0;
    const unsigned char *frame = __builtin_frame_address(0);
    struct place place = PLACE_OF_CALLER();
    struct known *known = known_of_thread();
    if (known == NULL)
        return number_unknown(&place, depth);
    unsigned set = (ptr_address(frame) >> 4) * UINT64_C(0x9E3779B97F4A7C15) >> 32 & (KNOWN_SETS - 1);
    for (unsigned way = 0; way < KNOWN_WAYS; way++)
        if (known_holds(&known->tag[set][way], &known->checks[set][way], frame))
            return known->tag[set][way].number;
    return number_slow(known, set, known->victim++ % KNOWN_WAYS, frame, place, depth);
}
