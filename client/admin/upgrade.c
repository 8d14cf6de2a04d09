/* SPDX-License-Identifier: Apache-2.0
 * upgrades: a new version reads what the last one wrote, and writes its own form with the next
 * image: there is no state between two versions that would have to be finalized. So these answer as
 * a Hadoop does on which no upgrade is going on. */
#include <strings.h>

#include "client/admin/commands.h"

#define NO_UPGRADE \
    "There is no rolling upgrade in progress or rolling upgrade has already been finalized."

static int finalize(struct session *session, const char *what)
{
    int rc = admin_need_super(session, what, "finalizeUpgrade");
    if (rc == 0)
        puts("Finalize upgrade successful");
    return rc;
}

int admin_finalize_upgrade(struct session *session, int argc, char **argv)
{
    (void)argc;
    return finalize(session, argv[0]);
}

int admin_upgrade(struct session *session, int argc, char **argv)
{
    (void)argc;
    if (strcasecmp(argv[1], "finalize") == 0)
        return finalize(session, argv[0]);
    if (strcasecmp(argv[1], "query") != 0)
        return ADMIN_USAGE;
    if (session_connect(session, argv[0]) != 0)
        return ADMIN_FAILED;
    puts("Upgrade finalized");
    return 0;
}

int admin_rolling_upgrade(struct session *session, int argc, char **argv)
{
    static const struct {
        const char *word, *shown, *operation;
    } actions[] = {
        {"query", "QUERY", "queryRollingUpgrade"},
        {"prepare", "PREPARE", "startRollingUpgrade"},
        {"finalize", "FINALIZE", "finalizeRollingUpgrade"},
    };
    const char *word = argc > 1 ? argv[1] : "query";
    char line[160];
    size_t i = 0;
    while (i < ARRAY_LEN(actions) && strcasecmp(word, actions[i].word) != 0)
        i++;
    if (i == ARRAY_LEN(actions)) {
        snprintf(line, sizeof(line), "Failed to convert \"%s\" to RollingUpgradeAction", word);
        return session_fail(argv[0], ADMIN_USAGE, line);
    }
    printf("%s rolling upgrade ...\n", actions[i].shown);
    int rc = admin_need_super(session, argv[0], actions[i].operation);
    if (rc != 0)
        return rc;
    if (strcmp(actions[i].word, "prepare") == 0)
        return session_fail(argv[0], ADMIN_FAILED,
                            "nothing has to be prepared: restart the datanodes one by one, the "
                            "namenode last; each version reads what the one before it wrote");
    puts(NO_UPGRADE);
    return 0;
}
