/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/daemon/racks.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libcommon/base/clock.h"
#include "libcommon/base/hmap.h"
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/str.h"
#include "libcommon/event/workq.h"
#include "libcommon/store/fsutil.h"

#define TABLE_MAX      (16U << 20)
#define SCRIPT_ARGS    100
#define SCRIPT_MS      10000 /* a script that takes longer is killed */
#define RACK_MAX       255
#define SCRIPT_END_MS  1000 /* so long may it take to end when it has said all */
#define SCRIPT_OUT_MAX (64U << 10)
#define SEED           7

extern char **environ;

struct place {
    struct hmap_node by_name;
    char *name, *rack;
};

/* One run of the script. Between submit and done it belongs to the thread. */
struct run {
    struct work work;
    struct racks *racks;
    char *script;
    char *nodes[SCRIPT_ARGS + 2]; /* as argv: [0] is the script */
    size_t count;
    struct buf out;
    struct err err;
};

struct racks {
    struct loop *loop;
    struct workq *workq; /* NULL without a script */
    char *table_path, *script_path;
    struct hmap table;   /* from the file */
    struct hmap learned; /* from the script */
    struct list waiting; /* struct racks_wait, to be asked with the next run */
    struct list asked;   /* ... with the running one */
    struct run *run;     /* NULL = none is running */
};

/* ---- tables ---- */

static const char *find(const struct hmap *map, struct slice name)
{
    for (struct hmap_node *n = hmap_find(map, slice_hash(name, SEED)); n; n = hmap_find_next(n)) {
        const struct place *p = CONTAINER_OF(n, struct place, by_name);
        if (slice_is(name, p->name))
            return p->rack;
    }
    return NULL;
}

static void place_free(struct place *p)
{
    mem_free(p->name);
    mem_free(p->rack);
    mem_free(p);
}

static void clear(struct hmap *map)
{
    hmap_each (map, it)
        place_free(CONTAINER_OF(it, struct place, by_name));
    hmap_release(map);
}

/* The first of two lines about one name counts. */
static int put(struct hmap *map, struct slice name, struct slice rack)
{
    if (find(map, name))
        return 0;
    struct place *p = mem_calloc(1, sizeof(*p));
    if (!p)
        return ERR_NOMEM;
    p->name = slice_dup(name);
    p->rack = slice_dup(rack);
    if (!p->name || !p->rack || hmap_add(map, &p->by_name, slice_hash(name, SEED)) < 0) {
        place_free(p);
        return ERR_NOMEM;
    }
    return 0;
}

static struct slice next_word(struct slice *line)
{
    while (line->len && (*line->data == ' ' || *line->data == '\t' || *line->data == '\r'))
        *line = slice_of(line->data + 1, line->len - 1);
    size_t n = 0;
    while (n < line->len && !strchr(" \t\r#", line->data[n]))
        n++;
    struct slice word = slice_of(line->data, n);
    *line = slice_of(line->data + n, line->len - n);
    return word;
}

static bool is_rack(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.data[i] <= ' ' || s.data[i] == 0x7f)
            return false;
    return s.len > 1 && s.len <= RACK_MAX && s.data[0] == '/';
}

/* Cut the first line off. */
static struct slice next_line(struct slice *rest)
{
    const uint8_t *end = memchr(rest->data, '\n', rest->len);
    size_t n = end ? (size_t)(end - rest->data) : rest->len;
    struct slice line = slice_of(rest->data, n);
    size_t skip = end ? n + 1 : n;
    *rest = slice_of(rest->data + skip, rest->len - skip);
    return line;
}

static int parse_table(struct slice text, const char *path, struct hmap *map, struct err *err)
{
    for (unsigned number = 1; text.len > 0; number++) {
        struct slice line = next_line(&text);
        struct slice name = next_word(&line);
        if (name.len == 0)
            continue;
        struct slice rack = next_word(&line), more = next_word(&line);
        if (!is_rack(rack) || more.len > 0)
            return err_set(err, ERR_CONFIG,
                           "%s:%u: expected \"NODE /rack\", such as \"" SLICE_FMT " /rack1\"", path,
                           number, SLICE_ARG(name));
        if (put(map, name, rack) < 0)
            return err_set(err, ERR_NOMEM, "%s: out of memory", path);
    }
    return 0;
}

