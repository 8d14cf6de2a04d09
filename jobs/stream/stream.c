/* SPDX-License-Identifier: Apache-2.0
 * stream: any program as mapper or reducer. Lines go to its stdin, lines come from its stdout; what
 * `quern run -stream` and Hadoop's streaming scripts expect (conventions and names are Hadoop's).
 *
 *   map      lines of the input, as they are     -> lines "key TAB value"
 *   combine  the same lines, sorted, some of them -> lines "key TAB value", before they travel
 *   reduce   lines "key TAB value", in order of key -> lines of the output
 *
 * A mapper is one process for each file, as with Hadoop, though small files share a task: it may
 * ask which file it reads, or take its first line for a head.
 *
 * Built twice from these files: as `stream`, whose keys are ordered and shared out as they are; and
 * as `streamfields` (STREAM_BY_FIELDS), where fields of them decide (fields.h).
 *
 * A line without a separator is all key. No command: what comes in goes out. Each runs under `sh
 * -c` in the task's directory, where side files are, which is in PATH too. Settings are in its
 * environment (dots and dashes as underscores: mapreduce_job_id). Its stderr is the attempt's log;
 * lines "reporter:counter:GROUP,NAME,N" and "reporter:status:TEXT" are taken out of it. It fails
 * the task by an exit code that is not 0. One thread: input is written while there is room for it
 * in the pipe, output taken whenever there is some, so neither waits for the other for ever. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "jobs/stream/aggregate.h"
#include "jobs/stream/environment.h"
#include "jobs/stream/fields.h"
#include <quern/option.h>

#define PIPE_BYTES    (1 << 20)
#define READ_BYTES    65536
#define LITTLE_BYTES  8192
#define FEED_BYTES    ((size_t)256 << 10)
#define COMBINE_BYTES ((size_t)32 << 20)
#ifdef STREAM_BY_FIELDS
#define BY_FIELDS 1
#else
#define BY_FIELDS 0
#endif

/* What a mapper is given of a line: the line; its offset and a tab before it; what stands before
 * and behind its first separator, with a tab between. */
enum input_form { AS_IT_IS, BEHIND_OFFSET, BY_KEY };

/* How a line is cut into key and value: behind the n-th separator, of one byte or more. */
struct cut {
    struct qn_slice separator;
    uint64_t fields;
};

struct child;
typedef int (*line_fn)(struct qn_task *task, struct child *child, struct qn_slice line);

/* A command and its three pipes. */
struct child {
    const char *role, *command;
    line_fn on_line;
    pid_t pid; /* 0 = not started */
    int in, out, err;
    struct qn_room pending, said; /* lines begun on stdout, on stderr */
    size_t pending_len, said_len;
    size_t moved; /* bytes in and out, in the last turn */
};

/* Bytes one behind the other. */
struct pile {
    struct qn_room room;
    size_t len;
};

struct state {
    struct child main, combiner;
    struct cut map_out, reduce_out;
    struct qn_slice map_in, reduce_in; /* between key and value */
    struct pile lines;                 /* waiting for the combiner, or a line in the making */
    struct pile formed;                /* input in another form than the file's */
    struct pile sorted;                /* on its way to the combiner */
    int has_environment, has_failed;
    char *path;               /* of the file the mapper reads; NULL: of none yet */
    uint64_t begins, read_to; /* where its part of it begins; how far it has come */
    int has_fields, is_aggregate;
    enum input_form form;
    int ignores_key;
    struct qn_slice input_separator;  /* of BY_KEY */
    struct fields_list order, spread; /* of has_fields */
    char key_separator;
    struct qn_room key;
    struct aggregate aggregate;
};

/* --- settings -------------------------------------------------------------------------------- */

static struct qn_slice separator(struct qn_task *task, const char *name)
{
    const char *text = qn_option(task, name);
    return qn_text(strcmp(text, "\\t") == 0 || !*text ? "\t" : text);
}

static int take_cut(struct qn_task *task, const char *separator_name, const char *fields_name,
                    struct cut *ret)
{
    ret->separator = separator(task, separator_name);
    int rc = qn_option_u64(task, fields_name, 0, UINT64_MAX, &ret->fields);
    ret->fields += ret->fields == 0;
    return rc;
}

