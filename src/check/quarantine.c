/* quarantine.c - see quarantine.h. */
#include "check/quarantine.h"

#include "base/attr.h"
#include "heap/meta.h"
#include "os/lock.h"
#include "os/vm.h"
#include "policy/tuning.h"
#include <stdatomic.h>

enum {
    COUNT_MAX = QUARANTINE_BLOCKS_MAX - QUARANTINE_BLOCKS_MAX / 16, /* more are too many; the other places are for those that come or go meanwhile */
    COUNT_LOW = COUNT_MAX - COUNT_MAX / QUARANTINE_STEP,
    TRAY_ORDER = 10,
    SHEET_HELD = 255,
    SHEETS_MAX = QUARANTINE_BLOCKS_MAX / SHEET_HELD + 2 /* the oldest may have a few left, the newest a few already */
};

struct held {
    void *block;
    size_t weight;
};

/* Of the ring: what has been taken off serves again first, so that only as many are resident as it ever needed. */
struct sheet {
    struct sheet *next;
    struct held held[SHEET_HELD];
};
_Static_assert(sizeof(struct sheet) <= 4096, "one page");

struct tray {
    struct tray *next;
    size_t weight; /* at least that of what waits */
    _Atomic uint32_t count;
    uint32_t taken;
    bool is_busy;
    struct held held[QUARANTINE_TRAY];
};
_Static_assert(sizeof(struct tray) <= 1 << TRAY_ORDER, "an array of metadata");

static struct sheet *sheets; /* all there can be; NULL: no memory */
static size_t sheets_used;
static struct sheet *oldest, *newest, *spare; /* from oldest to newest linked: the ring */
static size_t first, end, count; /* next to be taken from the oldest sheet, next to be put on the newest; how many in all */
static size_t places;            /* reserved: those of the blocks in the ring, and of those that come or go */
static struct tray *trays;       /* all there are */
static size_t weight_all, weight_max, weight_step;

void neb_quarantine_init(size_t bytes_max)
{
    sheets = neb_vm_map(SHEETS_MAX * sizeof *sheets); /* only what is used becomes resident */
    weight_max = sheets == NULL ? 0 : bytes_max;
    weight_step = bytes_max / QUARANTINE_STEP;
}

static void lock_take(void)
{
    neb_lock_take(&neb_locks[LOCK_QUARANTINE]);
}

static void lock_give(void)
{
    neb_lock_give(&neb_locks[LOCK_QUARANTINE]);
}

/* ---- the ring ---------------------------------------------------------------------------------------------------------------- */

static bool reserve_locked(void)
{
    bool has_place = weight_max != 0 && places < QUARANTINE_BLOCKS_MAX;
    places += has_place;
    return has_place;
}

static void sheet_begin(void)
{
    struct sheet *sheet = spare != NULL ? spare : &sheets[sheets_used++];
    spare = spare != NULL ? spare->next : NULL;
    sheet->next = NULL;
    if (newest == NULL)
        oldest = sheet;
    else
        newest->next = sheet;
    newest = sheet;
    end = 0;
}

static void sheet_end(void)
{
    struct sheet *sheet = oldest;
    oldest = sheet->next;
    if (oldest == NULL)
        newest = NULL;
    sheet->next = spare;
    spare = sheet;
    first = 0;
}

static void put_locked(void *block, size_t weight)
{
    if (newest == NULL || end == SHEET_HELD)
        sheet_begin();
    newest->held[end++] = (struct held){block, weight};
    count++;
    weight_all += weight;
}

static void *take_locked(void)
{
    struct held held = oldest->held[first++];
    if (first == SHEET_HELD)
        sheet_end();
    count--;
    weight_all -= held.weight;
    return held.block;
}

static enum quarantine_answer answer_locked(void)
{
    return weight_all > weight_max || count > COUNT_MAX ? QUARANTINE_IS_TOO_MUCH : QUARANTINE_HOLDS;
}

bool neb_quarantine_reserve(void)
{
    lock_take();
    bool reserved = reserve_locked();
    lock_give();
    return reserved;
}

