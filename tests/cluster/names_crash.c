/* SPDX-License-Identifier: Apache-2.0
 * names_crash: kill a namenode at its first write, fsync, rename, ... on the disk, at its second,
 * and so on, while a client changes names; each time start it again and let the client go on. Or
 * let that operation fail, with EIO or ENOSPC, instead.
 *
 *     names_crash [-act kill|eio|enospc] [-dirs 1|2] [-stride N] [-from N] [-dir DIR]
 *     names_crash -act repeat
 *
 * The client's requests are numbered. The one that was not answered is asked again, under the same
 * number, of the new process, and must succeed, done now or before; so must all the rest, which
 * build on what was answered before the crash. At the end the tree must be what it is without any
 * crash, and still so when the namenode is killed and started once more. An answered change that
 * was lost, or one done twice, shows as a request that fails.
 *
 * An operation that failed may end the namenode, by itself, with status 1 and one line that says
 * why; or, when it was an image's or one of two directories', it goes on. Processes forked to write
 * an image count on from where their parent was, so theirs fail too.
 *
 * With `repeat` nothing fails; every request is asked once more, under its old number, of each of
 * two later processes (one replayed the log, one loaded an image), after another client has put
 * things where the first one's were. The answers are the old ones, and nothing changes. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/str.h"
#include "libcommon/proto/cl_nn/messages.h"
#include "libcommon/wire/chan.h"

#define CLIENT       4711
#define TIMEOUT_MS   400 /* an answer takes no time; a dead one never comes */
#define TRIES        50
#define ROOM_MS      20000 /* a full log is tried again every 5 s */
#define AGAIN_MS     50
#define FORKED_HITS  40 /* of a process that writes an image, beyond its parent's last */
#define NN_STEPS_END 1

struct crash {
    char program[600], dir[256], conf[300], address[64], log[300], count[300];
    const char *act; /* kill, eio, enospc */
    uint64_t dirs;
    unsigned ended, images; /* processes that ended themselves, images that could not be written */
    struct identity self;
    uint64_t client;
    struct chan *chan;
    struct arena arena;
    pid_t pid;
    uint64_t files[8]; /* ids the workload has got */
    struct err err;
};

static void die(const char *what, const char *why)
{
    fprintf(stderr, "names_crash: %s: %s\n", what, why);
    exit(1);
}

/* ---- the namenode ---- */

static void write_conf(const struct crash *c)
{
    FILE *f = fopen(c->conf, "w");
    if (!f)
        die(c->conf, strerror(errno));
    fprintf(f,
            "node.name = crash\n"
            "dfs.namenode.name.dir = %s/a%s%s%s\n"
            "dfs.namenode.rpc-address = %s\n"
            "dfs.namenode.http-address = 127.0.0.1:0\n"
            "dfs.namenode.safemode.extension = 0\n"
            "dfs.namenode.resource.du.reserved = 0\n",
            c->dir, c->dirs > 1 ? ", " : "", c->dirs > 1 ? c->dir : "", c->dirs > 1 ? "/b" : "",
            c->address);
    fclose(f);
}

static pid_t spawn(const struct crash *c, const char *const argv[], const char *fault)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    unsetenv("QUERN_FAULT");
    unsetenv("QUERN_FAULT_COUNT");
    if (fault)
        setenv(*fault ? "QUERN_FAULT" : "QUERN_FAULT_COUNT", *fault ? fault : c->count, 1);
    if (!freopen(c->log, "a", stderr))
        _exit(126);
    execv(argv[0], (char *const *)(uintptr_t)argv);
    _exit(127);
}

static void format(const struct crash *c)
{
    int status = 0;
    const char *argv[] = {c->program, "-conf", c->conf, "-format", "-force", NULL};
    if (unlink(c->log) != 0 && errno != ENOENT)
        die(c->log, strerror(errno));
    if (waitpid(spawn(c, argv, NULL), &status, 0) < 0 || status != 0)
        die(c->program, "cannot format");
}

