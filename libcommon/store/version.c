/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/store/version.h"

#include "libcommon/base/mem.h"
#include "libcommon/base/rand.h"
#include "libcommon/base/str.h"
#include "libcommon/codec/crc32c.h"
#include "libcommon/store/fsutil.h"

#define FILE_NAME "VERSION"
#define FILE_MAX  65536
#define CHECK_KEY "check="

void version_new_id(char out[VERSION_ID_MAX])
{
    uint64_t id;
    rand_secret(&id, sizeof(id));
    snprintf(out, VERSION_ID_MAX, "%016llx", (unsigned long long)id);
}

static int damaged(struct err *err, const char *path, const char *why)
{
    return err_set(err, ERR_CORRUPT, "%s is damaged or not quern's: %s", path, why);
}

/* Finds the check line, which is last, and verifies all before it. Cuts it off `text`. */
static int verify(char *text, size_t len, const char *path, struct err *err)
{
    if (strlen(text) != len)
        return damaged(err, path, "it holds zero bytes");
    char *check = NULL;
    for (char *p = text; (p = strstr(p, CHECK_KEY)) != NULL; p++)
        if (p == text || p[-1] == '\n')
            check = p;
    if (!check)
        return damaged(err, path, "it has no check line");
    char want[sizeof(CHECK_KEY) + 10];
    snprintf(want, sizeof(want), CHECK_KEY "%08x\n", crc32c(0, text, (size_t)(check - text)));
    if (strcmp(check, want) != 0)
        return damaged(err, path, "its check line does not fit its contents");
    *check = 0;
    return 0;
}

bool version_id_is_ok(const char *id)
{
    size_t n = strlen(id);
    return n && n < VERSION_ID_MAX &&
           strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == n;
}

static int take_line(char *line, struct version *version)
{
    char *eq = strchr(line, '=');
    if (!eq)
        return ERR_CORRUPT;
    *eq = 0;
    const char *key = line, *value = eq + 1;
    uint64_t number = 0;
    if (strcmp(key, "type") == 0) {
        if (!version_id_is_ok(value) || strlen(value) >= sizeof(version->type))
            return ERR_CORRUPT;
        snprintf(version->type, sizeof(version->type), "%s", value);
    } else if (strcmp(key, "layout") == 0) {
        if (str_to_u64(value, &number) != 0 || number == 0 || number > UINT32_MAX)
            return ERR_CORRUPT;
        version->layout = (uint32_t)number;
    } else if (strcmp(key, "cluster") == 0 || strcmp(key, "storage") == 0) {
        if (!version_id_is_ok(value))
            return ERR_CORRUPT;
        snprintf(key[0] == 'c' ? version->cluster_id : version->storage_id, VERSION_ID_MAX, "%s",
                 value);
    } else if (strcmp(key, "log") == 0) {
        return str_to_u64(value, &version->log_id);
    } else if (strcmp(key, "created") == 0) {
        return str_to_u64(value, &version->created_ms);
    }
    return 0;
}

static int parse(char *text, const char *path, struct version *version, struct err *err)
{
    char *save = NULL;
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
        if (line[0] != '#' && take_line(line, version) != 0)
            return damaged(err, path, "a line of it makes no sense");
    if (!version->type[0] || !version->layout || !version->cluster_id[0])
        return damaged(err, path, "type, layout or cluster is missing");
    return 0;
}

static int read_checked(struct disk *disk, const char *path, struct version *ret, struct err *err)
{
    struct buf text = BUF_INIT;
    struct version version = {0};
    int rc = fsutil_read_all(disk, path, FILE_MAX, &text, err);
    if (rc == 0 && !buf_cstr(&text))
        rc = err_set(err, ERR_NOMEM, "%s: out of memory", path);
    if (rc == 0)
        rc = verify((char *)text.data, text.len, path, err);
    if (rc == 0)
        rc = parse((char *)text.data, path, &version, err);
    if (rc == 0)
        *ret = version;
    buf_release(&text);
    return rc;
}

int version_read(struct disk *disk, const char *dir, const char *type, uint32_t layout_max,
                 struct version *ret, struct err *err)
{
    struct version version = {0};
    char *path = fsutil_join(dir, FILE_NAME);
    if (!path)
        return err_set(err, ERR_NOMEM, "%s: out of memory", dir);
    int rc = read_checked(disk, path, &version, err);
    mem_free(path);
    if (rc != 0)
        return rc;
    if (strcmp(version.type, type) != 0)
        return err_set(err, ERR_VERSION, "%s holds the data of a %s, not of a %s: wrong directory",
                       dir, version.type, type);
    if (version.layout > layout_max)
        return err_set(err, ERR_VERSION,
                       "%s was written by a newer quern (layout %u, this one reads up to %u): "
                       "run that one",
                       dir, version.layout, layout_max);
    *ret = version;
    return 0;
}

int version_write(struct disk *disk, const char *dir, const struct version *version,
                  struct err *err)
{
    struct buf text = BUF_INIT;
    buf_append_str(&text, "# quern storage directory; written by quern, not by people\n");
    buf_printf(&text, "type=%s\nlayout=%u\ncluster=%s\n", version->type, version->layout,
               version->cluster_id);
    if (version->storage_id[0])
        buf_printf(&text, "storage=%s\n", version->storage_id);
    if (version->log_id)
        buf_printf(&text, "log=%llu\n", (unsigned long long)version->log_id);
    buf_printf(&text, "created=%llu\n", (unsigned long long)version->created_ms);
    buf_printf(&text, CHECK_KEY "%08x\n", crc32c(0, text.data, text.len));
    char *path = fsutil_join(dir, FILE_NAME);
    int rc = buf_failed(&text) || !path ? err_set(err, ERR_NOMEM, "%s: out of memory", dir)
                                        : fsutil_replace(disk, path, buf_slice(&text), err);
    mem_free(path);
    buf_release(&text);
    return rc;
}

int version_check_cluster(const struct version *version, const char *dir, const char *other,
                          const char *cluster_id, struct err *err)
{
    if (strcmp(version->cluster_id, cluster_id) == 0)
        return 0;
    return err_set(err, ERR_FOREIGN,
                   "%s belongs to cluster %s, %s is cluster %s: wrong disk, or wrong %.*s", dir,
                   version->cluster_id, other, cluster_id, (int)strcspn(other, " "), other);
}
