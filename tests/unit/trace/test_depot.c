/* trace/depot.h: a stack has one number, whoever asks and however large the table has become. */
#include "trace/depot.h"

#include "unit/trace/file.h"
#include "unit/unit.h"
#include <pthread.h>

enum { NODES = 50000, THREADS = 4 };

/* Addresses of no module: the depot takes them as they come. */
static uintptr_t pc_of(unsigned i)
{
    return 0x10000 + 4 * (uintptr_t)i;
}

static uint32_t child_of(uint32_t parent, uintptr_t pc, bool exact)
{
    return neb_depot_child(parent, depot_hash(parent, pc, exact), pc, exact);
}

START_TEST(same_frame_has_the_same_node)
{
    file_begin();
    uint32_t first = child_of(NBT_STACK_NONE, pc_of(1), false);
    ck_assert_uint_eq(first, NBT_STACK_FIRST);
    ck_assert_uint_eq(child_of(NBT_STACK_NONE, pc_of(1), false), first);
    ck_assert_uint_eq(neb_depot_count(), 1);
}
END_TEST

START_TEST(caller_address_and_exactness_make_another_node)
{
    file_begin();
    uint32_t first = child_of(NBT_STACK_NONE, pc_of(1), false);
    ck_assert_uint_ne(child_of(NBT_STACK_NONE, pc_of(2), false), first);
    ck_assert_uint_ne(child_of(NBT_STACK_NONE, pc_of(1), true), first);
    ck_assert_uint_ne(child_of(first, pc_of(1), false), first);
    ck_assert_uint_eq(neb_depot_count(), 4);
}
END_TEST

START_TEST(node_leads_to_its_caller)
{
    uintptr_t pc;
    file_begin();
    uint32_t outer = child_of(NBT_STACK_NONE, pc_of(1), false), inner = child_of(outer, pc_of(2), false);
    ck_assert_uint_eq(neb_depot_parent(inner, &pc), outer);
    ck_assert_uint_eq(pc, pc_of(2));
    ck_assert_uint_eq(neb_depot_parent(outer, &pc), NBT_STACK_NONE);
    ck_assert_uint_eq(pc, pc_of(1));
}
END_TEST

START_TEST(what_had_no_room_stays_other)
{
    file_begin();
    ck_assert_uint_eq(child_of(NBT_STACK_OTHER, pc_of(1), false), NBT_STACK_OTHER);
    ck_assert_uint_eq(neb_depot_count(), 0);
}
END_TEST

START_TEST(numbers_outlast_larger_tables)
{
    static uint32_t node[NODES];
    file_begin();
    for (unsigned i = 0; i < NODES; i++)
        node[i] = child_of(i == 0 ? NBT_STACK_NONE : node[i / 2], pc_of(i), false);
    for (unsigned i = 0; i < NODES; i++)
        ck_assert_uint_eq(child_of(i == 0 ? NBT_STACK_NONE : node[i / 2], pc_of(i), false), node[i]);
    ck_assert_uint_eq(neb_depot_count(), NODES);
}
END_TEST

static void *nodes_ask(void *into)
{
    uint32_t *node = into;
    for (unsigned i = 0; i < NODES; i++)
        node[i] = child_of(i == 0 ? NBT_STACK_NONE : node[i / 2], pc_of(i), false);
    return NULL;
}

START_TEST(threads_that_ask_at_once_get_the_same_nodes)
{
    static uint32_t node[THREADS][NODES];
    pthread_t thread[THREADS];
    file_begin();
    for (unsigned i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&thread[i], NULL, nodes_ask, node[i]), 0);
    for (unsigned i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_join(thread[i], NULL), 0);
    for (unsigned i = 1; i < THREADS; i++)
        ck_assert_mem_eq(node[i], node[0], sizeof node[0]);
    ck_assert_uint_eq(neb_depot_count(), NODES);
}
END_TEST

START_TEST(next_file_begins_empty)
{
    file_begin();
    (void)child_of(NBT_STACK_NONE, pc_of(1), false);
    neb_depot_finish();
    neb_depot_begin();
    ck_assert_uint_eq(neb_depot_count(), 0);
    ck_assert_uint_eq(child_of(NBT_STACK_NONE, pc_of(2), false), NBT_STACK_FIRST);
}
END_TEST

int main(void)
{
    const struct unit_claim claims[] = {
        HOLDS(same_frame_has_the_same_node),
        HOLDS(caller_address_and_exactness_make_another_node),
        HOLDS(node_leads_to_its_caller),
        HOLDS(what_had_no_room_stays_other),
        HOLDS(numbers_outlast_larger_tables),
        HOLDS(threads_that_ask_at_once_get_the_same_nodes),
        HOLDS(next_file_begins_empty),
    };
    return unit_run("depot", claims, sizeof claims / sizeof claims[0]);
}
