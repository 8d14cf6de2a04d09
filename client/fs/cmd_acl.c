/* SPDX-License-Identifier: Apache-2.0
 * setfacl, getfacl: access control lists. */
#include "client/fs/acl_spec.h"
#include "client/fs/commands.h"
#include "client/fs/later.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/str.h"

static bool is_quern(struct fs_run *run, const struct fs_item *item)
{
    if (item->volume->qn)
        return true;
    fs_fail_path(run, item->text, err_text(ERR_UNSUPPORTED));
    return false;
}

/* --- getfacl ---------------------------------------------------------------------------------- */

static int getfacl_begin(struct fs_run *run)
{
    run->recursive = fs_has(run, "R");
    if (run->parsed.count == 0)
        return fs_bad_usage(run, "<path> is missing");
    if (run->parsed.count > 1)
        return fs_bad_usage(run, "Too many arguments");
    return 0;
}

/* One scope: with more than the three entries of every list, what the mask takes is told. */
static void print_scope(const struct qn_acl_entry *entries, size_t count)
{
    uint32_t mask = 7;
    char perm[4];
    for (size_t i = 0; i < count; i++)
        if (entries[i].type == QN_ACL_MASK)
            mask = entries[i].perm;
    for (size_t i = 0; i < count; i++) {
        const struct qn_acl_entry *e = &entries[i];
        printf("%s%s:%s:%s", e->is_default ? "default:" : "", fs_acl_type(e->type), e->name,
               fs_acl_perm(e->perm, perm));
        if ((*e->name || e->type == QN_ACL_GROUP) && (e->perm & mask) != e->perm)
            printf("\t#effective:%s", fs_acl_perm(e->perm & mask, perm));
        putchar('\n');
    }
}

static int print_acl(struct fs_run *run, const struct fs_item *item, const struct qn_acl *acl)
{
    size_t count = 0, access = 0;
    struct qn_acl_entry *all = fs_acl_whole(acl, &count);
    if (!all)
        return fs_fail(run, "%s", err_text(ERR_NOMEM));
    printf("# file: %s\n# owner: %s\n# group: %s\n", item->text, acl->owner, acl->group);
    if (acl->mode & 01000)
        printf("# flags: --%c\n", acl->mode & 1 ? 't' : 'T');
    while (access < count && !all[access].is_default)
        access++;
    print_scope(all, access);
    print_scope(all + access, count - access);
    putchar('\n');
    mem_free(all);
    return 0;
}

/* Of a local file its mode is all that is told. */
static int getfacl_path(struct fs_run *run, struct fs_item *item)
{
    struct qn_error err;
    struct qn_acl acl = {.owner = item->stat.owner,
                         .group = item->stat.group,
                         .mode = item->stat.mode,
                         .is_dir = item->stat.is_dir};
    if (!item->volume->qn)
        return print_acl(run, item, &acl);
    if (qn_get_acl(item->volume->qn, item->path, &acl, &err) != 0)
        return fs_fail_error(run, item->text, &err);
    int rc = print_acl(run, item, &acl);
    qn_acl_release(&acl);
    return rc;
}

static const struct fs_option getfacl_options[] = {
    {"R", NULL, "List the ACLs of all files and directories recursively."},
    {NULL, NULL, NULL},
};

const struct fs_command fs_getfacl = {
    .name = "getfacl",
    .usage = "[-R] <path>",
    .help = "Displays the Access Control Lists (ACLs) of files and directories. If a directory "
            "has a default ACL, then getfacl also displays the default ACL.\n" FS_HELP_OPTIONS "\n"
            "<path>: File or directory to list.\n",
    .syntax = {getfacl_options, 0, FS_NO_LIMIT, false},
    .begin = getfacl_begin,
    .path = getfacl_path,
};

/* --- setfacl ---------------------------------------------------------------------------------- */

struct setfacl {
    enum qn_acl_action action;
    struct qn_acl_entry entries[FS_ACL_SPEC_MAX];
    size_t count;
};

static int take_spec(struct fs_run *run)
{
    struct setfacl *set = run->state;
    struct err err;
    if (run->parsed.count < 2)
        return fs_bad_usage(run, run->parsed.count ? "Missing either <acl_spec> or <path>"
                                                   : "Missing arguments: <acl_spec> <path>");
    bool has_perm = set->action != QN_ACL_REMOVE;
    char *spec = fs_shift_operand(run);
    if (!*spec)
        return fs_bad_usage(run, "Missing <acl_spec> entry");
    if (fs_acl_parse(spec, has_perm, set->entries, &set->count, &err) != 0)
        return fs_bad_usage(run, "%s", err.msg);
    return set->count ? 0 : fs_bad_usage(run, "Missing <acl_spec> entry");
}

