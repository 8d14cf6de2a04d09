/* SPDX-License-Identifier: Apache-2.0
 * model_names: what a writer of model_client does to names, and to what is kept beside the bytes.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libcommon/base/clock.h"
#include "tests/cluster/model.h"

#define TAG  "user.model"
#define USER "modeller"

void path_of(const struct writer *w, const struct file *file, char out[300])
{
    snprintf(out, 300, "%s/%s", w->dir, file->name);
}

void new_name(struct writer *w, struct file *file)
{
    *file = (struct file){.attrs = {ATTR_ANY, 0, ATTR_NONE, ATTR_ANY}};
    snprintf(file->name, sizeof(file->name), "f%06" PRIu64, w->next_name++);
}

void forget(struct writer *w, struct file *file)
{
    if (file->is_dir)
        *file = w->dirs[--w->dir_count];
    else
        *file = w->files[--w->count];
}

/* --- what became of it ------------------------------------------------------------------------ */

int is_there(struct writer *w, const char *path, uint64_t *ret_length)
{
    uint64_t give_up_ms = clock_mono_ms() + RESOLVE_MS;
    for (;;) {
        struct qn_error error;
        struct qn_stat stat;
        int rc = qn_stat(w->fs, path, &stat, &error);
        if (rc == 0) {
            if (ret_length)
                *ret_length = stat.length;
            qn_stat_release(&stat);
            return 1;
        }
        if (rc == QN_ENOENT)
            return 0;
        if (clock_mono_ms() > give_up_ms) {
            violated(w, path, "nobody says whether it is there: %s", error.message);
            return 0;
        }
        usleep(100000);
    }
}

void remove_for_good(struct writer *w, const char *path)
{
    uint64_t give_up_ms = clock_mono_ms() + RESOLVE_MS;
    struct qn_error error;
    while (qn_delete(w->fs, path, false, &error) < 0) {
        if (clock_mono_ms() > give_up_ms) {
            violated(w, path, "cannot be deleted: %s", error.message);
            return;
        }
        usleep(100000);
    }
}

/* --- names ------------------------------------------------------------------------------------ */

void rename_one(struct writer *w, struct file *file)
{
    struct qn_error error;
    struct file renamed = *file, fresh;
    char from[300], to[300];
    new_name(w, &fresh);
    memcpy(renamed.name, fresh.name, sizeof(renamed.name));
    path_of(w, file, from);
    path_of(w, &renamed, to);
    w->counts.renames++;
    if (qn_rename(w->fs, from, to, false, &error) != 0) {
        failed(w, "rename", from, &error);
        int old = is_there(w, from, NULL), new = is_there(w, to, NULL);
        if (old + new != 1)
            violated(w, from, "is there %d times after a failed rename", old + new);
        if (old)
            return;
    }
    *file = renamed;
}

void delete_one(struct writer *w, struct file *file)
{
    struct qn_error error;
    char path[300];
    path_of(w, file, path);
    w->counts.deletes++;
    int rc = qn_delete(w->fs, path, false, &error);
    if (rc == 0)
        violated(w, path, "was not there when it was deleted");
    if (rc < 0) {
        failed(w, "delete", path, &error);
        remove_for_good(w, path);
    }
    forget(w, file);
}

static bool is_known(const struct writer *w, const char *name)
{
    for (size_t i = 0; i < w->count; i++)
        if (strcmp(w->files[i].name, name) == 0)
            return true;
    for (size_t i = 0; i < w->dir_count; i++)
        if (strcmp(w->dirs[i].name, name) == 0)
            return true;
    return false;
}

void list(struct writer *w)
{
    struct qn_error error;
    const struct qn_stat *entry = NULL;
    size_t n = 0;
    w->counts.lists++;
    struct qn_dir *dir = qn_opendir(w->fs, w->dir, &error);
    if (!dir) {
        failed(w, "list", w->dir, &error);
        return;
    }
    while ((entry = qn_readdir(dir, &error))) {
        if (!is_known(w, entry->name))
            violated(w, w->dir, "%s is in it and should not be", entry->name);
        n++;
    }
    if (error.code)
        failed(w, "list", w->dir, &error);
    else if (n != w->count + w->dir_count)
        violated(w, w->dir, "has %zu entries and should have %zu", n, w->count + w->dir_count);
    qn_closedir(dir);
}