/* stream.map.input.ignoreKey says that a mapper gets no keys, whatever they are. */
static void setup_form(struct qn_task *task, struct state *s)
{
    const char *form = qn_option(task, "stream.map.input.form");
    s->ignores_key = strcmp(qn_option(task, "stream.map.input.ignoreKey"), "true") == 0;
    if (strcmp(form, "offset") == 0 && !s->ignores_key)
        s->form = BEHIND_OFFSET;
    if (strcmp(form, "key.value") == 0)
        s->form = BY_KEY;
    s->input_separator =
        separator(task, "mapreduce.input.keyvaluelinerecordreader.key.value.separator");
    s->input_separator.len = 1; /* as Hadoop's reader takes it */
    s->map_in = separator(task, "stream.map.input.field.separator");
}

static int setup_fields(struct qn_task *task, struct state *s)
{
    const char *order = qn_option(task, "stream.key.order");
    const char *spread = qn_option(task, "stream.key.spread");
    s->has_fields = 1;
    struct qn_slice between = separator(task, "stream.key.separator");
    if (between.len > 1)
        return qn_fail(task, "stream.key.separator \"%s\": one byte ends a field of a key",
                       qn_option(task, "stream.key.separator"));
    s->key_separator = *(const char *)between.data;
    if (fields_parse(order, &s->order) == 0 && fields_parse(spread, &s->spread) == 0)
        return 0;
    return qn_fail(task, "\"%s\", \"%s\": parts of keys are -kF[.C][nr][,F[.C][nr]]", order,
                   spread);
}

static int setup(struct qn_task *task)
{
    struct state *s = calloc(1, sizeof(*s));
    if (!s)
        return qn_fail(task, "out of memory");
    *qn_state(task) = s;
    s->main.role = task->is_reduce ? "reducer" : "mapper";
    s->main.command =
        qn_option(task, task->is_reduce ? "stream.reduce.command" : "stream.map.command");
    s->combiner.role = "combiner";
    s->combiner.command = qn_option(task, "stream.combine.command");
    if (take_cut(task, "stream.map.output.field.separator", "stream.num.map.output.key.fields",
                 &s->map_out) != 0 ||
        take_cut(task, "stream.reduce.output.field.separator",
                 "stream.num.reduce.output.key.fields", &s->reduce_out) != 0)
        return -1;
    setup_form(task, s);
    s->reduce_in = separator(task, "stream.reduce.input.field.separator");
    s->is_aggregate = task->is_reduce && strcmp(s->main.command, "aggregate") == 0;
    if (s->is_aggregate)
        s->main.command = ""; /* nothing is started */
    return BY_FIELDS && task->partitions > 0 ? setup_fields(task, s) : 0;
}

/* --- starting a command ---------------------------------------------------------------------- */

static int spawn(struct child *c, int in, int out, int err)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    sigset_t all;
    char *const words[] = {(char *)"sh", (char *)"-c", (char *)(uintptr_t)c->command, NULL};
    sigfillset(&all);
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, in, 0);
    posix_spawn_file_actions_adddup2(&files, out, 1);
    posix_spawn_file_actions_adddup2(&files, err, 2);
    posix_spawnattr_init(
        &attr); /* signals as a shell expects them, whatever this process ignores */
    posix_spawnattr_setsigdefault(&attr, &all);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGDEF);
    int rc = posix_spawn(&c->pid, "/bin/sh", &files, &attr, words, environ);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attr);
    return rc;
}

static int fill_environment(struct qn_task *task)
{
    struct state *s = *qn_state(task);
    int rc = s->has_environment ? 0 : environment_fill(task);
    s->has_environment = 1;
    return rc == 0 && !task->is_reduce ? environment_fill_input(qn_input(task)) : rc;
}

