/* SPDX-License-Identifier: Apache-2.0
 * blocks_crash: kill a datanode at its first write, fsync, rename, unlink, ... on the disk, at its
 * second, and so on, while blocks are written, closed, copied, appended to, cut, joined, recovered
 * and deleted there; each time start it again and go on. Or let that operation fail, with EIO or
 * ENOSPC, instead. Or do all of that to the namenode.
 *
 *     blocks_crash [-act kill|eio|enospc] [-victim datanode|namenode] [-stride N] [-from N]
 *                  [-point NAME]
 *
 * All points of the disk that change it are gone through (or that one), each hit of each.
 *
 * The namenode is started again at once, while its clients wait for it. Of datanodes, a is the
 * victim, b and c stay. Most blocks have their only replica on a, so what was
 * acknowledged must be there when a is back: nobody else could give it. A step that was interrupted
 * may have failed; then it is done once more, with another file, and must succeed. At the end of
 * each life all files are read twice, before and after a was killed once more. Then they are
 * deleted, and within a bound no datanode may have a block or half of one: nothing leaked. At the
 * very end all processes are stopped in good order and say that they leaked nothing either (a
 * build with a leak checker ends them with another status). */
#include <errno.h>
#include <ftw.h>
#include <inttypes.h>
#include <quern/fs.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libcommon/base/clock.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/str.h"
#include "libcommon/event/thread.h"
#include "libcommon/proto/cl_nn/messages.h"
#include "libcommon/wire/chan.h"
#include "tests/cluster/crew.h"

#define HEAL_MS      30000
#define AGAIN_MS     20
#define CLIENT_TRIES 100
#define BLOCK        65536
#define PIECE_MAX    (3 * BLOCK)
#define FILES_MAX    32

enum member { NAMES, A, B, C };
enum way { RING, WIRE, NEXT, FAR }; /* a's own client; the same over TCP; b's; nobody's */

struct file {
    char path[64];
    uint64_t seed, length; /* acknowledged; all of it, once closed */
    uint64_t begin;        /* the first byte is that of this place */
    bool is_closed;
};

static struct {
    struct crew crew;
    const char *act;   /* kill, eio, enospc */
    const char *point; /* of the disk; NULL: all of them */
    const char *now;   /* the point that is tried */
    enum member victim;
    struct thread watcher;
    struct mutex lock;       /* of the victim's process */
    _Atomic bool is_watched; /* it is started again at once */
    uint64_t life, at, next_file;
    struct file files[FILES_MAX];
    size_t count;
    uint64_t refused; /* steps that failed, and were done again */
    uint64_t ended;   /* processes of the victim that the fault ended */
    struct identity self;
    struct chan *chan;
} w = {.act = "kill", .victim = A};

static uint8_t piece[PIECE_MAX], got[PIECE_MAX];

#define MORE                           \
    "dfs.replication = 1\n"            \
    "dfs.blocksize = 64k\n"            \
    "dfs.client.socket-timeout = 3s\n" \
    "dfs.namenode.lease-hard-limit-sec = 2s\n"

static void die(const char *what, const char *why)
{
    fprintf(stderr, "blocks_crash: %s at hit %" PRIu64 " of %s\n", w.act, w.at, w.now);
    crew_die(&w.crew, what, why);
}

static uint64_t now_ms(void)
{
    return clock_mono_ms();
}

static const char *const points[] = {
    "disk.open",     "disk.write",       "disk.fsync",    "disk.fsync.done",
    "disk.rename",   "disk.rename.done", "disk.truncate", "disk.unlink",
    "disk.allocate", "disk.mkdir",       "disk.fsyncdir",
};

static void pause_a_little(void)
{
    usleep(AGAIN_MS * 1000);
}

/* ---- the victim ---- */

/* Was it the fault? Otherwise it has broken by itself. */
static void look_at_end(int status)
{
    w.ended++;
    bool is_killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    bool is_refusal = WIFEXITED(status) && WEXITSTATUS(status) == 1;
    if (strcmp(w.act, "kill") == 0 ? !is_killed : !is_refusal)
        die(crew_path(&w.crew, w.victim, "log"), "it ended in a way it should not");
}

static void start(unsigned member, const char *fault)
{
    char word[600];
    if (crew_start(&w.crew, member, fault, word))
        return;
    if (!fault || !*fault)
        die("it does not start", word);
    look_at_end(crew_stop(&w.crew, member, 0)); /* it is about to end, or has */
}