static int read_table(const char *path, struct hmap *map, struct err *err)
{
    struct buf text = BUF_INIT;
    if (!path[0])
        return 0;
    int rc = fsutil_read_all(disk_real(), path, TABLE_MAX, &text, err);
    if (rc == 0)
        rc = parse_table(buf_slice(&text), path, map, err);
    else
        rc = err_wrap(err, "net.topology.table.file.name");
    buf_release(&text);
    return rc;
}

/* ---- opening and closing ---- */

int racks_open(struct loop *loop, const char *table, const char *script, struct racks **ret,
               struct err *err)
{
    struct racks *r = mem_calloc(1, sizeof(*r));
    if (!r)
        return err_set(err, ERR_NOMEM, "racks: out of memory");
    r->loop = loop;
    list_init(&r->waiting);
    list_init(&r->asked);
    r->table_path = str_dup(table ? table : "");
    r->script_path = str_dup(script ? script : "");
    int rc = r->table_path && r->script_path ? 0 : err_set(err, ERR_NOMEM, "racks: out of memory");
    if (rc == 0)
        rc = read_table(r->table_path, &r->table, err);
    if (rc == 0 && r->script_path[0]) {
        r->workq = workq_new(loop, "racks", 1, err);
        rc = r->workq ? 0 : ERR_NOMEM;
    }
    if (rc < 0) {
        racks_close(r);
        return rc;
    }
    *ret = r;
    return 0;
}

void racks_close(struct racks *r)
{
    if (!r)
        return;
    list_each_safe (&r->waiting, it)
        racks_cancel(list_entry(it, struct racks_wait, link));
    list_each_safe (&r->asked, it)
        racks_cancel(list_entry(it, struct racks_wait, link));
    workq_free(r->workq);
    clear(&r->table);
    clear(&r->learned);
    mem_free(r->table_path);
    mem_free(r->script_path);
    mem_free(r);
}

int racks_reload(struct racks *r, struct err *err)
{
    struct hmap fresh = HMAP_INIT;
    int rc = read_table(r->table_path, &fresh, err);
    if (rc < 0) {
        clear(&fresh);
        return rc;
    }
    clear(&r->table);
    clear(&r->learned);
    r->table = fresh;
    return 0;
}

/* ---- the script, on its thread ---- */

/* Read until the script closes its output, for SCRIPT_MS at most. */
static int read_output(int fd, struct buf *out)
{
    uint64_t deadline = clock_mono_ms() + SCRIPT_MS;
    for (;;) {
        uint64_t now = clock_mono_ms();
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (now >= deadline)
            return ERR_TIMEOUT;
        if (poll(&p, 1, (int)(deadline - now)) <= 0)
            continue;
        uint8_t *at = buf_reserve(out, 4096);
        ssize_t n = at ? read(fd, at, 4096) : -1;
        if (n == 0)
            return 0;
        if (n < 0 || out->len > SCRIPT_OUT_MAX)
            return at ? ERR_TOOBIG : ERR_NOMEM;
        out->len += (size_t)n;
    }
}

static int spawn_script(const struct run *run, int out_fd, pid_t *pid)
{
    posix_spawn_file_actions_t actions;
    if (posix_spawn_file_actions_init(&actions) != 0)
        return ERR_NOMEM;
    int rc = posix_spawn_file_actions_adddup2(&actions, out_fd, STDOUT_FILENO);
    if (rc == 0)
        rc = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (rc == 0)
        rc = posix_spawn(pid, run->script, &actions, NULL, run->nodes, environ);
    posix_spawn_file_actions_destroy(&actions);
    return rc == 0 ? 0 : err_from_errno(rc);
}

/* A script that has closed its output need not have ended: one that goes on doing whatever it does
 * is killed, so that nobody waits for it. */