static int start(struct qn_task *task, struct child *c)
{
    int in[2] = {-1, -1}, out[2] = {-1, -1}, err[2] = {-1, -1};
    int rc = fill_environment(task) != 0 || pipe2(in, O_CLOEXEC) != 0 ||
                     pipe2(out, O_CLOEXEC) != 0 || pipe2(err, O_CLOEXEC) != 0
                 ? errno
                 : spawn(c, in[0], out[1], err[1]);
    signal(SIGPIPE, SIG_IGN); /* a command may stop reading before its input ends */
    close(in[0]);
    close(out[1]);
    close(err[1]);
    c->in = in[1];
    c->out = out[0];
    c->err = err[0];
    c->moved = LITTLE_BYTES;
    if (rc != 0) {
        c->pid = 0;
        return qn_fail(task, "cannot start the %s \"%s\": %s", c->role, c->command, strerror(rc));
    }
    (void)fcntl(c->in, F_SETPIPE_SZ, PIPE_BYTES); /* fewer switches, if the system permits it */
    (void)fcntl(c->out, F_SETPIPE_SZ, PIPE_BYTES);
    (void)fcntl(c->in, F_SETFL, O_NONBLOCK);
    (void)fcntl(c->out, F_SETFL, O_NONBLOCK);
    (void)fcntl(c->err, F_SETFL, O_NONBLOCK);
    return 0;
}

/* --- what it says ---------------------------------------------------------------------------- */

/* GROUP,NAME,N: the name may have commas of its own. */
static void take_counter(struct qn_task *task, char *text)
{
    char *name = strchr(text, ','), *number = strrchr(text, ','), *end;
    if (!name || name == number)
        return;
    *name++ = 0;
    *number++ = 0;
    long long n = strtoll(number, &end, 10);
    struct qn_counter *counter = end != number ? qn_counter(task, text, name) : NULL;
    if (counter)
        counter->value += (uint64_t)n;
}

static int on_stderr(struct qn_task *task, struct child *c, struct qn_slice line)
{
    static const char counter[] = "reporter:counter:", status[] = "reporter:status:";
    char *text = strndup((const char *)line.data, line.len);
    (void)c;
    if (!text)
        return qn_fail(task, "out of memory");
    if (strncmp(text, counter, sizeof(counter) - 1) == 0)
        take_counter(task, text + sizeof(counter) - 1);
    else if (strncmp(text, status, sizeof(status) - 1) == 0)
        qn_status(task, "%s", text + sizeof(status) - 1);
    else
        fprintf(stderr, "%s\n", text);
    free(text);
    return 0;
}

/* The whole lines at the front of what has come; the rest stays. `is_end`: the rest is a line. */
static int take_lines(struct qn_task *task, struct child *c, struct qn_room *room, size_t *len,
                      line_fn on_line, int is_end)
{
    struct qn_slice rest = qn_bytes(room->data, *len), line;
    while (rest.len && (is_end || memchr(rest.data, '\n', rest.len)))
        if (qn_next_line(&rest, &line) && on_line(task, c, line) != 0)
            return -1;
    if (rest.len)
        memmove(room->data, rest.data, rest.len);
    *len = rest.len;
    return 0;
}

/* 1 = there may be more, 0 = its end came, -1 = failed. */
static int read_some(struct qn_task *task, struct child *c, int is_stderr)
{
    struct qn_room *room = is_stderr ? &c->said : &c->pending;
    size_t *len = is_stderr ? &c->said_len : &c->pending_len;
    int *fd = is_stderr ? &c->err : &c->out;
    if (qn_grow(task, room, *len + READ_BYTES) != 0)
        return -1;
    ssize_t n = read(*fd, room->data + *len, room->size - *len);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 1;
    if (n < 0)
        return qn_fail(task, "cannot read from the %s: %s", c->role, strerror(errno));
    *len += (size_t)n;
    c->moved += (size_t)n;
    if (take_lines(task, c, room, len, is_stderr ? on_stderr : c->on_line, n == 0) != 0)
        return -1;
    if (n == 0) {
        close(*fd);
        *fd = -1;
    }
    return n > 0;
}

/* --- talking to it --------------------------------------------------------------------------- */

/* Nobody reads on: what else there is to say is not said, its exit code decides. */
static void hang_up(struct child *c)
{
    close(c->in);
    c->in = -1;
}