static int setfacl_begin(struct fs_run *run)
{
    static const struct {
        const char *option;
        enum qn_acl_action action;
        bool has_spec;
    } wishes[] = {{"b", QN_ACL_REMOVE_ALL, false},
                  {"k", QN_ACL_REMOVE_DEFAULT, false},
                  {"m", QN_ACL_MODIFY, true},
                  {"x", QN_ACL_REMOVE, true},
                  {"-set", QN_ACL_SET, true}};
    struct setfacl *set = run->state;
    unsigned given = 0;
    bool has_spec = false;
    run->recursive = fs_has(run, "R");
    for (size_t i = 0; i < ARRAY_LEN(wishes); i++) {
        if (!fs_has(run, wishes[i].option))
            continue;
        given++;
        set->action = wishes[i].action;
        has_spec = wishes[i].has_spec;
    }
    if (given > 1)
        return fs_bad_usage(run, "Specified flags contains both remove and modify flags");
    int rc = has_spec ? take_spec(run) : 0;
    if (rc != 0)
        return rc;
    if (run->parsed.count == 0)
        return fs_bad_usage(run, "<path> is missing");
    if (run->parsed.count > 1)
        return fs_bad_usage(run, "Too many arguments");
    return given ? 0 : fs_bad_usage(run, "Expected one of -b, -k, -m, -x or --set options");
}

/* Only directories have default lists: with -R files get the rest. */
static size_t entries_for(const struct fs_run *run, const struct fs_item *item,
                          struct qn_acl_entry *some)
{
    const struct setfacl *set = run->state;
    size_t count = 0;
    for (size_t i = 0; i < set->count; i++)
        if (!run->recursive || item->stat.is_dir || !set->entries[i].is_default)
            some[count++] = set->entries[i];
    return count;
}

static void setfacl_ask(struct fs_run *run, struct fs_item *item, struct fs_answer *ret)
{
    const struct setfacl *set = run->state;
    struct qn_acl_entry some[FS_ACL_SPEC_MAX];
    size_t count = entries_for(run, item, some);
    ret->rc = set->count && count == 0
                  ? 0
                  : qn_set_acl(item->volume->qn, item->path, set->action, some, count, &ret->err);
}

static int setfacl_tell(struct fs_run *run, struct fs_item *item, const struct fs_answer *answer)
{
    return answer->rc == 0 ? 0 : fs_fail_error(run, item->text, &answer->err);
}

static int setfacl_path(struct fs_run *run, struct fs_item *item)
{
    static const struct fs_request request = {setfacl_ask, setfacl_tell};
    return is_quern(run, item) ? fs_later(run, item, &request) : FS_STOP;
}

static const struct fs_option setfacl_options[] = {
    {"b", NULL,
     "Remove all but the base ACL entries. The entries for user, group and others are retained for "
     "compatibility with permission bits."},
    {"k", NULL, "Remove the default ACL."},
    {"R", NULL, "Apply operations to all files and directories recursively."},
    {"m", NULL, "Modify ACL. New entries are added to the ACL, and existing entries are retained."},
    {"x", NULL, "Remove specified ACL entries. Other ACL entries are retained."},
    {"-set", NULL,
     "Fully replace the ACL, discarding all existing entries. The <acl_spec> must include entries "
     "for user, group, and others for compatibility with permission bits. If the ACL spec contains "
     "only access entries, then the existing default entries are retained. If the ACL spec "
     "contains "
     "only default entries, then the existing access entries are retained. If the ACL spec "
     "contains "
     "both access and default entries, then both are replaced."},
    {NULL, NULL, NULL},
};

const struct fs_command fs_setfacl = {
    .name = "setfacl",
    .usage = "[-R] [{-b|-k} {-m|-x <acl_spec>} <path>]|[--set <acl_spec> <path>]",
    .help = "Sets Access Control Lists (ACLs) of files and directories.\n"
            "Options:\n" FS_HELP_OPTIONS "\n"
            "<acl_spec>: Comma separated list of ACL entries.\n"
            "<path>: File or directory to modify.\n",
    .syntax = {setfacl_options, 0, FS_NO_LIMIT, false},
    .state_size = sizeof(struct setfacl),
    .begin = setfacl_begin,
    .path = setfacl_path,
};
