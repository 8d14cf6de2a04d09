/* SPDX-License-Identifier: Apache-2.0
 * session: what the administration commands share: generic options, a handle, one line per error.
 */
#ifndef QUERN_ADMIN_SESSION_H
#define QUERN_ADMIN_SESSION_H

#include "client/lib/handle.h"
#include "libcommon/daemon/config.h"

struct session {
    const char *program; /* "quern admin": in front of messages */
    struct config_args args;
    struct conf *conf;
    struct qn_fs *fs;
    bool is_json; /* of the commands that know it: answer in JSON */
};

/* Takes -conf, -D and -fs out of argv wherever they stand (argc shrinks) and opens nothing yet. 0,
 * or ERR_USAGE with the message printed. */
int session_begin(struct session *session, const char *program, int *argc, char **argv);
/* Opens the configuration, with what was given before; conf is the session's. */
int session_configure(struct session *session, struct err *err);
/* Connect, unless that was done. 0, or the error, printed behind "what: ". */
int session_connect(struct session *session, const char *what);
/* The filesystem as it was asked for, "hdfs://host:port". */
const char *session_uri(const struct session *session);
void session_end(struct session *session);

/* What the program is called here: "hdfs" when it is under a name of Hadoop's, else "quern". */
const char *session_tool(void);

/* "what: message" on stderr, first line only. Returns `code`. */
int session_fail(const char *what, int code, const char *message);

#endif