/* Who takes and gives a line at a time (a program that does not buffer what it prints) would have
 * us woken for each: he is left alone for a millisecond, and has done many by then. The pipes hold
 * enough for that. */
static void leave_alone(struct child *c)
{
    const struct timespec nap = {.tv_nsec = 1000000};
    if (c->moved < LITTLE_BYTES)
        (void)nanosleep(&nap, NULL);
    c->moved = 0;
}

/* Wait until something can be done, and do it: *input moves on, output is handed to on_line. */
static int turn(struct qn_task *task, struct child *c, struct qn_slice *input)
{
    leave_alone(c);
    struct pollfd fds[3] = {
        {input->len ? c->in : -1, POLLOUT, 0}, {c->out, POLLIN, 0}, {c->err, POLLIN, 0}};
    if (poll(fds, 3, -1) < 0)
        return errno == EINTR ? 0 : qn_fail(task, "poll: %s", strerror(errno));
    if ((fds[1].revents && read_some(task, c, 0) < 0) ||
        (fds[2].revents && read_some(task, c, 1) < 0))
        return -1;
    if (!fds[0].revents)
        return 0;
    ssize_t n = write(c->in, input->data, input->len);
    if (n > 0) {
        *input = qn_bytes((const char *)input->data + n, input->len - (size_t)n);
        c->moved += (size_t)n;
    } else if (errno == EPIPE)
        hang_up(c);
    else if (errno != EAGAIN && errno != EINTR)
        return qn_fail(task, "cannot write to the %s: %s", c->role, strerror(errno));
    return 0;
}

static int feed(struct qn_task *task, struct child *c, struct qn_slice input)
{
    if (c->pid == 0 && start(task, c) != 0)
        return -1;
    while (input.len && c->in >= 0)
        if (turn(task, c, &input) != 0)
            return -1;
    return 0;
}

static int reap(struct qn_task *task, struct child *c)
{
    const struct state *s = *qn_state(task);
    int status = 0, has_file = c == &s->main && s->path;
    const char *of = has_file ? ", reading " : "", *path = has_file ? s->path : "";
    while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR)
        continue;
    c->pid = 0;
    if (WIFSIGNALED(status))
        return qn_fail(task, "the %s \"%s\" was killed by signal %d (SIG%s)%s%s", c->role,
                       c->command, WTERMSIG(status), sigabbrev_np(WTERMSIG(status)), of, path);
    if (WEXITSTATUS(status) == 0 ||
        strcmp(qn_option(task, "stream.non.zero.exit.is.failure"), "false") == 0)
        return 0;
    return qn_fail(task,
                   "subprocess failed with code %d: the %s \"%s\"%s%s (its stderr is in the log)",
                   WEXITSTATUS(status), c->role, c->command, of, path);
}

/* Its input ends; what it still says is taken; how did it end? */
static int finish(struct qn_task *task, struct child *c)
{
    struct qn_slice nothing = qn_nothing();
    if (c->pid == 0 && start(task, c) != 0) /* no input at all: it may have something to say */
        return -1;
    if (c->in >= 0)
        hang_up(c);
    while (c->out >= 0 || c->err >= 0)
        if (turn(task, c, &nothing) != 0)
            return -1;
    return reap(task, c);
}

static void end_child(struct child *c)
{
    if (c->pid > 0) {
        kill(c->pid, SIGKILL);
        while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR)
            continue;
        close(c->in);
        close(c->out);
        close(c->err);
    }
    qn_give_back(&c->pending);
    qn_give_back(&c->said);
}

/* --- lines between them ---------------------------------------------------------------------- */

/* The line becomes its key; what stands behind the separator is the value. */
static struct qn_slice cut_line(const struct cut *cut, struct qn_slice *line)
{
    const char *p = (const char *)line->data, *end = p + line->len, *at = p;
    const size_t len = cut->separator.len;
    for (uint64_t n = 0; n < cut->fields && at; n++) {
        const char *from = n ? at + len : p;
        at = from < end ? (const char *)memmem(from, (size_t)(end - from), cut->separator.data, len)
                        : NULL;
    }
    if (!at)
        return qn_nothing();
    line->len = (size_t)(at - p);
    return qn_bytes(at + len, (size_t)(end - at) - len);
}

