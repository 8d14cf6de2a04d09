/* SPDX-License-Identifier: Apache-2.0
 * quern admin: what an operator asks of the namenode and the datanodes. Under the name `hdfs` it is
 * Hadoop's dfsadmin: the same commands, words, texts and exit codes. One or two dashes are taken.
 */
#include <errno.h>

#include "client/admin/commands.h"
#include "client/admin/reconfig.h"
#include "client/admin/words.h"
#include "client/command.h"
#include "client/help/asked.h"

#define ANY         1000

#define JSON_OBJECT "--json: all that is known, as one object."

struct command {
    const char *name, *args;
    const char *usage; /* as a wrong line is answered; NULL = "-name args" in brackets */
    int least, most;   /* words, with the command itself */
    admin_command *run;
    const char *here; /* what is to be known of it here, beside Hadoop's words; or NULL */
    bool is_ours;     /* Hadoop has no such command */
    bool knows_json;
};

static admin_command run_help, run_reconfig;

static const struct command commands[] = {
    {"report",
     "[-live] [-dead] [-decommissioning] [-enteringmaintenance] [-inmaintenance] [-slownodes]",
     "[-report] [-live] [-dead] [-decommissioning] [-enteringmaintenance] [-inmaintenance] "
     "[-slownodes]",
     1, 7, admin_report, JSON_OBJECT, false, true},
    {"safemode", "<enter | leave | get | wait | forceExit>",
     "[-safemode enter | leave | get | wait | forceExit]", 2, 2, admin_safemode, NULL, false},
    {"saveNamespace", "[-beforeShutdown]", NULL, 1, 2, admin_save, NULL, false},
    {"rollEdits", "", NULL, 1, 1, admin_roll, NULL, false},
    {"restoreFailedStorage", "true|false|check", "[-restoreFailedStorage true|false|check ]", 2, 2,
     admin_restore_storage,
     "true: directories of dfs.namenode.name.dir that failed are tried again every minute, and\n"
     "filled when they are well. SIGHUP and -reconfig try them once.",
     false},
    {"refreshNodes", "", NULL, 1, 1, admin_refresh_nodes,
     "\"NODE maintenance [UNTIL-MS]\" in the exclude file lets a node rest; -report shows how far "
     "they are.",
     false},
    {"setQuota", "<quota> <dirname>...<dirname>", NULL, 1, ANY, admin_set_quota, NULL, false},
    {"clrQuota", "<dirname>...<dirname>", NULL, 1, ANY, admin_clr_quota, NULL, false},
    {"setSpaceQuota", "<quota> [-storageType <storagetype>] <dirname>...<dirname>", NULL, 1, ANY,
     admin_set_space_quota,
     "Every data directory is of type DISK here: its quota counts all there is, those of other\n"
     "types are kept and shown, and nothing counts against them.",
     false},
    {"clrSpaceQuota", "[-storageType <storagetype>] <dirname>...<dirname>", NULL, 1, ANY,
     admin_clr_space_quota, NULL, false},
    {"finalizeUpgrade", "", NULL, 1, 1, admin_finalize_upgrade, NULL, false},
    {"rollingUpgrade", "[<query|prepare|finalize>]", NULL, 1, 2, admin_rolling_upgrade,
     "A new version reads what the one before it wrote: nothing is prepared or finalized.", false},
    {"upgrade", "<query | finalize>", "[-upgrade query | finalize]", 2, 2, admin_upgrade, NULL,
     false},
    {"refreshServiceAcl", "", NULL, 1, 1, admin_refresh_acl, "There is no such list here.", false},
    {"refreshUserToGroupsMappings", "", NULL, 1, 1, admin_refresh_groups, NULL, false},
    {"refreshSuperUserGroupsConfiguration", "", NULL, 1, ANY, admin_refresh_proxies, NULL, false},
    {"refreshCallQueue", "", NULL, 1, ANY, admin_refresh_queue, NULL, false},
    {"refresh", "<host:ipc_port> <key> [arg1..argn",
     "[-refresh <hostname:ipc_port> <resource_identifier> [arg1..argn]", 3, ANY, admin_refresh,
     "No daemon has such a resource here: see -reconfig.", false},
    {"reconfig", "<namenode|datanode> <host:ipc_port|livenodes> <start|status|properties>", NULL, 4,
     4, run_reconfig, "A datanode's address is that of its data port, as -report shows it.", false},
    {"printTopology", "", NULL, 1, 1, admin_topology, JSON_OBJECT, false, true},
    {"refreshNamenodes", "datanode_host:ipc_port", "[-refreshNamenodes datanode-host:ipc_port]", 2,
     2, admin_refresh_namenodes, "A datanode serves one namenode here.", false},
    {"getVolumeReport", "datanode_host:ipc_port", "[-getVolumeReport datanode-host:ipc_port]", 2, 2,
     admin_volumes, JSON_OBJECT, false, true},
    {"deleteBlockPool", "datanode_host:ipc_port blockpoolId [force]",
     "[-deleteBlockPool datanode-host:ipc_port blockpoolId [force]]", 3, 4, admin_delete_pool,
     "There are no block pools here.", false},
    {"setBalancerBandwidth", "<bandwidth in bytes per second>", NULL, 2, 2, admin_set_bandwidth,
     "0 = as fast as it goes. It holds for all copies that leave a datanode.", false},
    {"getBalancerBandwidth", "<datanode_host:ipc_port>", NULL, 2, 2, admin_get_bandwidth,
     "The port is the data port, as -report shows it; 0 = no limit.", false},
    {"fetchImage", "<local directory>", NULL, 2, 2, admin_fetch,
     "Needs a superuser: an image shows every name.", false},
    {"allowSnapshot", "<snapshotDir>", NULL, 2, 2, admin_allow_snapshot,
     "Snapshots are not supported.", false},
    {"disallowSnapshot", "<snapshotDir>", NULL, 2, 2, admin_disallow_snapshot,
     "Snapshots are not supported.", false},
    {"provisionSnapshotTrash", "<snapshotDir> [-all]", NULL, 2, 3, admin_provision_trash,
     "Snapshots are not supported.", false},
    {"shutdownDatanode", "<datanode_host:ipc_port> [upgrade]", NULL, 2, 3, admin_shutdown,
     "The port is the data port, as -report shows it. Writers go on with the other datanodes of\n"
     "their pipelines, with \"upgrade\" as without.",
     false},
    {"evictWriters", "<datanode_host:ipc_port>", NULL, 2, ANY, admin_evict,
     "The port is the data port, as -report shows it.", false},
    {"getDatanodeInfo", "<datanode_host:ipc_port>", NULL, 2, 2, admin_node_info,
     "The port is the data port, as -report shows it.", false},
    {"metasave", "filename", NULL, 2, 2, admin_metasave,
     "The directory is that of log.file, or else of dfs.namenode.audit.log, where the namenode\n"
     "runs; its log tells the whole path. Only what metasave has written is overwritten.",
     false},
    {"triggerBlockReport",
     "[-incremental] <datanode_host:ipc_port> [-namenode <namenode_host:ipc_port>]", NULL, 2, 5,
     admin_trigger_report, "The port is the data port, as -report shows it.", false},
    {"listOpenFiles", "[-blockingDecommission] [-path <path>]", NULL, 1, 4, admin_list_open,
     "With --json each file is an object on a line of its own.", false, true},
    {"recoverLease", "[-path] <path> [-retries <num-retries>]", NULL, 2, ANY, admin_recover_lease,
     "Take the file from its writer now, as if he had been silent for too long: its last block is\n"
     "brought to one length on all its datanodes, and the file is closed.",
     true},
    {"help", "[cmd]", NULL, 1, ANY, run_help, NULL, false},
};

