/* SPDX-License-Identifier: Apache-2.0
 * leases: who writes what, and taking a file from its writer. */
#include "client/admin/commands.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "libcommon/base/path.h"
#include "libcommon/base/str.h"

#define AGAIN_MS    200U /* until a recovery that was begun is looked at again */
#define ASKS        100U /* without -retries: 20 s, by which a recovery that can succeed has */
#define EXIT_FAILED 1

static int ask_recover(struct session *session, struct slice path, bool *ret_closed,
                       struct err *err)
{
    struct arena arena = ARENA_INIT;
    struct cl2nn_yes answer = {0};
    const struct cl2nn_path ask = {path};
    int rc = cl_ask(session->fs, CL2NN_AT_RECOVER_LEASE, &ask, &arena, &answer, err);
    *ret_closed = answer.yes;
    arena_release(&arena);
    return rc;
}

/* [-path] PATH [-retries N], as `hdfs debug recoverLease` takes them, in any order. */
static bool take_words(int argc, char **argv, const char **ret_path, uint64_t *ret_asks)
{
    for (int i = 1; i < argc; i++) {
        bool is_last = i + 1 == argc;
        if (strcmp(argv[i], "-retries") == 0) {
            if (is_last || str_to_u64(argv[++i], ret_asks) != 0 || ++*ret_asks == 0)
                return false;
        } else if (strcmp(argv[i], "-path") == 0 && !is_last && !*ret_path) {
            *ret_path = argv[++i];
        } else if (argv[i][0] != '-' && !*ret_path) {
            *ret_path = argv[i];
        } else {
            return false;
        }
    }
    return *ret_path != NULL;
}

int admin_recover_lease(struct session *session, int argc, char **argv)
{
    static const char what[] = "recoverLease";
    struct err err;
    struct buf normal = BUF_INIT;
    const char *path = NULL;
    uint64_t asks = ASKS;
    bool is_closed = false;
    if (!take_words(argc, argv, &path, &asks))
        return ADMIN_USAGE;
    if (session_connect(session, what) != 0)
        return EXIT_FAILED;
    int rc = cl_path(session->fs, path, &normal, &err);
    for (uint64_t n = 0; rc == 0 && !is_closed && n < asks; n++) {
        if (n > 0)
            usleep(AGAIN_MS * 1000);
        rc = ask_recover(session, buf_slice(&normal), &is_closed, &err);
    }
    buf_release(&normal);
    if (rc != 0)
        return session_fail(what, EXIT_FAILED, err.msg);
    if (is_closed)
        printf("recoverLease SUCCEEDED on %s\n", path);
    else
        fprintf(stderr,
                "recoverLease: %s is still being recovered: its datanodes have not agreed on "
                "its length yet\n",
                path);
    return is_closed ? 0 : EXIT_FAILED;
}

/* ---- listOpenFiles ---- */

static int print_file(const struct cl2nn_open_file *file, bool is_json, struct err *err)
{
    if (is_json && msg_print_line(&cl2nn_open_file_desc, file, stdout) != 0)
        return err_set(err, ERR_NOMEM, "out of memory");
    if (is_json)
        return 0;

    char client[32] = "(being recovered)", host[64];
    if (file->client)
        snprintf(client, sizeof(client), "client_%016" PRIx64, file->client);
    snprintf(host, sizeof(host), SLICE_FMT, SLICE_ARG(file->host));
    printf("%-20s\t%-20s\t" SLICE_FMT "\n", host, client, SLICE_ARG(file->path));
    return 0;
}

static int list_all(struct session *session, struct cl2nn_list_open *ask, struct err *err)
{
    int rc = 0;
    if (!session->is_json)
        printf("%-20s\t%-20s\t%s\n", "Client Host", "Client Name", "Open File Path");
    do {
        struct arena arena = ARENA_INIT;
        struct cl2nn_open_files page = {0};
        rc = cl_ask(session->fs, CL2NN_AT_LIST_OPEN, ask, &arena, &page, err);
        for (size_t i = 0; rc == 0 && i < page.files.n; i++)
            rc = print_file(&page.files.v[i], session->is_json, err);
        ask->after = page.last;
        arena_release(&arena);
    } while (rc == 0 && ask->after);
    return rc;
}

/* [-blockingDecommission] [-path PATH]; a path may also stand alone. */
int admin_list_open(struct session *session, int argc, char **argv)
{
    struct err err;
    struct buf normal = BUF_INIT;
    struct cl2nn_list_open ask = {0};
    const char *path = "/";
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "-path") == 0 && i + 1 == argc)
            return session_fail(argv[0], ADMIN_USAGE, "option -path requires 1 argument.");
        if (strcmp(argv[i], "-blockingDecommission") == 0)
            ask.is_blocking = true;
        else if (strcmp(argv[i], "-path") == 0)
            path = argv[++i];
        else if (argv[i][0] != '-')
            path = argv[i];
        else
            return ADMIN_USAGE;
    }
    if (session_connect(session, argv[0]) != 0)
        return ADMIN_FAILED;
    int rc = cl_path(session->fs, path, &normal, &err);
    ask.path = buf_slice(&normal);
    if (rc == 0 && (rc = list_all(session, &ask, &err)) != 0) {
        fflush(stdout);
        fprintf(stderr, "List open files failed.\n");
    }
    buf_release(&normal);
    return rc == 0 ? 0 : session_fail(argv[0], ADMIN_FAILED, err.msg);
}
