/* SPDX-License-Identifier: Apache-2.0
 * quotas: -setQuota, -clrQuota, -setSpaceQuota, -clrSpaceQuota. Directories may be globs; a pattern
 * that matches nothing is no mistake, and what fails does not keep the others from being tried. */
#include <inttypes.h>
#include <strings.h>

#include "client/admin/commands.h"
#include "client/admin/sizes.h"
#include "client/fs/glob.h"

#define TYPE_OPTION "-storageType"
#define SIZE_NONE   "String index out of range: -1" /* Java's parser, of an empty word */

static const char *const types[] = {"SSD", "DISK", "ARCHIVE", "PROVIDED", "NVDIMM"};

struct wish {
    const char *name; /* of the command */
    bool is_space;
    int64_t value; /* QN_QUOTA_NONE = clear */
    const char *type;
    char **words; /* the directories */
    int count;
};

/* ---- words ---- */

static int bad(const struct wish *wish, const char *line)
{
    return session_fail(wish->name, ADMIN_USAGE, line);
}

/* A type by its name in any case, in *wish; 0 or ADMIN_USAGE. */
static int take_type(struct wish *wish, const char *word)
{
    char line[256];
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (strcasecmp(word, types[i]) == 0) {
            wish->type = types[i];
            return 0;
        }
    if (strcasecmp(word, "RAM_DISK") == 0)
        snprintf(line, sizeof(line), "Don't support Quota for storage type : RAM_DISK");
    else
        snprintf(line, sizeof(line),
                 "Storage type %s is not available. Available storage types are "
                 "[SSD, DISK, ARCHIVE, PROVIDED, NVDIMM]",
                 word);
    return bad(wish, line);
}

static int need(const struct wish *wish, int expected, int got)
{
    char line[80];
    if (got >= expected)
        return 0;
    snprintf(line, sizeof(line), "Not enough arguments: expected %d but got %d", expected, got);
    return bad(wish, line);
}

/* Options stand in front; the only one that is known there is the type, of -clrSpaceQuota. */
static int take_options(struct wish *wish, bool takes_type)
{
    while (wish->count > 0 && wish->words[0][0] == '-' && wish->words[0][1] != '\0' &&
           strcmp(wish->words[0], "--") != 0) {
        const char *option = *wish->words++;
        char line[160];
        wish->count--;
        if (!takes_type || strcmp(option, TYPE_OPTION) != 0) {
            snprintf(line, sizeof(line), "Illegal option %s", option);
            return bad(wish, line);
        }
        if (wish->count > 0) {
            wish->count--;
            int rc = take_type(wish, *wish->words++);
            if (rc != 0)
                return rc;
        }
    }
    return 0;
}

/* A "--" is dropped wherever it stands. */
static void drop_dashes(struct wish *wish)
{
    for (int i = 0; i < wish->count; i++) {
        if (strcmp(wish->words[i], "--") != 0)
            continue;
        wish->count--;
        memmove(wish->words + i, wish->words + i + 1,
                (size_t)(wish->count - i) * sizeof(*wish->words));
        return;
    }
}

/* Behind the number of -setSpaceQuota the type may stand anywhere. */
static int pop_type(struct wish *wish)
{
    for (int i = 0; i < wish->count; i++) {
        if (strcmp(wish->words[i], TYPE_OPTION) != 0)
            continue;
        if (i + 1 == wish->count)
            return bad(wish, "option " TYPE_OPTION " requires 1 argument.");
        int rc = take_type(wish, wish->words[i + 1]);
        memmove(wish->words + i, wish->words + i + 2,
                (size_t)(wish->count - i - 2) * sizeof(*wish->words));
        wish->count -= 2;
        return rc;
    }
    return 0;
}

static int take_value(struct wish *wish)
{
    struct err err = {0};
    char line[300];
    const char *word = *wish->words++;
    wish->count--;
    int rc = admin_size(word, &wish->value, &err);
    if (rc == 0)
        return 0;
    if (word[strspn(word, " \t\n\v\f\r")] == '\0')
        return session_fail(wish->name, ADMIN_FAILED, SIZE_NONE);
    if (rc == ERR_INVAL && wish->is_space) {
        snprintf(line, sizeof(line), "\"%s\" is not a valid value for a quota.", word);
        return bad(wish, line);
    }
    return bad(wish, err.msg);
}

/* ---- directories ---- */

static int set_one(struct session *session, const struct wish *wish, const char *path)
{
    struct qn_error error;
    int64_t names = wish->is_space ? QN_QUOTA_KEEP : wish->value;
    int64_t space = wish->is_space ? wish->value : QN_QUOTA_KEEP;
    int rc = wish->type ? qn_set_type_quota(session->fs, path, wish->type, wish->value, &error)
                        : qn_set_quota(session->fs, path, names, space, &error);
    if (rc == 0)
        return 0;
    return session_fail(wish->name, rc == ERR_INVAL ? ADMIN_USAGE : ADMIN_FAILED, error.message);
}

static int set_all(struct session *session, const struct wish *wish, struct fs_volume *volume,
                   const char *word)
{
    struct qn_error error;
    struct fs_items items = {0};
    int code = 0;
    if (fs_glob(volume, word, &items, &error) != 0)
        code = session_fail(wish->name, ADMIN_FAILED, error.message);
    for (size_t i = 0; i < items.n; i++) {
        int rc = set_one(session, wish, items.v[i].path);
        code = rc != 0 && code != ADMIN_USAGE ? rc : code;
    }
    fs_items_release(&items);
    return code;
}

static int run(struct session *session, const struct wish *wish)
{
    struct qn_error error;
    int code = 0;
    if (session_connect(session, wish->name) != 0)
        return ADMIN_FAILED;
    struct fs_volume *volume = fs_volume_quern_new(session->conf, NULL, &error);
    if (!volume)
        return session_fail(wish->name, ADMIN_FAILED, error.message);
    for (int i = 0; i < wish->count; i++) {
        int rc = set_all(session, wish, volume, wish->words[i]);
        code = rc != 0 && code != ADMIN_USAGE ? rc : code;
    }
    fs_volume_free(volume);
    return code;
}

/* ---- commands ---- */

static int set(struct session *session, bool is_space, int argc, char **argv)
{
    struct wish wish = {
        .name = argv[0], .is_space = is_space, .words = argv + 1, .count = argc - 1};
    int rc = take_options(&wish, false);
    drop_dashes(&wish);
    if (rc == 0)
        rc = need(&wish, 2, wish.count);
    if (rc == 0)
        rc = take_value(&wish);
    if (rc == 0 && is_space)
        rc = pop_type(&wish);
    return rc == 0 ? run(session, &wish) : rc;
}

static int clear(struct session *session, bool is_space, int argc, char **argv)
{
    struct wish wish = {.name = argv[0],
                        .is_space = is_space,
                        .value = QN_QUOTA_NONE,
                        .words = argv + 1,
                        .count = argc - 1};
    int rc = take_options(&wish, is_space);
    drop_dashes(&wish);
    if (rc == 0)
        rc = need(&wish, 1, wish.count);
    return rc == 0 ? run(session, &wish) : rc;
}

int admin_set_quota(struct session *session, int argc, char **argv)
{
    return set(session, false, argc, argv);
}

int admin_clr_quota(struct session *session, int argc, char **argv)
{
    return clear(session, false, argc, argv);
}

int admin_set_space_quota(struct session *session, int argc, char **argv)
{
    return set(session, true, argc, argv);
}

int admin_clr_space_quota(struct session *session, int argc, char **argv)
{
    return clear(session, true, argc, argv);
}