/* --- what is beside the bytes ----------------------------------------------------------------- */

static int get_tag(struct writer *w, const char *path, uint64_t *ret, struct qn_error *error)
{
    struct qn_xattrs got;
    char digits[24] = "";
    int rc = qn_get_xattrs(w->fs, path, NULL, &got, error);
    *ret = 0;
    if (rc != 0)
        return rc;
    for (size_t i = 0; i < got.count; i++) {
        size_t n = got.xattrs[i].size < sizeof(digits) ? got.xattrs[i].size : sizeof(digits) - 1;
        memcpy(digits, got.xattrs[i].value, n);
        if (strcmp(got.xattrs[i].name, TAG) == 0)
            *ret = strtoull(digits, NULL, 10);
    }
    qn_xattrs_release(&got);
    return 0;
}

static int get_list(struct writer *w, const char *path, uint64_t *ret, struct qn_error *error)
{
    struct qn_acl got;
    int rc = qn_get_acl(w->fs, path, &got, error);
    *ret = ATTR_NONE;
    if (rc != 0)
        return rc;
    for (size_t i = 0; i < got.count; i++)
        if (got.entries[i].type == QN_ACL_USER && strcmp(got.entries[i].name, USER) == 0)
            *ret = got.entries[i].perm;
    qn_acl_release(&got);
    return 0;
}

static int get_attr(struct writer *w, const char *path, enum attr attr, uint64_t *ret,
                    struct qn_error *error)
{
    struct qn_stat stat;
    if (attr == ATTR_TAG)
        return get_tag(w, path, ret, error);
    if (attr == ATTR_LIST)
        return get_list(w, path, ret, error);
    int rc = qn_stat(w->fs, path, &stat, error);
    if (rc == 0) {
        *ret = attr == ATTR_MODE ? stat.mode : stat.replication;
        qn_stat_release(&stat);
    }
    return rc;
}

static int set_attr(struct writer *w, const char *path, enum attr attr, uint64_t value,
                    struct qn_error *error)
{
    const struct qn_acl_entry entry = {.name = USER, .perm = (uint32_t)value};
    char digits[24];
    int n = snprintf(digits, sizeof(digits), "%" PRIu64, value);
    switch (attr) {
    case ATTR_MODE:
        return qn_chmod(w->fs, path, (uint32_t)value, error);
    case ATTR_TAG:
        return value ? qn_set_xattr(w->fs, path, TAG, digits, (size_t)n,
                                    QN_XATTR_CREATE | QN_XATTR_REPLACE, error)
                     : qn_remove_xattr(w->fs, path, TAG, error);
    case ATTR_LIST:
        return value == ATTR_NONE ? qn_set_acl(w->fs, path, QN_ACL_REMOVE_ALL, NULL, 0, error)
                                  : qn_set_acl(w->fs, path, QN_ACL_MODIFY, &entry, 1, error);
    case ATTR_REPLICATION:
        return qn_set_replication(w->fs, path, (uint32_t)value, error);
    case ATTRS:
        break;
    }
    return QN_EINVAL;
}

static const char *const attr_names[ATTRS] = {"mode", "attribute", "list", "replication"};

/* Of a call that failed: it did its work, or nothing. */
static void resolve(struct writer *w, struct file *file, const char *path, enum attr attr,
                    uint64_t wanted)
{
    uint64_t give_up_ms = clock_mono_ms() + RESOLVE_MS, now = ATTR_ANY, old = file->attrs[attr];
    struct qn_error error;
    while (get_attr(w, path, attr, &now, &error) != 0) {
        if (clock_mono_ms() > give_up_ms) {
            violated(w, path, "nobody says its %s: %s", attr_names[attr], error.message);
            return;
        }
        usleep(100000);
    }
    if (now != wanted && old != ATTR_ANY && now != old)
        violated(w, path, "has %s %" PRIu64 " after it was to go from %" PRIu64 " to %" PRIu64,
                 attr_names[attr], now, old, wanted);
    file->attrs[attr] = now;
}