static int emit_mapped(struct qn_task *task, struct child *c, struct qn_slice line)
{
    struct state *s = *qn_state(task);
    struct qn_slice value = cut_line(&s->map_out, &line);
    (void)c;
    if (s->has_fields &&
        fields_wrap(task, &s->order, &s->spread, s->key_separator, line, &s->key, &line) != 0)
        return -1;
    return qn_emit(task, line, value);
}

static int emit_reduced(struct qn_task *task, struct child *c, struct qn_slice line)
{
    const struct state *s = *qn_state(task);
    struct qn_slice value = cut_line(&s->reduce_out, &line);
    (void)c;
    return qn_emit(task, line, value);
}

static int append(struct qn_task *task, struct pile *pile, struct qn_slice bytes)
{
    if (qn_grow(task, &pile->room, pile->len + bytes.len + 1) != 0)
        return -1;
    if (bytes.len)
        memcpy(pile->room.data + pile->len, bytes.data, bytes.len);
    pile->len += bytes.len;
    return 0;
}

static int append_line(struct qn_task *task, struct pile *pile, struct qn_slice line)
{
    return append(task, pile, line) != 0 ? -1 : append(task, pile, qn_bytes("\n", 1));
}

/* "key TAB value", or another separator. */
static int append_pair(struct qn_task *task, struct pile *pile, struct qn_slice key,
                       struct qn_slice separator, struct qn_slice value)
{
    return append(task, pile, key) != 0 || append(task, pile, separator) != 0
               ? -1
               : append_line(task, pile, value);
}

/* Many lines at a time: each costs two calls of the system. */
static int feed_pile(struct qn_task *task, struct child *c, struct pile *pile)
{
    int rc = feed(task, c, qn_bytes(pile->room.data, pile->len));
    pile->len = 0;
    return rc;
}

/* --- the combiner ---------------------------------------------------------------------------- */

static int line_order(const void *a, const void *b)
{
    const struct qn_slice *x = a, *y = b;
    int c = memcmp(x->data, y->data, x->len < y->len ? x->len : y->len);
    return c ? c : (x->len > y->len) - (x->len < y->len);
}

static struct qn_slice *sorted_lines(const struct state *s, size_t *count)
{
    struct qn_slice rest = qn_bytes(s->lines.room.data, s->lines.len), line;
    size_t n = 0;
    while (qn_next_line(&rest, &line))
        n++;
    struct qn_slice *lines = malloc((n + 1) * sizeof(*lines));
    rest = qn_bytes(s->lines.room.data, s->lines.len);
    for (size_t i = 0; lines && i < n; i++)
        (void)qn_next_line(&rest, &lines[i]);
    if (lines)
        qsort(lines, n, sizeof(*lines), line_order);
    *count = n;
    return lines;
}

/* All lines that wait go through the combiner, which starts and ends for them. */
static int combine_waiting(struct qn_task *task, struct state *s)
{
    size_t count;
    if (s->lines.len == 0)
        return 0;
    struct qn_slice *lines = sorted_lines(s, &count);
    int rc = lines ? 0 : qn_fail(task, "no memory to sort lines for the combiner");
    for (size_t i = 0; rc == 0 && i < count; i++) {
        rc = append_line(task, &s->sorted, lines[i]);
        if (rc == 0 && (s->sorted.len >= FEED_BYTES || i + 1 == count))
            rc = feed_pile(task, &s->combiner, &s->sorted);
    }
    free(lines);
    s->lines.len = 0;
    return rc == 0 ? finish(task, &s->combiner) : rc;
}

static int keep_mapped(struct qn_task *task, struct child *c, struct qn_slice line)
{
    struct state *s = *qn_state(task);
    (void)c;
    if (append_line(task, &s->lines, line) != 0)
        return -1;
    return s->lines.len < COMBINE_BYTES ? 0 : combine_waiting(task, s);
}

/* --- the job --------------------------------------------------------------------------------- */

