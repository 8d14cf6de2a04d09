/* SPDX-License-Identifier: Apache-2.0
 * quern admin: what an operator asks of the namenode, under the names Hadoop's dfsadmin has. One or
 * two dashes are taken. Exit codes: 0, and 255 for any failure, as over there. */
#include <strings.h>
#include <unistd.h>

#include "client/admin/leases.h"
#include "client/admin/quota.h"
#include "client/admin/reconfig.h"
#include "client/admin/report.h"
#include "client/admin/session.h"
#include "client/command.h"
#include "client/talk/namenode.h"

#define EXIT_FAILED  255
#define WAIT_POLL_MS 500

struct command {
    const char *name, *args, *help;
    int (*run)(struct session *session, int argc, char **argv); /* argv[0] is the command */
};

static int run_help(struct session *session, int argc, char **argv);

static int usage(const struct command *command)
{
    fprintf(stderr, "Usage: quern admin [-%s%s%s]\n", command->name, *command->args ? " " : "",
            command->args);
    return EXIT_FAILED;
}

/* --- report and topology ---------------------------------------------------------------------- */

static int ask_report(struct session *session, const char *what, struct arena *arena,
                      struct cl2nn_report *ret)
{
    struct err err;
    const struct msg_void ask = {0};
    int rc = session_connect(session, what);
    if (rc == 0 && (rc = cl_ask(session->fs, CL2NN_AT_REPORT, &ask, arena, ret, &err)) != 0)
        session_fail(what, rc, err.msg);
    return rc;
}

static int print_report(struct session *session, const char *what, unsigned sections,
                        void (*print)(const struct cl2nn_report *, unsigned, struct buf *))
{
    struct arena arena = ARENA_INIT;
    struct cl2nn_report report = {0};
    struct buf out = BUF_INIT;
    int rc = ask_report(session, what, &arena, &report);
    if (rc == 0) {
        print(&report, sections, &out);
        if (buf_failed(&out))
            rc = session_fail(what, ERR_NOMEM, err_text(ERR_NOMEM));
        else
            fwrite(out.data, 1, out.len, stdout);
    }
    buf_release(&out);
    arena_release(&arena);
    return rc == 0 ? 0 : EXIT_FAILED;
}

static const char *without_dashes(const char *word)
{
    return word[0] == '-' ? word + 1 + (word[1] == '-') : word;
}

static int run_report(struct session *session, int argc, char **argv)
{
    static const struct {
        const char *word;
        unsigned section;
    } filters[] = {
        {"live", REPORT_LIVE},
        {"dead", REPORT_DEAD},
        {"decommissioning", REPORT_DECOMMISSIONING},
        {"enteringmaintenance", REPORT_ENTERING_MAINTENANCE},
        {"inmaintenance", REPORT_IN_MAINTENANCE},
    };
    unsigned sections = 0;
    for (int i = 1; i < argc; i++) {
        unsigned section = 0;
        for (size_t f = 0; f < ARRAY_LEN(filters); f++)
            if (argv[i][0] == '-' && strcmp(without_dashes(argv[i]), filters[f].word) == 0)
                section = filters[f].section;
        if (!section)
            return EXIT_USAGE;
        sections |= section;
    }
    return print_report(session, "report", sections, report_print);
}

static void print_topology(const struct cl2nn_report *report, unsigned sections, struct buf *out)
{
    (void)sections;
    report_topology(report, out);
}

static int run_topology(struct session *session, int argc, char **argv)
{
    (void)argv;
    return argc == 1 ? print_report(session, "printTopology", 0, print_topology) : EXIT_USAGE;
}

/* --- safe mode -------------------------------------------------------------------------------- */

static int ask_safemode(struct session *session, uint32_t action, bool *ret_on, struct err *err)
{
    struct arena arena = ARENA_INIT;
    struct cl2nn_safemode_state state = {0};
    const struct cl2nn_safemode ask = {.action = action};
    int rc = cl_ask(session->fs, CL2NN_AT_SAFEMODE, &ask, &arena, &state, err);
    *ret_on = state.is_on;
    arena_release(&arena);
    return rc;
}

static int run_safemode(struct session *session, int argc, char **argv)
{
    static const struct {
        const char *word;
        uint32_t action;
        bool waits;
    } actions[] = {
        {"enter", CL2NN_SAFEMODE_ENTER, false},     {"leave", CL2NN_SAFEMODE_LEAVE, false},
        {"forceExit", CL2NN_SAFEMODE_LEAVE, false}, {"get", CL2NN_SAFEMODE_GET, false},
        {"wait", CL2NN_SAFEMODE_GET, true},
    };
    struct err err;
    bool is_on = false;
    size_t i = 0;
    while (i < ARRAY_LEN(actions) && (argc != 2 || strcasecmp(argv[1], actions[i].word) != 0))
        i++;
    if (i == ARRAY_LEN(actions))
        return EXIT_USAGE;
    if (session_connect(session, "safemode") != 0)
        return EXIT_FAILED;
    int rc = ask_safemode(session, actions[i].action, &is_on, &err);
    while (rc == 0 && actions[i].waits && is_on) {
        usleep(WAIT_POLL_MS * 1000);
        rc = ask_safemode(session, CL2NN_SAFEMODE_GET, &is_on, &err);
    }
    if (rc != 0)
        return session_fail("safemode", EXIT_FAILED, err.msg);
    printf("Safe mode is %s\n", is_on ? "ON" : "OFF");
    return 0;
}

