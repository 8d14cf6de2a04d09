/* SPDX-License-Identifier: Apache-2.0
 * quern balancer: the namenode moves blocks from full datanodes to empty ones as long as we ask how
 * far it is; here its progress is printed, a line for each iteration, as Hadoop's balancer prints
 * it. Exit codes, modulo 256: 0 balanced, -1 another one runs, -2 no block can be moved, -3 nothing
 * moves any more, -4 the namenode cannot be reached or refuses, -5 bad arguments, -6 interrupted.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <unistd.h>

#include "client/admin/session.h"
#include "client/command.h"
#include "client/help/asked.h"
#include "client/lib/handle.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/str.h"
#include "libcommon/store/fsutil.h"

#define POLL_US      200000
#define HOSTS_BYTES  (16U << 20)
#define DEFAULT_IDLE 5
#define SERVICE_S    300

enum exit_code {
    EXIT_RUNNING = 255,
    EXIT_NO_BLOCK = 254,
    EXIT_NO_PROGRESS = 253,
    EXIT_IO = 252,
    EXIT_ARGUMENTS = 251,
    EXIT_INTERRUPTED = 250,
};

static volatile sig_atomic_t is_interrupted;

struct hosts {
    struct buf text; /* the names point in here */
    struct slice *names;
    size_t count, cap;
};

struct wish {
    double threshold;
    int64_t idle;
    bool is_service;
    struct hosts include, exclude, source;
};

static int usage(FILE *out)
{
    fprintf(out,
            "Usage: %s balancer\n"
            "\t[-policy <policy>]\tthe balancing policy: datanode or blockpool\n"
            "\t[-threshold <threshold>]\tPercentage of disk capacity\n"
            "\t[-exclude [-f <hosts-file> | <comma-separated list of hosts>]]\tExcludes the "
            "specified datanodes.\n"
            "\t[-include [-f <hosts-file> | <comma-separated list of hosts>]]\tIncludes only the "
            "specified datanodes.\n"
            "\t[-source [-f <hosts-file> | <comma-separated list of hosts>]]\tPick only the "
            "specified datanodes as source nodes.\n"
            "\t[-idleiterations <idleiterations>]\tNumber of consecutive idle iterations before "
            "exit (default 5, -1 for infinite).\n"
            "\t[-runDuringUpgrade]\tWhether to run the balancer during an ongoing upgrade.\n"
            "\t[-asService]\tRun as a long running service: again five minutes after each end.\n"
            "\t[-blockpools <list>] [-sortTopNodes] [-limitOverUtilizedNum <n>] "
            "[-hotBlockTimeInterval <ms>]\tAccepted, and change nothing.\n\n"
            "Blocks smaller than dfs.balancer.getBlocks.min-block-size stay where they are.\n"
            "Exit codes: 0 balanced, 255 another one runs, 254 no block can be moved, 253 nothing "
            "moves,\n252 the namenode fails, 251 bad arguments, 250 interrupted.\n",
            session_tool());
    return EXIT_ARGUMENTS;
}

/* ---- arguments ---- */

static void hosts_release(struct hosts *hosts)
{
    buf_release(&hosts->text);
    mem_free(hosts->names);
}

/* Words of the text, between commas and white space. */
static int split(struct hosts *hosts)
{
    struct slice text = buf_slice(&hosts->text);
    for (size_t from = 0, to = 0; from < text.len; from = to + 1) {
        to = from;
        while (to < text.len && !strchr(", \t\r\n", text.data[to]))
            to++;
        if (to == from)
            continue;
        if (mem_grow(&hosts->names, &hosts->cap, hosts->count, sizeof(*hosts->names)) < 0)
            return ERR_NOMEM;
        hosts->names[hosts->count++] = slice_of(text.data + from, to - from);
    }
    return hosts->count ? 0 : ERR_USAGE;
}

/* "-f FILE" or "a,b". */
static int take_hosts(int argc, char **argv, int *at, struct hosts *hosts)
{
    struct err err;
    bool is_file = *at + 1 < argc && strcmp(argv[*at + 1], "-f") == 0;
    *at += is_file ? 2 : 1;
    if (*at >= argc || hosts->count)
        return ERR_USAGE;
    if (!is_file)
        buf_append_str(&hosts->text, argv[*at]);
    else if (fsutil_read_all(disk_real(), argv[*at], HOSTS_BYTES, &hosts->text, &err) != 0)
        return session_fail("balancer", ERR_USAGE, err.msg);
    return buf_failed(&hosts->text) ? ERR_NOMEM : split(hosts);
}

