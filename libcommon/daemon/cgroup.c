/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/daemon/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libcommon/base/err.h"
#include "libcommon/base/mem.h"

#define FILE_MAX  ((size_t)64 << 10)
#define PATH_ROOM (CGROUP_DIR_MAX + 64)

/* A whole small file, ended with a zero; NULL when it cannot be read. Give it to mem_free. */
static char *read_text(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    char *text = fd >= 0 ? mem_alloc(FILE_MAX) : NULL;
    size_t len = 0;
    ssize_t n = 1;
    while (text && n > 0 && len + 1 < FILE_MAX) {
        n = read(fd, text + len, FILE_MAX - 1 - len);
        len += n > 0 ? (size_t)n : 0;
    }
    if (fd >= 0)
        close(fd);
    if (!text)
        return NULL;
    text[len] = 0;
    return text;
}

bool cgroup_number(const char *text, const char *word, uint64_t *ret)
{
    const char *p = text;
    size_t n = word ? strlen(word) : 0;
    while (p && word && !(strncmp(p, word, n) == 0 && p[n] == ' ')) {
        p = strchr(p, '\n');
        p = p ? p + 1 : NULL;
    }
    p = p ? p + n : NULL;
    char *end = NULL;
    unsigned long long value = p ? strtoull(p, &end, 10) : 0;
    bool is_number = p && end != p;
    if (is_number)
        *ret = value;
    return is_number;
}

bool cgroup_read(const char *dir, const char *file, const char *word, uint64_t *ret)
{
    char path[PATH_ROOM];
    snprintf(path, sizeof(path), "%s/%s", dir, file);
    char *text = read_text(path);
    bool is_number = text && cgroup_number(text, word, ret);
    mem_free(text);
    return is_number;
}

int cgroup_write(const char *dir, const char *file, const char *text)
{
    char path[PATH_ROOM];
    snprintf(path, sizeof(path), "%s/%s", dir, file);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return err_from_errno(errno);
    ssize_t n = write(fd, text, strlen(text));
    int rc = n < 0 ? err_from_errno(errno) : 0;
    close(fd);
    return rc;
}

/* Is `word` one of the words of a list with commas? */
static bool lists(const char *list, const char *word)
{
    size_t n = strlen(word);
    for (const char *p = list; p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL)
        if (strncmp(p, word, n) == 0 && (p[n] == ',' || p[n] == 0))
            return true;
    return false;
}

struct mount {
    char root[CGROUP_DIR_MAX], at[CGROUP_DIR_MAX], type[32], options[256];
};

static bool parse_mount(const char *line, struct mount *m)
{
    const char *dash = strstr(line, " - ");
    const char *end = strchr(line, '\n');
    *m = (struct mount){0};
    return dash && (!end || dash < end) &&
           sscanf(line, "%*s %*s %*s %1023s %1023s", m->root, m->at) == 2 &&
           sscanf(dash, " - %31s %*s %255s", m->type, m->options) == 2;
}

/* Where this process is in the hierarchy of `controller` ("" = the second version's). */
static bool own_path(const char *groups, const char *controller, char out[CGROUP_DIR_MAX])
{
    for (const char *p = groups; p && *p;) {
        char names[256] = "";
        const char *first = strchr(p, ':'), *second = first ? strchr(first + 1, ':') : NULL;
        if (!second || (size_t)(second - first) > sizeof(names))
            return false;
        memcpy(names, first + 1, (size_t)(second - first - 1));
        size_t len = strcspn(second + 1, "\n");
        if ((*controller ? lists(names, controller) : !*names) && len < CGROUP_DIR_MAX) {
            memcpy(out, second + 1, len);
            out[len] = 0;
            return true;
        }
        p = second[1 + len] ? second + 1 + len + 1 : NULL;
    }
    return false;
}

static bool place(const struct mount *m, const char *path, enum cgroup_kind kind,
                  struct cgroup *ret)
{
    size_t skip = strcmp(m->root, "/") == 0 ? 0 : strlen(m->root);
    if (strncmp(path, m->root, skip) != 0 || (path[skip] && path[skip] != '/'))
        return false; /* mounted from a group that is not above ours */
    const char *rest = strcmp(path + skip, "/") == 0 ? "" : path + skip;
    int n = snprintf(ret->dir, sizeof(ret->dir), "%s%s", m->at, rest);
    ret->top_len = strlen(m->at);
    ret->kind = n < (int)sizeof(ret->dir) ? kind : CGROUP_NONE;
    return ret->kind != CGROUP_NONE;
}

void cgroup_parse(const char *mounts, const char *groups, const char *controller,
                  struct cgroup *ret)
{
    char path[CGROUP_DIR_MAX];
    struct cgroup second = {0};
    *ret = (struct cgroup){0};
    for (const char *p = mounts; p && *p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : NULL) {
        struct mount m;
        if (!parse_mount(p, &m))
            continue;
        if (strcmp(m.type, "cgroup") == 0 && lists(m.options, controller) &&
            own_path(groups, controller, path) && place(&m, path, CGROUP_V1, ret))
            return;
        if (strcmp(m.type, "cgroup2") == 0 && own_path(groups, "", path))
            place(&m, path, CGROUP_V2, &second);
    }
    *ret = second;
}

void cgroup_find(const char *controller, struct cgroup *ret)
{
    char *mounts = read_text("/proc/self/mountinfo"), *groups = read_text("/proc/self/cgroup");
    *ret = (struct cgroup){0};
    if (mounts && groups)
        cgroup_parse(mounts, groups, controller, ret);
    mem_free(mounts);
    mem_free(groups);
    if (ret->kind == CGROUP_NONE)
        return;
    char path[PATH_ROOM];
    bool is_first = ret->kind == CGROUP_V1;
    snprintf(path, sizeof(path), "%s/%s", ret->dir,
             is_first ? "cgroup.procs" : "cgroup.controllers");
    char *said = read_text(path);
    if (!said || (!is_first && !strstr(said, controller)))
        ret->kind = CGROUP_NONE;
    mem_free(said);
}

uint64_t cgroup_memory_limit(const struct cgroup *group)
{
    uint64_t least = UINT64_MAX, limit;
    char dir[CGROUP_DIR_MAX];
    if (group->kind == CGROUP_NONE)
        return least;
    snprintf(dir, sizeof(dir), "%s", group->dir);
    const char *file = group->kind == CGROUP_V1 ? "memory.limit_in_bytes" : "memory.max";
    for (;;) {
        if (cgroup_read(dir, file, NULL, &limit) && limit < least)
            least = limit;
        char *slash = strrchr(dir, '/');
        if (!slash || slash < dir + group->top_len)
            return least;
        *slash = 0;
    }
}