/* Ask a thing that has no answer; `done` is printed then. */
static int run_plain(struct session *session, const char *what, unsigned method, const char *done)
{
    struct err err;
    struct arena arena = ARENA_INIT;
    const struct msg_void ask = {0};
    if (session_connect(session, what) != 0)
        return EXIT_FAILED;
    int rc = cl_ask(session->fs, method, &ask, &arena, NULL, &err);
    arena_release(&arena);
    if (rc != 0)
        return session_fail(what, EXIT_FAILED, err.msg);
    puts(done);
    return 0;
}

static int run_save(struct session *session, int argc, char **argv)
{
    if (argc > 2 || (argc == 2 && strcmp(without_dashes(argv[1]), "beforeShutdown") != 0))
        return EXIT_USAGE;
    return run_plain(session, "saveNamespace", CL2NN_AT_SAVE_NAMESPACE,
                     "Save namespace successful");
}

static int run_restore(struct session *session, int argc, char **argv)
{
    static const char *const words[] = {"check", "true", "false"}; /* enum cl2nn_restore_action */
    struct err err;
    struct arena arena = ARENA_INIT;
    struct cl2nn_restore_storage ask = {0};
    struct cl2nn_yes answer = {0};
    if (argc != 2)
        return EXIT_USAGE;
    while (ask.action < ARRAY_LEN(words) && strcmp(argv[1], words[ask.action]) != 0)
        ask.action++;
    if (ask.action == ARRAY_LEN(words)) {
        fprintf(stderr, "restoreFailedStorage valid args are true|false|check\n");
        return EXIT_FAILED;
    }
    if (session_connect(session, "restoreFailedStorage") != 0)
        return EXIT_FAILED;
    int rc = cl_ask(session->fs, CL2NN_AT_RESTORE_STORAGE, &ask, &arena, &answer, &err);
    arena_release(&arena);
    if (rc != 0)
        return session_fail("restoreFailedStorage", EXIT_FAILED, err.msg);
    printf("restoreFailedStorage is set to %s\n", answer.yes ? "true" : "false");
    return 0;
}

static int run_refresh_nodes(struct session *session, int argc, char **argv)
{
    (void)argv;
    return argc == 1 ? run_plain(session, "refreshNodes", CL2NN_AT_REFRESH_NODES,
                                 "Refresh nodes successful")
                     : EXIT_USAGE;
}

/* --- quotas ----------------------------------------------------------------------------------- */

static int run_set_quota(struct session *session, int argc, char **argv)
{
    return quota_run(session, (struct quota_wish){false, false}, argc, argv, EXIT_USAGE);
}

static int run_clr_quota(struct session *session, int argc, char **argv)
{
    return quota_run(session, (struct quota_wish){false, true}, argc, argv, EXIT_USAGE);
}

static int run_set_space_quota(struct session *session, int argc, char **argv)
{
    return quota_run(session, (struct quota_wish){true, false}, argc, argv, EXIT_USAGE);
}

static int run_clr_space_quota(struct session *session, int argc, char **argv)
{
    return quota_run(session, (struct quota_wish){true, true}, argc, argv, EXIT_USAGE);
}

/* --- leases ----------------------------------------------------------------------------------- */

static int run_recover_lease(struct session *session, int argc, char **argv)
{
    return leases_recover(session, argc, argv, EXIT_USAGE);
}

static int run_list_open(struct session *session, int argc, char **argv)
{
    return leases_list(session, argc, argv, EXIT_USAGE);
}

/* --- configuration ---------------------------------------------------------------------------- */

static int run_reconfig(struct session *session, int argc, char **argv)
{
    return reconfig_run(session, argc, argv, EXIT_USAGE);
}

/* --- the table -------------------------------------------------------------------------------- */

