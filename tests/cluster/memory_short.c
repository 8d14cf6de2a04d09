/* SPDX-License-Identifier: Apache-2.0
 * memory_short: everything that is asked of a datanode and of a jobtracker, by clients and by other
 * daemons, while the first allocation in that process fails, then the second, and so on, as long as
 * there are that many.
 *
 * Each question ends, in an answer or in an error; asked again it is answered, and right. The
 * process goes on (a jobtracker may end, and begin again), and ends well when it is told to (a
 * build with a leak checker ends it otherwise if anything was lost on the way). What is being asked
 * at a time shares the process with its heartbeats and this console: those allocations fail too,
 * now and then. */
#include <inttypes.h>
#include <quern/fs.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libcommon/base/clock.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/slice.h"
#include "libcommon/codec/digest.h"
#include "libcommon/proto/cl_jt/messages.h"
#include "libcommon/proto/cl_nn/messages.h"
#include "libcommon/proto/data/messages.h"
#include "libcommon/wire/chan.h"
#include "tests/cluster/crew.h"

#define TRIALS_MAX 300
#define AGAIN_MS   10
#define HEAL_MS    60000
#define QUIET      4 /* trials in a row whose failure did not come: there are no more */
#define BYTES      70001

enum member { NAMES, A, B };

static struct {
    struct crew crew;
    struct identity self;
    struct chan *names, *jobs, *datanode;
    struct arena arena;
    struct buf answer;
    uint64_t trial; /* each has files of its own */
    const char *now;
} w;

static uint8_t bytes[BYTES], got[BYTES];

static void die(const char *why)
{
    char what[100];
    snprintf(what, sizeof(what), "%s, allocation %" PRIu64, w.now, w.trial);
    crew_die(&w.crew, what, why);
}

static void pause_a_little(void)
{
    usleep(AGAIN_MS * 1000);
}

/* ---- asking a datanode, through the library ---- */

static struct qn_fs *client(const char *node, const char *short_circuit)
{
    struct qn_error error;
    struct qn_option options[] = {
        {"node.name", node}, {"dfs.client.read.shortcircuit", short_circuit}, {NULL, NULL}};
    struct qn_fs_options how = {
        .conf_file = crew_path(&w.crew, A, "conf"), .user = "root", .options = options};
    struct qn_fs *fs = qn_fs_open(NULL, &how, &error);
    if (!fs)
        die(error.message);
    return fs;
}

static const char *path_of(const char *name)
{
    static char path[60];
    snprintf(path, sizeof(path), "/%s%" PRIu64, name, w.trial);
    return path;
}

static int put(const char *short_circuit, uint32_t replication)
{
    struct qn_error error = {0};
    struct qn_fs *fs = client("a", short_circuit);
    const struct qn_create how = {.replication = replication};
    struct qn_file *f = qn_open(fs, path_of("f"), QN_WRITE | QN_OVERWRITE, &how, &error);
    bool good = f && qn_write(f, bytes, BYTES / 2, &error) > 0 && qn_hsync(f, &error) == 0 &&
                qn_write(f, bytes + BYTES / 2, BYTES - BYTES / 2, &error) > 0;
    if (f && !good)
        qn_abort(f);
    good = good && qn_close(f, &error) == 0;
    qn_fs_close(fs);
    return good ? 0 : error.code;
}

static int get(const char *short_circuit)
{
    struct qn_error error = {0};
    struct qn_fs *fs = client("a", short_circuit);
    struct qn_file *f = qn_open(fs, path_of("f"), QN_READ, NULL, &error);
    ssize_t n = f ? qn_pread(f, got, BYTES, 0, &error) : -1;
    if (n >= 0 && (n != BYTES || memcmp(got, bytes, BYTES) != 0))
        die("wrong bytes");
    qn_close(f, NULL);
    qn_fs_close(fs);
    return n == BYTES ? 0 : error.code;
}

