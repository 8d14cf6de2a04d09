/* SPDX-License-Identifier: Apache-2.0
 * chmod, chown, chgrp. */
#include <ctype.h>

#include "client/fs/commands.h"
#include "client/fs/later.h"
#include "client/lib/mode.h"

static int chmod_begin(struct fs_run *run)
{
    const char *text = fs_shift_operand(run);
    run->recursive = fs_has(run, "R");
    if (cl_mode_parse(text, run->state) != 0)
        return fs_bad_usage(run, "chmod : mode '%s' does not match the expected pattern.", text);
    return 0;
}

static uint32_t wanted_mode(const struct fs_run *run, const struct fs_item *item)
{
    return cl_mode_apply(run->state, item->stat.mode, item->stat.is_dir);
}

static void chmod_ask(struct fs_run *run, struct fs_item *item, struct fs_answer *ret)
{
    ret->rc = item->volume->ops->chmod(item->volume, item->path, wanted_mode(run, item), &ret->err);
}

static int chmod_tell(struct fs_run *run, struct fs_item *item, const struct fs_answer *answer)
{
    return answer->rc == 0
               ? 0
               : fs_fail(run, "changing permissions of '%s': %s", item->text, answer->err.message);
}

static int chmod_path(struct fs_run *run, struct fs_item *item)
{
    static const struct fs_request request = {chmod_ask, chmod_tell};
    return wanted_mode(run, item) == item->stat.mode ? 0 : fs_later(run, item, &request);
}

static const struct fs_option options[] = {
    {"R", NULL, "modifies the files recursively. This is the only option currently supported."},
    {NULL, NULL, NULL},
};

const struct fs_command fs_chmod = {
    .name = "chmod",
    .usage = "[-R] <MODE[,MODE]... | OCTALMODE> PATH...",
    .help = "Changes permissions of a file. This works similar to the shell's chmod command with "
            "a few exceptions.\n" FS_HELP_OPTIONS "\n"
            "<MODE>: Mode is the same as mode used for the shell's command. The only letters "
            "recognized are 'rwxXt', e.g. +t,a+r,g-w,+rwx,o=r.\n"
            "<OCTALMODE>: Mode specifed in 3 or 4 digits. If 4 digits, the first may be 1 or 0 to "
            "turn the sticky bit on or off, respectively.  Unlike the shell command, it is not "
            "possible to specify only part of the mode, e.g. 754 is same as u=rwx,g=rx,o=r.\n\n"
            "If none of 'augo' is specified, 'a' is assumed and unlike the shell command, no umask "
            "is applied.\n",
    .syntax = {options, 2, FS_NO_LIMIT, true},
    .state_size = sizeof(struct cl_mode),
    .begin = chmod_begin,
    .path = chmod_path,
};

/* --- owner and group -------------------------------------------------------------------------- */

struct owner {
    const char *user, *group; /* NULL = leave */
};

static bool is_name_char(char c)
{
    return isalnum((unsigned char)c) || (c && strchr("-+_./@", c));
}

/* Cut the blanks around it; what is left, in place. */
static char *trim(char *s)
{
    while (isspace((unsigned char)*s))
        s++;
    size_t n = strlen(s);
    while (n && isspace((unsigned char)s[n - 1]))
        s[--n] = '\0';
    return s;
}

static bool is_name(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!is_name_char(s[i]))
            return false;
    return true;
}

static int chown_begin(struct fs_run *run)
{
    struct owner *owner = run->state;
    char *typed = fs_shift_operand(run);
    run->recursive = fs_has(run, "R");
    char *s = trim(typed);
    char *colon = strchr(s, ':');
    size_t n = colon ? (size_t)(colon - s) : strlen(s);
    if (!is_name(s, n) || (colon && !is_name(colon + 1, strlen(colon + 1))))
        return fs_bad_usage(run, "'%s' does not match expected pattern for [owner][:group].",
                            typed);
    if (colon && colon[1])
        owner->group = colon + 1;
    if (n)
        owner->user = s;
    if (!owner->user && !owner->group)
        return fs_bad_usage(run, "'%s' does not specify owner or group.", typed);
    if (colon)
        *colon = '\0';
    return 0;
}

static int chgrp_begin(struct fs_run *run)
{
    struct owner *owner = run->state;
    char *typed = fs_shift_operand(run);
    run->recursive = fs_has(run, "R");
    owner->group = trim(typed);
    if (!*owner->group || !is_name(owner->group, strlen(owner->group)))
        return fs_bad_usage(run, "'%s' does not match expected pattern for group", typed);
    return 0;
}

/* What is to change; NULL = it is so already, or was not asked for. */
static struct owner new_owner(const struct fs_run *run, const struct fs_item *item)
{
    struct owner owner = *(const struct owner *)run->state;
    if (owner.user && strcmp(owner.user, item->stat.owner) == 0)
        owner.user = NULL;
    if (owner.group && strcmp(owner.group, item->stat.group) == 0)
        owner.group = NULL;
    return owner;
}

static void chown_ask(struct fs_run *run, struct fs_item *item, struct fs_answer *ret)
{
    struct owner owner = new_owner(run, item);
    ret->rc =
        item->volume->ops->chown(item->volume, item->path, owner.user, owner.group, &ret->err);
}

static int chown_tell(struct fs_run *run, struct fs_item *item, const struct fs_answer *answer)
{
    return answer->rc == 0
               ? 0
               : fs_fail(run, "changing ownership of '%s': %s", item->text, answer->err.message);
}

static int chown_path(struct fs_run *run, struct fs_item *item)
{
    static const struct fs_request request = {chown_ask, chown_tell};
    struct owner owner = new_owner(run, item);
    return owner.user || owner.group ? fs_later(run, item, &request) : 0;
}

const struct fs_command fs_chown = {
    .name = "chown",
    .usage = "[-R] [OWNER][:[GROUP]] PATH...",
    .help = "Changes owner and group of a file. This is similar to the shell's chown command with "
            "a few exceptions.\n" FS_HELP_OPTIONS "\n\n"
            "If only the owner or group is specified, then only the owner or group is modified. "
            "The owner and group names may only consist of digits, alphabet, and any of "
            "[-+_./@a-zA-Z0-9]. The names are case sensitive.\n\n"
            "WARNING: Avoid using '.' to separate user name and group though Linux allows it. If "
            "user names have dots in them and you are using local file system, you might see "
            "surprising results since the shell command 'chown' is used for local files.\n",
    .syntax = {options, 2, FS_NO_LIMIT, false},
    .state_size = sizeof(struct owner),
    .begin = chown_begin,
    .path = chown_path,
};

static const struct fs_option chgrp_options[] = {{"R", NULL, NULL}, {NULL, NULL, NULL}};

const struct fs_command fs_chgrp = {
    .name = "chgrp",
    .usage = "[-R] GROUP PATH...",
    .help = "This is equivalent to -chown ... :GROUP ...",
    .syntax = {chgrp_options, 2, FS_NO_LIMIT, false},
    .state_size = sizeof(struct owner),
    .begin = chgrp_begin,
    .path = chown_path,
};
