/* SPDX-License-Identifier: Apache-2.0
 * quern fsck PATH: the namenode checks every block below a path, page by page; here its lines are
 * printed as they come, and added up; files that lack blocks are moved and deleted from here, by
 * the right of who asks. Words and exit codes are Hadoop's: 0 healthy, or nothing there; 1 corrupt;
 * 2 to 6 the state of the last replica told of (-blockId); 255 the check could not be made. */
#include <inttypes.h>

#include "client/admin/fsck_mend.h"
#include "client/admin/fsck_report.h"
#include "client/admin/session.h"
#include "client/command.h"
#include "client/help/asked.h"
#include "client/lib/handle.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/mem.h"

#define EXIT_FAILED 255
#define BLOCKS_MAX  1000

struct wish {
    const char *path; /* as typed; NULL = "/" */
    uint32_t flags;
    bool moves, deletes, is_json, shows_progress, asks_blocks;
    struct slice blocks[BLOCKS_MAX];
    size_t block_count;
};

enum { OPTION_NONE, OPTION_MOVE, OPTION_DELETE, OPTION_JSON, OPTION_PROGRESS, OPTION_BLOCKS };
static const struct {
    const char *word;
    uint32_t flag;
    int option;
} options[] = {
    {"files", CL2NN_FSCK_FILES, OPTION_NONE},
    {"blocks", CL2NN_FSCK_BLOCKS, OPTION_NONE},
    {"locations", CL2NN_FSCK_LOCATIONS, OPTION_NONE},
    {"racks", CL2NN_FSCK_RACKS, OPTION_NONE},
    {"replicaDetails", CL2NN_FSCK_DETAILS, OPTION_NONE},
    {"upgradedomains", CL2NN_FSCK_DOMAINS, OPTION_NONE},
    {"openforwrite", CL2NN_FSCK_OPEN, OPTION_NONE},
    {"includeSnapshots", 0, OPTION_NONE}, /* there are none */
    {"storagepolicies", CL2NN_FSCK_POLICIES, OPTION_NONE},
    {"maintenance", CL2NN_FSCK_MAINTENANCE, OPTION_NONE},
    {"list-corruptfileblocks", CL2NN_FSCK_LIST_CORRUPT, OPTION_NONE},
    {"replicate", CL2NN_FSCK_REPLICATE, OPTION_NONE},
    {"move", CL2NN_FSCK_NAME_CORRUPT, OPTION_MOVE},
    {"delete", CL2NN_FSCK_NAME_CORRUPT, OPTION_DELETE},
    {"json", CL2NN_FSCK_NAME_CORRUPT, OPTION_JSON},
    {"showprogress", 0, OPTION_PROGRESS},
    {"blockId", 0, OPTION_BLOCKS},
};

