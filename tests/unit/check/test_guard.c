/* check/guard.h: where guarded blocks stand, what of them can be touched, and when a slot serves again. */
#include "check/guard.h"

#include "base/ptr.h"
#include "check/report.h"
#include "os/fence.h"
#include "os/vm.h"
#include "policy/tuning.h"
#include "unit/unit.h"
#include <fcntl.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct check_call free_call = {.name = "free"};

static void begin(enum guard_side side, size_t alignment)
{
    ck_assert(neb_guard_init(&(struct guard_options){.side = side, .alignment = alignment}));
}

/* Whether the kernel can read a byte there. */
static bool is_readable(const void *p)
{
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    bool answer = write(ends[1], p, 1) == 1;
    (void)close(ends[0]);
    (void)close(ends[1]);
    return answer;
}

static unsigned char *block(size_t size, size_t alignment)
{
    return neb_guard_alloc(size, alignment, FAMILY_MALLOC, CONTENT_IS_ZERO);
}

static const size_t sizes[] = {1, 15, 16, 41, 4095, 4096, 4097, 65536, 100000, 3000000};
enum { SIZES = sizeof sizes / sizeof sizes[0] };

START_TEST(a_block_ends_at_a_page_that_nobody_can_read)
{
    begin(GUARD_AT_END, 1);
    for (unsigned i = 0; i < SIZES; i++) {
        unsigned char *p = block(sizes[i], 16);
        memset(p, 1, sizes[i]);
        ck_assert(!is_readable(p + sizes[i]));
        ck_assert(neb_guard_free(p, &free_call));
    }
}
END_TEST

START_TEST(or_begins_behind_one)
{
    begin(GUARD_AT_START, 16);
    for (unsigned i = 0; i < SIZES; i++) {
        unsigned char *p = block(sizes[i], 16), *q = block(sizes[i], 16);
        memset(q, 1, sizes[i]);
        ck_assert(!is_readable(p - 1) && !is_readable(q - 1));
    }
}
END_TEST

static void alignments_are_kept(enum guard_side side)
{
    begin(side, 16);
    for (unsigned i = 0; i < SIZES; i++)
        for (size_t alignment = 16; alignment <= 1 << 20; alignment *= 4) {
            unsigned char *p = block(sizes[i], alignment);
            ck_assert_ptr_nonnull(p);
            ck_assert_uint_eq(ptr_address(p) % alignment, 0);
            memset(p, 1, sizes[i]);
            ck_assert(!is_readable(ptr_align_up(p + sizes[i], neb_vm_page_size())));
            ck_assert(neb_guard_free(p, &free_call));
        }
}

START_TEST(every_alignment_is_kept_at_the_end)
{
    alignments_are_kept(GUARD_AT_END);
}
END_TEST

START_TEST(and_at_the_start)
{
    alignments_are_kept(GUARD_AT_START);
}
END_TEST

START_TEST(a_block_without_bytes_is_one_that_cannot_be_touched)
{
    begin(GUARD_AT_END, 16);
    unsigned char *p = block(0, 16), *q = block(0, 16);
    size_t size = 1;
    ck_assert_ptr_nonnull(p);
    ck_assert_ptr_ne(p, q);
    ck_assert(!is_readable(p));
    ck_assert(neb_guard_size(p, "", &size));
    ck_assert_uint_eq(size, 0);
    ck_assert(neb_guard_free(p, &free_call) && neb_guard_free(q, &free_call));
}
END_TEST

START_TEST(a_freed_block_cannot_be_touched_and_waits_behind_many)
{
    begin(GUARD_AT_END, 16);
    unsigned char *first = block(100, 16);
    ck_assert(neb_guard_free(first, &free_call));
    ck_assert(!is_readable(first));
    for (int i = 0; i < 20000; i++) {
        unsigned char *p = block(100, 16);
        ck_assert_ptr_ne(p, first);
        ck_assert(neb_guard_free(p, &free_call));
    }
    ck_assert(!is_readable(first));
    ck_assert_uint_eq(neb_guard_counts().waiting, 20001);
    ck_assert_uint_eq(neb_guard_counts().live, 0);
}
END_TEST

static size_t mappings(void)
{
    static char text[1 << 20];
    int file = open("/proc/self/maps", O_RDONLY);
    size_t lines = 0;
    ssize_t got;
    while ((got = read(file, text, sizeof text)) > 0)
        for (ssize_t i = 0; i < got; i++)
            lines += text[i] == '\n';
    (void)close(file);
    return lines;
}