static int take_number(const char *word, const char *value, struct wish *wish)
{
    if (strcmp(word, "idleiterations") == 0) {
        if (strcmp(value, "-1") == 0)
            wish->idle = INT32_MAX;
        else if (str_to_i64(value, &wish->idle) != 0 || wish->idle <= 0 || wish->idle > INT32_MAX)
            return ERR_USAGE;
        return 0;
    }
    if (str_to_double(value, &wish->threshold) == 0 && wish->threshold >= 1 &&
        wish->threshold <= 100)
        return 0;
    fprintf(stderr, "Expecting a number in the range of [1.0, 100.0]: %s\n", value);
    return ERR_USAGE;
}

static int take_argument(int argc, char **argv, int *at, struct wish *wish)
{
    const char *word = argv[*at];
    struct hosts *const lists[] = {&wish->include, &wish->exclude, &wish->source};
    static const char *const names[] = {"include", "exclude", "source"};
    /* There is one pool; and what lies where is the namenode's to choose. */
    static const char *const ignored[] = {"blockpools", "limitOverUtilizedNum",
                                          "hotBlockTimeInterval"};
    if (word[0] != '-')
        return ERR_USAGE;
    word += 1 + (word[1] == '-');
    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        if (strcmp(word, names[i]) == 0)
            return take_hosts(argc, argv, at, lists[i]);
    if (strcmp(word, "runDuringUpgrade") == 0 || strcmp(word, "sortTopNodes") == 0)
        return 0;
    if (strcmp(word, "asService") == 0) {
        wish->is_service = true;
        return 0;
    }
    if (*at + 1 >= argc)
        return ERR_USAGE;
    const char *value = argv[++*at];
    if (strcmp(word, "policy") == 0) {
        if (strcasecmp(value, "datanode") == 0 || strcasecmp(value, "blockpool") == 0)
            return 0;
        fprintf(stderr, "Illegal policy name: %s\n", value);
        return ERR_USAGE;
    }
    for (size_t i = 0; i < ARRAY_LEN(ignored); i++)
        if (strcmp(word, ignored[i]) == 0)
            return 0;
    if (strcmp(word, "threshold") == 0 || strcmp(word, "idleiterations") == 0)
        return take_number(word, value, wish);
    return ERR_USAGE;
}

static int parse(int argc, char **argv, struct wish *wish)
{
    int rc = 0;
    for (int i = 1; i < argc && rc == 0; i++)
        rc = take_argument(argc, argv, &i, wish);
    if (rc == 0 && wish->include.count && wish->exclude.count) {
        fprintf(stderr, "balancer: -exclude and -include options cannot be specified together.\n");
        rc = ERR_USAGE;
    }
    return rc;
}

/* ---- what is printed ---- */

static void print_date(void)
{
    time_t now = (time_t)(clock_wall_ms() / 1000);
    char text[64] = "";
    struct tm tm;
    if (localtime_r(&now, &tm))
        strftime(text, sizeof(text), "%b %-d, %Y, %-I:%M:%S %p", &tm);
    printf("%-24s ", text);
}

static void print_iteration(const struct session *session, const struct cl2nn_balancing *now,
                            uint64_t moved_bytes)
{
    char moved[32], left[32], planned[32];
    print_date();
    printf("%10u  %19s  %18s  %17s  %17" PRIu64 "  %s\n", now->iteration,
           str_human_report(moved_bytes, moved, sizeof(moved)),
           str_human_report(now->left_bytes, left, sizeof(left)),
           str_human_report(now->planned_bytes, planned, sizeof(planned)), now->moved_blocks,
           session->fs->uri);
    fflush(stdout);
}

/* On a terminal, between the lines. */
static void print_progress(const struct cl2nn_balancing *now, bool is_over)
{
    char moved[32];
    if (!isatty(STDERR_FILENO))
        return;
    if (is_over)
        fprintf(stderr, "\r\033[K");
    else
        fprintf(stderr, "\r\033[K%s moved in %" PRIu64 " blocks, %" PRIu64 " under way",
                str_human_report(now->moved_bytes, moved, sizeof(moved)), now->moved_blocks,
                now->under_way);
    fflush(stderr);
}

static void print_took(uint64_t ms)
{
    print_date();
    if (ms < 1000)
        printf("Balancing took %.1f milliseconds\n", (double)ms);
    else if (ms < 60000)
        printf("Balancing took %.3f seconds\n", (double)ms / 1000);
    else if (ms < 3600000)
        printf("Balancing took %.3f minutes\n", (double)ms / 60000);
    else
        printf("Balancing took %.3f hours\n", (double)ms / 3600000);
    fflush(stdout); /* whoever reads a service waits for it */
}

/* ---- the run ---- */