static int put_ring(void)
{
    return put("true", 1);
}
static int put_wire(void)
{
    return put("false", 1);
}
static int put_chain(void)
{
    return put("false", 2);
}
static int get_ring(void)
{
    return get("true");
}
static int get_wire(void)
{
    return get("false");
}

static uint32_t replicas(void)
{
    struct qn_error error;
    struct qn_blocks blocks;
    struct qn_fs *fs = client("b", "true");
    uint32_t n = 0;
    if (qn_locations(fs, path_of("f"), 0, BYTES, &blocks, &error) == 0) {
        n = blocks.count ? blocks.blocks[0].node_count : 0;
        qn_blocks_release(&blocks);
    }
    qn_fs_close(fs);
    return n;
}

/* The namenode has it done, again when it failed. */
static int replicate(uint32_t want)
{
    struct qn_error error;
    struct qn_fs *fs = client("b", "true");
    uint64_t give_up_ms = clock_mono_ms() + HEAL_MS;
    int rc = qn_set_replication(fs, path_of("f"), want, &error);
    qn_fs_close(fs);
    while (rc == 0 && replicas() != want) {
        if (clock_mono_ms() > give_up_ms)
            die("has not the replicas it should have");
        pause_a_little();
    }
    return rc;
}

static int copy(void)
{
    return replicate(2);
}

/* Some bytes more, and away again: each time the last block is copied here first. */
static int append(void)
{
    struct qn_error error = {0};
    struct qn_fs *fs = client("a", "false");
    struct qn_file *f = qn_open(fs, path_of("f"), QN_WRITE | QN_APPEND, NULL, &error);
    bool good = f && qn_write(f, bytes, BYTES / 2, &error) > 0;
    if (f && !good)
        qn_abort(f);
    good = good && qn_close(f, &error) == 0;
    qn_fs_close(fs);
    return good ? 0 : error.code;
}

static int cut_back(void)
{
    struct qn_error error = {0};
    struct qn_stat stat = {.is_open = true};
    struct qn_fs *fs = client("b", "false");
    uint64_t give_up_ms = clock_mono_ms() + HEAL_MS;
    int rc = qn_truncate(fs, path_of("f"), BYTES, &error);
    while (rc >= 0 && stat.is_open) {
        rc = qn_stat(fs, path_of("f"), &stat, &error);
        qn_stat_release(&stat);
        if (clock_mono_ms() > give_up_ms)
            die("is never cut");
        pause_a_little();
    }
    if (rc >= 0 && stat.length != BYTES)
        die("has another length than it was cut to");
    qn_fs_close(fs);
    return rc < 0 ? error.code : 0;
}

/* ---- asking a datanode what an operator asks ---- */

