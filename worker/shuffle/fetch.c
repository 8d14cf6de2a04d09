/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/shuffle/fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "libcommon/base/clock.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/str.h"
#include "libcommon/store/disk.h"
#include "worker/shuffle/stream.h"

#define TICK_MS 500
#define NO_MAP  UINT32_MAX

/* One per worker heard of, in the plan's numbering; not moved while its thread runs. */
struct place {
    struct fetch *fetch;
    uint32_t number;
    char *address, *socket; /* NULL: it is not on this node */
    bool has_unseen_socket; /* there, and not to be reached: in another container, perhaps */
    struct thread thread;
    bool is_running, is_over; /* over: the thread is at its end, to be joined */
    bool is_ending;           /* we shut it down */
    bool leaves_out;          /* what is spoilt was not asked for */
    uint32_t map, attempt;    /* whose output it has in hand; NO_MAP = none */
    uint32_t broke_in;        /* what it had in hand at its end */
    atomic_int fd;
    int code;
    struct err err;
};

struct fetch {
    struct fetch_conf conf;
    struct mutex lock; /* plan, places' flags, counts */
    struct plan plan;
    struct place **places;
    size_t place_count, place_cap;
    bool *got;           /* per map and partition */
    uint32_t *got_count; /* per map */
    uint64_t remote_bytes, local_bytes;
    int wake; /* eventfd: something changed */
};

static size_t partitions_of(const struct fetch *f)
{
    return f->conf.run->reduce_partitions.n;
}

int fetch_open(const struct fetch_conf *conf, struct fetch **ret, struct err *err)
{
    struct fetch *f = mem_calloc(1, sizeof(*f));
    if (!f)
        return err_set(err, ERR_NOMEM, "out of memory");
    f->conf = *conf;
    if (!f->conf.stall_ms)
        f->conf.stall_ms = FETCH_STALL_MS;
    mutex_init(&f->lock);
    uint32_t maps = conf->run->maps;
    f->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    f->got = mem_calloc(maps ? maps : 1, partitions_of(f) ? partitions_of(f) : 1);
    f->got_count = mem_calloc(maps ? maps : 1, sizeof(*f->got_count));
    int rc = f->got && f->got_count ? plan_open(&f->plan, maps, conf->streams_max) : ERR_NOMEM;
    if (rc == 0 && f->wake < 0)
        rc = err_from_errno(errno);
    if (rc != 0) {
        fetch_close(f);
        return err_set(err, rc, "cannot begin to fetch: %s", err_text(rc));
    }
    *ret = f;
    return 0;
}

/* --- what streams ask (on their threads) ----------------------------------------------------- */

/* Where a partition is among ours, which are in order; SIZE_MAX: it is none of them. */
static size_t index_of(const struct fetch *f, uint64_t partition)
{
    const struct msg_u64s *ours = &f->conf.run->reduce_partitions;
    size_t from = 0, end = ours->n;
    while (from < end) {
        size_t mid = from + (end - from) / 2;
        if (ours->v[mid] == partition)
            return mid;
        if (ours->v[mid] < partition)
            from = mid + 1;
        else
            end = mid;
    }
    return SIZE_MAX;
}

/* Index of (map, partition) in `got`; SIZE_MAX: none of ours. */
static size_t place_of(const struct fetch *f, uint32_t map, uint64_t partition)
{
    size_t at = map < f->plan.map_count ? index_of(f, partition) : SIZE_MAX;
    return at == SIZE_MAX ? SIZE_MAX : map * partitions_of(f) + at;
}

static void wake_up(struct fetch *f)
{
    const uint64_t one = 1;
    while (write(f->wake, &one, sizeof(one)) < 0 && errno == EINTR)
        ;
}

/* Locked. */
static bool is_missing(const struct fetch *f, uint32_t map, uint64_t partition)
{
    size_t at = place_of(f, map, partition);
    return at != SIZE_MAX && !f->got[at];
}

/* Locked. It was missing. */
static void check_off(struct fetch *f, uint32_t worker, uint32_t map, uint64_t partition)
{
    f->got[place_of(f, map, partition)] = true;
    if (++f->got_count[map] == partitions_of(f))
        plan_got(&f->plan, worker, map);
}

/* Locked. A map that was run again may come from two places at once; the first one to have it here
 * whole is the one that counts. */