static int ask(struct session *session, const struct cl2nn_balance *question,
               struct cl2nn_balancing *ret)
{
    struct err err;
    struct arena arena = ARENA_INIT;
    int rc = cl_ask(session->fs, CL2NN_AT_BALANCE, question, &arena, ret, &err);
    arena_release(&arena);
    if (rc == ERR_BUSY) {
        fflush(stdout);
        fprintf(stderr, "%s\n", err.msg);
        return EXIT_RUNNING;
    }
    return rc == 0 ? 0 : session_fail("balancer", EXIT_IO, err.msg);
}

/* The state is one that lasts: say so, before the last line of figures when that is no good news,
 * and with which code to exit. */
static int finish(const struct session *session, const struct cl2nn_balancing *now,
                  const struct wish *wish)
{
    int code = 0;
    if (now->state == CL2NN_BALANCE_HAS_NO_BLOCK) {
        printf("No block can be moved. Exiting...\n");
        code = EXIT_NO_BLOCK;
    } else if (now->state != CL2NN_BALANCE_IS_DONE) {
        printf("No block has been moved for %" PRId64 " iterations. Exiting...\n", wish->idle);
        code = EXIT_NO_PROGRESS;
    }
    print_iteration(session, now, now->moved_bytes);
    if (code == 0)
        printf("The cluster is balanced. Exiting...\n");
    return code;
}

static int follow(struct session *session, const struct wish *wish, struct cl2nn_balancing *now)
{
    struct cl2nn_balance poll = {.action = CL2NN_BALANCE_POLL, .session = now->session};
    int64_t printed = -1;
    int code = 0;
    while (code == 0 && now->state < CL2NN_BALANCE_IS_DONE && !is_interrupted) {
        if (now->state == CL2NN_BALANCE_MOVES && printed != now->iteration) {
            print_progress(now, true);
            print_iteration(session, now, now->moved_before);
            printed = now->iteration;
        }
        print_progress(now, false);
        usleep(POLL_US);
        code = ask(session, &poll, now);
    }
    print_progress(now, true);
    if (code != 0)
        return code;
    code = is_interrupted ? EXIT_INTERRUPTED : finish(session, now, wish);
    poll.action = CL2NN_BALANCE_STOP; /* one that has ended makes room for the next */
    (void)ask(session, &poll, now);
    return code;
}

static int run(struct session *session, const struct wish *wish)
{
    struct cl2nn_balancing now = {0};
    const struct cl2nn_balance start = {
        .action = CL2NN_BALANCE_START,
        .threshold = (uint32_t)(wish->threshold * 1000 + 0.5),
        .idle_max = (uint32_t)wish->idle,
        .include = {wish->include.names, wish->include.count},
        .exclude = {wish->exclude.names, wish->exclude.count},
        .source = {wish->source.names, wish->source.count},
    };
    uint64_t began_ms = clock_mono_ms();
    if (session_connect(session, "balancer") != 0)
        return EXIT_IO;
    int code = ask(session, &start, &now);
    if (code != 0)
        return code;
    printf("Time Stamp               Iteration#  Bytes Already Moved  Bytes Left To Move  Bytes "
           "Being Moved  NameNode\n");
    code = follow(session, wish, &now);
    print_took(clock_mono_ms() - began_ms);
    return code;
}

/* Once, or until a signal: what fails once may not fail the next time. */
static int serve(struct session *session, const struct wish *wish)
{
    int code;
    do
        code = run(session, wish);
    while (wish->is_service && !is_interrupted && sleep(SERVICE_S) == 0);
    return wish->is_service && is_interrupted ? EXIT_INTERRUPTED : code;
}

static void on_signal(int number)
{
    (void)number;
    is_interrupted = 1;
}

int cmd_balancer(int argc, char **argv)
{
    const struct sigaction action = {.sa_handler = on_signal};
    struct session session;
    struct wish wish = {.threshold = 10, .idle = DEFAULT_IDLE};
    int code = EXIT_ARGUMENTS;
    if (session_begin(&session, "balancer", &argc, argv) == 0) {
        if (help_is_asked_in(argc, argv)) {
            usage(stdout);
            code = 0;
        } else if (parse(argc, argv, &wish) != 0) {
            code = usage(stderr);
        } else if (sigaction(SIGINT, &action, NULL) != 0 ||
                   sigaction(SIGTERM, &action, NULL) != 0) {
            code = session_fail("balancer", EXIT_IO, strerror(errno));
        } else {
            code = serve(&session, &wish);
        }
    }
    session_end(&session);
    hosts_release(&wish.include);
    hosts_release(&wish.exclude);
    hosts_release(&wish.source);
    if (fflush(stdout) != 0)
        code = EXIT_IO;
    return code;
}
