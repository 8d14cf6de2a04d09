/* SPDX-License-Identifier: Apache-2.0
 * image and journal: -saveNamespace, -rollEdits, -restoreFailedStorage, -fetchImage, -metasave. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/admin/commands.h"
#include "libcommon/base/str.h"
#include "libcommon/store/disk.h"
#include "libcommon/store/fsutil.h"

#define PERIODS        3U /* dfs.namenode.missing.checkpoint.periods.before.shutdown */
#define FETCH_TRIES    3

#define IMAGE_PREFIX   "image."
#define IMAGE_NAME_MAX 64

/* ---- saveNamespace ---- */

int admin_save(struct session *session, int argc, char **argv)
{
    struct arena arena = ARENA_INIT;
    struct cl2nn_save ask = {0};
    struct cl2nn_yes saved = {0};
    if (session_connect(session, argv[0]) != 0)
        return ADMIN_FAILED;
    if (argc > 1 && strcmp(argv[1], "-beforeShutdown") == 0) {
        ask.window_ms = PERIODS * conf_ms(session->conf, "dfs.namenode.checkpoint.period");
        ask.records = PERIODS * (uint64_t)conf_int(session->conf, "dfs.namenode.checkpoint.txns");
        printf("Do checkpoint if necessary before stopping namenode. The time window is %" PRIu64
               " seconds, and the transaction gap is %" PRIu64 "\n",
               ask.window_ms / 1000, ask.records);
    }
    int rc = admin_ask(session, argv[0], CL2NN_AT_SAVE_NAMESPACE, &ask, &arena, &saved);
    arena_release(&arena);
    if (rc == 0)
        puts(saved.yes ? "Save namespace successful" : "No extra checkpoint has been made");
    return rc;
}

/* ---- rollEdits ---- */

int admin_roll(struct session *session, int argc, char **argv)
{
    struct arena arena = ARENA_INIT;
    const struct msg_void ask = {0};
    struct cl2nn_rolled rolled = {0};
    (void)argc;
    int rc = admin_ask(session, argv[0], CL2NN_AT_ROLL_EDITS, &ask, &arena, &rolled);
    arena_release(&arena);
    if (rc == 0)
        printf("Successfully rolled edit logs.\nNew segment starts at txid %" PRIu64 "\n",
               rolled.first_index);
    return rc;
}

/* ---- restoreFailedStorage ---- */

int admin_restore_storage(struct session *session, int argc, char **argv)
{
    static const char *const words[] = {"check", "true", "false"}; /* enum cl2nn_restore_action */
    struct arena arena = ARENA_INIT;
    struct cl2nn_restore_storage ask = {0};
    struct cl2nn_yes answer = {0};
    (void)argc;
    while (ask.action < ARRAY_LEN(words) && strcmp(argv[1], words[ask.action]) != 0)
        ask.action++;
    if (ask.action == ARRAY_LEN(words)) {
        fprintf(stderr, "restoreFailedStorage valid args are true|false|check\n");
        return ADMIN_FAILED;
    }
    int rc = admin_ask(session, argv[0], CL2NN_AT_RESTORE_STORAGE, &ask, &arena, &answer);
    arena_release(&arena);
    if (rc == 0)
        printf("restoreFailedStorage is set to %s\n", answer.yes ? "true" : "false");
    return rc;
}

/* ---- metasave ---- */

int admin_metasave(struct session *session, int argc, char **argv)
{
    struct arena arena = ARENA_INIT;
    const struct cl2nn_metasave ask = {slice_str(argv[1])};
    (void)argc;
    int rc = admin_ask(session, argv[0], CL2NN_AT_METASAVE, &ask, &arena, NULL);
    arena_release(&arena);
    if (rc == 0)
        printf("Created metasave file %s in the log directory of namenode %s\n", argv[1],
               session_uri(session));
    return rc;
}

/* ---- fetchImage ---- */

