/* SPDX-License-Identifier: Apache-2.0 */
#include "namenode/blocks/hosts.h"

#include "libcommon/base/mem.h"
#include "libcommon/base/str.h"

#define SEED 11

struct entry {
    struct hmap_node by_name;
    char *name;
    bool rests;
    uint64_t until_ms;
};

static const struct entry *find(const struct hmap *map, struct slice name)
{
    for (struct hmap_node *n = hmap_find(map, slice_hash(name, SEED)); n; n = hmap_find_next(n)) {
        const struct entry *e = CONTAINER_OF(n, struct entry, by_name);
        if (slice_is(name, e->name))
            return e;
    }
    return NULL;
}

static void clear(struct hmap *map)
{
    hmap_each (map, it) {
        struct entry *e = CONTAINER_OF(it, struct entry, by_name);
        mem_free(e->name);
        mem_free(e);
    }
    hmap_release(map);
}

void nn_hosts_release(struct nn_hosts *hosts)
{
    clear(&hosts->includes);
    clear(&hosts->excludes);
    *hosts = NN_HOSTS_INIT;
}

/* The first of two lines about one node counts. */
static int put(struct hmap *map, struct slice name, bool rests, uint64_t until_ms)
{
    if (find(map, name))
        return 0;
    struct entry *e = mem_calloc(1, sizeof(*e));
    if (!e)
        return ERR_NOMEM;
    *e = (struct entry){.name = slice_dup(name), .rests = rests, .until_ms = until_ms};
    if (!e->name || hmap_add(map, &e->by_name, slice_hash(name, SEED)) < 0) {
        mem_free(e->name);
        mem_free(e);
        return ERR_NOMEM;
    }
    return 0;
}

/* ---- lines ---- */

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static struct slice next_word(struct slice *line)
{
    size_t from = 0;
    while (from < line->len && is_space(line->data[from]))
        from++;
    size_t to = from;
    while (to < line->len && !is_space(line->data[to]) && line->data[to] != '#')
        to++;
    struct slice word = slice_of(line->data + from, to - from);
    size_t skip = to < line->len && line->data[to] == '#' ? line->len : to;
    *line = slice_of(line->data + skip, line->len - skip);
    return word;
}

static struct slice next_line(struct slice *rest)
{
    const uint8_t *end = memchr(rest->data, '\n', rest->len);
    size_t n = end ? (size_t)(end - rest->data) : rest->len;
    struct slice line = slice_of(rest->data, n);
    *rest = slice_of(rest->data + n + (end != NULL), rest->len - n - (end != NULL));
    return line;
}

static bool read_until(struct slice word, uint64_t *ret)
{
    char text[32];
    *ret = 0;
    if (word.len == 0)
        return true;
    if (word.len >= sizeof(text))
        return false;
    memcpy(text, word.data, word.len);
    text[word.len] = 0;
    return str_to_u64(text, ret) == 0;
}

int nn_hosts_include(struct nn_hosts *hosts, struct slice text, const char *path, struct err *err)
{
    for (unsigned number = 1; text.len > 0; number++) {
        struct slice line = next_line(&text), name = next_word(&line);
        if (name.len == 0)
            continue;
        if (next_word(&line).len > 0)
            return err_set(err, ERR_CONFIG, "%s:%u: expected one datanode a line", path, number);
        if (put(&hosts->includes, name, false, 0) < 0)
            return err_set(err, ERR_NOMEM, "%s: out of memory", path);
    }
    return 0;
}

int nn_hosts_exclude(struct nn_hosts *hosts, struct slice text, const char *path, struct err *err)
{
    for (unsigned number = 1; text.len > 0; number++) {
        struct slice line = next_line(&text), name = next_word(&line), wish = next_word(&line);
        struct slice until = next_word(&line), more = next_word(&line);
        uint64_t until_ms = 0;
        if (name.len == 0)
            continue;
        if ((wish.len > 0 && !slice_is(wish, "maintenance")) || more.len > 0 ||
            !read_until(until, &until_ms))
            return err_set(err, ERR_CONFIG,
                           "%s:%u: expected \"NODE\" or \"NODE maintenance [UNTIL-MS]\"", path,
                           number);
        if (put(&hosts->excludes, name, wish.len > 0, until_ms) < 0)
            return err_set(err, ERR_NOMEM, "%s: out of memory", path);
    }
    return 0;
}

/* ---- one node ---- */

static const struct entry *find_node(const struct hmap *map, const struct nn_address *address)
{
    char with_port[300];
    const struct entry *e = find(map, address->name);
    if (!e)
        e = find(map, address->host);
    int n = snprintf(with_port, sizeof(with_port), SLICE_FMT ":%u", SLICE_ARG(address->host),
                     address->data_port);
    if (!e && n > 0 && (size_t)n < sizeof(with_port))
        e = find(map, slice_str(with_port));
    return e;
}

enum nn_wanted nn_hosts_wanted(const struct nn_hosts *hosts, const struct nn_address *address,
                               uint64_t *ret_until_ms)
{
    *ret_until_ms = 0;
    if (hosts->includes.count > 0 && !find_node(&hosts->includes, address))
        return NN_WANTED_REFUSED;
    const struct entry *e = find_node(&hosts->excludes, address);
    if (!e)
        return NN_WANTED_IN_SERVICE;
    *ret_until_ms = e->until_ms;
    return e->rests ? NN_WANTED_RESTING : NN_WANTED_GONE;
}
