/* check/filter.h: sizes and callers by which blocks are chosen. */
#include "check/filter.h"

#include "check/stacks.h"
#include "os/process.h"
#include "unit/unit.h"
#include <gnu/libc-version.h>
#include <stdio.h>

START_TEST(without_a_text_every_size_is_taken)
{
    ck_assert(neb_filter_set_sizes(NULL));
    ck_assert(neb_filter_takes_size(0));
    ck_assert(neb_filter_takes_size(SIZE_MAX));
    ck_assert(neb_filter_takes_stack(0));
}
END_TEST

START_TEST(one_size_or_a_range_is_taken_with_both_its_ends)
{
    ck_assert(neb_filter_set_sizes("41"));
    ck_assert(!neb_filter_takes_size(40) && neb_filter_takes_size(41) && !neb_filter_takes_size(42));
    ck_assert(neb_filter_set_sizes("32-64"));
    ck_assert(!neb_filter_takes_size(31) && neb_filter_takes_size(32));
    ck_assert(neb_filter_takes_size(64) && !neb_filter_takes_size(65));
}
END_TEST

START_TEST(what_is_no_range_is_refused_and_leaves_all_sizes)
{
    static const char *const wrong[] = {"", "-", "4-", "-4", "64-32", "4k", "0x10", "1-2-3", "99999999999999999999"};
    for (unsigned i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        ck_assert(!neb_filter_set_sizes(wrong[i]));
        ck_assert(neb_filter_takes_size(7));
    }
}
END_TEST

/* This program's own file and an offset in it, as a stack of one frame. */
static uint32_t stack_at(uintptr_t pc)
{
    return neb_stacks_put(&pc, 1, neb_stacks_hash(&pc, 1));
}

/* A module that is not the core's, which is linked into this program: libc's. No sanitizer puts a function of its own, which
 * would be in the program, in this one's place. */
START_TEST(a_site_is_a_module_and_a_range_of_it)
{
    struct os_module module;
    uintptr_t pc = (uintptr_t)gnu_get_libc_version;
    char text[256];
    ck_assert(neb_os_modules_init() && neb_os_module_of(pc, &module));
    const char *file = strrchr(module.name, '/') + 1;
    unsigned long offset = pc - module.base;
    ck_assert(neb_filter_set_site(file));
    ck_assert(neb_filter_takes_stack(stack_at(pc)));
    ck_assert(!neb_filter_takes_stack(0));
    ck_assert(neb_filter_set_site(module.name));
    ck_assert(neb_filter_takes_stack(stack_at(pc)));
    (void)snprintf(text, sizeof text, "%s+0x%lx-0x%lx", file, offset - 1, offset);
    ck_assert(neb_filter_set_site(text));
    ck_assert(neb_filter_takes_stack(stack_at(pc)));
    ck_assert(!neb_filter_takes_stack(stack_at(pc + 1)));
    ck_assert(neb_filter_set_site("another.so"));
    ck_assert(!neb_filter_takes_stack(stack_at(pc)));
    ck_assert(!neb_filter_set_site("libc.so.6+12-"));
    ck_assert(!neb_filter_set_site("+12"));
    ck_assert(neb_filter_takes_stack(stack_at(pc)));
}
END_TEST

UNIT_MAIN("filter", HOLDS(without_a_text_every_size_is_taken), HOLDS(one_size_or_a_range_is_taken_with_both_its_ends),
          HOLDS(what_is_no_range_is_refused_and_leaves_all_sizes), HOLDS(a_site_is_a_module_and_a_range_of_it))