static int wait_for_end(pid_t pid, int rc)
{
    uint64_t deadline = clock_mono_ms() + SCRIPT_END_MS;
    int status = 0;
    pid_t ended = 0;
    if (rc < 0)
        kill(pid, SIGKILL);
    while (rc == 0 && (ended = waitpid(pid, &status, WNOHANG)) == 0 && clock_mono_ms() < deadline)
        (void)poll(NULL, 0, 2);
    if (rc == 0 && ended == 0) {
        kill(pid, SIGKILL);
        rc = ERR_TIMEOUT;
    }
    while (ended == 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    return rc == 0 && (!WIFEXITED(status) || WEXITSTATUS(status) != 0) ? ERR_FAILED : rc;
}

static void run_script(struct work *work)
{
    struct run *run = CONTAINER_OF(work, struct run, work);
    int fds[2] = {-1, -1};
    pid_t pid = 0;
    if (pipe2(fds, O_CLOEXEC) < 0) {
        err_set(&run->err, ERR_LIMIT, "racks: no descriptors left");
        return;
    }
    int rc = spawn_script(run, fds[1], &pid);
    close(fds[1]);
    if (rc == 0) {
        rc = wait_for_end(pid, read_output(fds[0], &run->out));
    }
    close(fds[0]);
    if (rc < 0)
        err_set(&run->err, rc, "net.topology.script.file.name %s: %s", run->script, err_text(rc));
}

/* ---- asking it ---- */

static void run_free(struct run *run)
{
    for (size_t i = 1; i <= run->count; i++)
        mem_free(run->nodes[i]);
    mem_free(run->script);
    buf_release(&run->out);
    mem_free(run);
}

static void learn(struct racks *r, struct run *run)
{
    struct slice rest = buf_slice(&run->out);
    for (size_t i = 1; i <= run->count && rest.len > 0; i++) {
        struct slice line = next_line(&rest), rack = next_word(&line);
        /* Short of memory the node is asked about again when it next registers. */
        if (is_rack(rack))
            (void)put(&r->learned, slice_str(run->nodes[i]), rack);
        else
            log_warn("racks", "%s: no rack for %s: \"" SLICE_FMT "\"", run->script, run->nodes[i],
                     SLICE_ARG(rack));
    }
}

static void tell(struct racks_wait *wait, struct slice rack)
{
    list_remove(&wait->link);
    mem_free(wait->node);
    wait->node = NULL;
    wait->done(wait->arg, rack);
}

static void start_run(struct racks *r);

static void run_done(struct work *work)
{
    struct run *run = CONTAINER_OF(work, struct run, work);
    struct racks *r = run->racks;
    if (run->err.code)
        log_warn("racks", "%s", run->err.msg);
    else
        learn(r, run);
    run_free(run);
    r->run = NULL;
    struct racks_wait *wait = NULL;
    while ((wait = list_first(&r->asked, struct racks_wait, link)) != NULL) {
        const char *rack = find(&r->learned, slice_str(wait->node));
        tell(wait, slice_str(rack ? rack : RACKS_DEFAULT));
    }
    start_run(r);
}

static struct run *run_new(struct racks *r)
{
    struct run *run = mem_calloc(1, sizeof(*run));
    char *script = str_dup(r->script_path);
    if (!run || !script) {
        mem_free(run);
        mem_free(script);
        return NULL;
    }
    run->racks = r;
    run->script = run->nodes[0] = script;
    return run;
}

/* As many of the waiting as one call takes. Those for whom memory is out wait on. */
static void start_run(struct racks *r)
{
    if (r->run || list_is_empty(&r->waiting))
        return;
    r->run = run_new(r);
    while (r->run && r->run->count < SCRIPT_ARGS && !list_is_empty(&r->waiting)) {
        struct racks_wait *wait = list_first(&r->waiting, struct racks_wait, link);
        char *node = str_dup(wait->node);
        if (!node)
            break;
        list_remove(&wait->link);
        list_push_back(&r->asked, &wait->link);
        r->run->nodes[++r->run->count] = node;
    }
    if (r->run)
        workq_submit(r->workq, &r->run->work, run_script, run_done);
}

void racks_ask(struct racks *r, struct slice node, struct slice host, struct slice claim,
               struct racks_wait *wait)
{
    const char *rack = find(&r->table, node);
    list_init(&wait->link);
    if (!rack)
        rack = find(&r->table, host);
    if (!rack)
        rack = find(&r->learned, node);
    wait->node = !rack && r->workq ? slice_dup(node) : NULL;
    if (wait->node) {
        list_push_back(&r->waiting, &wait->link);
        start_run(r);
        return;
    }
    struct slice known = rack ? slice_str(rack) : claim;
    tell(wait, is_rack(known) ? known : slice_str(RACKS_DEFAULT));
}

void racks_cancel(struct racks_wait *wait)
{
    if (!wait->node)
        return;
    list_remove(&wait->link);
    mem_free(wait->node);
    wait->node = NULL;
}