static int keep(struct fetch *f, uint32_t worker, const struct piece *piece,
                struct pieces_slot *slot)
{
    if (!is_missing(f, piece->map, piece->partition))
        return ERR_EXIST;
    int rc = slot ? pieces_commit(f->conf.pieces, slot, piece)
                  : pieces_add_passed(f->conf.pieces, piece);
    if (rc == 0)
        check_off(f, worker, piece->map, piece->partition);
    return rc;
}

/* Locked. There is nothing to bring of these. */
static void settle_empty(struct fetch *f, uint32_t worker, uint32_t map, size_t at, uint64_t count)
{
    for (size_t i = at; i < partitions_of(f) && i - at < count; i++) {
        uint64_t partition = f->conf.run->reduce_partitions.v[i];
        if (is_missing(f, map, partition))
            check_off(f, worker, map, partition);
    }
}

/* Locked. */
static void end_stream(struct place *place)
{
    place->is_ending = true;
    int fd = atomic_load(&place->fd);
    if (fd >= 0)
        (void)shutdown(fd, SHUT_RDWR); /* its thread wakes up and closes it */
}

/* Locked. All that was asked for is here; the rest is asked for anew. */
static void end_if_only_spoilt(struct place *place)
{
    if (place->leaves_out && !plan_has_sound(&place->fetch->plan, place->number))
        end_stream(place);
}

static void on_empty(void *arg, uint32_t map, uint64_t partition, uint64_t count)
{
    struct place *place = arg;
    struct fetch *f = place->fetch;
    mutex_lock(&f->lock);
    settle_empty(f, place->number, map, index_of(f, partition), count); /* perhaps none of ours */
    end_if_only_spoilt(place);
    mutex_unlock(&f->lock);
    wake_up(f);
}

/* What was run again since is not taken from the former attempt any more. */
static bool on_wants(void *arg, const struct shuffle_header *header)
{
    struct place *place = arg;
    struct fetch *f = place->fetch;
    mutex_lock(&f->lock);
    bool wants = is_missing(f, header->map_task, header->partition) &&
                 header->map_attempt >= f->plan.maps[header->map_task].attempt;
    if (wants) {
        place->map = header->map_task;
        place->attempt = header->map_attempt;
    }
    mutex_unlock(&f->lock);
    return wants;
}

static int on_keep(void *arg, const struct piece *piece, struct pieces_slot *slot)
{
    struct place *place = arg;
    struct fetch *f = place->fetch;
    uint64_t len = piece->run.len;
    mutex_lock(&f->lock);
    place->map = NO_MAP;
    int rc = keep(f, place->number, piece, slot);
    if (rc == 0)
        *(slot ? &f->remote_bytes : &f->local_bytes) += len;
    end_if_only_spoilt(place);
    mutex_unlock(&f->lock);
    wake_up(f);
    return rc;
}

static bool on_expects(void *arg)
{
    struct place *place = arg;
    mutex_lock(&place->fetch->lock);
    bool expects = place->fetch->plan.workers[place->number].wanted > 0;
    mutex_unlock(&place->fetch->lock);
    return expects;
}

/* Maps that need not be sent again, or not now. Locked. */
static int list_held(struct place *place, struct arena *arena, struct msg_u64s *ret)
{
    const struct plan *plan = &place->fetch->plan;
    uint32_t spoilt = plan->workers[place->number].spoilt;
    uint64_t *held = arena_calloc(arena, plan->held + spoilt + (size_t)1, sizeof(*held));
    size_t n = 0;
    if (!held)
        return ERR_NOMEM;
    place->leaves_out = spoilt > 0 && plan_has_sound(plan, place->number);
    for (uint32_t m = 0; m < plan->map_count; m++) {
        const struct plan_map *map = &plan->maps[m];
        bool is_left_out = place->leaves_out && map->is_spoilt && map->worker == place->number;
        if (map->is_held || is_left_out)
            held[n++] = m;
    }
    *ret = (struct msg_u64s){held, n};
    return 0;
}

