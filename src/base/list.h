/* list.h - circular doubly linked lists whose nodes live inside the listed structures.
 *
 *   head <-> node <-> node <-> head      an unlinked node has next == NULL, so that all-zero memory is "in no list"
 *
 * Every operation is O(1); none is atomic: a list belongs to one thread or to one lock. */
#ifndef NEB_BASE_LIST_H
#define NEB_BASE_LIST_H

#include "base/attr.h"
#include <stdbool.h>
#include <stddef.h>

struct list_node {
    struct list_node *next, *prev;
};

#define LIST_OF(node, type, field) ((type *)(void *)((unsigned char *)(node)-offsetof(type, field)))

NEB_INLINE void list_init(struct list_node *head)
{
    head->next = head->prev = head;
}

/* A head in zeroed memory is an empty list that was not initialised yet. */
NEB_INLINE bool list_is_empty(const struct list_node *head)
{
    return head->next == NULL || head->next == head;
}

NEB_INLINE bool list_is_linked(const struct list_node *node)
{
    return node->next != NULL;
}

NEB_INLINE void list_push(struct list_node *head, struct list_node *node)
{
    if (head->next == NULL)
        list_init(head);
    node->next = head->next;
    node->prev = head;
    head->next->prev = node;
    head->next = node;
}

NEB_INLINE void list_append(struct list_node *head, struct list_node *node)
{
    if (head->next == NULL)
        list_init(head);
    list_push(head->prev, node);
}

NEB_INLINE void list_remove(struct list_node *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    node->next = node->prev = NULL;
}

#endif