static const struct command commands[] = {
    {"report", "[-live] [-dead] [-decommissioning] [-enteringmaintenance] [-inmaintenance]",
     "How much room there is, what needs repair, and every datanode with its numbers. The flags\n"
     "show only the datanodes in that state.",
     run_report},
    {"safemode", "<enter | leave | get | wait | forceExit>",
     "In safe mode nothing can be changed and no replica is made or removed. The namenode begins\n"
     "in it and leaves when enough blocks have been reported; `wait` returns then.",
     run_safemode},
    {"saveNamespace", "[-beforeShutdown]",
     "Write the namespace as an image now, so that the next start need not replay the journal.\n"
     "Needs safe mode and a superuser.",
     run_save},
    {"restoreFailedStorage", "true|false|check",
     "Shall the namenode try directories of dfs.namenode.name.dir that failed again, every "
     "minute,\n"
     "and fill those that are well? `check` only tells. (SIGHUP and -reconfig try them once.)",
     run_restore},
    {"refreshNodes", "",
     "Read the files of dfs.hosts and dfs.hosts.exclude again: who may be a datanode, who is to "
     "be\n"
     "decommissioned (\"NODE\" in the exclude file) and who is to rest in maintenance (\"NODE\n"
     "maintenance [UNTIL-MS]\"). -report shows how far they are.",
     run_refresh_nodes},
    {"setQuota", "<quota> <dirname>...<dirname>",
     "Set the quota <quota> for each directory <dirName>: how many names (directories and files,\n"
     "itself among them) may be in it and below. Suffixes k m g t p are taken.",
     run_set_quota},
    {"clrQuota", "<dirname>...<dirname>", "Clear the quota of names of each directory.",
     run_clr_quota},
    {"setSpaceQuota", "<quota> <dirname>...<dirname>",
     "Set the space quota <quota> for each directory <dirName>: how many bytes, counted once for\n"
     "every replica, may be in it and below. Suffixes k m g t p are taken: 50t is 50 TB.",
     run_set_space_quota},
    {"clrSpaceQuota", "<dirname>...<dirname>", "Clear the space quota of each directory.",
     run_clr_space_quota},
    {"recoverLease", "[-path] <path> [-retries <num-retries>]",
     "Take the file from its writer now, as if he had been silent for too long: its last block is\n"
     "brought to one length on all its datanodes, and the file is closed.",
     run_recover_lease},
    {"listOpenFiles", "[[-path] <path>]",
     "Every file that is being written (at or below the path), and who has its lease.",
     run_list_open},
    {"reconfig", "<namenode|datanode> <host:ipc_port|livenodes> <start|status|properties>",
     "Starts or gets the status of a reconfiguration operation: the daemon reads its "
     "configuration\n"
     "again, as by SIGHUP; or gets a list of reconfigurable properties. A datanode's address is\n"
     "that of its data port, as -report shows it. `livenodes`: all live datanodes.",
     run_reconfig},
    {"printTopology", "", "Racks, and the datanodes in them.", run_topology},
    {"help", "[cmd]", "What a command does, or what commands there are.", run_help},
};

static const struct command *find_command(const char *word)
{
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        if (strcmp(commands[i].name, word) == 0)
            return &commands[i];
    return NULL;
}

static void print_all(FILE *out)
{
    fprintf(out, "Usage: quern admin\nNote: Administrative commands can only be run as the "
                 "superuser of the filesystem.\n");
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        fprintf(out, "\t[-%s%s%s]\n", commands[i].name, *commands[i].args ? " " : "",
                commands[i].args);
    fprintf(out, "\nGeneric options: -conf <file>, -D <property=value>, "
                 "-fs <quern://namenode:port>\n");
}

static int run_help(struct session *session, int argc, char **argv)
{
    (void)session;
    if (argc < 2) {
        print_all(stdout);
        return 0;
    }
    const struct command *command = find_command(without_dashes(argv[1]));
    if (!command)
        return session_fail(argv[1], EXIT_FAILED, "Unknown command");
    printf("-%s %s\n%s\n", command->name, command->args, command->help);
    return 0;
}

int cmd_admin(int argc, char **argv)
{
    struct session session;
    int code = EXIT_FAILED;
    if (session_begin(&session, "quern admin", &argc, argv) != 0) {
        session_end(&session);
        return EXIT_FAILED;
    }
    const struct command *command =
        argc > 1 && argv[1][0] == '-' ? find_command(without_dashes(argv[1])) : NULL;
    if (command) {
        code = command->run(&session, argc - 1, argv + 1);
        code = code == EXIT_USAGE ? usage(command) : code;
    } else if (argc > 1 && (strcmp(without_dashes(argv[1]), "allowSnapshot") == 0 ||
                            strcmp(without_dashes(argv[1]), "disallowSnapshot") == 0)) {
        code = session_fail(without_dashes(argv[1]), EXIT_FAILED,
                            "there are no snapshots here: nothing was done");
    } else if (argc > 1) {
        session_fail(argv[1], 0, "Unknown command");
        print_all(stderr);
    } else {
        print_all(stderr);
    }
    session_end(&session);
    if (fflush(stdout) != 0)
        code = EXIT_FAILED;
    return code;
}
