/* unwind/step.h and rule.h against libunwind, and what ends a stack. */
#define _GNU_SOURCE
#include "unit/unwind/shapes.h"

#include "os/process.h"
#include "unwind/decode.h"
#include "unwind/step.h"
#include <link.h>
#include <sys/mman.h>

NEB_NOINLINE static void compare(void)
{
    uintptr_t walked[FRAMES], wanted[FRAMES];
    struct place place = PLACE_OF_CALLER();
    unsigned wanted_count = reference(wanted, 1);
    same(walked, neb_step_walk(job->own, &place, walked, FRAMES), wanted, wanted_count, "walked");
}

static void begin(void)
{
    if (!neb_os_modules_init())
        ck_abort_msg("this glibc has no _dl_find_object");
}

START_TEST(every_stack_of_several_threads_is_the_one_that_libunwind_sees)
{
    struct reach reach[THREADS] = {0};
    struct job jobs[THREADS] = {0};
    begin();
    for (unsigned i = 0; i < THREADS; i++)
        jobs[i].own = &reach[i];
    shapes_in_threads(jobs);
}
END_TEST

START_TEST(the_main_threads_stacks_too)
{
    struct reach reach = {0, 0};
    struct job mine = {.own = &reach};
    begin();
    shapes_in_main(&mine);
}
END_TEST

struct code {
    uintptr_t begin, end;
    bool is_alone; /* some linkers put constants and tables into the same segment: on aarch64 they are three tenths of it */
};

/* libc's code. */
static int code_find(struct dl_phdr_info *info, size_t size, void *into)
{
    struct code *code = into;
    (void)size;
    if (strstr(info->dlpi_name, "libc.so") == NULL)
        return 0;
    for (unsigned i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_LOAD && (info->dlpi_phdr[i].p_flags & PF_X) != 0) {
            code->begin = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
            code->end = code->begin + info->dlpi_phdr[i].p_memsz;
            code->is_alone = info->dlpi_phdr[i].p_offset != 0;
        }
    return 1;
}

static bool is_same_rule(struct rule a, struct rule b)
{
    return memcmp(&a, &b, sizeof a) == 0;
}

START_TEST(the_table_answers_what_is_decoded_and_again_after_it_was_forgotten)
{
    struct code code = {0, 0, false};
    unsigned known = 0, all = 0;
    begin();
    ck_assert_int_eq(dl_iterate_phdr(code_find, &code), 1);
    for (int round = 0; round < 3; round++) {
        for (uintptr_t pc = code.begin; pc < code.end; pc += 61, all++) {
            struct rule rule = neb_rule_decode(pc);
            ck_assert(is_same_rule(neb_rule_of(pc), rule));
            ck_assert(is_same_rule(neb_rule_of(pc), rule));
            known += rule_kind(rule) != RULE_UNKNOWN;
        }
        if (round == 1)
            neb_rules_forget();
    }
    ck_assert_uint_gt(known, all / 10 * (code.is_alone ? 9 : 6)); /* what libc has beyond its functions is little */
}
END_TEST

START_TEST(code_without_tables_ends_the_stack)
{
    uintptr_t pcs[FRAMES];
    struct reach reach = {0, 0};
    struct place place = PLACE_OF_CALLER();
    unsigned char *code = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    begin();
    ck_assert_uint_gt(neb_step_walk(&reach, &place, pcs, FRAMES), 1);
    place.pc = (uintptr_t)code + 100;
    ck_assert_uint_eq(neb_step_walk(&reach, &place, pcs, FRAMES), 1);
    ck_assert_uint_eq(pcs[0], place.pc);
    place = place_unknown(place.pc);
    ck_assert_uint_eq(neb_step_walk(&reach, &place, pcs, FRAMES), 1);
}
END_TEST

/* A stack whose frames lead out of memory that is there. */
START_TEST(a_stack_is_read_only_where_it_is_readable)
{
    uintptr_t pcs[FRAMES];
    struct reach reach = {0, 0};
    struct place place = PLACE_OF_CALLER();
    unsigned char *two = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    begin();
    ck_assert_int_eq(mprotect(two + 4096, 4096, PROT_NONE), 0);
    for (size_t left = 0; left < 128; left += sizeof(void *)) {
        place.stack = two + 4096 - left - (left == 0 ? 1 : 0);
        place.sp = (uintptr_t)place.stack;
        place.fp = place.sp;
        ck_assert_uint_ge(neb_step_walk(&reach, &place, pcs, FRAMES), 1);
        ck_assert(reach.low <= place.sp && reach.high == (uintptr_t)two + 4096);
    }
}
END_TEST

UNIT_MAIN("step", HOLDS(every_stack_of_several_threads_is_the_one_that_libunwind_sees), HOLDS(the_main_threads_stacks_too),
          HOLDS(the_table_answers_what_is_decoded_and_again_after_it_was_forgotten), HOLDS(code_without_tables_ends_the_stack),
          HOLDS(a_stack_is_read_only_where_it_is_readable))
