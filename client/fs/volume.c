/* SPDX-License-Identifier: Apache-2.0 */
#include "client/fs/volume.h"

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
