/* SPDX-License-Identifier: Apache-2.0
 * quern getconf: what the configuration of this machine says, for scripts. Nothing is asked of any
 * daemon. Exit codes: 0, and 255 for what is not set or not understood. */
#include <inttypes.h>
#include <strings.h>

#include "client/admin/session.h"
#include "client/command.h"
#include "client/help/asked.h"
#include "libcommon/daemon/address.h"

#define EXIT_FAILED 255

static int usage(FILE *out)
{
    fprintf(out,
            "%s getconf is utility for getting configuration information from the config file.\n"
            "\n%s getconf \n"
            "\t[-namenodes]\t\t\tgets list of namenodes in the cluster.\n"
            "\t[-secondaryNameNodes]\t\t\tgets list of secondary namenodes in the cluster.\n"
            "\t[-backupNodes]\t\t\tgets list of backup nodes in the cluster.\n"
            "\t[-journalNodes]\t\t\tgets list of journal nodes in the cluster.\n"
            "\t[-includeFile]\t\t\tgets the include file path that defines the datanodes that can "
            "join the cluster.\n"
            "\t[-excludeFile]\t\t\tgets the exclude file path that defines the datanodes that need "
            "to decommissioned.\n"
            "\t[-nnRpcAddresses]\t\t\tgets the namenode rpc addresses\n"
            "\t[-confKey [key]]\t\t\tgets a specific key from the configuration\n\n",
            session_tool(), strcmp(session_tool(), "hdfs") == 0 ? "hadoop" : session_tool());
    return EXIT_FAILED;
}

struct asked {
    const char *key;
    uint64_t unit; /* of what it counts; 0 = it is no size */
};

static void ask_type(const struct conf_option *option, const char *value, const char *where,
                     void *arg)
{
    struct asked *asked = arg;
    (void)value;
    (void)where;
    if (strcmp(option->key, asked->key) == 0 && option->type == CONF_SIZE)
        asked->unit = option->unit ? option->unit : 1;
}

/* A key's value, its aliases too; what is not set, and has no default, is missing. */
static int print_key(const struct conf *conf, const char *key)
{
    const char *value = conf_knows(conf, key) ? conf_str(conf, key) : "";
    struct asked asked = {.key = key};
    conf_each(conf, ask_type, &asked);
    if (asked.unit && !conf_is_set(conf, key)) /* scripts reckon with defaults: a plain number */
        printf("%" PRIu64 "\n", conf_size(conf, key) / asked.unit);
    else if (value[0])
        puts(value);
    if (value[0])
        return 0;
    fprintf(stderr, "Configuration %s is missing.\n", key);
    return EXIT_FAILED;
}

/* The configuration always knows where the namenode is: from one key or the other. */
static int print_namenode(const struct conf *conf, bool with_port)
{
    char text[ADDRESS_TEXT_MAX];
    struct conf_address at = conf_address(conf, "dfs.namenode.rpc-address");
    puts(with_port ? address_text(at.host, at.port, text) : at.host);
    return 0;
}

static int answer(const struct conf *conf, const char *word, const char *key)
{
    if (strcasecmp(word, "confKey") == 0)
        return print_key(conf, key);
    if (strcasecmp(word, "namenodes") == 0)
        return print_namenode(conf, false);
    if (strcasecmp(word, "nnRpcAddresses") == 0)
        return print_namenode(conf, true);
    if (strcasecmp(word, "includeFile") == 0)
        return print_key(conf, "dfs.hosts");
    if (strcasecmp(word, "excludeFile") == 0)
        return print_key(conf, "dfs.hosts.exclude");
    puts(""); /* roles that no machine has here: scripts go on with an empty list */
    return 0;
}

static bool is_known(const char *word)
{
    static const char *const words[] = {"namenodes",     "secondaryNameNodes", "backupNodes",
                                        "journalNodes",  "includeFile",        "excludeFile",
                                        "nnRpcAddresses"};
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (strcasecmp(word, words[i]) == 0)
            return true;
    return false;
}

/* 0, or the exit code for a wrong number of words. */
static int check_words(const char *word, int argc, char **argv)
{
    if (strcasecmp(word, "confKey") == 0) {
        if (argc != 3)
            fprintf(stderr, "usage: -confKey [key]\n");
        return argc == 3 ? 0 : EXIT_FAILED;
    }
    if (!is_known(word))
        return usage(stderr);
    if (argc > 2)
        fprintf(stderr, "Did not expect argument: %s\n", argv[2]);
    return argc > 2 ? EXIT_FAILED : 0;
}

static int run(struct session *session, int argc, char **argv)
{
    struct err err;
    const char *word = argc > 1 ? argv[1] : "";
    if (word[0] != '-')
        return usage(stderr);
    word += 1 + (word[1] == '-');
    if (help_is_asked(argv[1])) {
        usage(stdout);
        return 0;
    }
    int rc = check_words(word, argc, argv);
    if (rc != 0)
        return rc;
    rc = session_configure(session, &err);
    return rc == 0 ? answer(session->conf, word, argv[2])
                   : session_fail("getconf", EXIT_FAILED, err.msg);
}

int cmd_getconf(int argc, char **argv)
{
    struct session session;
    int code = EXIT_FAILED;
    if (session_begin(&session, "getconf", &argc, argv) == 0)
        code = run(&session, argc, argv);
    session_end(&session);
    return code;
}