/* How often `text` is in the log since the format. */
static unsigned log_has(const struct crash *c, const char *text)
{
    char line[2000];
    unsigned n = 0;
    FILE *f = fopen(c->log, "r");
    while (f && fgets(line, sizeof(line), f))
        n += strstr(line, text) != NULL;
    if (f)
        fclose(f);
    return n;
}

/* It is over: killed as was ordered, or by its own decision, with a word in the log or `word` to
 * whom it was to tell that it is ready. */
static void collect(struct crash *c, const char *word)
{
    int status = 0;
    waitpid(c->pid, &status, 0);
    c->pid = 0;
    if (strcmp(c->act, "kill") == 0)
        return;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 1)
        die(c->log, "it did not end with status 1");
    if (!word[0] && log_has(c, " ERROR ") == 0)
        die(c->log, "it ended without a word");
    c->ended++;
}

/* `fault` "" = none, but count. False: it died before it served. */
static bool start(struct crash *c, const char *fault)
{
    char ready[16], line[600] = "";
    int fds[2];
    if (pipe(fds) != 0)
        die("pipe", strerror(errno));
    snprintf(ready, sizeof(ready), "%d", fds[1]);
    const char *argv[] = {c->program, "-conf", c->conf, "--ready-fd", ready, NULL};
    c->pid = spawn(c, argv, fault);
    close(fds[1]);
    bool is_up = read(fds[0], line, sizeof(line) - 1) > 0 && strncmp(line, "ok", 2) == 0;
    close(fds[0]);
    if (!is_up) {
        collect(c, line);
        if (line[0] && (!fault || strcmp(c->act, "kill") == 0))
            die("it does not start after a crash", line);
        return false;
    }
    struct chan_conf conf = {.address = c->address, .self = &c->self};
    return chan_open(&conf, &c->chan, &c->err) == 0;
}

static void stop(struct crash *c, int sig)
{
    chan_close(c->chan);
    c->chan = NULL;
    if (c->pid) {
        kill(c->pid, sig);
        waitpid(c->pid, NULL, 0);
    }
    c->pid = 0;
}

/* ---- the workload ---- */

