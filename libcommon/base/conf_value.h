/* SPDX-License-Identifier: Apache-2.0
 * conf_value: one configuration value, from its text, by its option's type, limits and choices. The
 * half of conf that knows how values are written; nothing here knows keys, files or ranks. */
#ifndef QUERN_BASE_CONF_VALUE_H
#define QUERN_BASE_CONF_VALUE_H

#include "libcommon/base/conf.h"

struct conf_value {
    char *text; /* as written, without space around it; owned */
    union {
        bool boolean;
        int64_t integer;
        double number;
        uint64_t amount; /* bytes, ms, index of a choice */
        struct conf_address address;
    };
    char *room;   /* what items and address.host point into; owned, may be NULL */
    char **items; /* CONF_LIST; owned */
    size_t item_count;
};

/* 0; ERR_CONFIG with what is wanted ("want a size such as ..."), neither key nor value named;
 * ERR_NOMEM. *ret is untouched on failure. "" is taken for strings, lists and addresses only. */
int conf_value_parse(const struct conf_option *option, const char *text, struct conf_value *ret,
                     struct err *err);
/* The value of an option without default: 0, "", no items. */
int conf_value_empty(const struct conf_option *option, struct conf_value *ret);
void conf_value_release(struct conf_value *value);

#endif
