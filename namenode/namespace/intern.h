/* SPDX-License-Identifier: Apache-2.0
 * intern: users and groups as u16. A word once met keeps its number for as long as the namespace
 * lives; number 0 is the empty word. Numbers are never written anywhere: image and journal hold the
 * words. */
#ifndef QUERN_NAMENODE_NAMESPACE_INTERN_H
#define QUERN_NAMENODE_NAMESPACE_INTERN_H

#include "libcommon/base/slice.h"

struct nn_intern {
    struct slice *words; /* owned bytes; index = number */
    size_t count, cap;
    uint16_t *slots; /* open addressing over the words; 0 = free */
    size_t mask;
};

void nn_intern_init(struct nn_intern *intern);
void nn_intern_release(struct nn_intern *intern);
/* ERR_NOMEM; ERR_LIMIT after 65,535 different words. */
int nn_intern_add(struct nn_intern *intern, struct slice word, uint16_t *ret_number);
static inline struct slice nn_intern_get(const struct nn_intern *intern, uint16_t number)
{
    return number ? intern->words[number] : slice_of(NULL, 0);
}

#endif
