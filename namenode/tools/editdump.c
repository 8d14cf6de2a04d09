/* SPDX-License-Identifier: Apache-2.0
 * quern-editdump: the namenode's journal, record by record, for people and scripts. Reads only; a
 * directory in use may be read (its tail may then look unfinished), a copy of one, or one segment.
 *
 *     quern-editdump [-json] [-from N] [-to N] DIR|FILE
 *
 * Exit codes: 0 all read, 1 damaged or unreadable (what is good before it was printed), 2 usage. */
#include <inttypes.h>

#include "libcommon/base/fds.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/str.h"
#include "libcommon/store/wal.h"
#include "namenode/journal/editop.h"

#define PAST_THE_END 1 /* ends the walk: what follows was not asked for */

struct dump {
    const char *path;
    bool is_json;
    uint64_t from, to;
    struct buf line;
    struct arena scratch;
    uint64_t records, unknown;
};

static int usage(FILE *to, int code)
{
    fprintf(to,
            "usage: quern-editdump [-json] [-from N] [-to N] DIR|FILE\n"
            "\n"
            "Prints the namenode's journal: of a name directory (dfs.namenode.name.dir), of a copy "
            "of one,\n"
            "or of one segment (log.000000000001). Changes nothing.\n"
            "\n"
            "  -json     one JSON object a line: index, term, op, fields\n"
            "  -from N   begin with record N\n"
            "  -to N     end with record N\n"
            "  -version  print the version\n");
    return code;
}

/* The line is {"op":"MKDIR","fields":{...}}, as nn_op_print gives it. */
static void print_json(const struct wal_record *record, struct buf *line)
{
    printf("{\"index\":%" PRIu64 ",\"term\":%" PRIu64 ",%s\n", record->index, record->term,
           buf_cstr(line) + 1);
}

static void print_text(const struct wal_record *record, struct buf *line)
{
    const char *fields = strstr(buf_cstr(line), ",\"fields\":");
    line->data[line->len - 1] = 0; /* the brace that closes the whole */
    printf("%10" PRIu64 "  %-16s %s\n", record->index, nn_op_name(record->type),
           fields ? fields + strlen(",\"fields\":") : buf_cstr(line));
}

static int print_record(void *arg, const struct wal_record *record)
{
    struct dump *dump = arg;
    struct err err = {0};
    if (record->index > dump->to)
        return PAST_THE_END;
    buf_clear(&dump->line);
    if (nn_op_print(record->type, record->payload, &dump->scratch, &dump->line, &err) != 0) {
        fprintf(stderr, "quern-editdump: %s: record %" PRIu64 ": %s\n", dump->path, record->index,
                err.msg);
        dump->unknown++;
        return 0; /* the log itself is whole there */
    }
    if (!buf_cstr(&dump->line))
        return ERR_NOMEM;
    (dump->is_json ? print_json : print_text)(record, &dump->line);
    dump->records++;
    return ferror(stdout) ? ERR_IO : 0;
}

static void print_summary(const struct dump *dump, const struct wal_report *report)
{
    if (report->last < report->first)
        printf("# %s: no records\n", dump->path);
    else
        printf("# %s: records %" PRIu64 " to %" PRIu64 ", of %zu segment%s\n", dump->path,
               report->first, report->last, report->segments, report->segments == 1 ? "" : "s");
    if (report->torn)
        printf("# what follows record %" PRIu64 " is unfinished: being written, or cut off by a "
               "crash\n",
               report->last);
}

static int run(struct dump *dump)
{
    struct wal_inspection what = {dump->from, print_record, dump};
    struct wal_report report = {0};
    struct err err = {0};
    int rc = wal_inspect(disk_real(), dump->path, &what, &report, &err);
    if (rc == PAST_THE_END)
        rc = 0;
    else if (!dump->is_json && report.wal_id != 0)
        print_summary(dump, &report);
    if (rc != 0 && err.code != 0)
        fprintf(stderr, "quern-editdump: %s\n", err.msg);
    if (fflush(stdout) != 0 && rc == 0) {
        fprintf(stderr, "quern-editdump: cannot write to standard output\n");
        rc = ERR_IO;
    }
    buf_release(&dump->line);
    arena_release(&dump->scratch);
    return rc == 0 && dump->unknown == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct dump dump = {.to = UINT64_MAX, .scratch = ARENA_INIT};
    fds_fill_std();
    for (int i = 1; i < argc; i++) {
        const char *arg = argv[i];
        const char *word = arg[0] == '-' ? arg + 1 + (arg[1] == '-') : "";
        uint64_t *number = strcmp(word, "from") == 0 ? &dump.from
                           : strcmp(word, "to") == 0 ? &dump.to
                                                     : NULL;
        if (strcmp(word, "help") == 0 || strcmp(word, "h") == 0)
            return usage(stdout, 0);
        if (strcmp(word, "version") == 0)
            return printf("quern-editdump %s\n", QUERN_VERSION) < 0;
        if (strcmp(word, "json") == 0)
            dump.is_json = true;
        else if (number && (++i == argc || str_to_u64(argv[i], number) != 0))
            return usage(stderr, 2);
        else if (!number && (arg[0] == '-' || dump.path))
            return usage(stderr, 2);
        else if (!number)
            dump.path = arg;
    }
    return dump.path ? run(&dump) : usage(stderr, 2);
}
