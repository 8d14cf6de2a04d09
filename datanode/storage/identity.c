/* SPDX-License-Identifier: Apache-2.0 */
#include "datanode/storage/identity.h"

#include <inttypes.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/str.h"
#include "libcommon/codec/crc32c.h"
#include "libcommon/store/fsutil.h"

#define FILE_MAX 4096

static void body(const struct dn_identity *identity, struct buf *out)
{
    buf_printf(out, "node=%s\nterm=%" PRIu64 "\n", identity->node_id, identity->term);
    uint32_t crc = crc32c(0, out->data, out->len);
    buf_printf(out, "check=%08" PRIx32 "\n", crc);
}

/* The value of the line that begins with `key`, up to its end; false when it does not come next. */
static bool take_line(char **text, const char *key, char **ret_value)
{
    size_t n = strlen(key);
    char *end = strchr(*text, '\n');
    if (strncmp(*text, key, n) != 0 || !end)
        return false;
    *end = '\0';
    *ret_value = *text + n;
    *text = end + 1;
    return true;
}

static int parse(char *text, struct dn_identity *ret)
{
    char *node = NULL, *term = NULL;
    if (!take_line(&text, "node=", &node) || !take_line(&text, "term=", &term) ||
        strlen(node) >= sizeof(ret->node_id))
        return ERR_CORRUPT;
    struct dn_identity identity = {0};
    memcpy(identity.node_id, node, strlen(node));
    if (str_to_u64(term, &identity.term) != 0)
        return ERR_CORRUPT;
    *ret = identity;
    return 0;
}

int dn_identity_read(struct disk *disk, const char *dir, struct dn_identity *ret, struct err *err)
{
    struct buf text = BUF_INIT, again = BUF_INIT;
    struct dn_identity identity = {0};
    char *path = fsutil_join(dir, "node");
    int rc = path ? fsutil_read_all(disk, path, FILE_MAX, &text, err) : ERR_NOMEM;
    if (rc != 0)
        goto out;
    char *copy = slice_dup(buf_slice(&text));
    rc = copy ? parse(copy, &identity) : ERR_NOMEM;
    mem_free(copy);
    if (rc == 0) { /* what it says must be, byte for byte, what we would write */
        body(&identity, &again);
        rc = slice_eq(buf_slice(&text), buf_slice(&again)) ? 0 : ERR_CORRUPT;
    }
    if (rc != 0)
        err_set(err, rc, "%s is damaged or not quern's", path);
    else
        *ret = identity;
out:
    buf_release(&text);
    buf_release(&again);
    mem_free(path);
    return rc;
}

int dn_identity_write(struct disk *disk, const char *dir, const struct dn_identity *identity,
                      struct err *err)
{
    struct buf text = BUF_INIT;
    char *path = fsutil_join(dir, "node");
    body(identity, &text);
    int rc = path && !buf_failed(&text) ? fsutil_replace(disk, path, buf_slice(&text), err)
                                        : err_set(err, ERR_NOMEM, "%s: out of memory", dir);
    mem_free(path);
    buf_release(&text);
    return rc;
}
