/* SPDX-License-Identifier: Apache-2.0
 * quern-editdump, also `quern oev`: the namenode's journal, record by record, for people and
 * scripts. Reads only; a directory in use may be read (its tail may then look unfinished), a copy
 * of one, or one segment.
 *
 *     quern-editdump [-p text|json|xml|stats] [-from N] [-to N] [-o FILE] [-i] DIR|FILE
 *
 * Exit codes: 0 all read, 1 damaged or unreadable (what is good before it was printed), 2 usage. */
#include <inttypes.h>

#include "libcommon/base/fds.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/str.h"
#include "libcommon/store/wal.h"
#include "namenode/journal/editop.h"
#include "namenode/tools/jsonxml.h"

#define PAST_THE_END 1 /* ends the walk: what follows was not asked for */

enum form { FORM_TEXT, FORM_JSON, FORM_XML, FORM_STATS };

struct dump {
    const char *path, *output;
    enum form form;
    uint64_t counts[NN_OP_MAX + 1]; /* by kind, for FORM_STATS */
    struct buf xml;
    uint64_t from, to;
    struct buf line;
    struct arena scratch;
    uint64_t records, unknown;
};

static int usage(FILE *to, int code)
{
    fprintf(to,
            "usage: quern-editdump [-p FORM] [-from N] [-to N] [-o FILE] [-i] DIR|FILE\n"
            "\n"
            "Prints the namenode's journal: of a name directory (dfs.namenode.name.dir), of a copy "
            "of one,\n"
            "or of one segment (log.000000000001). Changes nothing.\n"
            "\n"
            "  -p text   a line a record (the default)\n"
            "  -p json   one JSON object a line: index, term, op, fields\n"
            "  -p xml    one document, shaped as that of `hdfs oev`\n"
            "  -p stats  how many records there are of each kind\n"
            "  -json     as -p json\n"
            "  -from N   begin with record N\n"
            "  -to N     end with record N\n"
            "  -o FILE   write there\n"
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

/* <RECORD><OPCODE>OP_MKDIR</OPCODE><DATA><TXID>7</TXID>...</DATA></RECORD> */
static int print_xml(struct dump *dump, const struct wal_record *record)
{
    static const struct jsonxml_style style = {true, 3};
    const char *fields = strstr(buf_cstr(&dump->line), ",\"fields\":");
    if (!fields)
        return ERR_CORRUPT;
    fields += strlen(",\"fields\":");
    buf_clear(&dump->xml);
    buf_printf(&dump->xml,
               "  <RECORD>\n    <OPCODE>OP_%s</OPCODE>\n    <DATA>\n      <TXID>%" PRIu64
               "</TXID>\n",
               nn_op_name(record->type), record->index);
    int rc = jsonxml(slice_str(fields), &style, &dump->xml);
    buf_append_str(&dump->xml, "    </DATA>\n  </RECORD>\n");
    if (rc == 0 && buf_failed(&dump->xml))
        rc = ERR_NOMEM;
    if (rc == 0)
        fwrite(dump->xml.data, 1, dump->xml.len, stdout);
    return rc;
}

static int print_one(struct dump *dump, const struct wal_record *record)
{
    if (dump->form == FORM_JSON)
        print_json(record, &dump->line);
    else if (dump->form == FORM_TEXT)
        print_text(record, &dump->line);
    else if (dump->form == FORM_XML)
        return print_xml(dump, record);
    else
        dump->counts[record->type]++;
    return 0;
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
    int rc = print_one(dump, record);
    dump->records += rc == 0;
    return rc == 0 && ferror(stdout) ? ERR_IO : rc;
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

static void print_head(const struct dump *dump)
{
    if (dump->form == FORM_XML)
        printf("<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n<EDITS>\n"
               "  <EDITS_VERSION>1</EDITS_VERSION>\n");
}

static void print_end(const struct dump *dump, const struct wal_report *report)
{
    if (dump->form == FORM_XML)
        printf("</EDITS>\n");
    else if (dump->form == FORM_TEXT && report->wal_id != 0)
        print_summary(dump, report);
    if (dump->form != FORM_STATS)
        return;
    printf("    %-30s      : %d\n", "VERSION", 1);
    for (uint16_t i = 1; i <= NN_OP_MAX; i++)
        if (nn_op_find(i))
            printf("    OP_%-27s (%3u): %" PRIu64 "\n", nn_op_name(i), i, dump->counts[i]);
}

static int run(struct dump *dump)
{
    struct wal_inspection what = {dump->from, print_record, dump};
    struct wal_report report = {0};
    struct err err = {0};
    if (dump->output && strcmp(dump->output, "-") != 0 && !freopen(dump->output, "we", stdout)) {
        fprintf(stderr, "quern-editdump: %s: cannot be written\n", dump->output);
        return 1;
    }
    struct disk_stat st;
    int rc = disk_stat(disk_real(), dump->path, &st);
    if (rc != 0) {
        fprintf(stderr, "quern-editdump: %s: cannot read: %s\n", dump->path, err_text(rc));
        return 1;
    }
    print_head(dump);
    rc = wal_inspect(disk_real(), dump->path, &what, &report, &err);
    if (rc == PAST_THE_END)
        rc = 0;
    print_end(dump, &report);
    if (rc != 0 && err.code != 0)
        fprintf(stderr, "quern-editdump: %s\n", err.msg);
    if (fflush(stdout) != 0 && rc == 0) {
        fprintf(stderr, "quern-editdump: cannot write to standard output\n");
        rc = ERR_IO;
    }
    buf_release(&dump->line);
    buf_release(&dump->xml);
    arena_release(&dump->scratch);
    return rc == 0 && dump->unknown == 0 ? 0 : 1;
}

static int take_form(struct dump *dump, const char *name)
{
    static const char *const names[] = {"text", "json", "xml", "stats"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strcasecmp(name, names[i]) == 0) {
            dump->form = (enum form)i;
            return 0;
        }
    fprintf(stderr, "quern-editdump: -p %s: text, json, xml and stats are made here\n", name);
    return 2;
}

/* Of an option with a value: 0, 2, or 1 when it has none. */
static int take_value(struct dump *dump, const char *word, const char *value)
{
    bool is_form = strcmp(word, "p") == 0 || strcmp(word, "processor") == 0;
    uint64_t *number = strcmp(word, "from") == 0 ? &dump->from
                       : strcmp(word, "to") == 0 ? &dump->to
                                                 : NULL;
    const char **text = strcmp(word, "i") == 0 || strcmp(word, "inputFile") == 0    ? &dump->path
                        : strcmp(word, "o") == 0 || strcmp(word, "outputFile") == 0 ? &dump->output
                                                                                    : NULL;
    if (!is_form && !number && !text)
        return 1;
    if (!value || (number && str_to_u64(value, number) != 0))
        return usage(stderr, 2);
    if (text)
        *text = value;
    return is_form ? take_form(dump, value) : 0;
}

int main(int argc, char **argv)
{
    struct dump dump = {.to = UINT64_MAX, .scratch = ARENA_INIT};
    fds_fill_std();
    for (int i = 1; i < argc; i++) {
        const char *arg = argv[i];
        const char *word = arg[0] == '-' ? arg + 1 + (arg[1] == '-') : NULL;
        int code = word ? take_value(&dump, word, i + 1 < argc ? argv[i + 1] : NULL) : 1;
        if (code == 2)
            return 2;
        if (code == 0)
            i++;
        else if (!word && !dump.path)
            dump.path = arg;
        else if (word && (strcmp(word, "help") == 0 || strcmp(word, "h") == 0))
            return usage(stdout, 0);
        else if (word && strcmp(word, "version") == 0)
            return printf("quern-editdump %s\n", QUERN_VERSION) < 0;
        else if (word && strcmp(word, "json") == 0)
            dump.form = FORM_JSON;
        else
            return usage(stderr, 2);
    }
    return dump.path ? run(&dump) : usage(stderr, 2);
}
