/* SPDX-License-Identifier: Apache-2.0 */
#include "client/admin/quota.h"

#include <inttypes.h>

#include "libcommon/base/str.h"

#define FAILED 255

/* "1000", "10g": what is given, or the message Hadoop has for it. */
static int parse(const char *name, const char *word, int64_t *ret)
{
    uint64_t value = 0;
    char line[256];
    if (word[0] == '-') {
        snprintf(line, sizeof(line), "Invalid values for quota : %s", word);
        return session_fail(name, ERR_INVAL, line);
    }
    if (str_to_size(word, &value) != 0 || value > INT64_MAX) {
        snprintf(line, sizeof(line), "\"%s\" is not a valid value for a quota.", word);
        return session_fail(name, ERR_INVAL, line);
    }
    *ret = (int64_t)value;
    return 0;
}

static int set_one(struct session *session, const char *name, struct quota_wish wish,
                   const char *path, int64_t value)
{
    struct qn_error error;
    int64_t names = wish.is_space ? QN_QUOTA_KEEP : value;
    int64_t space = wish.is_space ? value : QN_QUOTA_KEEP;
    return qn_set_quota(session->fs, path, names, space, &error) == 0
               ? 0
               : session_fail(name, FAILED, error.message);
}

int quota_run(struct session *session, struct quota_wish wish, int argc, char **argv, int usage)
{
    const char *name = argv[0] + (argv[0][0] == '-') + (argv[0][0] == '-' && argv[0][1] == '-');
    int64_t value = QN_QUOTA_NONE;
    int at = 1, code = 0;
    if (!wish.is_clear && argc > 1 && parse(name, argv[at++], &value) != 0)
        return usage;
    if (at >= argc)
        return usage;
    if (session_connect(session, name) != 0)
        return FAILED;
    for (; at < argc; at++)
        if (set_one(session, name, wish, argv[at], value) != 0)
            code = FAILED;
    return code;
}