START_TEST(freed_blocks_cost_no_mappings)
{
    static unsigned char *p[1000];
    begin(GUARD_AT_END, 16);
    (void)block(1, 16); /* the records are there */
    size_t before = mappings();
    for (int i = 0; i < 1000; i++)
        memset(p[i] = block(100, 16), 1, 100);
    ck_assert_uint_ge(mappings(), before + 1000);
    for (int i = 0; i < 1000; i++)
        ck_assert(neb_guard_free(p[i], &free_call));
    ck_assert_uint_le(mappings(), before + 4);
}
END_TEST

START_TEST(no_more_than_a_quarter_of_the_mappings_is_used)
{
    size_t count = 0;
    begin(GUARD_AT_END, 16);
    while (block(1, 16) != NULL)
        count++;
    ck_assert_uint_eq(count, neb_fence_mappings_max() / 4);
    ck_assert_uint_eq(neb_guard_counts().refused, 1);
}
END_TEST

START_TEST(a_sample_has_few_slots_and_the_oldest_freed_one_serves_again)
{
    unsigned char *first = NULL;
    unsigned served = 0, at_start = 0;
    ck_assert(neb_guard_init(&(struct guard_options){.side = GUARD_AT_RANDOM, .alignment = 16, .is_sample = true}));
    ck_assert(!neb_guard_is_wanted);
    ck_assert_ptr_null(block(neb_vm_page_size() + 1, 16));
    for (unsigned char *p; (p = block(64, 16)) != NULL; served++) {
        at_start += ptr_address(p) % neb_vm_page_size() == 0;
        first = first == NULL ? p : first;
    }
    ck_assert_uint_eq(served, GUARD_SAMPLE_SLOTS - 1);
    ck_assert_uint_gt(at_start, served / 4);
    ck_assert_uint_lt(at_start, served - served / 4);
    ck_assert(neb_guard_free(first, &free_call));
    unsigned char *again = block(64, 16);
    ck_assert_uint_eq(ptr_address(again) / neb_vm_page_size(), ptr_address(first) / neb_vm_page_size());
}
END_TEST

START_TEST(a_samples_blocks_cost_no_mappings_where_the_kernel_has_fences)
{
    size_t page = neb_vm_page_size();
    void *probe = neb_vm_map(page);
    if (!neb_fence_lay(probe, page))
        return;
    ck_assert(!is_readable(probe) && neb_fence_lift(probe, page) && is_readable(probe));
    ck_assert(neb_guard_init(&(struct guard_options){.side = GUARD_AT_END, .alignment = 1, .is_sample = true}));
    (void)block(1, 16);
    size_t before = mappings();
    for (int i = 0; i < 500; i++) {
        unsigned char *p = memset(block(100, 16), 1, 100), *q = block(page, 16);
        ck_assert(all_bytes_are(q, page, 0));
        ck_assert(!is_readable(p + 100) && !is_readable(q + page) && !is_readable(q - 1));
        ck_assert(neb_guard_free(p, &free_call) && !is_readable(p));
    }
    ck_assert_uint_le(mappings(), before + 4);
}
END_TEST

static unsigned char *growing(size_t size)
{
    begin(GUARD_AT_END, 1);
    return memset(neb_guard_alloc_growing(size, FAMILY_MALLOC), 1, size);
}

START_TEST(a_growing_block_grows_where_it_is_until_its_slot_is_full)
{
    size_t page = neb_vm_page_size(), size = 100000, known;
    unsigned char *p = growing(size), *other = block(1000, 16);
    unsigned steps = 0;
    ck_assert(!neb_guard_grow(other, 1001));
    ck_assert(!neb_guard_grow(p, size - 1));
    for (; neb_guard_grow(p, size + 1000); size += 1000, steps++) {
        ck_assert(all_bytes_are(p, size, 1));
        memset(p + size, 1, 1000);
        ck_assert(neb_guard_size(p, "test", &known));
        ck_assert_uint_eq(known, size + 1000);
        ck_assert(!is_readable(p + size + 1000 + page) && !is_readable(p - 1));
    }
    ck_assert_uint_ge(steps, 25);
    ck_assert(neb_guard_free(p, &free_call));
    ck_assert(!is_readable(p) && !is_readable(p + size));
}
END_TEST

START_TEST(a_byte_behind_a_block_that_grew_ends_the_process)
{
    unsigned char *p = growing(100000);
    ck_assert(neb_guard_grow(p, 120001));
    p[120001] = 1;
    (void)neb_guard_free(p, &free_call);
}
END_TEST

START_TEST(so_does_one_that_it_grows_over)
{
    unsigned char *p = growing(100001);
    p[100001] = 1;
    (void)neb_guard_grow(p, 120001);
}
END_TEST

