/* SPDX-License-Identifier: Apache-2.0
 * quern fsck PATH: the namenode checks every block below a path, page by page; here its lines are
 * printed as they come, and added up. Exit codes: 0 healthy, or nothing there; 1 corrupt; 255 the
 * check could not be made. */
#include <inttypes.h>

#include "client/admin/fsck_report.h"
#include "client/admin/session.h"
#include "client/command.h"
#include "client/talk/namenode.h"
#include "libcommon/base/clock.h"

#define EXIT_FAILED 255

static const struct {
    const char *word;
    uint32_t flag; /* 0 = accepted, changes nothing */
} options[] = {
    {"files", CL2NN_FSCK_FILES},
    {"blocks", CL2NN_FSCK_BLOCKS},
    {"locations", CL2NN_FSCK_LOCATIONS},
    {"racks", CL2NN_FSCK_RACKS},
    {"openforwrite", CL2NN_FSCK_OPEN},
    {"includeSnapshots", 0},
    {"showprogress", 0},
    {"storagepolicies", 0},
    {"maintenance", CL2NN_FSCK_MAINTENANCE},
};

static int usage(FILE *out)
{
    fprintf(out,
            "Usage: quern fsck <path> [-openforwrite] [-files [-blocks [-locations | -racks]]] "
            "[-maintenance]\n"
            "\t<path>\tstart checking from this path\n"
            "\t-openforwrite\tcheck files opened for write too\n"
            "\t-files\tprint out files being checked\n"
            "\t-blocks\tprint out block report\n"
            "\t-locations\tprint out locations for every block\n"
            "\t-racks\tprint out network topology for data-node locations\n"
            "\t-maintenance\tprint out maintenance state node details\n\n"
            "Files open for write are skipped unless -openforwrite is given.\n");
    return EXIT_FAILED;
}

static char *date(char out[64])
{
    time_t now = (time_t)(clock_wall_ms() / 1000);
    struct tm tm;
    if (!localtime_r(&now, &tm) || strftime(out, 64, "%a %b %d %H:%M:%S %Z %Y", &tm) == 0)
        snprintf(out, 64, "%lld", (long long)now);
    return out;
}

/* Page after page until the cursor comes back empty. */
static int check(struct session *session, struct slice path, uint32_t flags,
                 struct fsck_report *report, struct err *err)
{
    struct arena arena = ARENA_INIT;
    struct buf cursor = BUF_INIT;
    int rc = 0;
    do {
        struct cl2nn_fsck_page page = {0};
        const struct cl2nn_fsck ask = {path, buf_slice(&cursor), flags};
        arena_reset(&arena);
        rc = cl_ask(session->fs, CL2NN_AT_FSCK, &ask, &arena, &page, err);
        if (rc != 0)
            break;
        if (page.text.len)
            fwrite(page.text.data, 1, page.text.len, stdout);
        fsck_report_add(report, &page.counters);
        buf_clear(&cursor);
        buf_append_slice(&cursor, page.cursor);
        if (buf_failed(&cursor))
            rc = err_set(err, ERR_NOMEM, "%s", err_text(ERR_NOMEM));
    } while (rc == 0 && cursor.len);
    arena_release(&arena);
    buf_release(&cursor);
    return rc;
}

static int finish(const char *path, const struct fsck_report *report, uint64_t began_ms)
{
    struct buf out = BUF_INIT;
    char when[64];
    bool healthy = fsck_report_is_healthy(report);
    fsck_report_print(report, &out);
    fputs("\n", stdout);
    fwrite(out.data, 1, out.len, stdout);
    buf_release(&out);
    printf("FSCK ended at %s in %" PRIu64 " milliseconds\n\n\n", date(when),
           clock_mono_ms() - began_ms);
    printf("The filesystem under path '%s' is %s\n", path, healthy ? "HEALTHY" : "CORRUPT");
    return healthy ? 0 : 1;
}

static int run(struct session *session, const char *path, uint32_t flags)
{
    struct err err;
    struct buf normal = BUF_INIT;
    struct fsck_report report = {.shows_maintenance = flags & CL2NN_FSCK_MAINTENANCE};
    char when[64];
    uint64_t began_ms = clock_mono_ms();
    if (session_connect(session, "fsck") != 0)
        return EXIT_FAILED;
    fprintf(stderr, "Connecting to namenode via %s\n", session->fs->uri);
    int rc = cl_path(session->fs, path, &normal, &err);
    if (rc == 0) {
        printf("FSCK started by %s (auth:SIMPLE) from /%s for path %s at %s\n", session->fs->user,
               session->fs->node, path, date(when));
        rc = check(session, buf_slice(&normal), flags, &report, &err);
    }
    buf_release(&normal);
    if (rc == ERR_NOENT) {
        printf("FSCK ended at %s in %" PRIu64 " milliseconds\nPath '%s' does not exist.\n",
               date(when), clock_mono_ms() - began_ms, path);
        return 0;
    }
    return rc == 0 ? finish(path, &report, began_ms) : session_fail("fsck", EXIT_FAILED, err.msg);
}

/* 0, or the exit code when there is nothing to check. */
static int parse(int argc, char **argv, const char **ret_path, uint32_t *ret_flags)
{
    for (int i = 1; i < argc; i++) {
        if (argv[i][0] != '-') {
            if (*ret_path) {
                fprintf(stderr, "fsck: can only operate on one path at a time '%s'\n", argv[i]);
                return usage(stderr);
            }
            *ret_path = argv[i];
            continue;
        }
        const char *word = argv[i] + 1 + (argv[i][1] == '-');
        size_t k = 0;
        while (k < ARRAY_LEN(options) && strcmp(word, options[k].word) != 0)
            k++;
        if (k == ARRAY_LEN(options)) {
            bool is_help = strcmp(word, "help") == 0 || strcmp(word, "h") == 0;
            if (is_help)
                usage(stdout);
            else
                fprintf(stderr, "fsck: Illegal option '%s'\n", argv[i]);
            return is_help ? -1 : usage(stderr);
        }
        *ret_flags |= options[k].flag;
    }
    return *ret_path ? 0 : usage(stderr);
}

int cmd_fsck(int argc, char **argv)
{
    struct session session;
    const char *path = NULL;
    uint32_t flags = 0;
    int code = EXIT_FAILED;
    if (session_begin(&session, "fsck", &argc, argv) == 0) {
        code = parse(argc, argv, &path, &flags);
        if (code == 0)
            code = run(&session, path, flags);
        else if (code < 0)
            code = 0; /* help was asked for */
    }
    session_end(&session);
    if (fflush(stdout) != 0)
        code = EXIT_FAILED;
    return code;
}