static void on_thread(void *arg)
{
    struct place *place = arg;
    struct fetch *f = place->fetch;
    const struct task_run *run = f->conf.run;
    struct arena arena = ARENA_INIT;
    struct shuffle_fetch ask = {.cluster_ms = run->id.cluster_ms,
                                .job = run->id.job,
                                .partitions = run->reduce_partitions,
                                .reduce_task = run->id.task,
                                .reduce_attempt = run->id.attempt,
                                .pass_fds = place->socket,
                                .stage = run->reads};
    mutex_lock(&f->lock);
    int code = list_held(place, &arena, &ask.have);
    mutex_unlock(&f->lock);
    struct stream_conf conf = {.address = place->socket ? place->socket : place->address,
                               .self = f->conf.self,
                               .ask = &ask,
                               .pieces = f->conf.pieces,
                               .stall_ms = f->conf.stall_ms,
                               .wants = on_wants,
                               .keep = on_keep,
                               .empty = on_empty,
                               .expects = on_expects,
                               .arg = place,
                               .fd = &place->fd};
    if (code == 0)
        code = stream_run(&conf, &place->err);
    arena_release(&arena);
    mutex_lock(&f->lock);
    place->code = code;
    place->broke_in = place->map;
    place->map = NO_MAP;
    place->is_over = true;
    mutex_unlock(&f->lock);
    wake_up(f);
}

/* --- the caller's thread --------------------------------------------------------------------- */

static bool is_same_node(const struct fetch *f, const struct task_source *source)
{
    const struct identity *self = f->conf.self;
    return source->socket.len > 0 && self && self->boot && slice_is(source->boot_id, self->boot) &&
           self->netns != 0 && source->netns == self->netns;
}

static int set_address(struct fetch *f, struct place *place, const struct task_source *source)
{
    if (place->is_running) /* it goes by the old one until it ends */
        return 0;
    bool is_local = is_same_node(f, source) && !place->has_unseen_socket;
    mem_free(place->address);
    mem_free(place->socket);
    place->address = str_printf(SLICE_FMT ":%u", SLICE_ARG(source->host), source->port);
    place->socket = is_local ? slice_dup(source->socket) : NULL;
    return place->address && (place->socket || !is_local) ? 0 : ERR_NOMEM;
}

/* The same machine and network, but not the same files: then by way of the network. */
static bool leave_socket(struct place *place)
{
    int code = place->code;
    bool is_unseen = place->socket && (code == ERR_NOENT || code == ERR_NOTDIR ||
                                       code == ERR_REFUSED || code == ERR_ACCESS);
    if (is_unseen) {
        place->has_unseen_socket = true;
        mem_free(place->socket);
        place->socket = NULL;
    }
    return is_unseen;
}

static int place_for(struct fetch *f, uint32_t number, const struct task_source *source)
{
    while (f->place_count <= number) {
        if (mem_grow(&f->places, &f->place_cap, f->place_count, sizeof(*f->places)) != 0)
            return ERR_NOMEM;
        struct place *place = mem_calloc(1, sizeof(*place));
        if (!place)
            return ERR_NOMEM;
        *place = (struct place){.fetch = f, .number = (uint32_t)f->place_count, .map = NO_MAP};
        atomic_init(&place->fd, -1);
        f->places[f->place_count++] = place;
    }
    return set_address(f, f->places[number], source);
}

static int open_file(const char *path, uint32_t map, struct run_reader *reader, struct err *err)
{
    struct disk_stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, errno, "output of map %u: %s", map, path);
    int rc = disk_stat_fd(disk_real(), fd, &st);
    if (rc != 0)
        err_set(err, rc, "output of map %u: %s: %s", map, path, err_text(rc));
    else
        rc = run_reader_open(reader, fd, st.size_bytes, path, err);
    if (rc != 0)
        close(fd);
    return rc;
}

/* One partition of an output that is a file here. The first piece kept takes *own_fd. */
static int take_partition(struct fetch *f, const struct run_reader *reader, int *own_fd,
                          struct piece *piece, struct err *err)
{
    int rc = run_reader_piece(reader, piece->partition, &piece->run, &piece->sums, err);
    if (rc != 0) {
        mem_free(piece->sums);
        return rc;
    }
    piece->own_fd = -1;
    if (piece->run.len > 0) {
        piece->own_fd = *own_fd;
        *own_fd = -1;
    }
    uint64_t len = piece->run.len;
    mutex_lock(&f->lock);
    rc = keep(f, PLAN_NO_WORKER, piece, NULL);
    f->local_bytes += rc == 0 ? len : 0;
    mutex_unlock(&f->lock);
    return rc == 0 ? 0 : err_set(err, rc, "output of map %u: %s", piece->map, err_text(rc));
}

