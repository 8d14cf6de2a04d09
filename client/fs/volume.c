/* SPDX-License-Identifier: Apache-2.0 */
#include "client/fs/volume.h"

#include "client/lib/uri.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/str.h"

int fs_volume_init(struct fs_volume *v, const struct fs_volume_ops *ops, const char *uri,
                   const char *home)
{
    v->ops = ops;
    v->uri = str_dup(uri);
    v->home = str_dup(home);
    return v->uri && v->home ? 0 : ERR_NOMEM;
}

void fs_volume_free(struct fs_volume *v)
{
    if (!v)
        return;
    v->ops->close(v);
    mem_free(v->authority);
    mem_free(v->uri);
    mem_free(v->home);
    mem_free(v->user);
    mem_free(v);
}

static bool address_of(const struct fs_volume *v, char out[300])
{
    struct cl_uri uri;
    struct err ignored;
    cl_uri_parse(slice_str(v->uri), &uri);
    return cl_uri_address(uri.authority, out, 300, &ignored) == 0;
}

bool fs_volume_is_same(const struct fs_volume *a, const struct fs_volume *b)
{
    char left[300], right[300];
    if (a == b || !a->qn || !b->qn)
        return a == b;
    return address_of(a, left) && address_of(b, right) && strcmp(left, right) == 0;
}
