/* base/list.h: order, and that zeroed memory is an empty list and an unlinked node. */
#include "base/list.h"
#include "unit/unit.h"

struct item {
    int number;
    struct list_node node;
};

static int number_at(struct list_node *node)
{
    return LIST_OF(node, struct item, node)->number;
}

START_TEST(zeroed_memory_is_an_empty_list_and_an_unlinked_node)
{
    struct list_node head = {NULL, NULL};
    struct item item = {1, {NULL, NULL}};
    ck_assert(list_is_empty(&head));
    ck_assert(!list_is_linked(&item.node));
    list_push(&head, &item.node);
    ck_assert(!list_is_empty(&head));
    ck_assert(list_is_linked(&item.node));
    list_remove(&item.node);
    ck_assert(list_is_empty(&head));
    ck_assert(!list_is_linked(&item.node));
}
END_TEST

START_TEST(push_goes_to_the_front_and_append_to_the_back)
{
    struct list_node head = {NULL, NULL};
    struct item item[5] = {{0, {NULL, NULL}}};
    for (int i = 0; i < 5; i++)
        item[i].number = i;
    list_append(&head, &item[2].node);
    list_push(&head, &item[1].node);
    list_append(&head, &item[3].node);
    list_push(&head, &item[0].node);
    list_append(&head, &item[4].node);
    int next = 0;
    for (struct list_node *node = head.next; node != &head; node = node->next)
        ck_assert_int_eq(number_at(node), next++);
    ck_assert_int_eq(next, 5);
    for (struct list_node *node = head.prev; node != &head; node = node->prev)
        ck_assert_int_eq(number_at(node), --next);
}
END_TEST

START_TEST(any_node_can_be_removed)
{
    for (int gone = 0; gone < 3; gone++) {
        struct list_node head;
        struct item item[3] = {{0, {NULL, NULL}}, {1, {NULL, NULL}}, {2, {NULL, NULL}}};
        list_init(&head);
        for (int i = 0; i < 3; i++)
            list_append(&head, &item[i].node);
        list_remove(&item[gone].node);
        int count = 0;
        for (struct list_node *node = head.next; node != &head; node = node->next, count++)
            ck_assert_int_ne(number_at(node), gone);
        ck_assert_int_eq(count, 2);
    }
}
END_TEST

UNIT_MAIN("list", HOLDS(zeroed_memory_is_an_empty_list_and_an_unlinked_node),
          HOLDS(push_goes_to_the_front_and_append_to_the_back), HOLDS(any_node_can_be_removed))
