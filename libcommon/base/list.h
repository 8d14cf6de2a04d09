/* SPDX-License-Identifier: Apache-2.0
 * list: intrusive doubly linked ring. A head and its members are all `struct list`. */
#ifndef QUERN_BASE_LIST_H
#define QUERN_BASE_LIST_H

#include "libcommon/base/err.h"

struct list {
    struct list *prev, *next;
};

static inline void list_init(struct list *head)
{
    head->prev = head->next = head;
}
static inline bool list_is_empty(const struct list *head)
{
    return head->next == head;
}
static inline void list_add_before(struct list *at, struct list *item)
{
    item->prev = at->prev;
    item->next = at;
    at->prev->next = item;
    at->prev = item;
}
static inline void list_push_back(struct list *head, struct list *item)
{
    list_add_before(head, item);
}
static inline void list_push_front(struct list *head, struct list *item)
{
    list_add_before(head->next, item);
}
/* Unlinks and re-initialises; removing an initialised, unlinked item is harmless. */
static inline void list_remove(struct list *item)
{
    item->prev->next = item->next;
    item->next->prev = item->prev;
    list_init(item);
}

#define list_entry(item, type, member) CONTAINER_OF(item, type, member)
#define list_first(head, type, member) \
    (list_is_empty(head) ? NULL : list_entry((head)->next, type, member))
#define list_each(head, it) for (struct list *it = (head)->next; it != (head); it = it->next)
/* `it` may be removed or freed in the body. */
#define list_each_safe(head, it)                                              \
    for (struct list *it = (head)->next, *it##_next = it->next; it != (head); \
         it = it##_next, it##_next = it->next)

#endif
