/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/proto/cl_nn/publish.h"

static const char *const names[] = {"fail", "replace", "append", "replace-partition"};

int cl2nn_publish_mode_of(const char *text, uint32_t *ret_mode)
{
    for (uint32_t i = 0; i < ARRAY_LEN(names); i++) {
        if (strcmp(names[i], text) != 0)
            continue;
        *ret_mode = i;
        return 0;
    }
    return ERR_INVAL;
}

const char *cl2nn_publish_mode_name(uint32_t mode)
{
    return mode < ARRAY_LEN(names) ? names[mode] : "?";
}

bool cl2nn_publish_is_mark(struct slice name)
{
    return slice_is(name, "_SUCCESS") || slice_has_prefix(name, slice_str("_MANIFEST"));
}