static int take_file(struct fetch *f, const struct task_source *source, struct err *err)
{
    char *path = slice_dup(source->run);
    struct run_reader reader;
    int rc = path ? open_file(path, source->map_task, &reader, err)
                  : err_set(err, ERR_NOMEM, "out of memory");
    int own_fd = rc == 0 ? reader.fd : -1;
    for (size_t i = 0; rc == 0 && i < partitions_of(f); i++) {
        struct piece piece = {.map = source->map_task,
                              .partition = (uint32_t)f->conf.run->reduce_partitions.v[i]};
        rc = take_partition(f, &reader, &own_fd, &piece, err);
    }
    if (own_fd >= 0)
        close(own_fd);
    mem_free(path);
    return rc;
}

/* Locked. Whoever has a former attempt's output in hand is left: he may stand still in the middle
 * of it, and nothing in memory can move to disk as long as he does. */
static void leave_former(struct fetch *f, const struct task_source *source)
{
    for (size_t i = 0; i < f->place_count; i++) {
        struct place *place = f->places[i];
        if (place->map == source->map_task && place->attempt < source->map_attempt)
            end_stream(place);
    }
}

static int learn(struct fetch *f, const struct task_source *source, struct err *err)
{
    mutex_lock(&f->lock);
    bool is_wanted = plan_wants(&f->plan, source->map_task);
    int64_t number = plan_learn(&f->plan, source->map_task, source->map_attempt, source->worker);
    int rc = number < 0 ? (int)number : place_for(f, (uint32_t)number, source);
    if (rc == 0 && source->map_attempt > 0)
        leave_former(f, source);
    if (rc == 0 && source->is_empty)
        settle_empty(f, PLAN_NO_WORKER, source->map_task, 0, UINT64_MAX);
    mutex_unlock(&f->lock);
    if (rc != 0)
        return err_set(err, rc, "told of the output of map %u: %s", source->map_task, err_text(rc));
    return source->run.len && is_wanted ? take_file(f, source, err) : 0;
}

int fetch_learn(struct fetch *fetch, const struct task_source *sources, size_t count,
                struct err *err)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = learn(fetch, &sources[i], err);
    return rc;
}

/* A thread that has ended: join it, tell the plan. */
static void reap(struct fetch *f)
{
    for (size_t i = 0; i < f->place_count; i++) {
        struct place *place = f->places[i];
        mutex_lock(&f->lock);
        bool is_over = place->is_running && place->is_over;
        mutex_unlock(&f->lock);
        if (!is_over)
            continue;
        thread_join(&place->thread);
        mutex_lock(&f->lock);
        place->is_running = place->is_over = false;
        bool is_no_failure = leave_socket(place) || place->is_ending;
        if (!is_no_failure && place->broke_in != NO_MAP)
            plan_spoilt(&f->plan, place->number, place->broke_in, place->attempt);
        plan_stream_over(&f->plan, place->number, is_no_failure ? ERR_CANCELLED : place->code,
                         clock_mono_ms());
        mutex_unlock(&f->lock);
    }
}

static int start_stream(struct fetch *f, uint32_t number, struct err *err)
{
    struct place *place = f->places[number];
    place->is_over = place->is_ending = false;
    place->code = 0;
    int rc = thread_start(&place->thread, "fetch", on_thread, place, err);
    place->is_running = rc == 0; /* or join_all would wait for it */
    return rc;
}

static void blame(struct fetch *f, uint32_t number)
{
    struct place *place = f->places[number];
    struct arena arena = ARENA_INIT;
    uint64_t *maps = arena_calloc(&arena, f->plan.map_count + (size_t)1, sizeof(*maps));
    uint32_t at = 0, map = 0;
    size_t n = 0;
    mutex_lock(&f->lock);
    while (maps && plan_missing(&f->plan, number, &at, &map))
        maps[n++] = map;
    mutex_unlock(&f->lock);
    f->conf.ops->on_blame(f->conf.arg, slice_str(f->plan.workers[number].name), maps, n,
                          place->code ? place->err.msg : "it says it has sent everything");
    arena_release(&arena);
}