/* A busy machine may keep an answer back for longer than it takes a dead one not to come. */
static bool is_alive(const struct crash *c)
{
    siginfo_t info = {0};
    return waitid(P_PID, (id_t)c->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == 0;
}

static int ask_namenode(struct crash *c, const struct msg_method *method, const void *ask,
                        void *ret)
{
    int rc = 0, tries = 0;
    do
        rc = chan_call(c->chan, method, ask, &c->arena, ret, TIMEOUT_MS, &c->err);
    while ((rc == ERR_TIMEOUT || rc == ERR_UNREACHABLE) && is_alive(c) && ++tries < TRIES);
    /* A disk that was full once is looked at again, and a start takes its time. */
    for (int ms = 0; (method->flags & MSG_RECORDED) && ms < ROOM_MS && is_alive(c) &&
                     (rc == ERR_SAFEMODE || rc == ERR_NOSPC || rc == ERR_RETRY);
         ms += AGAIN_MS) {
        usleep(AGAIN_MS * 1000);
        rc = chan_call(c->chan, method, ask, &c->arena, ret, TIMEOUT_MS, &c->err);
    }
    return rc;
}

#define ASK(c, NAME, ask, ret) ask_namenode(c, &CL2NN_methods[CL2NN_AT_##NAME], ask, ret)

static int do_mkdir(struct crash *c, uint64_t seq, const char *path, bool parents)
{
    struct cl2nn_mkdir ask = {{c->client, seq}, slice_str(path), 0755, parents};
    return ASK(c, MKDIR, &ask, NULL);
}

static int do_create(struct crash *c, uint64_t seq, const char *path, int file)
{
    struct cl2nn_create ask = {
        .origin = {c->client, seq}, .path = slice_str(path), .mode = 0644, .replication = 2};
    struct cl2nn_created created = {0};
    int rc = ASK(c, CREATE, &ask, &created);
    c->files[file] = created.file_id;
    return rc;
}

static int do_close(struct crash *c, uint64_t seq, int file)
{
    struct cl2nn_complete ask = {.origin = {c->client, seq}, .file_id = c->files[file]};
    return ASK(c, COMPLETE, &ask, NULL);
}

static int do_rename(struct crash *c, uint64_t seq, const char *from, const char *to)
{
    struct cl2nn_rename ask = {{c->client, seq}, slice_str(from), slice_str(to), false};
    return ASK(c, RENAME, &ask, NULL);
}

static int do_delete(struct crash *c, uint64_t seq, const char *path)
{
    struct cl2nn_delete ask = {{c->client, seq}, slice_str(path), true};
    struct cl2nn_yes yes = {false};
    int rc = ASK(c, DELETE, &ask, &yes);
    return rc == 0 && !yes.yes ? err_set(&c->err, ERR_NOENT, "%s was gone already", path) : rc;
}

static int do_publish(struct crash *c, uint64_t seq)
{
    struct cl2nn_winner winner = {slice_str("/out/_temporary/j/f"), slice_str("part-r-00000"), 0};
    struct cl2nn_publish ask = {.origin = {c->client, seq},
                                .job = slice_str("j"),
                                .epoch = 1,
                                .out = slice_str("/out"),
                                .temporary = slice_str("/out/_temporary/j"),
                                .winners = {&winner, 1},
                                .user = slice_str(c->self.user)};
    return ASK(c, PUBLISH, &ask, NULL);
}

static int do_attributes(struct crash *c, uint64_t seq, int which)
{
    struct cl2nn_set_mode mode = {{c->client, seq}, slice_str("/a/g"), 0600};
    struct cl2nn_set_owner owner = {
        {c->client, seq}, slice_str("/a/g"), slice_str("alice"), slice_str("staff")};
    struct cl2nn_set_times times = {{c->client, seq}, slice_str("/a/g"), 1000, 2000};
    struct cl2nn_set_replication replication = {{c->client, seq}, slice_str("/a/g"), 5};
    switch (which) {
    case 0:
        return ASK(c, SET_MODE, &mode, NULL);
    case 1:
        return ASK(c, SET_OWNER, &owner, NULL);
    case 2:
        return ASK(c, SET_TIMES, &times, NULL);
    default:
        return ASK(c, SET_REPLICATION, &replication, NULL);
    }
}

/* Fails when it was made before, or replaced without having been made. */
static int do_xattr(struct crash *c, uint64_t seq, const char *path, uint32_t flags)
{
    struct cl2nn_set_xattr ask = {.origin = {c->client, seq},
                                  .path = slice_str(path),
                                  .name = slice_str("user.color"),
                                  .value = slice_str("red"),
                                  .flags = flags};
    return ASK(c, SET_XATTR, &ask, NULL);
}

static int do_acl(struct crash *c, uint64_t seq, const char *path)
{
    struct cl2nn_acl_entry entry = {.perm = 6, .name = slice_str("bob")};
    struct cl2nn_set_acl ask = {{c->client, seq}, slice_str(path), CL2NN_ACL_MODIFY, {&entry, 1}};
    return ASK(c, SET_ACL, &ask, NULL);
}

static int do_append(struct crash *c, uint64_t seq, const char *path, int file)
{
    struct cl2nn_append ask = {.origin = {c->client, seq}, .path = slice_str(path)};
    struct cl2nn_appended appended = {0};
    int rc = ASK(c, APPEND, &ask, &appended);
    c->files[file] = appended.file_id;
    return rc;
}

static int do_quota(struct crash *c, uint64_t seq, const char *path)
{
    struct cl2nn_set_quota ask = {{c->client, seq}, slice_str(path), 100, 1 << 20};
    return ASK(c, SET_QUOTA, &ask, NULL);
}

static int switch_safemode(struct crash *c, enum cl2nn_safemode_action action)
{
    const struct cl2nn_safemode ask = {.action = action};
    struct cl2nn_safemode_state state;
    return ASK(c, SAFEMODE, &ask, &state);
}

/* Not recorded, and repeatable; only in safe mode. */
static int do_checkpoint(struct crash *c)
{
    const struct cl2nn_save ask = {0};
    struct cl2nn_yes done;
    int rc = switch_safemode(c, CL2NN_SAFEMODE_ENTER);
    if (rc == 0)
        rc = ASK(c, SAVE_NAMESPACE, &ask, &done);
    if (rc == 0 || is_alive(c)) {
        int left = switch_safemode(c, CL2NN_SAFEMODE_LEAVE);
        rc = rc ? rc : left;
    }
    if (rc != 0 && rc != ERR_BUSY && is_alive(c)) {
        if (log_has(c, "no image of record") == 0)
            die(c->log, "an image failed without a word");
        c->images++;
        rc = c->err.code = 0; /* an image less is nobody's loss */
    }
    return rc == ERR_BUSY ? 0 : rc;
}

static int step(struct crash *c, uint64_t i)
{
    uint64_t seq = i + 1;
    switch (i) {
    case 0:
        return do_mkdir(c, seq, "/a", false);
    case 1:
        return do_create(c, seq, "/a/f", 0);
    case 2:
        return do_close(c, seq, 0);
    case 3:
        return do_rename(c, seq, "/a/f", "/a/g");
    case 4:
    case 5:
    case 6:
    case 7:
        return do_attributes(c, seq, (int)i - 4);
    case 8:
        return do_checkpoint(c);
    case 9:
        return do_mkdir(c, seq, "/out/_temporary/j", true);
    case 10:
        return do_create(c, seq, "/out/_temporary/j/f", 1);
    case 11:
        return do_close(c, seq, 1);
    case 12:
        return do_publish(c, seq);
    case 13:
        return do_create(c, seq, "/a/gone", 2);
    case 14:
        return do_delete(c, seq, "/a/gone");
    case 15:
        return do_checkpoint(c);
    case 16:
        return do_mkdir(c, seq, "/b", false);
    case 17:
        return do_rename(c, seq, "/a/g", "/b/h");
    case 18:
        return do_delete(c, seq, "/a");
    case 19:
        return do_create(c, seq, "/open", 3);
    case 20:
        return do_xattr(c, seq, "/b/h", CL2NN_XATTR_CREATE);
    case 21:
        return do_acl(c, seq, "/b/h");
    case 22:
        return do_quota(c, seq, "/b");
    case 23:
        return do_xattr(c, seq, "/b/h", CL2NN_XATTR_REPLACE);
    case 24: /* refused while it is open: done once, and closed in between */
        return do_append(c, seq, "/b/h", 4);
    case 25:
        return do_close(c, seq, 4);
    case 26:
        return do_append(c, seq, "/b/h", 4);
    default:
        return NN_STEPS_END;
    }
}

/* From step `i` on; gives the step that failed, or the number of steps. */
static uint64_t work(struct crash *c, uint64_t i)
{
    int rc = 0;
    while ((rc = step(c, i)) == 0) {
        arena_reset(&c->arena);
        i++;
    }
    c->err.code = rc == NN_STEPS_END ? 0 : rc;
    return i;
}

/* ---- what is there ---- */

static void dump(struct crash *c, const char *path, struct buf *out)
{
    struct cl2nn_list ask = {.path = slice_str(path)};
    struct cl2nn_listing page;
    char below[300];
    if (ASK(c, LIST, &ask, &page) != 0)
        die("cannot list", c->err.msg);
    for (size_t i = 0; i < page.files.n; i++) {
        const struct msg_file *f = &page.files.v[i];
        snprintf(below, sizeof(below), "%s/" SLICE_FMT, strcmp(path, "/") == 0 ? "" : path,
                 SLICE_ARG(f->name));
        buf_printf(out,
                   "%s %s id=%" PRIu64 " len=%" PRIu64 " r=%u %o " SLICE_FMT ":" SLICE_FMT "%s%s\n",
                   below, f->is_dir ? "dir" : "file", f->id, f->len, f->replication, f->mode,
                   SLICE_ARG(f->owner), SLICE_ARG(f->group), f->is_open ? " open" : "",
                   f->has_acl ? " acl" : "");
        if (f->is_dir)
            dump(c, below, out);
    }
}

/* Up again, and the client goes on where it was. */
static void go_on(struct crash *c, uint64_t at, uint64_t i)
{
    stop(c, SIGKILL);
    if (!start(c, NULL))
        die("start after the crash", c->err.msg);
    uint64_t end = work(c, i);
    if (c->err.code == 0)
        return;
    fprintf(stderr,
            "names_crash: %s at hit %" PRIu64 ": step %" PRIu64 " of a client interrupted in step "
            "%" PRIu64 ": %s\n",
            c->act, at, end, i, c->err.msg);
    exit(1);
}

/* One life of the tree with the fault at hit `at` (0 = none). Gives the final tree; true when the
 * namenode did die of it. */
static bool live(struct crash *c, uint64_t at, struct buf *out)
{
    char fault[64] = "";
    if (at)
        snprintf(fault, sizeof(fault), "disk.*=%" PRIu64 ":%s", at, c->act);
    memset(c->files, 0, sizeof(c->files));
    format(c);
    uint64_t i = start(c, fault) ? work(c, 0) : 0;
    bool has_died = c->pid == 0 || !is_alive(c);
    if (c->pid && has_died)
        collect(c, "");
    else if (c->err.code != 0 && c->pid)
        die("a request failed while the namenode lives", c->err.msg);
    if (has_died)
        go_on(c, at, i);
    dump(c, "/", out);
    stop(c, at ? SIGKILL : SIGTERM);
    return has_died;
}

/* What was answered is there after another death, too. */
static void dump_again(struct crash *c, struct buf *out)
{
    buf_clear(out);
    if (!start(c, NULL))
        die("start after the end", c->err.msg);
    dump(c, "/", out);
    stop(c, SIGKILL);
}

/* All hits of a life without a fault. */
static uint64_t count_hits(const struct crash *c)
{
    char name[64];
    uint64_t sum = 0;
    unsigned long long hits = 0;
    FILE *f = fopen(c->count, "r");
    while (f && fscanf(f, "%63s %llu", name, &hits) == 2)
        sum += strncmp(name, "disk.", 5) == 0 ? hits : 0;
    if (f)
        fclose(f);
    return sum + FORKED_HITS;
}

/* Somebody else has names now that the workload made, moved away or deleted. */
static void come_after(struct crash *c)
{
    c->client = CLIENT + 1;
    if (do_mkdir(c, 1, "/a", false) != 0 || do_create(c, 2, "/a/f", 5) != 0 ||
        do_create(c, 3, "/a/gone", 6) != 0 || do_mkdir(c, 4, "/out/_temporary/j", true) != 0)
        die("another client", c->err.msg);
    c->client = CLIENT;
}

static void ask_all_again(struct crash *c, const char *when, const struct buf *want)
{
    struct buf is = BUF_INIT;
    uint64_t files[ARRAY_LEN(c->files)];
    memcpy(files, c->files, sizeof(files));
    stop(c, SIGKILL);
    if (!start(c, NULL))
        die(when, c->err.msg);
    uint64_t end = work(c, 0);
    if (c->err.code != 0) {
        fprintf(stderr, "names_crash: step %" PRIu64 ", asked again: ", end);
        die(when, c->err.msg);
    }
    if (memcmp(files, c->files, sizeof(files)) != 0)
        die(when, "a repeated question got another answer");
    dump(c, "/", &is);
    if (!slice_eq(buf_slice(want), buf_slice(&is)))
        die("repeated questions changed the tree", buf_cstr(&is));
    buf_release(&is);
}

static void repeat(struct crash *c)
{
    struct buf want = BUF_INIT;
    format(c);
    if (!start(c, NULL))
        die(c->log, c->err.msg);
    work(c, 0);
    if (c->err.code != 0)
        die("the workload", c->err.msg);
    come_after(c);
    dump(c, "/", &want);
    ask_all_again(c, "behind a replay", &want);
    if (do_checkpoint(c) != 0)
        die("image", c->err.msg);
    ask_all_again(c, "behind an image", &want);
    stop(c, SIGKILL);
    buf_release(&want);
}

static void read_options(struct crash *c, int argc, char **argv, uint64_t *stride, uint64_t *from)
{
    const char *below = getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp";
    for (int i = 1; i + 1 < argc; i += 2) {
        uint64_t *number = strcmp(argv[i], "-stride") == 0 ? stride
                           : strcmp(argv[i], "-dirs") == 0 ? &c->dirs
                                                           : from;
        if (strcmp(argv[i], "-dir") == 0)
            below = argv[i + 1];
        else if (strcmp(argv[i], "-act") == 0)
            c->act = argv[i + 1];
        else if (str_to_u64(argv[i + 1], number) != 0 || *number == 0)
            die(argv[i], "wants a number");
    }
    ssize_t n = readlink("/proc/self/exe", c->program, sizeof(c->program) - 20);
    for (int up = 0; n > 0 && up < 3; up++)
        *strrchr(c->program, '/') = 0;
    snprintf(c->program + strlen(c->program), 20, "/quern-namenode");
    snprintf(c->dir, sizeof(c->dir), "%.200s/names_crash.XXXXXX", below);
    if (!mkdtemp(c->dir))
        die(c->dir, strerror(errno));
    snprintf(c->conf, sizeof(c->conf), "%s/quern.conf", c->dir);
    snprintf(c->log, sizeof(c->log), "%s/log", c->dir);
    snprintf(c->count, sizeof(c->count), "%s/count", c->dir);
    snprintf(c->address, sizeof(c->address), "127.0.0.1:%d", 20000 + getpid() % 12000);
}

/* The tree without a crash, then with one at each hit. */
static void crash_all(struct crash *c, uint64_t from, uint64_t stride)
{
    struct buf want = BUF_INIT, is = BUF_INIT;
    uint64_t deaths = 0, lives = 0;
    if (live(c, 0, &want))
        die(c->log, "it died without a fault");
    uint64_t hits = count_hits(c);
    for (uint64_t at = from; at <= hits; at += stride) {
        buf_clear(&is);
        deaths += live(c, at, &is);
        lives++;
        if (slice_eq(buf_slice(&want), buf_slice(&is)))
            dump_again(c, &is);
        if (!slice_eq(buf_slice(&want), buf_slice(&is))) {
            fprintf(stderr, "names_crash: %s at hit %" PRIu64 "\n", c->act, at);
            die("another tree than without the crash", buf_cstr(&is));
        }
    }
    if (lives == 0)
        die("-from", "there are not so many hits");
    printf("%" PRIu64 " lives, %" PRIu64 " deaths, %u of them its own decision, %u failed images\n",
           lives, deaths, c->ended, c->images);
    buf_release(&want);
    buf_release(&is);
}

int main(int argc, char **argv)
{
    struct crash c = {.act = "kill", .dirs = 2, .client = CLIENT};
    uint64_t stride = 1, from = 1;
    char command[400];
    read_options(&c, argc, argv, &stride, &from);
    identity_init(&c.self, WIRE_CLIENT, "crash");
    write_conf(&c);
    if (strcmp(c.act, "repeat") == 0)
        repeat(&c);
    else
        crash_all(&c, from, stride);
    arena_release(&c.arena);
    snprintf(command, sizeof(command), "rm -rf '%s'", c.dir);
    return system(command) == 0 ? 0 : 1;
}