/* ---- how we are called ---- */

static bool is_hdfs(void)
{
    const char *name = program_invocation_short_name;
    return strcmp(name, "hdfs") == 0 || strcmp(name, "hadoop") == 0;
}

static const char *program(void)
{
    return is_hdfs() ? ADMIN_AS_HDFS : "quern admin";
}

static const char *without_dashes(const char *word)
{
    return word[0] == '-' ? word + 1 + (word[1] == '-') : word;
}

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

/* ---- usage and help ---- */

static void print_generic(FILE *out)
{
    fputs("\nGeneric options supported are:\n"
          "-conf <configuration file>        specify an application configuration file\n"
          "-D <property=value>               define a value for a given property\n"
          "-fs <file:///|hdfs://namenode:port> specify default filesystem URL to use, overrides "
          "'fs.defaultFS' property from configurations.\n",
          out);
    if (is_hdfs())
        fputs("-jt <local|resourcemanager:port>  specify a ResourceManager\n"
              "-files <file1,...>                specify a comma-separated list of files to be "
              "copied to the map reduce cluster\n"
              "-libjars <jar1,...>               specify a comma-separated list of jar files to "
              "be included in the classpath\n"
              "-archives <archive1,...>          specify a comma-separated list of archives to "
              "be unarchived on the compute machines\n",
              out);
    fputs("\nThe general command line syntax is:\ncommand [genericOptions] [commandOptions]\n\n",
          out);
}

/* What is typed behind the words Hadoop knows. */
static const char *our_option(const struct command *c)
{
    return c->knows_json && !is_hdfs() ? " [--json]" : "";
}

/* In the list of a wrong line Hadoop lacks a bracket. */
static void print_list(FILE *out, bool is_wrong_line)
{
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        const struct command *c = &commands[i];
        bool is_open = is_wrong_line && is_hdfs() && strcmp(c->name, "refresh") == 0;
        if (!c->is_ours || !is_hdfs())
            fprintf(out, "\t[-%s%s%s%s%s\n", c->name, *c->args ? " " : "", c->args, our_option(c),
                    is_open ? "" : "]");
    }
}