START_TEST(the_page_between_two_blocks_belongs_to_the_nearer_one)
{
    struct cell cell;
    begin(GUARD_AT_START, 16);
    size_t page = neb_vm_page_size();
    unsigned char *p = block(page, 16), *q = block(page, 16);
    ck_assert_ptr_eq(q, p + 2 * page);
    ck_assert(neb_guard_cell_near(p + page + 1, &cell));
    ck_assert_ptr_eq(cell.base, p);
    ck_assert(neb_guard_cell_near(q - 1, &cell));
    ck_assert_ptr_eq(cell.base, q);
    ck_assert(!neb_guard_cell_near(q + 16 * page, &cell));
    ck_assert(!neb_guard_cell_near(&cell, &cell));
}
END_TEST

START_TEST(limited_address_space_is_left_to_the_program)
{
    struct rlimit limit = {(rlim_t)3 << 30, (rlim_t)3 << 30};
    if (UNIT_SANITIZED) /* which needs terabytes */
        return;
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &limit), 0);
    ck_assert(!neb_guard_init(&(struct guard_options){.alignment = 16}));
    ck_assert_ptr_null(block(1, 16));
    ck_assert(!neb_guard_knows(&limit));
}
END_TEST

START_TEST(a_child_of_fork_has_its_parents_blocks)
{
    int status = 0;
    begin(GUARD_AT_END, 16);
    unsigned char *p = block(100, 16);
    memset(p, 7, 100);
    pid_t child = fork();
    if (child == 0) {
        bool is_same = p[99] == 7 && neb_guard_free(p, &free_call) && !is_readable(p);
        unsigned char *q = block(100, 16);
        _exit(is_same && q != NULL && q != p ? 0 : 1);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    ck_assert_int_eq(p[0], 7);
}
END_TEST

START_TEST(a_second_free_ends_the_process)
{
    begin(GUARD_AT_END, 16);
    unsigned char *p = block(100, 16);
    ck_assert(neb_guard_free(p, &free_call));
    (void)neb_guard_free(p, &free_call);
}
END_TEST

START_TEST(so_does_a_byte_that_was_written_beside_a_block)
{
    begin(GUARD_AT_END, 16);
    unsigned char *p = block(41, 16);
    p[41] = 0;
    (void)neb_guard_free(p, &free_call);
}
END_TEST

START_TEST(at_the_end_of_the_process_too)
{
    begin(GUARD_AT_END, 16);
    unsigned char *p = block(41, 16);
    neb_guard_verify();
    p[-1] = 0;
    neb_guard_verify();
}
END_TEST

enum { THREADS = 4, ROUNDS = 2000 };

static void *churn(void *argument)
{
    unsigned char *mine[16] = {NULL}, mark = *(unsigned char *)argument;
    for (unsigned i = 0; i < ROUNDS; i++) {
        unsigned char **slot = &mine[i * 7 % 16];
        size_t size = i * 37 % 5000 + 1;
        if (*slot != NULL) {
            ck_assert_int_eq(**slot, mark);
            ck_assert(neb_guard_free(*slot, &free_call));
        }
        *slot = block(size, 16);
        memset(*slot, mark, size);
    }
    return NULL;
}

START_TEST(threads_never_share_a_slot)
{
    pthread_t thread[THREADS];
    unsigned char mark[THREADS] = {1, 2, 3, 4};
    begin(GUARD_AT_END, 16);
    for (unsigned i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&thread[i], NULL, churn, &mark[i]), 0);
    for (unsigned i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_join(thread[i], NULL), 0);
    ck_assert_uint_eq(neb_guard_counts().live, 16 * THREADS);
}
END_TEST

UNIT_MAIN("guard", HOLDS(a_block_ends_at_a_page_that_nobody_can_read), HOLDS(or_begins_behind_one),
          HOLDS(every_alignment_is_kept_at_the_end), HOLDS(and_at_the_start),
          HOLDS(a_block_without_bytes_is_one_that_cannot_be_touched), HOLDS(a_freed_block_cannot_be_touched_and_waits_behind_many),
          HOLDS(freed_blocks_cost_no_mappings), HOLDS(no_more_than_a_quarter_of_the_mappings_is_used),
          HOLDS(a_sample_has_few_slots_and_the_oldest_freed_one_serves_again),
          HOLDS(a_samples_blocks_cost_no_mappings_where_the_kernel_has_fences),
          HOLDS(a_growing_block_grows_where_it_is_until_its_slot_is_full), ABORTS(a_byte_behind_a_block_that_grew_ends_the_process),
          ABORTS(so_does_one_that_it_grows_over), HOLDS(the_page_between_two_blocks_belongs_to_the_nearer_one), HOLDS(limited_address_space_is_left_to_the_program),
          HOLDS(a_child_of_fork_has_its_parents_blocks), ABORTS(a_second_free_ends_the_process),
          ABORTS(so_does_a_byte_that_was_written_beside_a_block), ABORTS(at_the_end_of_the_process_too),
          HOLDS(threads_never_share_a_slot))