/* True when it had ended; it runs again then. */
static bool revive(void)
{
    int status = 0;
    mutex_lock(&w.lock);
    bool is_up = crew_runs(&w.crew, w.victim, &status);
    if (!is_up && status)
        look_at_end(status);
    if (!is_up)
        start(w.victim, NULL);
    mutex_unlock(&w.lock);
    return !is_up;
}

/* Runs until the program ends: what a thread has started dies with it. */
static void watch(void *arg)
{
    (void)arg;
    for (;;) {
        if (w.is_watched)
            (void)revive();
        pause_a_little();
    }
}

/* The victim's next process; `sig` for the one before. */
static void start_anew(int sig, const char *fault)
{
    w.is_watched = false;
    mutex_lock(&w.lock);
    (void)crew_stop(&w.crew, w.victim, sig);
    start(w.victim, fault);
    mutex_unlock(&w.lock);
    (void)revive();
    w.is_watched = w.victim == NAMES;
}

/* ---- clients ---- */

static struct qn_fs *client(enum way way)
{
    static const char *const nodes[] = {"a", "a", "b", "far"};
    struct qn_error error;
    struct qn_option options[] = {{"node.name", nodes[way]},
                                  {"dfs.client.read.shortcircuit", way == WIRE ? "false" : "true"},
                                  {NULL, NULL}};
    struct qn_fs_options how = {.conf_file = crew_path(&w.crew, way == NEXT ? B : A, "conf"),
                                .user = "root",
                                .options = options};
    struct qn_fs *fs;
    for (int i = 0; !(fs = qn_fs_open(NULL, &how, &error)); i++) {
        if (i == CLIENT_TRIES)
            die("no client", error.message);
        pause_a_little(); /* a namenode may end while it is greeted */
        (void)revive();
    }
    return fs;
}

static void fill(uint64_t seed, uint64_t at, size_t size)
{
    for (size_t i = 0; i < size; i++)
        piece[i] = (uint8_t)(hash_u64(seed ^ ((at + i) / 8)) >> ((at + i) % 8 * 8));
}

static struct file *new_file(const char *name)
{
    struct file *f = &w.files[w.count];
    if (w.count == FILES_MAX)
        die("a life", "has too many files");
    *f = (struct file){.seed = hash_u64(++w.next_file)};
    snprintf(f->path, sizeof(f->path), "/n%" PRIu64 "/%s%" PRIu64, w.life, name, w.next_file);
    return f;
}

static int write_more(struct qn_file *out, struct file *f, size_t size, struct qn_error *error)
{
    fill(f->seed, f->begin + f->length, size);
    if (qn_write(out, piece, size, error) < 0)
        return error->code;
    f->length += size;
    return 0;
}

/* What is acknowledged is there, or the program ends; a closed file is no longer either. True when
 * all of it could be read. */
static bool check(const struct file *f, struct qn_error *error)
{
    struct qn_fs *fs = client(WIRE);
    struct qn_file *in = qn_open(fs, f->path, QN_READ, NULL, error);
    bool is_read = false;
    if (in) {
        uint64_t there = qn_length(in);
        if (f->is_closed ? there != f->length : there < f->length)
            die(f->path, "has another length than was acknowledged");
        ssize_t n = qn_pread(in, got, f->length, 0, error);
        fill(f->seed, 0, f->length);
        if (n >= 0 && ((uint64_t)n != f->length || memcmp(piece, got, f->length) != 0))
            die(f->path, "wrong bytes");
        is_read = n >= 0;
        qn_close(in, NULL);
    }
    qn_fs_close(fs);
    return is_read;
}

static void check_all(void)
{
    struct qn_error error;
    uint64_t give_up_ms = now_ms() + HEAL_MS;
    for (size_t i = 0; i < w.count; i++)
        while (!check(&w.files[i], &error)) {
            if (!revive() && now_ms() > give_up_ms)
                die(w.files[i].path, error.message);
            pause_a_little();
        }
}

static unsigned replicas_of(const char *path)
{
    struct qn_error error;
    struct qn_blocks blocks;
    struct qn_fs *fs = client(FAR);
    unsigned least = CREW_MAX;
    if (qn_locations(fs, path, 0, UINT64_MAX, &blocks, &error) != 0)
        die(path, error.message);
    for (size_t i = 0; i < blocks.count; i++)
        least = blocks.blocks[i].node_count < least ? blocks.blocks[i].node_count : least;
    qn_blocks_release(&blocks);
    qn_fs_close(fs);
    return least;
}

/* ---- the steps ---- */

