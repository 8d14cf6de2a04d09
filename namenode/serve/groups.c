/* SPDX-License-Identifier: Apache-2.0 */
#include "namenode/serve/groups.h"

#include <grp.h>
#include <pwd.h>

#include "libcommon/base/mem.h"

#define GROUPS_MAX 256

struct person {
    struct hmap_node by_name;
    char *name;
    struct slice *groups; /* owned bytes */
    size_t count, cap;
    uint64_t until_ms; /* UINT64_MAX: from the configuration */
};

static void forget_groups(struct person *person)
{
    for (size_t i = 0; i < person->count; i++)
        mem_free((void *)(uintptr_t)person->groups[i].data);
    person->count = 0;
}

static void free_person(struct person *person)
{
    forget_groups(person);
    mem_free(person->groups);
    mem_free(person->name);
    mem_free(person);
}

static int add_group(struct person *person, struct slice name)
{
    int rc = mem_grow(&person->groups, &person->cap, person->count, sizeof(*person->groups));
    char *copy = rc == 0 ? slice_dup(name) : NULL;
    if (!copy)
        return ERR_NOMEM;
    person->groups[person->count++] = slice_of(copy, name.len);
    return 0;
}

static struct person *find(const struct nn_groups *groups, struct slice name)
{
    for (struct hmap_node *n = hmap_find(&groups->users, slice_hash(name, 0)); n;
         n = hmap_find_next(n)) {
        struct person *person = CONTAINER_OF(n, struct person, by_name);
        if (slice_is(name, person->name))
            return person;
    }
    return NULL;
}

static struct person *make(struct nn_groups *groups, struct slice name)
{
    struct person *person = mem_calloc(1, sizeof(*person));
    if (!person)
        return NULL;
    person->name = slice_dup(name);
    if (person->name && hmap_add(&groups->users, &person->by_name, slice_hash(name, 0)) == 0)
        return person;
    free_person(person);
    return NULL;
}

/* ---- the configuration's say ---- */

static struct slice cut(struct slice *rest, char at)
{
    const uint8_t *end = rest->len ? memchr(rest->data, at, rest->len) : NULL;
    size_t len = end ? (size_t)(end - rest->data) : rest->len;
    struct slice head = slice_of(rest->data, len);
    *rest = slice_of(rest->data + len + (end ? 1 : 0), rest->len - len - (end ? 1 : 0));
    return head;
}

static int read_override(struct nn_groups *groups, struct slice entry, struct err *err)
{
    struct slice rest = entry, user = cut(&rest, '=');
    if (user.len == 0 || user.len == entry.len)
        return err_set(err, ERR_CONFIG,
                       "hadoop.user.group.static.mapping.overrides: \"" SLICE_FMT
                       "\" is not USER=GROUP,GROUP",
                       SLICE_ARG(entry));
    struct person *person = find(groups, user);
    if (!person)
        person = make(groups, user);
    int rc = person ? 0 : ERR_NOMEM;
    while (rc == 0 && rest.len) {
        struct slice group = cut(&rest, ',');
        if (group.len)
            rc = add_group(person, group);
    }
    if (rc != 0)
        return err_set(err, rc, "out of memory");
    person->until_ms = UINT64_MAX;
    return 0;
}

int nn_groups_init(struct nn_groups *groups, const char *superuser, const char *supergroup,
                   const char *overrides, struct err *err)
{
    *groups = (struct nn_groups){.superuser = slice_dup(slice_str(superuser)),
                                 .supergroup = slice_dup(slice_str(supergroup))};
    int rc = groups->superuser && groups->supergroup ? 0 : err_set(err, ERR_NOMEM, "out of memory");
    struct slice rest = slice_str(overrides);
    while (rc == 0 && rest.len) {
        struct slice entry = cut(&rest, ';');
        if (entry.len)
            rc = read_override(groups, entry, err);
    }
    if (rc != 0)
        nn_groups_release(groups);
    return rc;
}

void nn_groups_release(struct nn_groups *groups)
{
    hmap_each (&groups->users, it)
        free_person(CONTAINER_OF(it, struct person, by_name));
    hmap_release(&groups->users);
    mem_free(groups->superuser);
    mem_free(groups->supergroup);
    *groups = (struct nn_groups){0};
}

/* ---- the system's say ---- */

static void ask_system(struct person *person)
{
    char text[16384];
    struct passwd pw, *found = NULL;
    gid_t ids[GROUPS_MAX];
    int count = GROUPS_MAX;
    forget_groups(person);
    if (getpwnam_r(person->name, &pw, text, sizeof(text), &found) != 0 || !found)
        return;
    if (getgrouplist(person->name, pw.pw_gid, ids, &count) < 0)
        count = GROUPS_MAX; /* more than that: the first ones */
    for (int i = 0; i < count; i++) {
        struct group gr, *group = NULL;
        if (getgrgid_r(ids[i], &gr, text, sizeof(text), &group) == 0 && group &&
            add_group(person, slice_str(group->gr_name)) != 0)
            return;
    }
}

static const struct person *lookup(struct nn_groups *groups, struct slice user, uint64_t now_ms)
{
    struct person *person = find(groups, user);
    if (person && now_ms < person->until_ms)
        return person;
    if (!person)
        person = make(groups, user);
    if (!person)
        return NULL;
    ask_system(person);
    person->until_ms = now_ms + NN_GROUPS_KEEP_MS;
    return person;
}

void nn_groups_forget(struct nn_groups *groups)
{
    hmap_each (&groups->users, it) {
        struct person *person = CONTAINER_OF(it, struct person, by_name);
        if (person->until_ms != UINT64_MAX)
            person->until_ms = 0;
    }
}

static bool is_super(const struct nn_groups *groups, const struct nn_caller *caller)
{
    return slice_is(caller->user, groups->superuser) ||
           nn_caller_in_group(caller, slice_str(groups->supergroup));
}

static void fill(struct nn_groups *groups, struct slice user, uint64_t now_ms,
                 struct nn_caller *ret)
{
    const struct person *person = lookup(groups, user, now_ms);
    *ret = (struct nn_caller){.user = user};
    if (person) {
        ret->groups = person->groups;
        ret->group_count = person->count;
    }
}

void nn_groups_caller(struct nn_groups *groups, struct slice user, uint64_t now_ms,
                      struct nn_caller *ret)
{
    fill(groups, user, now_ms, ret);
    ret->is_super = groups->is_open || is_super(groups, ret);
}

bool nn_groups_is_super(struct nn_groups *groups, struct slice user, uint64_t now_ms)
{
    struct nn_caller caller;
    fill(groups, user, now_ms, &caller);
    return is_super(groups, &caller);
}