static int form_line(struct qn_task *task, struct state *s, struct qn_slice line, uint64_t offset)
{
    const struct cut first = {s->input_separator, 1};
    char text[32];
    if (s->form == BY_KEY) {
        struct qn_slice value = cut_line(&first, &line);
        return s->ignores_key ? append_line(task, &s->formed, value)
                              : append_pair(task, &s->formed, line, s->map_in, value);
    }
    int n = snprintf(text, sizeof(text), "%llu", (unsigned long long)offset);
    return append_pair(task, &s->formed, qn_bytes(text, (size_t)n), s->map_in, line);
}

static int form_lines(struct qn_task *task, struct state *s, struct qn_slice *lines,
                      uint64_t offset)
{
    struct qn_slice rest = *lines, line;
    const char *from = (const char *)lines->data;
    s->formed.len = 0;
    while (qn_next_line(&rest, &line))
        if (form_line(task, s, line, offset + (uint64_t)((const char *)line.data - from)) != 0)
            return -1;
    *lines = qn_bytes(s->formed.room.data, s->formed.len);
    return 0;
}

static int take_input(struct qn_task *task, struct state *s, struct qn_slice lines)
{
    struct qn_slice line;
    if (lines.len && *s->main.command) {
        int is_whole = ((const char *)lines.data)[lines.len - 1] == '\n';
        int rc = feed(task, &s->main, lines);
        return rc != 0 || is_whole ? rc : feed(task, &s->main, qn_bytes("\n", 1));
    }
    while (qn_next_line(&lines, &line))
        if (s->main.on_line(task, &s->main, line) != 0)
            return -1;
    return 0;
}

/* Does another file begin here, or the same one again? Then the mapper has seen the end of its own.
 */
static int begin_file(struct qn_task *task, struct state *s, uint64_t offset, size_t len)
{
    const struct qn_input *input = qn_input(task);
    int is_other = !s->path || strcmp(s->path, input->path) != 0 ||
                   s->begins != input->split_offset || offset < s->read_to;
    s->read_to = offset + len;
    if (!is_other)
        return 0;
    int rc = s->main.pid ? finish(task, &s->main) : 0;
    free(s->path);
    s->path = strdup(input->path);
    s->begins = input->split_offset;
    return s->path ? rc : qn_fail(task, "out of memory");
}

static int map_lines(struct qn_task *task, struct qn_slice lines, struct qn_slice where)
{
    struct state *s = *qn_state(task);
    s->has_failed = s->has_failed || begin_file(task, s, qn_to_u64(where), lines.len) != 0;
    int has_combiner = *s->combiner.command && task->partitions > 0;
    s->combiner.on_line = emit_mapped;
    s->main.on_line = has_combiner ? keep_mapped : emit_mapped;
    if (s->form != AS_IT_IS && !s->has_failed)
        s->has_failed = form_lines(task, s, &lines, qn_to_u64(where)) != 0;
    s->has_failed = s->has_failed || take_input(task, s, lines) != 0;
    return s->has_failed ? -1 : 0;
}

/* Of a long line there is no copy: it is a large part of the task's memory. */
static int feed_pair(struct qn_task *task, struct state *s, struct qn_slice key,
                     struct qn_slice value)
{
    const struct qn_slice parts[] = {key, s->reduce_in, value, qn_bytes("\n", 1)};
    int rc = feed_pile(task, &s->main, &s->lines);
    for (size_t i = 0; rc == 0 && i < sizeof(parts) / sizeof(*parts); i++)
        rc = feed(task, &s->main, parts[i]);
    return rc;
}

static int take_value(struct qn_task *task, struct state *s, struct qn_slice key,
                      struct qn_slice value)
{
    if (key.len + value.len >= FEED_BYTES)
        return feed_pair(task, s, key, value);
    if (append_pair(task, &s->lines, key, s->reduce_in, value) != 0)
        return -1;
    return s->lines.len < FEED_BYTES ? 0 : feed_pile(task, &s->main, &s->lines);
}