static void change(struct writer *w, struct file *file, enum attr attr, uint64_t value)
{
    struct qn_error error;
    char path[300];
    path_of(w, file, path);
    w->counts.attributes++;
    if (set_attr(w, path, attr, value, &error) == 0) {
        file->attrs[attr] = value;
    } else {
        failed(w, attr_names[attr], path, &error);
        resolve(w, file, path, attr, value);
    }
    if (attr == ATTR_LIST)
        file->attrs[ATTR_MODE] = ATTR_ANY; /* its middle is the list's mask now */
    check_attributes(w, file);
}

/* One replica fewer, and at once as many as before: nothing is to be missing when disks fail. */
static void change_replication(struct writer *w, struct file *file)
{
    struct qn_error error;
    char path[300];
    uint64_t before = 0;
    path_of(w, file, path);
    if (get_attr(w, path, ATTR_REPLICATION, &before, &error) != 0) {
        failed(w, "stat", path, &error);
        return;
    }
    if (before < 3)
        return;
    change(w, file, ATTR_REPLICATION, before - 1);
    for (int i = 0; i < 20 && file->attrs[ATTR_REPLICATION] != before && !has_violation(); i++)
        change(w, file, ATTR_REPLICATION, before);
}

void attributes(struct writer *w, struct file *file)
{
    switch (rand_below(&w->rand, file->is_dir ? 3 : 4)) {
    case 0:
        change(w, file, ATTR_MODE, 0700 | rand_below(&w->rand, 0100));
        break;
    case 1:
        if (file->attrs[ATTR_TAG] && rand_chance(&w->rand, 3))
            change(w, file, ATTR_TAG, 0);
        else
            change(w, file, ATTR_TAG, 1 + rand_below(&w->rand, 1000000));
        break;
    case 2:
        change(w, file, ATTR_LIST, rand_below(&w->rand, ATTR_NONE + 1));
        break;
    default:
        change_replication(w, file);
    }
}

void check_attributes(struct writer *w, const struct file *file)
{
    struct qn_error error;
    char path[300];
    path_of(w, file, path);
    for (unsigned attr = 0; attr < ATTRS; attr++) {
        uint64_t now = 0;
        if (file->attrs[attr] == ATTR_ANY)
            continue;
        if (get_attr(w, path, (enum attr)attr, &now, &error) != 0)
            failed(w, attr_names[attr], path, &error);
        else if (now != file->attrs[attr])
            violated(w, path, "has %s %" PRIu64 " and should have %" PRIu64, attr_names[attr], now,
                     file->attrs[attr]);
    }
}

/* --- directories ------------------------------------------------------------------------------ */

static void make_dir(struct writer *w)
{
    struct qn_error error;
    struct file dir;
    char path[300];
    new_name(w, &dir);
    dir.is_dir = true;
    path_of(w, &dir, path);
    w->counts.mkdirs++;
    int rc = qn_mkdir(w->fs, path, 0755, false, &error);
    if (rc != 0)
        failed(w, "mkdir", path, &error);
    if (rc == 0 || is_there(w, path, NULL))
        w->dirs[w->dir_count++] = dir;
}

void directories(struct writer *w)
{
    struct file *dir = w->dir_count ? &w->dirs[rand_below(&w->rand, w->dir_count)] : NULL;
    uint64_t dice = rand_below(&w->rand, 6);
    if (!dir || (dice < 2 && w->dir_count < DIRS_MAX))
        make_dir(w);
    else if (dice < 4)
        attributes(w, dir);
    else if (dice < 5)
        rename_one(w, dir);
    else
        delete_one(w, dir);
}
