/* SPDX-License-Identifier: Apache-2.0
 * quern: the one command a person types. It knows the areas, not what they do: a row per area, and
 * the daemons, which are programs of their own. */
#include <errno.h>
#include <unistd.h>

#include "client/command.h"
#include "client/help/asked.h"
#include "client/help/keys.h"
#include "client/up/program.h"
#include "libcommon/base/fault.h"
#include "libcommon/base/fds.h"
#include "libcommon/base/str.h"
#include "libcommon/daemon/config.h"
#include "libcommon/daemon/crash.h"

struct row {
    const char *name;
    const char *args, *help; /* help NULL: another name for the row before, not listed */
    int (*run)(int argc, char **argv);
    const char *program; /* or run this program in our place */
};

static int cmd_version(int argc, char **argv);
static int cmd_help(int argc, char **argv);

static const struct row rows[] = {
    {"fs", "-COMMAND ...", "files: -ls -put -get -cat -mkdir -rm ... (fs -help)", cmd_fs, NULL},
    {"dfs", "", NULL, cmd_fs, NULL},
    {"distcp", "SRC... DST", "copy trees between clusters and local paths", cmd_distcp, NULL},
    {"admin", "-report ...", "what the cluster has and how it is", cmd_admin, NULL},
    {"dfsadmin", "", NULL, cmd_admin, NULL},
    {"fsck", "PATH", "is every block where it should be?", cmd_fsck, NULL},
    {"balancer", "[-threshold N]", "move blocks from full datanodes to empty ones", cmd_balancer,
     NULL},
    {"diskbalancer", "-execute NODE", "even out the data directories of one datanode",
     cmd_diskbalancer, NULL},
    {"getconf", "-confKey KEY ...", "what the configuration here says, for scripts", cmd_getconf,
     NULL},
    {"oiv", "-i IMAGE|DIR ...", "print an image of the namenode (XML, Delimited ...)", NULL,
     "quern-imagedump"},
    {"oev", "-i DIR|FILE ...", "print the namenode's journal (xml, stats ...)", NULL,
     "quern-editdump"},
    {"run", "PLUGIN IN... OUT", "run a job", cmd_run, NULL},
    {"job", "-COMMAND ...", "list, look at, wait for, kill jobs", cmd_job, NULL},
    {"bench", "[OPTION...]", "run standard jobs here and tell how long they take", cmd_bench, NULL},
    {"queue", "-list ...", "queues of jobs, their shares and what they have", cmd_queue, NULL},
    {"up", "[OPTION...]", "start a cluster on this machine", cmd_up, NULL},
    {"down", "[-dir DIR]", "stop it; the data stays", cmd_down, NULL},
    {"console", "DAEMON COMMAND", "ask or provoke a running daemon", cmd_console, NULL},
    {"namenode", "[OPTION...]", "run the namenode (-format once before)", NULL, "quern-namenode"},
    {"datanode", "[OPTION...]", "run a datanode", NULL, "quern-datanode"},
    {"jobtracker", "[OPTION...]", "run the jobtracker", NULL, "quern-jobtracker"},
    {"worker", "[OPTION...]", "run a worker", NULL, "quern-worker"},
    {"version", "", "which quern this is", cmd_version, NULL},
    {"help", "[COMMAND | KEY]", "this, a command's own help, or what a key means", cmd_help, NULL},
};

static const struct row *find_row(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (strcmp(rows[i].name, name) == 0)
            return &rows[i];
    return NULL;
}

static int unknown_command(const char *name)
{
    const char *names[ARRAY_LEN(rows)];
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        names[i] = rows[i].name;
    const char *near = str_nearest(name, names, ARRAY_LEN(rows));
    if (near)
        fprintf(stderr, "quern: no command \"%s\" (did you mean %s?)\n", name, near);
    else
        fprintf(stderr, "quern: no command \"%s\" (`quern help` shows all)\n", name);
    return EXIT_USAGE;
}

static int run_program(const struct row *row, char **argv)
{
    struct err err = {0};
    struct buf path = BUF_INIT;
    if (program_find(row->program, &path, &err) == 0) {
        execv(buf_cstr(&path), argv);
        err_errno(&err, errno, "cannot run %s", buf_cstr(&path));
    }
    fprintf(stderr, "quern %s: %s\n", row->name, err.msg);
    buf_release(&path);
    return 1;
}

