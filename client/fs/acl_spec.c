/* SPDX-License-Identifier: Apache-2.0 */
#include "client/fs/acl_spec.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "libcommon/base/mem.h"

static const char *const types[] = {"user", "group", "mask", "other"};

const char *fs_acl_type(enum qn_acl_type type)
{
    return types[type & 3];
}

const char *fs_acl_perm(uint32_t perm, char out[4])
{
    out[0] = perm & 4 ? 'r' : '-';
    out[1] = perm & 2 ? 'w' : '-';
    out[2] = perm & 1 ? 'x' : '-';
    out[3] = 0;
    return out;
}

/* ---- parsing ---- */

/* The next field, the rest behind its colon; NULL when there is none. */
static char *next_field(char **rest)
{
    char *field = *rest;
    if (!field)
        return NULL;
    char *colon = strchr(field, ':');
    *rest = colon ? colon + 1 : NULL;
    if (colon)
        *colon = 0;
    return field;
}

static int parse_perm(const char *text, uint32_t *ret)
{
    char shown[4];
    for (*ret = 0; *ret < 8; ++*ret)
        if (strcmp(text, fs_acl_perm(*ret, shown)) == 0)
            return 0;
    return ERR_INVAL;
}

/* `whole` is the entry as typed, for messages. */
static int parse_entry(char *text, const char *whole, bool has_perm, struct qn_acl_entry *ret,
                       struct err *err)
{
    char *field = *text ? next_field(&text) : NULL; /* nothing but colons */
    *ret = (struct qn_acl_entry){.name = ""};
    if (field && strcmp(field, "default") == 0) {
        ret->is_default = true;
        field = next_field(&text);
    }
    if (!field)
        return err_set(err, ERR_INVAL, "Invalid <aclSpec> : %s", whole);
    size_t type = 0;
    while (type < ARRAY_LEN(types) && strcasecmp(field, types[type]) != 0)
        type++;
    if (type == ARRAY_LEN(types))
        return err_set(err, ERR_INVAL, "Invalid type of acl in <aclSpec> :%s", whole);
    ret->type = (enum qn_acl_type)type;
    field = next_field(&text);
    ret->name = field ? field : "";
    field = has_perm ? next_field(&text) : NULL;
    if ((has_perm && !field) || text)
        return err_set(err, ERR_INVAL, "Invalid <aclSpec> : %s", whole);
    if (field && parse_perm(field, &ret->perm) != 0)
        return err_set(err, ERR_INVAL, "Invalid permission in <aclSpec> : %s", whole);
    return 0;
}

int fs_acl_parse(char *text, bool has_perm, struct qn_acl_entry ret[FS_ACL_SPEC_MAX],
                 size_t *ret_count, struct err *err)
{
    char *rest = text, *word;
    *ret_count = 0;
    while ((word = strsep(&rest, ","))) {
        if (!*word)
            continue; /* "a,,b" and "a," are taken */
        char whole[256];
        snprintf(whole, sizeof(whole), "%s", word);
        for (size_t n = strlen(word); n && word[n - 1] == ':';)
            word[--n] = 0; /* "mask::" names what "mask" does */
        if (*ret_count == FS_ACL_SPEC_MAX)
            return err_set(err, ERR_INVAL, "Too many entries in <aclSpec>");
        int rc = parse_entry(word, whole, has_perm, &ret[*ret_count], err);
        if (rc != 0)
            return rc;
        ++*ret_count;
    }
    return 0;
}

/* ---- showing ---- */

static int compare(const void *a, const void *b)
{
    const struct qn_acl_entry *x = a, *y = b;
    if (x->is_default != y->is_default)
        return x->is_default ? 1 : -1;
    return x->type != y->type ? (int)x->type - (int)y->type : strcmp(x->name, y->name);
}

struct qn_acl_entry *fs_acl_whole(const struct qn_acl *acl, size_t *ret_count)
{
    struct qn_acl_entry *all = mem_calloc(acl->count + 3, sizeof(*all));
    if (!all)
        return NULL;
    size_t n = acl->count;
    bool is_extended = n && !acl->entries[0].is_default;
    if (n)
        memcpy(all, acl->entries, n * sizeof(*all));
    all[n++] = (struct qn_acl_entry){"", QN_ACL_USER, acl->mode >> 6 & 7, false};
    all[n++] = (struct qn_acl_entry){"", is_extended ? QN_ACL_MASK : QN_ACL_GROUP,
                                     acl->mode >> 3 & 7, false};
    all[n++] = (struct qn_acl_entry){"", QN_ACL_OTHER, acl->mode & 7, false};
    qsort(all, n, sizeof(*all), compare);
    *ret_count = n;
    return all;
}