/* Name, and from it the number, of the newest image. */
static int newest(struct session *session, char *name, uint64_t *ret_index, struct err *err)
{
    struct arena arena = ARENA_INIT;
    struct cl2nn_journal_files files = {0};
    const struct msg_void ask = {0};
    int rc = cl_ask(session->fs, CL2NN_AT_JOURNAL_FILES, &ask, &arena, &files, err);
    if (rc == 0) {
        struct slice first = files.names.n > 0 ? files.names.v[0] : slice_of(NULL, 0);
        snprintf(name, IMAGE_NAME_MAX, SLICE_FMT, SLICE_ARG(first));
        if (strncmp(name, IMAGE_PREFIX, strlen(IMAGE_PREFIX)) != 0 ||
            str_to_u64(name + strlen(IMAGE_PREFIX), ret_index) != 0)
            rc = err_set(err, ERR_PROTO, "the namenode names no image");
    }
    arena_release(&arena);
    return rc;
}

/* All pages of the newest image into `fd`; its index. */
static int fetch(struct session *session, int fd, uint64_t *ret_index, struct err *err)
{
    char name[IMAGE_NAME_MAX] = "";
    struct cl2nn_journal_page ask = {0};
    uint64_t size = 1;
    int rc = newest(session, name, ret_index, err);
    ask.name = slice_str(name);
    while (rc == 0 && ask.offset < size) {
        struct arena arena = ARENA_INIT;
        struct cl2nn_journal_bytes page = {0};
        rc = cl_ask(session->fs, CL2NN_AT_JOURNAL_PAGE, &ask, &arena, &page, err);
        if (rc == 0 && page.bytes.len == 0)
            rc = err_set(err, ERR_PROTO, "the image ends before its end");
        if (rc == 0 && fsutil_write_fd(fd, page.bytes) != 0)
            rc = err_errno(err, errno, "cannot write");
        size = page.size;
        ask.offset += page.bytes.len;
        arena_release(&arena);
    }
    return rc;
}

/* Under a name of its own until it is whole. */
static int fetch_to(struct session *session, const char *dir, struct err *err)
{
    uint64_t index = 0;
    bool is_dir = faccessat(AT_FDCWD, dir, X_OK | W_OK, AT_EACCESS) == 0;
    char *whole = NULL;
    char *part = is_dir ? str_printf("%s/fsimage.ckpt_XXXXXX", dir) : NULL;
    int fd = part ? mkstemp(part) : -1;
    int rc = fd < 0 ? err_set(err, ERR_NOENT, "Unable to download to any storage directory") : 0;
    for (int tries = 0; rc == 0 && tries < FETCH_TRIES; tries++) {
        rc = ftruncate(fd, 0) == 0 && lseek(fd, 0, SEEK_SET) == 0
                 ? fetch(session, fd, &index, err)
                 : err_errno(err, errno, "cannot write to %s", part);
        if (rc != ERR_NOENT)
            break;
        rc = tries + 1 < FETCH_TRIES ? 0 : rc; /* a newer one has replaced it meanwhile */
    }
    if (rc == 0) {
        whole = str_printf("%s/fsimage_%019" PRIu64, dir, index);
        rc = whole && fchmod(fd, 0640) == 0 ? disk_rename(disk_real(), part, whole) : ERR_NOMEM;
        if (rc != 0)
            err_set(err, rc, "cannot give %s its name: %s", part, err_text(rc));
    }
    if (fd >= 0 && close(fd) != 0 && rc == 0)
        rc = err_errno(err, errno, "cannot write to %s", whole);
    if (rc != 0 && fd >= 0)
        (void)unlink(part);
    mem_free(part);
    mem_free(whole);
    return rc;
}

int admin_fetch(struct session *session, int argc, char **argv)
{
    struct err err = {0};
    (void)argc;
    if (session_connect(session, argv[0]) != 0)
        return ADMIN_FAILED;
    return fetch_to(session, argv[1], &err) == 0 ? 0 : session_fail(argv[0], ADMIN_FAILED, err.msg);
}