enum quarantine_answer neb_quarantine_put(void *block, size_t weight)
{
    lock_take();
    put_locked(block, weight);
    enum quarantine_answer answer = answer_locked();
    lock_give();
    return answer;
}

size_t neb_quarantine_take(void **blocks, size_t max, bool any)
{
    size_t taken = 0;
    lock_take();
    while (taken < max && count > 0 && (any || weight_all > weight_max - weight_step || count > COUNT_LOW))
        blocks[taken++] = take_locked();
    lock_give();
    return taken;
}

void neb_quarantine_leave(size_t left)
{
    lock_take();
    places -= left;
    lock_give();
}

/* ---- trays ------------------------------------------------------------------------------------------------------------------- */

struct tray *neb_quarantine_tray(void)
{
    struct tray *tray = neb_meta_array_take_zeroed(TRAY_ORDER, sizeof *tray);
    if (tray == NULL)
        return NULL;
    lock_take();
    tray->next = trays;
    trays = tray;
    lock_give();
    return tray;
}

/* What waits in it comes into the ring, as far as that has places. */
static void empty_locked(struct tray *tray)
{
    uint32_t number = atomic_load_explicit(&tray->count, memory_order_acquire); /* Q1 */
    for (; tray->taken < number && reserve_locked(); tray->taken++)
        put_locked(tray->held[tray->taken].block, tray->held[tray->taken].weight);
}

static uint32_t count_of(const struct tray *tray)
{
    return atomic_load_explicit(&tray->count, memory_order_relaxed); /* its thread's own */
}

/* For its thread. */
static enum quarantine_answer pass_on(struct tray *tray)
{
    lock_take();
    empty_locked(tray);
    if (tray->taken == count_of(tray)) {
        tray->taken = 0;
        tray->weight = 0;
        atomic_store_explicit(&tray->count, 0, memory_order_relaxed); /* the lock orders */
    }
    enum quarantine_answer answer = answer_locked();
    lock_give();
    return answer;
}

static enum quarantine_answer ring_add(void *block, size_t weight)
{
    lock_take();
    enum quarantine_answer answer = QUARANTINE_REFUSES;
    if (reserve_locked()) {
        put_locked(block, weight);
        answer = answer_locked();
    }
    lock_give();
    return answer;
}

static enum quarantine_answer tray_add(struct tray *tray, void *block, size_t weight)
{
    if (NEB_UNLIKELY(count_of(tray) == QUARANTINE_TRAY)) /* the ring had no places */
        (void)pass_on(tray);
    uint32_t number = count_of(tray);
    if (NEB_UNLIKELY(number == QUARANTINE_TRAY))
        return ring_add(block, weight);
    tray->held[number] = (struct held){block, weight};
    tray->weight += weight;
    atomic_store_explicit(&tray->count, number + 1, memory_order_release); /* Q1 */
    return number + 1 == QUARANTINE_TRAY || tray->weight > weight_step ? pass_on(tray) : QUARANTINE_HOLDS;
}

static void tray_set_busy(struct tray *tray, bool is_busy)
{
    atomic_signal_fence(memory_order_seq_cst);
    tray->is_busy = is_busy;
    atomic_signal_fence(memory_order_seq_cst);
}

enum quarantine_answer neb_quarantine_add(struct tray *tray, void *block, size_t weight)
{
    if (weight_max == 0)
        return QUARANTINE_REFUSES;
    if (tray == NULL || tray->is_busy)
        return ring_add(block, weight);
    tray_set_busy(tray, true);
    enum quarantine_answer answer = tray_add(tray, block, weight);
    tray_set_busy(tray, false);
    return answer;
}

size_t neb_quarantine_gather(void)
{
    lock_take();
    for (struct tray *tray = trays; tray != NULL; tray = tray->next)
        empty_locked(tray);
    size_t number = count;
    lock_give();
    return number;
}

void neb_quarantine_spans(struct spans *spans)
{
    neb_spans_add(spans, sheets, sheets == NULL ? 0 : SHEETS_MAX * sizeof *sheets);
    for (struct tray *tray = trays; tray != NULL; tray = tray->next)
        neb_spans_add(spans, tray, sizeof *tray);
}