/* A file of `size` bytes in odd pieces, flushed and synced on the way. */
static int put(enum way way, const char *name, size_t size, uint32_t replication,
               struct qn_error *error)
{
    struct qn_fs *fs = client(way);
    struct file *f = new_file(name);
    const struct qn_create how = {.replication = replication};
    struct qn_file *out = qn_open(fs, f->path, QN_WRITE, &how, error);
    int rc = out ? 0 : error->code;
    for (int i = 0; rc == 0 && f->length < size; i++) {
        size_t left = size - (size_t)f->length;
        rc = write_more(out, f, left < 30001 ? left : 30001, error);
        if (rc == 0 && i % 2)
            rc = i % 4 == 1 ? qn_hflush(out, error) : qn_hsync(out, error);
    }
    if (rc == 0)
        rc = qn_close(out, error);
    else
        qn_abort(out);
    f->is_closed = rc == 0;
    w.count += rc == 0;
    qn_fs_close(fs);
    return rc;
}

/* Wait for so many replicas of the newest file; the namenode sees to it, whoever dies. */
static int replicate(uint32_t replication, struct qn_error *error)
{
    const struct file *f = &w.files[w.count - 1];
    struct qn_fs *fs = client(FAR);
    uint64_t give_up_ms = now_ms() + HEAL_MS;
    int rc = qn_set_replication(fs, f->path, replication, error);
    qn_fs_close(fs);
    while (rc == 0 && replicas_of(f->path) != replication) {
        if (now_ms() > give_up_ms)
            die(f->path, "has not the replicas it should have");
        (void)revive();
        pause_a_little();
    }
    return rc;
}

/* A writer flushes, writes on, and is never heard of again. */
static int vanish(enum way way, struct qn_error *error)
{
    struct qn_fs *fs = client(way);
    struct file *f = new_file("vanished");
    struct qn_file *out = qn_open(fs, f->path, QN_WRITE, NULL, error);
    struct file beyond;
    int rc = out ? write_more(out, f, 100001, error) : error->code;
    if (rc == 0)
        rc = qn_hflush(out, error);
    beyond = *f;
    if (rc == 0)
        (void)write_more(out, &beyond, 20001, error);
    w.count += rc == 0;
    qn_fs_close(fs);
    return rc;
}

static int ask_to_recover(const char *path, struct err *err)
{
    struct cl2nn_path ask = {slice_str(path)};
    struct cl2nn_yes closed = {false};
    struct arena arena = ARENA_INIT;
    int rc =
        chan_call(w.chan, &CL2NN_methods[CL2NN_AT_RECOVER_LEASE], &ask, &arena, &closed, 0, err);
    arena_release(&arena);
    return rc != 0 ? rc : closed.yes ? 0 : ERR_RETRY;
}

/* The newest file is closed by the namenode, with all that was flushed. */
static void recover(void)
{
    struct file *f = &w.files[w.count - 1];
    struct err err = {0};
    struct qn_error error;
    struct qn_stat stat;
    uint64_t give_up_ms = now_ms() + HEAL_MS;
    while (ask_to_recover(f->path, &err) != 0) {
        if (now_ms() > give_up_ms)
            die(f->path, err.code ? err.msg : "is not closed");
        (void)revive();
        pause_a_little();
    }
    struct qn_fs *fs = client(FAR);
    if (qn_stat(fs, f->path, &stat, &error) != 0)
        die(f->path, error.message);
    if (stat.length < f->length)
        die(f->path, "was closed with less than was flushed");
    f->length = stat.length;
    f->is_closed = true;
    qn_stat_release(&stat);
    qn_fs_close(fs);
}

/* ---- at the end of the newest file ---- */

/* A failed one leaves what was there, or flushed since, at least. */
static int append(enum way way, struct qn_error *error)
{
    struct qn_fs *fs = client(way);
    struct file *f = &w.files[w.count - 1], sure = *f;
    struct qn_file *out = qn_open(fs, f->path, QN_WRITE | QN_APPEND, NULL, error);
    int rc = out ? write_more(out, f, 20001, error) : error->code;
    if (rc == 0)
        rc = qn_hsync(out, error);
    if (rc == 0) {
        sure = *f;
        rc = write_more(out, f, 10001, error);
    }
    if (rc == 0)
        rc = qn_close(out, error);
    else
        qn_abort(out);
    qn_fs_close(fs);
    if (rc != 0) {
        *f = sure;
        f->is_closed = false;
        recover();
    }
    return rc;
}