static int usage(FILE *out)
{
    fprintf(
        out,
        "Usage: %s fsck <path> [-list-corruptfileblocks | [-move | -delete | -openforwrite] "
        "[-files [-blocks [-locations | -racks | -replicaDetails | -upgradedomains]]]] "
        "[-includeSnapshots] [-showprogress] [-storagepolicies] [-maintenance] "
        "[-blockId <blk_Id>] [-replicate]\n"
        "\t<path>\tstart checking from this path\n"
        "\t-move\tmove corrupted files to /lost+found\n"
        "\t-delete\tdelete corrupted files\n"
        "\t-files\tprint out files being checked\n"
        "\t-openforwrite\tprint out files opened for write\n"
        "\t-includeSnapshots\tinclude snapshot data if the given path indicates a snapshottable "
        "directory or there are snapshottable directories under it\n"
        "\t-list-corruptfileblocks\tprint out list of missing blocks and files they belong to\n"
        "\t-files -blocks\tprint out block report\n"
        "\t-files -blocks -locations\tprint out locations for every block\n"
        "\t-files -blocks -racks\tprint out network topology for data-node locations\n"
        "\t-files -blocks -replicaDetails\tprint out each replica details \n"
        "\t-files -blocks -upgradedomains\tprint out upgrade domains for every block\n"
        "\t-storagepolicies\tprint out storage policy summary for the blocks\n"
        "\t-maintenance\tprint out maintenance state node details\n"
        "\t-showprogress\tDeprecated. Progress is now shown by default\n"
        "\t-blockId\tprint out which file this blockId belongs to, locations (nodes, racks) of "
        "this block, and other diagnostics info (under replicated, corrupted or not, etc)\n"
        "\t-replicate initiate replication work to make mis-replicated\n"
        " blocks satisfy block placement policy\n\n"
        "Please Note:\n\n"
        "\t1. By default fsck ignores files opened for write, use -openforwrite to report such "
        "files. They are usually  tagged CORRUPT or HEALTHY depending on their block allocation "
        "status\n"
        "\t2. Option -includeSnapshots should not be used for comparing stats, should be used only "
        "for HEALTH check, as this may contain duplicates if the same file present in both "
        "original fs tree and inside snapshots.\n\n"
        "Generic options supported are:\n"
        "-conf <configuration file>        specify an application configuration file\n"
        "-D <property=value>               define a value for a given property\n"
        "-fs <file:///|quern://namenode:port> specify default filesystem URL to use, overrides "
        "'fs.defaultFS' property from configurations.\n\n"
        "The general command line syntax is:\n"
        "command [genericOptions] [commandOptions]\n\n",
        session_tool());
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

/* ---- one check ---- */

struct check {
    struct session *session;
    const struct wish *wish;
    const char *path; /* normal */
    uint64_t began_ms;
    struct fsck_report report;
    struct fsck_mend mend;
    struct buf cursor, state, corrupt;
    struct arena arena; /* of the last answer */
    struct cl2nn_fsck_page page;
    struct err err;
};

static void print_end(const struct check *c)
{
    char when[64];
    printf("FSCK ended at %s in %" PRIu64 " milliseconds\n", date(when),
           clock_mono_ms() - c->began_ms);
}

static int print_failure(const struct check *c, struct slice why)
{
    if (c->wish->is_json)
        return session_fail("fsck", EXIT_FAILED, c->err.msg);
    print_end(c);
    printf(SLICE_FMT "\n\n\nFsck on path '%s' FAILED\n", SLICE_ARG(why),
           c->wish->asks_blocks && !c->wish->path ? "/" : c->path);
    return EXIT_FAILED;
}

/* One page into c->page. */
static int ask(struct check *c)
{
    const struct cl2nn_fsck message = {slice_str(c->path),
                                       buf_slice(&c->cursor),
                                       c->wish->flags,
                                       buf_slice(&c->state),
                                       {c->wish->blocks, c->wish->block_count}};
    arena_reset(&c->arena);
    c->page = (struct cl2nn_fsck_page){0};
    int rc = cl_ask(c->session->fs, CL2NN_AT_FSCK, &message, &c->arena, &c->page, &c->err);
    if (rc != 0)
        return rc;
    buf_clear(&c->cursor);
    buf_append_slice(&c->cursor, c->page.cursor);
    buf_clear(&c->state);
    buf_append_slice(&c->state, c->page.state);
    if (buf_failed(&c->cursor) || buf_failed(&c->state))
        return err_set(&c->err, ERR_NOMEM, "%s", err_text(ERR_NOMEM));
    return 0;
}

static void print_text(const struct check *c)
{
    if (c->page.text.len && !c->wish->is_json)
        fwrite(c->page.text.data, 1, c->page.text.len, stdout);
}

static void handle_corrupt(struct check *c)
{
    for (size_t i = 0; i < c->page.corrupt.n; i++) {
        size_t at = c->corrupt.len;
        buf_append_slice(&c->corrupt, c->page.corrupt.v[i]);
        buf_append_byte(&c->corrupt, 0);
        if (!buf_failed(&c->corrupt) && (c->wish->moves || c->wish->deletes))
            fsck_mend(&c->mend, (const char *)c->corrupt.data + at);
        if (!c->wish->is_json)
            buf_clear(&c->corrupt);
    }
}

static int print_report(struct check *c)
{
    struct buf out = BUF_INIT;
    bool healthy = fsck_report_is_healthy(&c->report);
    if (c->wish->is_json)
        fsck_report_json(&c->report, c->path, buf_slice(&c->corrupt), &out);
    else
        fsck_report_print(&c->report, &out);
    if (!c->wish->is_json)
        fputs("\n", stdout);
    fwrite(out.data, 1, out.len, stdout);
    buf_release(&out);
    if (c->wish->is_json)
        return c->mend.has_failed ? EXIT_FAILED : !healthy;
    print_end(c);
    if (c->mend.has_failed)
        return print_failure(c, slice_str("fsck encountered internal errors!"));
    printf("\n\nThe filesystem under path '%s' is %s\n", c->path, healthy ? "HEALTHY" : "CORRUPT");
    return healthy ? 0 : 1;
}

static int check_tree(struct check *c)
{
    do {
        int rc = ask(c);
        if (rc != 0)
            return print_failure(c, slice_str(c->err.msg));
        print_text(c);
        fsck_report_add(&c->report, &c->page.counters);
        handle_corrupt(c);
        if (c->page.failure.len) {
            err_set(&c->err, ERR_ACCESS, SLICE_FMT, SLICE_ARG(c->page.failure));
            return print_failure(c, c->page.failure);
        }
    } while (c->cursor.len);
    return print_report(c);
}

/* What is listed is printed as it comes, under a heading that is only there when anything is. */
static int list_corrupt(struct check *c)
{
    const char *path = c->wish->path ? c->wish->path : "/";
    uint64_t count = 0;
    do {
        int rc = ask(c);
        if (rc == ERR_ACCESS) {
            printf("Failed to open path '%s': Permission denied\n", path);
            return EXIT_FAILED;
        }
        if (rc != 0)
            return session_fail("fsck", EXIT_FAILED, c->err.msg);
        if (c->page.text.len && count == 0)
            printf("The list of corrupt blocks under path '%s' are:\n", path);
        for (size_t i = 0; i < c->page.text.len; i++)
            count += c->page.text.data[i] == '\n';
        print_text(c);
    } while (c->cursor.len);
    printf("The filesystem under path '%s' has %" PRIu64 " CORRUPT blocks\n", path, count);
    return count ? EXIT_FAILED : 0;
}

static int show_blocks(struct check *c, const char *head)
{
    int rc = ask(c);
    if (rc == ERR_ACCESS)
        return print_failure(c, slice_str(c->err.msg));
    if (rc != 0)
        return session_fail("fsck", EXIT_FAILED, c->err.msg);
    fputs(head, stdout);
    print_text(c);
    struct slice last = c->page.text;
    if (last.len) /* its newline */
        last.len--;
    const uint8_t *start = memrchr(last.data, '\n', last.len);
    if (start)
        last = slice_of(start + 1, (size_t)(last.data + last.len - start) - 1);
    return fsck_exit_code(last);
}

/* Hadoop's client looks first whether the path is there, and ends quietly when it is not. */
static int look(struct check *c, const char *path)
{
    struct qn_stat stat;
    struct qn_error error;
    int rc = qn_stat(c->session->fs, path, &stat, &error);
    if (rc == 0)
        qn_stat_release(&stat);
    else if (rc == ERR_NOENT)
        fprintf(stderr,
                "FileSystem is inaccessible due to:\n"
                "java.io.FileNotFoundException: File does not exist: %s\n",
                c->path);
    else if (rc == ERR_ACCESS)
        fprintf(stderr,
                "FileSystem is inaccessible due to:\n"
                "org.apache.hadoop.security.AccessControlException: %s\n",
                error.message);
    else
        return session_fail("fsck", EXIT_FAILED, error.message);
    if (rc != 0)
        fprintf(stderr, "DFSck exiting.\n");
    return rc == 0 ? -1 : 0;
}

/* 0 to 255 the exit code, -1: go on. */
static int begin(struct check *c, const char *typed)
{
    char when[64], *head = NULL;
    int code = look(c, typed);
    if (code >= 0)
        return code;
    fprintf(stderr, "Connecting to namenode via %s\n", c->session->fs->uri);
    if (c->wish->shows_progress && !c->wish->is_json)
        printf("The fsck switch -showprogress is deprecated and no longer has any effect. Progress "
               "is now shown by default.\n");
    if (c->wish->flags & CL2NN_FSCK_LIST_CORRUPT)
        return list_corrupt(c);
    if (asprintf(&head, "FSCK started by %s (auth:SIMPLE) from /%s%s%s at %s\n",
                 c->session->fs->user, c->session->fs->node,
                 c->wish->asks_blocks ? "" : " for path ", c->wish->asks_blocks ? "" : c->path,
                 date(when)) < 0)
        return session_fail("fsck", EXIT_FAILED, "out of memory");
    if (c->wish->asks_blocks) {
        code = show_blocks(c, head);
    } else {
        if (!c->wish->is_json)
            fputs(head, stdout);
        code = check_tree(c);
    }
    free(head);
    return code;
}

static int run(struct session *session, const struct wish *wish)
{
    struct buf normal = BUF_INIT;
    struct check c = {.session = session,
                      .wish = wish,
                      .began_ms = clock_mono_ms(),
                      .arena = ARENA_INIT,
                      .report.policies.is_wanted = wish->flags & CL2NN_FSCK_POLICIES};
    const char *typed = wish->path ? wish->path : "/";
    if (session_connect(session, "fsck") != 0)
        return EXIT_FAILED;
    c.mend = (struct fsck_mend){.fs = session->fs, .moves = wish->moves, .deletes = wish->deletes};
    int code = EXIT_FAILED;
    if (cl_path(session->fs, typed, &normal, &c.err) != 0)
        (void)session_fail("fsck", EXIT_FAILED, c.err.msg);
    else if ((c.path = buf_cstr(&normal)) != NULL)
        code = begin(&c, typed);
    buf_release(&c.cursor);
    buf_release(&c.state);
    buf_release(&c.corrupt);
    buf_release(&normal);
    arena_release(&c.arena);
    return code;
}

/* ---- the command line ---- */

/* What follows -blockId up to the next option, a word may name several; without any, Hadoop looks
 * for a block named "". */
static void take_blocks(struct wish *wish, int argc, char **argv, int *i)
{
    wish->asks_blocks = true;
    for (; *i + 1 < argc && argv[*i + 1][0] != '-'; ++*i)
        for (char *name, *rest = argv[*i + 1]; (name = strsep(&rest, " "));)
            if (*name && wish->block_count < BLOCKS_MAX)
                wish->blocks[wish->block_count++] = slice_str(name);
    if (wish->block_count == 0)
        wish->blocks[wish->block_count++] = slice_str("");
}

static int take_option(struct wish *wish, int argc, char **argv, int *i)
{
    const char *word = argv[*i] + 1 + (argv[*i][1] == '-');
    size_t k = 0;
    while (k < ARRAY_LEN(options) && strcmp(word, options[k].word) != 0)
        k++;
    if (k == ARRAY_LEN(options)) {
        fprintf(stderr, "fsck: Illegal option '%s'\n", argv[*i]);
        return usage(stderr);
    }
    wish->flags |= options[k].flag;
    wish->moves |= options[k].option == OPTION_MOVE;
    wish->deletes |= options[k].option == OPTION_DELETE;
    wish->is_json |= options[k].option == OPTION_JSON;
    wish->shows_progress |= options[k].option == OPTION_PROGRESS;
    if (options[k].option == OPTION_BLOCKS)
        take_blocks(wish, argc, argv, i);
    return 0;
}

/* 0, or the exit code when there is nothing to check. */
static int parse(int argc, char **argv, struct wish *wish)
{
    if (argc < 2 || strcmp(argv[1], "-files") == 0) /* -files of Hadoop's generic options */
        return usage(stderr);
    for (int i = 1; i < argc; i++) {
        if (argv[i][0] == '-') {
            int code = take_option(wish, argc, argv, &i);
            if (code != 0)
                return code;
        } else if (wish->path) {
            fprintf(stderr, "fsck: can only operate on one path at a time '%s'\n", argv[i]);
            return usage(stderr);
        } else {
            wish->path = argv[i];
        }
    }
    return 0;
}

int cmd_fsck(int argc, char **argv)
{
    struct session session;
    struct wish *wish = mem_calloc(1, sizeof(*wish));
    int code = EXIT_FAILED;
    if (help_is_asked_in(argc, argv)) {
        usage(stdout);
        printf(
            "Only here: -json prints one object, the counters and the paths of files that lack a "
            "block.\n");
        mem_free(wish);
        return fflush(stdout) == 0 ? 0 : EXIT_FAILED;
    }
    if (session_begin(&session, "fsck", &argc, argv) == 0 && wish) {
        code = parse(argc, argv, wish);
        if (code == 0)
            code = run(&session, wish);
    }
    session_end(&session);
    mem_free(wish);
    if (fflush(stdout) != 0)
        code = EXIT_FAILED;
    return code;
}