#define ASK_DATANODE(NAME, ask, ret) \
    chan_call(w.datanode, &DATA_methods[DATA_AT_##NAME], ask, &w.arena, ret, 3000, &(struct err){0})

static int checksum(void)
{
    struct cl2nn_locate where = {.path = slice_str(path_of("f")), .length = 1};
    struct cl2nn_located located = {0};
    struct data_checksum sum = {0};
    if (chan_call(w.names, &CL2NN_methods[CL2NN_AT_LOCATE], &where, &w.arena, &located, 0,
                  &(struct err){0}) != 0 ||
        located.blocks.n == 0)
        die("is nowhere");
    int rc = ASK_DATANODE(CHECKSUM, &located.blocks.v[0].block, &sum);
    if (rc == 0 && sum.md5.len != 16)
        die("half an answer");
    return rc;
}

static int look_at_datanode(void)
{
    struct data_manage ask = {DATA_MANAGE_INFO};
    struct data_managed info = {0};
    int rc = ASK_DATANODE(MANAGE, &ask, &info);
    if (rc == 0 && (info.volumes.n != 1 || info.version.len == 0))
        die("half an answer");
    return rc;
}

static int report_to_namenode(void)
{
    struct data_manage ask = {DATA_MANAGE_REPORT};
    return ASK_DATANODE(MANAGE, &ask, NULL);
}

static int look_at_directories(void)
{
    struct data_level ask = {.action = DATA_LEVEL_QUERY, .threshold = 10};
    struct data_leveling levels = {0};
    int rc = ASK_DATANODE(LEVEL, &ask, &levels);
    if (rc == 0 && levels.dirs.n != 1)
        die("half an answer");
    return rc;
}
static int thin_out(void)
{
    return replicate(1);
}

static int recover(void)
{
    struct cl2nn_path ask = {slice_str(path_of("f"))};
    struct cl2nn_yes closed = {false};
    struct err err = {0};
    uint64_t give_up_ms = clock_mono_ms() + HEAL_MS;
    while (!closed.yes) {
        int rc = chan_call(w.names, &CL2NN_methods[CL2NN_AT_RECOVER_LEASE], &ask, &w.arena, &closed,
                           0, &err);
        if (clock_mono_ms() > give_up_ms)
            die(rc ? err.msg : "is never closed");
        pause_a_little();
    }
    return 0;
}

/* ---- what must be there before ---- */

/* With nothing failing; a busy machine may be late. */
static void must(int (*what)(void))
{
    uint64_t give_up_ms = clock_mono_ms() + HEAL_MS;
    while (what() != 0) {
        if (clock_mono_ms() > give_up_ms)
            die("cannot prepare");
        pause_a_little();
    }
}

static void have_file(void)
{
    must(put_ring);
}
static void have_copy(void)
{
    must(put_ring);
    must(copy);
}

static void have_longer_file(void)
{
    must(put_ring);
    must(append);
}

static void have_writer_gone(void)
{
    struct qn_error error;
    struct qn_fs *fs = client("a", "true");
    struct qn_file *f = qn_open(fs, path_of("f"), QN_WRITE | QN_OVERWRITE, NULL, &error);
    if (!f || qn_write(f, bytes, BYTES, &error) < 0 || qn_hflush(f, &error) != 0)
        die(error.message);
    qn_fs_close(fs);
}

/* ---- asking a jobtracker ---- */

#define ASK(NAME, ask, ret) \
    chan_call(w.jobs, &CL2JT_methods[CL2JT_AT_##NAME], ask, &w.arena, ret, 3000, &(struct err){0})

static char digest[72];

static int bring(void)
{
    uint8_t sum[DIGEST_SHA256_SIZE];
    struct cl2jt_blob_state state = {0};
    struct slice text = slice_str(path_of("plugin"));
    if (digest_of(DIGEST_SHA256, text, sum) != 0)
        die("no digest");
    struct cl2jt_blob ask = {.digest = slice_str(digest_text(sum, sizeof(sum), digest)),
                             .total = text.len,
                             .bytes = text};
    int rc = ASK(BLOB, &ask, &state);
    return rc == 0 && state.have != text.len ? ERR_RETRY : rc;
}

static void have_plugin(void)
{
    must(bring);
}

static struct cl2jt_job job;

static int submit(void)
{
    struct msg_pair conf = {slice_str("k"), slice_str("v")};
    struct task_segment segment = {.path = slice_str("/in"), .length = 10};
    struct cl2jt_split split = {.segments = {&segment, 1}};
    struct cl2jt_submit ask = {.origin = {77, w.trial + 1},
                               .name = slice_str("j"),
                               .plugin_name = slice_str("p"),
                               .plugin_digest = slice_str(digest),
                               .conf = {&conf, 1},
                               .partitions = 2,
                               .out = slice_str(path_of("out")),
                               .splits = {.splits = {&split, 1}}};
    return ASK(SUBMIT, &ask, &job);
}

static void have_job(void)
{
    must(bring);
    must(submit);
}
/* All of it, or an error. */
static int check_status(int rc, const struct cl2jt_status *s)
{
    if (rc == 0 && (s->stages.n != 3 || !slice_is(s->name, "j") || s->waits_for.len == 0))
        die("half an answer");
    return rc;
}
static int status(void)
{
    struct cl2jt_status answer = {0};
    return check_status(ASK(STATUS, &job, &answer), &answer);
}
static int watch(void)
{
    struct cl2jt_watch ask = {.id = job, .max_wait_ms = 1};
    struct cl2jt_status answer = {0};
    return check_status(ASK(WATCH, &ask, &answer), &answer);
}
static int list(void)
{
    struct cl2jt_list ask = {0};
    struct cl2jt_jobs jobs = {0};
    int rc = ASK(LIST, &ask, &jobs);
    for (size_t i = 0; rc == 0 && i < jobs.jobs.n; i++)
        check_status(rc, &jobs.jobs.v[i]);
    return rc;
}
static int set_priority(void)
{
    struct cl2jt_set_priority ask = {.id = job, .priority = 1};
    return ASK(SET_PRIORITY, &ask, NULL);
}
static int look_at_cluster(void)
{
    return ASK(CLUSTER, NULL, NULL);
}
static int end_job(void)
{
    struct cl2jt_kill ask = {.id = job, .why = slice_str("enough")};
    return ASK(KILL, &ask, NULL);
}
static void have_ended_job(void)
{
    have_job();
    must(end_job);
}
static int read_history(void)
{
    struct cl2jt_text text = {0};
    int rc = ASK(HISTORY, &job, &text);
    if (rc == 0 &&
        (text.text.len < 3 || memcmp(text.text.data + text.text.len - 3, "]}\n", 3) != 0))
        die("half an answer");
    return rc;
}

/* ---- trials ---- */

static const struct question {
    const char *name;
    unsigned member;
    void (*prepare)(void);
    int (*ask)(void);
} questions[] = {
    {"put by a ring", A, NULL, put_ring},
    {"put over the wire", A, NULL, put_wire},
    {"put down a chain", A, NULL, put_chain},
    {"get by a descriptor", A, have_file, get_ring},
    {"get over the wire", A, have_file, get_wire},
    {"copy from here", A, have_file, copy},
    {"copy to here", B, have_file, copy},
    {"delete", A, have_copy, thin_out},
    {"recover", A, have_writer_gone, recover},
    {"append", A, have_file, append},
    {"cut back", A, have_longer_file, cut_back},
    {"checksum", A, have_file, checksum},
    {"look at a datanode", A, have_file, look_at_datanode},
    {"look at its directories", A, have_file, look_at_directories},
    {"report in full", A, have_file, report_to_namenode},
    {"bring a plugin", CREW_JOBS, NULL, bring},
    {"submit", CREW_JOBS, have_plugin, submit},
    {"status", CREW_JOBS, have_job, status},
    {"watch", CREW_JOBS, have_job, watch},
    {"list", CREW_JOBS, have_job, list},
    {"set a priority", CREW_JOBS, have_job, set_priority},
    {"cluster", CREW_JOBS, NULL, look_at_cluster},
    {"kill", CREW_JOBS, have_job, end_job},
    {"history", CREW_JOBS, have_ended_job, read_history},
};

static void start(unsigned member)
{
    char word[600];
    if (!crew_start(&w.crew, member, "mem.none=1:eio", word)) /* so that points are counted */
        die(word);
}

/* A jobtracker that cannot keep a job in order ends, with a word, before anything leaves it: the
 * next process has it from the journal. Nobody else may end. */
static bool revive(unsigned member)
{
    int status = 0;
    if (crew_runs(&w.crew, member, &status))
        return false;
    if (member != CREW_JOBS || !WIFEXITED(status) || WEXITSTATUS(status) != 1 ||
        crew_log_has(&w.crew, member, "no memory left") == 0)
        die("it has ended");
    start(member);
    return true;
}

/* Allocations of this process so far. */
static uint64_t count_allocations(unsigned member)
{
    unsigned long long hits = 0;
    while (!revive(member) && !crew_ask(&w.crew, member, "faults", &w.answer))
        pause_a_little();
    const char *at = strstr(buf_cstr(&w.answer), "mem.alloc");
    if (at)
        (void)sscanf(at, "mem.alloc %llu", &hits);
    return hits;
}

/* True when the n-th allocation from now on did fail. */
static bool try_one(const struct question *q, uint64_t n)
{
    char command[60];
    w.trial++;
    if (q->prepare)
        q->prepare();
    uint64_t before = count_allocations(q->member);
    snprintf(command, sizeof(command), "faults mem.alloc=%" PRIu64 ":eio", n);
    (void)crew_ask(&w.crew, q->member, command, &w.answer); /* its own answer may be what fails */
    int rc = q->ask();
    bool has_ended = revive(q->member);
    uint64_t asked = count_allocations(q->member) - before;
    (void)crew_ask(&w.crew, q->member, "faults off", &w.answer);
    uint64_t give_up_ms = clock_mono_ms() + HEAL_MS;
    while (rc != 0 && (rc = q->ask()) != 0) {
        if (clock_mono_ms() > give_up_ms)
            die("still fails, though there is memory");
        pause_a_little();
    }
    if (q->member != CREW_JOBS && q->ask != get_ring)
        must(get_ring);
    arena_reset(&w.arena);
    return has_ended || asked >= n;
}

static uint64_t try_all(uint64_t stride)
{
    uint64_t trials = 0;
    for (size_t i = 0; i < ARRAY_LEN(questions); i++) {
        unsigned quiet = 0;
        w.now = questions[i].name;
        for (uint64_t n = 1 + i % stride; quiet < QUIET && n < TRIALS_MAX; n += stride, trials++)
            quiet = try_one(&questions[i], n) ? 0 : quiet + 1;
    }
    return trials;
}

static struct chan *open_chan(const char *address)
{
    struct err err;
    struct chan *chan = NULL;
    struct chan_conf conf = {.address = address, .self = &w.self};
    if (chan_open(&conf, &chan, &err) != 0)
        die(err.msg);
    return chan;
}

/* Once it has registered. */
static struct chan *open_datanode(void)
{
    for (uint64_t give_up_ms = clock_mono_ms() + HEAL_MS; clock_mono_ms() < give_up_ms;) {
        struct cl2nn_report report = {0};
        char address[64];
        int rc = chan_call(w.names, &CL2NN_methods[CL2NN_AT_REPORT], &(struct msg_void){0},
                           &w.arena, &report, 0, &(struct err){0});
        for (size_t i = 0; rc == 0 && i < report.nodes.n; i++) {
            const struct msg_node *node = &report.nodes.v[i].node;
            snprintf(address, sizeof(address), "127.0.0.1:%u", node->data_port);
            if (slice_is(node->name, crew_name(A)))
                return open_chan(address);
        }
        pause_a_little();
    }
    die("has not registered");
    return NULL;
}

int main(int argc, char **argv)
{
    static const unsigned all[] = {NAMES, A, B, CREW_JOBS};
    uint64_t stride =
        argc == 3 && strcmp(argv[1], "-stride") == 0 ? strtoull(argv[2], NULL, 10) : 1;
    w.now = "start";
    for (size_t i = 0; i < BYTES; i++)
        bytes[i] = (uint8_t)hash_u64(i);
    crew_open(&w.crew, "memory_short",
              "dfs.replication = 1\ndfs.blocksize = 64k\ndfs.client.socket-timeout = 3s\n"
              "dfs.namenode.lease-soft-limit = 500ms\n"
              "dfs.client.read.shortcircuit = true\n");
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        start(all[i]);
    identity_init(&w.self, WIRE_CLIENT, "short");
    w.names = open_chan(w.crew.address);
    w.jobs = open_chan(w.crew.jobs_address);
    w.datanode = open_datanode();
    uint64_t trials = try_all(stride ? stride : 1);
    chan_close(w.names);
    chan_close(w.jobs);
    chan_close(w.datanode);
    for (size_t i = ARRAY_LEN(all); i-- > 0;)
        if (crew_stop(&w.crew, all[i], SIGTERM) != 0)
            die(crew_path(&w.crew, all[i], "log"));
    crew_close(&w.crew);
    arena_release(&w.arena);
    buf_release(&w.answer);
    printf("%" PRIu64 " trials\n", trials);
    return 0;
}