static void print_all(FILE *out)
{
    fprintf(out,
            "Usage: %s\nNote: Administrative commands can only be run as the HDFS superuser.\n",
            program());
    print_list(out, true);
    print_generic(out);
}

static int usage(const struct command *c)
{
    fflush(stdout);
    if (c->usage)
        fprintf(stderr, "Usage: %s %s%s\n", program(), c->usage, our_option(c));
    else
        fprintf(stderr, "Usage: %s [-%s%s%s%s]\n", program(), c->name, *c->args ? " " : "", c->args,
                our_option(c));
    return ADMIN_FAILED;
}

/* Hadoop's words, and without its name also what is to be known here. */
static void print_help(const struct command *c)
{
    const char *words = admin_words(c->name);
    if (c->is_ours)
        printf("-%s %s:\n", c->name, c->args);
    else if (words)
        fputs(words, stdout);
    for (const char *line = c->here; line && !is_hdfs();) {
        size_t n = strcspn(line, "\n");
        printf("\t%.*s\n", (int)n, line);
        line = line[n] ? line + n + 1 : NULL;
    }
    if (c->here && !is_hdfs())
        putchar('\n');
}

static int run_help(struct session *session, int argc, char **argv)
{
    (void)session;
    const struct command *one = argc > 1 ? find_command(argv[1]) : NULL;
    if (one) {
        print_help(one);
        return 0;
    }
    printf("%s performs DFS administrative commands.\n"
           "Note: Administrative commands can only be run with superuser permission.\n"
           "The full syntax is: \n\n%s\n",
           program(), program());
    print_list(stdout, false);
    putchar('\n');
    for (size_t i = 0; admin_words_at(i); i++) {
        const struct command *c = find_command(admin_words_at(i));
        if (c && (c->run != admin_volumes || !is_hdfs())) /* which Hadoop forgets here */
            print_help(c);
    }
    for (size_t i = 0; i < ARRAY_LEN(commands) && !is_hdfs(); i++)
        if (commands[i].is_ours)
            print_help(&commands[i]);
    print_generic(stdout);
    return 0;
}

static int run_reconfig(struct session *session, int argc, char **argv)
{
    return reconfig_run(session, argc, argv, ADMIN_USAGE);
}

/* ---- for all commands ---- */

int admin_ask(struct session *session, const char *what, unsigned method, const void *ask,
              struct arena *arena, void *ret)
{
    struct err err;
    if (session_connect(session, what) != 0)
        return ADMIN_FAILED;
    int rc = cl_ask(session->fs, method, ask, arena, ret, &err);
    return rc == 0 ? 0 : session_fail(what, ADMIN_FAILED, err.msg);
}

int admin_need_super(struct session *session, const char *what, const char *operation)
{
    struct arena arena = ARENA_INIT;
    struct cl2nn_server_info info = {0};
    const struct msg_void ask = {0};
    char line[256];
    int rc = admin_ask(session, what, CL2NN_AT_SERVER_INFO, &ask, &arena, &info);
    snprintf(line, sizeof(line),
             "Access denied for user " SLICE_FMT
             ". Superuser privilege is required for operation %s",
             SLICE_ARG(info.user), operation);
    if (rc == 0 && !info.is_superuser)
        rc = session_fail(what, ADMIN_FAILED, line);
    arena_release(&arena);
    return rc;
}

/* Take --json out of the words; Hadoop knows it nowhere, and its name stays with it. */
static bool take_json(int *argc, char **argv)
{
    for (int i = 2; i < *argc && !is_hdfs(); i++)
        if (strcmp(without_dashes(argv[i]), "json") == 0 && argv[i][0] == '-') {
            memmove(&argv[i], &argv[i + 1], (size_t)(*argc - i - 1) * sizeof(*argv));
            --*argc;
            return true;
        }
    return false;
}

static int run(struct session *session, int argc, char **argv)
{
    const char *name = argc > 1 ? without_dashes(argv[1]) : "";
    const struct command *command = argc > 1 && argv[1][0] == '-' ? find_command(name) : NULL;
    if (!command && argc > 1 && !is_hdfs() && help_is_asked(argv[1]))
        return run_help(session, 1, argv);
    if (!command) {
        if (*name)
            session_fail(name, 0, "Unknown command");
        print_all(stderr);
        return ADMIN_FAILED;
    }
    if (argc == 3 && !is_hdfs() && help_is_asked(argv[2])) {
        print_help(command);
        return 0;
    }
    session->is_json = command->knows_json && take_json(&argc, argv);
    if (argc - 1 < command->least || argc - 1 > command->most)
        return usage(command);
    argv[1] = (char *)(uintptr_t)command->name;
    int code = command->run(session, argc - 1, argv + 1);
    return code == ADMIN_USAGE ? usage(command) : code;
}

int cmd_admin(int argc, char **argv)
{
    struct session session;
    int code = ADMIN_FAILED;
    if (session_begin(&session, program(), &argc, argv) == 0)
        code = run(&session, argc, argv);
    session_end(&session);
    return code;
}