static int reduce(struct qn_task *task, struct qn_slice key, struct qn_values *values)
{
    struct state *s = *qn_state(task);
    struct qn_slice value;
    s->main.on_line = emit_reduced;
    if (s->has_fields)
        s->has_failed |= fields_unwrap(task, &s->order, key, &s->key, &key) != 0;
    if (s->is_aggregate && !s->has_failed)
        s->has_failed = aggregate_reduce(task, &s->aggregate, key, values) != 0;
    while (!s->has_failed && qn_next(values, &value))
        s->has_failed = *s->main.command ? take_value(task, s, key, value) != 0
                                         : qn_emit(task, key, value) != 0;
    return s->has_failed ? -1 : 0;
}

static int finish_all(struct qn_task *task, struct state *s)
{
    if (!s->main.on_line) {
        s->main.on_line = task->is_reduce ? emit_reduced : emit_mapped;
        s->combiner.on_line = emit_mapped;
    }
    int rc = 0;
    if (task->is_reduce && s->lines.len)
        rc = feed_pile(task, &s->main, &s->lines);
    if (rc == 0 && *s->main.command)
        rc = finish(task, &s->main);
    return rc == 0 && !task->is_reduce && *s->combiner.command ? combine_waiting(task, s) : rc;
}

static int cleanup(struct qn_task *task)
{
    struct state *s = *qn_state(task);
    if (!s)
        return 0;
    int rc = s->has_failed ? -1 : finish_all(task, s);
    end_child(&s->main);
    end_child(&s->combiner);
    qn_give_back(&s->lines.room);
    qn_give_back(&s->formed.room);
    qn_give_back(&s->sorted.room);
    qn_give_back(&s->key);
    aggregate_release(&s->aggregate);
    free(s->path);
    free(s);
    return rc;
}

static const struct qn_option_row options[] = {
    {"stream.map.command", "", "the mapper; none: lines as they are"},
    {"stream.reduce.command", "", "the reducer; none: sorted lines as they are; aggregate"},
    {"stream.combine.command", "", "run over sorted lines of a mapper before they travel"},
    {"stream.map.input.field.separator", "\\t",
     "between key and value, for a mapper that gets both"},
    {"stream.map.output.field.separator", "\\t", "what ends a field of a mapper's line"},
    {"stream.num.map.output.key.fields", "1", "so many fields of it are the key"},
    {"stream.reduce.input.field.separator", "\\t", "between key and value, for a reducer"},
    {"stream.reduce.output.field.separator", "\\t", "what ends a field of a reducer's line"},
    {"stream.num.reduce.output.key.fields", "1", "so many fields of it are the key"},
    {"stream.non.zero.exit.is.failure", "true", "false: the exit code does not matter"},
    {"stream.addenvironment", "", "NAME=VALUE for the commands' environment (-cmdenv)"},
    {"stream.jobconf.truncate.limit", "-1",
     "settings in the environment have so many bytes at most"},
    {"stream.map.input.form", "line",
     "a mapper gets lines; with \"offset\" and \"key.value\" a key, too"},
    {"stream.map.input.ignoreKey", "false", "true: lines only, whatever their form says"},
    {"mapreduce.input.keyvaluelinerecordreader.key.value.separator", "\\t",
     "ends the key of a line of the input, where its form is key.value"},
#ifdef STREAM_BY_FIELDS
    {"stream.key.order", "", "the fields that order keys: -k2,2nr -k1"},
    {"stream.key.spread", "", "the fields that choose the reducer: -k1,2"},
    {"stream.key.separator", "\\t", "between fields of a key"},
#endif
    {"*", "", "any other: the commands have it in their environment"},
    {NULL, NULL, NULL},
};

/* Interpreters take a second for so much; the block they wait for is four times that. */
#define SPLIT_BYTES (32 << 20)

const struct qn_job qn_job = {
    .head = QN_JOB_HEAD,
    .split_size = SPLIT_BYTES,
#ifdef STREAM_BY_FIELDS
    .name = "streamfields",
    .about = "as stream, with keys in order of their fields",
#else
    .name = "stream",
    .about = "any program as mapper or reducer, through stdin and stdout",
#endif
    .setup = setup,
    .map_lines = map_lines,
    .reduce = reduce,
    .cleanup = cleanup,
    .key = QN_TEXT,
    .value = QN_TEXT,
#ifdef STREAM_BY_FIELDS
    .partition = fields_partition,
#endif
    .options = options,
    .check = setup,
};