/* Of what is there; ERR_NOENT when it is not. Asks until that is known. */
static int settled_length(const char *path, uint64_t *ret)
{
    uint64_t give_up_ms = now_ms() + HEAL_MS;
    for (;;) {
        struct qn_error error;
        struct qn_stat stat = {.is_open = true};
        struct qn_fs *fs = client(FAR);
        int rc = qn_stat(fs, path, &stat, &error);
        bool is_open = stat.is_open;
        qn_fs_close(fs);
        if (rc == 0) {
            *ret = stat.length;
            qn_stat_release(&stat);
        }
        if (rc == QN_ENOENT || (rc == 0 && !is_open))
            return rc;
        if (now_ms() > give_up_ms)
            die(path, rc ? error.message : "is open for ever");
        (void)revive();
        pause_a_little();
    }
}

static int cut(struct qn_error *error)
{
    struct file *f = &w.files[w.count - 1];
    struct qn_fs *fs = client(FAR);
    uint64_t to = f->length - f->length / 3 - 1, now = 0;
    int rc = qn_truncate(fs, f->path, to, error);
    qn_fs_close(fs);
    if (settled_length(f->path, &now) != 0 || (now != to && (rc >= 0 || now != f->length)))
        die(f->path, "was cut somewhere else");
    f->length = now;
    return rc < 0 ? rc : 0;
}

/* What goes on where the newest file ends, in a file of its own, becomes its end. */
static int join(enum way way, struct qn_error *error)
{
    struct qn_fs *fs = client(way);
    struct file *f = &w.files[w.count - 1], *tail = new_file("tail");
    uint64_t left = 0;
    tail->seed = f->seed;
    tail->begin = f->length;
    struct qn_file *out = qn_open(fs, tail->path, QN_WRITE, NULL, error);
    int rc = out ? write_more(out, tail, 5001, error) : error->code;
    if (rc == 0)
        rc = qn_close(out, error);
    else
        qn_abort(out);
    const char *sources[] = {tail->path};
    bool was_asked = rc == 0;
    if (was_asked)
        rc = qn_concat(fs, f->path, sources, 1, error);
    if (was_asked && (rc == 0 || settled_length(tail->path, &left) != 0))
        f->length += tail->length;
    qn_fs_close(fs);
    return rc;
}

static int delete_oldest(struct qn_error *error)
{
    struct qn_fs *fs = client(FAR);
    int rc = qn_delete(fs, w.files[0].path, false, error);
    qn_fs_close(fs);
    if (rc == 0)
        die(w.files[0].path, "was not there when it was deleted");
    if (rc > 0)
        memmove(w.files, w.files + 1, --w.count * sizeof(w.files[0]));
    return rc < 0 ? rc : 0;
}

#define STEPS 16
static int step(unsigned i, struct qn_error *error)
{
    switch (i) {
    case 0:
        return put(RING, "ring", 150001, 1, error);
    case 1:
        return put(WIRE, "wire", 150001, 1, error);
    case 2:
        return put(RING, "small", 17, 1, error);
    case 3:
        return put(FAR, "chain", 90001, 3, error);
    case 4:
        return put(NEXT, "next", 90001, 1, error);
    case 5:
        return replicate(3, error); /* a is copied to */
    case 6:
        return replicate(1, error); /* one or two of them are surplus */
    case 7:
        return put(RING, "source", 70001, 1, error);
    case 8:
        return replicate(2, error); /* a is copied from */
    case 9:
        return append(RING, error);
    case 10:
        return cut(error);
    case 11:
        return join(RING, error);
    case 12:
        return vanish(RING, error);
    case 13:
        recover();
        return 0;
    case 14:
        return vanish(WIRE, error);
    case 15:
        recover();
        return 0;
    default:
        return delete_oldest(error);
    }
}

/* Everything once. A step that fails because of the fault is done again; twice is too often. */
static void work(void)
{
    for (unsigned i = 0; i <= STEPS; i++) {
        struct qn_error error = {0};
        if (step(i, &error) == 0)
            continue;
        w.refused++;
        fprintf(stderr, "%s at hit %" PRIu64 " of %s: step %u is done again: %s\n", w.act, w.at,
                w.now, i, error.message);
        (void)revive();
        uint64_t give_up_ms = now_ms() + HEAL_MS; /* until the namenode knows it is back */
        while (step(i, &error) != 0) {
            if (now_ms() > give_up_ms)
                die("a step failed though nothing is broken any more", error.message);
            (void)revive();
            pause_a_little();
        }
    }
}

/* ---- nothing leaked ---- */

static unsigned blocks_seen;
static char last_seen[300];

static int count_block(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    if (kind == FTW_F && strncmp(path + at->base, "blk_", 4) == 0) {
        blocks_seen++;
        snprintf(last_seen, sizeof(last_seen), "%s", path);
    }
    return 0;
}