/* What was said and did not arrive (a full disk, say) is a failure, also of what only prints. */
static int check_output(const char *name, int code)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return code;
    fprintf(stderr, "quern %s: cannot write to stdout\n", name);
    return code ? code : 1;
}

static int run_row(const struct row *row, int argc, char **argv)
{
    int code = row->run ? row->run(argc, argv) : run_program(row, argv);
    return row->run == cmd_fs || row->run == cmd_distcp
               ? code
               : check_output(row->name, code); /* fs has its own words */
}

static void print_help(FILE *to)
{
    fprintf(to,
            "quern %s: a distributed filesystem and MapReduce for bare metal\n\n"
            "usage: quern [-conf FILE] COMMAND ...\n\n",
            QUERN_VERSION);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (rows[i].help)
            fprintf(to, "  %-13s %-15s %s\n", rows[i].name, rows[i].args, rows[i].help);
    fprintf(
        to,
        "\nTo begin: `quern up -detach` starts a cluster on this machine and prints what to type\n"
        "next. `quern help COMMAND` tells more, `quern help keys` what can be configured. The\n"
        "configuration is the first of -conf FILE, $QUERN_CONF, ~/.config/quern/quern.conf,\n"
        "~/.local/share/quern/quern.conf and /etc/quern/quern.conf.\n");
}

static int cmd_version(int argc, char **argv)
{
    (void)argc, (void)argv;
    printf("quern %s (build %s)\n", QUERN_VERSION, crash_build_id());
    return 0;
}

static int cmd_help(int argc, char **argv)
{
    static char flag[] = "--help";
    if (argc < 2 || argv[1][0] == '-') {
        print_help(stdout);
        return 0;
    }
    if (strcmp(argv[1], "keys") == 0)
        return help_keys(argc > 2 ? argv[2] : NULL);
    if (strchr(argv[1], '.')) /* no command has one, nearly every key does */
        return help_keys(argv[1]);
    const struct row *row = find_row(argv[1]);
    if (!row)
        return unknown_command(argv[1]);
    if (row->run == cmd_help || row->run == cmd_version) {
        printf("quern %s %s: %s\n", row->name, row->args, row->help);
        return 0;
    }
    char *words[] = {argv[1], flag, NULL};
    return run_row(row, 2, words);
}

static bool is_word(const char *word, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(word, names[i]) == 0)
            return true;
    return false;
}

/* -conf before the command holds for whatever is run: it becomes $QUERN_CONF. */
static int take_conf(int argc, char **argv, int *at, struct err *err)
{
    struct config_args args = CONFIG_ARGS_INIT;
    int rc = 1;
    while (rc == 1 && *at < argc) {
        rc = config_args_take(&args, argc, argv, at, err);
        *at += rc == 1;
    }
    if (rc >= 0 && (args.define_count || args.fs || args.jt))
        rc = err_set(err, ERR_USAGE, "-D, -fs and -jt stand behind the command");
    if (rc >= 0 && args.file && setenv("QUERN_CONF", args.file, 1) != 0)
        rc = err_set(err, ERR_NOMEM, "out of memory");
    config_args_release(&args);
    return rc;
}

int main(int argc, char **argv)
{
    static const char *const version[] = {"-version", "--version", "-V"};
    struct err err = {0};
    int at = 1;
    fds_fill_std();
    crash_install("quern");
    if (fault_arm_from_env(&err) != 0 || take_conf(argc, argv, &at, &err) < 0) {
        fprintf(stderr, "quern: %s\n", err.msg);
        return EXIT_USAGE;
    }
    if (at >= argc) {
        print_help(stderr);
        return EXIT_USAGE;
    }
    if (help_is_asked(argv[at]))
        return check_output("help", cmd_help(1, argv));
    if (is_word(argv[at], version, ARRAY_LEN(version)))
        return check_output("version", cmd_version(1, argv));
    const struct row *row = find_row(argv[at]);
    return row ? run_row(row, argc - at, argv + at) : unknown_command(argv[at]);
}
