/* SPDX-License-Identifier: Apache-2.0 */
#include "client/admin/session.h"

#include "client/fs/fs.h"
#include "client/lib/uri.h"
#include "libcommon/base/mem.h"

int session_fail(const char *what, int code, const char *message)
{
    fflush(stdout);
    fprintf(stderr, "%s: %.*s\n", what, (int)strcspn(message, "\n"), message);
    return code;
}

const char *session_tool(void)
{
    return fs_is_hadoop() ? "hdfs" : "quern";
}

/* A path that names a filesystem says which one is asked. */
static void take_filesystem(struct session *session, const char *word)
{
    struct cl_uri uri;
    cl_uri_parse(slice_str(word), &uri);
    if (!session->args.fs && cl_uri_is_ours(uri.scheme) && uri.authority.len)
        session->args.fs = word;
}

int session_begin(struct session *session, const char *program, int *argc, char **argv)
{
    struct err err;
    *session = (struct session){.program = program, .args = CONFIG_ARGS_INIT};
    int kept = 1;
    for (int i = 1; i < *argc; i++) {
        int rc = config_args_take(&session->args, *argc, argv, &i, &err);
        if (rc < 0)
            return session_fail(program, rc, err.msg);
        if (rc == 0) {
            take_filesystem(session, argv[i]);
            argv[kept++] = argv[i];
        }
    }
    *argc = kept;
    return 0;
}

/* Under a name of Hadoop's any key is taken: old scripts set those of a JVM. */
int session_configure(struct session *session, struct err *err)
{
    struct config_foreign foreign = {0};
    int rc = config_open(&session->args, &session->conf, fs_is_hadoop() ? &foreign : NULL, err);
    mem_free(foreign.defines);
    return rc;
}

int session_connect(struct session *session, const char *what)
{
    struct err err;
    struct qn_error error;
    if (session->fs)
        return 0;
    int rc = session_configure(session, &err);
    if (rc != 0)
        return session_fail(what, rc, err.msg);
    session->fs = cl_fs_open(session->conf, NULL, NULL, &error);
    return session->fs ? 0 : session_fail(what, error.code, error.message);
}

const char *session_uri(const struct session *session)
{
    return conf_str(session->conf, "fs.defaultFS");
}

void session_end(struct session *session)
{
    qn_fs_close(session->fs);
    conf_free(session->conf);
    config_args_release(&session->args);
}