static unsigned count_blocks(void)
{
    blocks_seen = 0;
    for (unsigned member = A; member <= C; member++)
        (void)nftw(crew_path(&w.crew, member, "data"), count_block, 10, FTW_PHYS);
    return blocks_seen;
}

static void delete_all(void)
{
    char dir[40];
    struct qn_error error;
    struct qn_fs *fs = client(FAR);
    uint64_t give_up_ms = now_ms() + HEAL_MS;
    snprintf(dir, sizeof(dir), "/n%" PRIu64, w.life);
    if (qn_delete(fs, dir, true, &error) < 0)
        die(dir, error.message);
    qn_fs_close(fs);
    w.count = 0;
    while (count_blocks() > 0) {
        if (now_ms() > give_up_ms)
            die(last_seen, "is left behind");
        pause_a_little();
    }
}

/* ---- lives ---- */

/* One round of everything, with the fault at hit `at` of the point in the victim's next process (0:
 * none, but count). True when it was felt: the victim ended of it, or a step failed. */
static bool live(uint64_t at)
{
    char fault[64] = "";
    uint64_t before = w.refused + w.ended;
    w.life++;
    w.at = at;
    if (at)
        snprintf(fault, sizeof(fault), "%s=%" PRIu64 ":%s", w.now, at, w.act);
    start_anew(SIGTERM, fault);
    work();
    (void)revive();
    check_all();
    bool is_felt = w.refused + w.ended > before;
    if (at) {
        start_anew(SIGKILL, NULL);
        check_all();
    }
    delete_all();
    return is_felt;
}

static void stop_in_good_order(unsigned member)
{
    w.is_watched = false;
    mutex_lock(&w.lock);
    int status = crew_stop(&w.crew, member, SIGTERM);
    if (status != 0)
        die(crew_path(&w.crew, member, "log"), "did not end well");
    mutex_unlock(&w.lock);
}

static void read_options(int argc, char **argv, uint64_t *stride, uint64_t *from)
{
    for (int i = 1; i + 1 < argc; i += 2) {
        uint64_t *number = strcmp(argv[i], "-stride") == 0 ? stride : from;
        if (strcmp(argv[i], "-act") == 0)
            w.act = argv[i + 1];
        else if (strcmp(argv[i], "-victim") == 0)
            w.victim = strcmp(argv[i + 1], "namenode") == 0 ? NAMES : A;
        else if (strcmp(argv[i], "-point") == 0)
            w.point = argv[i + 1];
        else if (str_to_u64(argv[i + 1], number) != 0 || *number == 0)
            die(argv[i], "wants a number");
    }
}

static void open_chan(void)
{
    struct err err;
    struct chan_conf conf = {.address = w.crew.address, .self = &w.self};
    identity_init(&w.self, WIRE_CLIENT, "crash");
    if (chan_open(&conf, &w.chan, &err) != 0)
        die("chan", err.msg);
}

/* Every `stride`-th of all hits, over all points. */
static uint64_t try_all(uint64_t stride, uint64_t from, uint64_t *ret_felt)
{
    uint64_t hits[ARRAY_LEN(points)], number = 0, lives = 0;
    for (size_t i = 0; i < ARRAY_LEN(points); i++)
        hits[i] = crew_hits(&w.crew, w.victim, points[i]);
    for (size_t i = 0; i < ARRAY_LEN(points); i++) {
        w.now = points[i];
        for (uint64_t at = 1; at <= hits[i]; at++) {
            if ((w.point && strcmp(w.point, w.now) != 0) || ++number < from ||
                (number - from) % stride != 0)
                continue;
            *ret_felt += live(at);
            lives++;
        }
    }
    return lives;
}

int main(int argc, char **argv)
{
    uint64_t stride = 1, from = 1, felt = 0;
    w.now = "nothing";
    crew_open(&w.crew, "blocks_crash", MORE);
    mutex_init(&w.lock);
    read_options(argc, argv, &stride, &from);
    for (unsigned member = NAMES; member <= C; member++)
        start(member, NULL);
    open_chan();
    if (thread_start(&w.watcher, "watcher", watch, NULL, NULL) != 0)
        die("thread", "cannot be started");
    (void)live(0);
    stop_in_good_order(w.victim); /* so that it says what it counted */
    uint64_t lives = try_all(stride, from, &felt);
    printf("%" PRIu64 " lives, %" PRIu64 " felt it, %" PRIu64 " deaths, %" PRIu64
           " steps done again\n",
           lives, felt, w.ended, w.refused);
    chan_close(w.chan);
    for (unsigned member = C + 1; member-- > NAMES;)
        stop_in_good_order(member);
    crew_close(&w.crew);
    return lives > 0 ? 0 : 1;
}