static int give_up(const struct fetch *f, uint32_t number, struct err *err)
{
    const struct place *place = f->places[number];
    return err_set(err, ERR_UNREACHABLE, "cannot fetch map outputs from %s: %s",
                   f->plan.workers[number].name,
                   place->code ? place->err.msg : "it does not send what it is said to have");
}

/* Until something happens, or the time comes. */
static int wait_for_change(struct fetch *f, uint64_t until_ms, struct err *err)
{
    uint64_t now = clock_mono_ms(), pause = TICK_MS, count;
    if (until_ms < now + pause)
        pause = until_ms > now ? until_ms - now : 0;
    struct pollfd fds[2] = {{.fd = f->wake, .events = POLLIN},
                            {.fd = f->conf.fd, .events = POLLIN}};
    if (poll(fds, 2, (int)pause) < 0 && errno != EINTR)
        return err_errno(err, errno, "waiting for map outputs");
    if (fds[0].revents && read(f->wake, &count, sizeof(count)) < 0 && errno != EAGAIN)
        return err_errno(err, errno, "waiting for map outputs");
    mutex_lock(&f->lock);
    uint64_t bytes = f->remote_bytes + f->local_bytes;
    mutex_unlock(&f->lock);
    f->conf.ops->on_tick(f->conf.arg, bytes);
    return fds[1].revents ? f->conf.ops->on_news(f->conf.arg, err) : 0;
}

static void join_all(struct fetch *f)
{
    for (size_t i = 0; i < f->place_count; i++) {
        struct place *place = f->places[i];
        while (place->is_running) {
            mutex_lock(&f->lock);
            end_stream(place);
            bool is_over = place->is_over;
            mutex_unlock(&f->lock);
            if (!is_over) { /* it may be connecting still, with nothing to shut down */
                struct pollfd p = {.fd = f->wake, .events = POLLIN};
                uint64_t count;
                if (poll(&p, 1, 50) > 0)
                    (void)!read(f->wake, &count, sizeof(count));
                continue;
            }
            thread_join(&place->thread);
            place->is_running = false;
        }
    }
}

int fetch_run(struct fetch *fetch, struct err *err)
{
    struct fetch *f = fetch;
    if (partitions_of(f) == 0) /* a reducer too many */
        return 0;
    for (int rc = 0; rc == 0;) {
        reap(f);
        mutex_lock(&f->lock);
        struct plan_step step = plan_next(&f->plan, clock_mono_ms());
        mutex_unlock(&f->lock);
        switch (step.what) {
        case PLAN_DONE:
            join_all(f); /* they write to where the pieces are read from now */
            return 0;
        case PLAN_OPEN:
            rc = start_stream(f, step.worker, err);
            break;
        case PLAN_CLOSE:
            mutex_lock(&f->lock);
            end_stream(f->places[step.worker]);
            mutex_unlock(&f->lock);
            rc = wait_for_change(f, UINT64_MAX, err);
            break;
        case PLAN_BLAME:
            blame(f, step.worker);
            break;
        case PLAN_GIVE_UP:
            return give_up(f, step.worker, err);
        case PLAN_WAIT:
            rc = wait_for_change(f, step.until_ms, err);
            break;
        }
        if (rc != 0)
            return rc;
    }
    return 0;
}

struct slice fetch_worker_of(const struct fetch *fetch, uint32_t map)
{
    uint32_t worker = fetch->plan.maps[map].worker;
    return worker == PLAN_NO_WORKER ? slice_str("") : slice_str(fetch->plan.workers[worker].name);
}

void fetch_totals(const struct fetch *fetch, uint64_t *ret_remote, uint64_t *ret_local)
{
    *ret_remote = fetch->remote_bytes;
    *ret_local = fetch->local_bytes;
}

void fetch_close(struct fetch *fetch)
{
    if (!fetch)
        return;
    join_all(fetch);
    for (size_t i = 0; i < fetch->place_count; i++) {
        mem_free(fetch->places[i]->address);
        mem_free(fetch->places[i]->socket);
        mem_free(fetch->places[i]);
    }
    mem_free(fetch->places);
    plan_close(&fetch->plan);
    mem_free(fetch->got);
    mem_free(fetch->got_count);
    if (fetch->wake >= 0)
        close(fetch->wake);
    mutex_release(&fetch->lock);
    mem_free(fetch);
}
