/* SPDX-License-Identifier: Apache-2.0
 * quern-imagedump, also `quern oiv`: an image of the namenode, for people and scripts. Reads only;
 * images never change once they have their name, so those of a running namenode may be read.
 *
 *     quern-imagedump [-p FORM] [-o FILE] [-list] [-i] IMAGE|DIR          DIR: its newest whole
 * image
 *
 * The file is checked from end to end before its first line is printed, and never held in memory.
 * Exit codes: 0 printed, 1 damaged or unreadable, 2 usage. */
#include <inttypes.h>

#include "libcommon/base/fds.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/str.h"
#include "namenode/journal/images.h"
#include "namenode/journal/sections.h"
#include "namenode/tools/imageforms.h"
#include "namenode/tools/imagetext.h"

struct dump {
    const char *path, *output;
    bool is_json, is_list;
    bool has_form; /* one of Hadoop's */
    struct nn_imageforms forms;
    struct buf out;
    struct nn_printer *printer;
    struct nn_imagetext text;
};

static int usage(FILE *to, int code)
{
    fprintf(to, "usage: quern-imagedump [-p FORM] [-o FILE] [-list] [-i] IMAGE|DIR\n"
                "\n"
                "Prints an image of the namenode (image.000000000042), or the newest one in a name "
                "directory.\n"
                "Changes nothing.\n"
                "\n"
                "  -p text | json       a line, or a JSON object, for each thing (text)\n"
                "  -p XML               one document, as `hdfs oiv -p XML` gives it\n"
                "  -p Delimited         a line of fields for each name; -delimiter TEXT (a tab)\n"
                "  -p FileDistribution  how many files are how large; -maxSize N (128 GiB)\n"
                "                       -step N (2 MiB) -format\n"
                "  -json                as -p json\n"
                "  -list                only tell which images a directory holds, and whether they "
                "are whole\n"
                "  -o FILE              write there\n"
                "  -version             print the version\n");
    return code;
}

static int complain(const struct err *err)
{
    fprintf(stderr, "quern-imagedump: %s\n", err->msg);
    return 1;
}

static int write_out(struct dump *dump)
{
    if (buf_failed(&dump->out))
        return ERR_NOMEM;
    size_t n = dump->out.len ? fwrite(dump->out.data, 1, dump->out.len, stdout) : 0;
    int rc = n == dump->out.len ? 0 : ERR_IO;
    buf_clear(&dump->out);
    return rc;
}

static int print_chunk(void *arg, uint16_t section, struct slice chunk, struct err *err)
{
    struct dump *dump = arg;
    int rc = dump->has_form  ? nn_imageforms_take(&dump->forms, section, chunk, &dump->out, err)
             : dump->is_json ? nn_printer_take(dump->printer, section, chunk, &dump->out, err)
                             : nn_imagetext_take(&dump->text, section, chunk, &dump->out, err);
    if (rc != 0)
        return rc;
    rc = write_out(dump);
    return rc ? err_set(err, rc, "cannot write to standard output") : 0;
}

static void print_head(struct dump *dump, const char *path, const struct nn_image_head *head)
{
    if (dump->has_form)
        nn_imageforms_begin(&dump->forms, head->index, &dump->out);
    else if (dump->is_json)
        buf_printf(&dump->out,
                   "{\"image\":%" PRIu64 ",\"log\":\"%016" PRIx64 "\",\"written\":%" PRIu64 "}\n",
                   head->index, head->log_id, head->wall_ms);
    else
        buf_printf(&dump->out, "# %s: all records up to %" PRIu64 "\n", path, head->index);
}

static int look_at_chunk(void *arg, uint16_t section, struct slice chunk, struct err *err)
{
    struct dump *dump = arg;
    return dump->has_form ? nn_imageforms_look(&dump->forms, section, chunk, err) : 0;
}

/* Twice: first to know that all of it is good. */
static int dump_image(struct dump *dump, const char *path)
{
    struct nn_image_head head;
    struct err err = {0};
    int rc = nn_image_read(disk_real(), path, &head, look_at_chunk, dump, &err);
    if (rc == 0) {
        print_head(dump, path, &head);
        rc = nn_image_read(disk_real(), path, NULL, print_chunk, dump, &err);
    }
    if (rc == 0 && dump->has_form)
        nn_imageforms_end(&dump->forms, &dump->out);
    else if (rc == 0 && !dump->is_json)
        nn_imagetext_sum(&dump->text, &dump->out);
    if (rc == 0 && (write_out(dump) != 0 || fflush(stdout) != 0))
        rc = err_set(&err, ERR_IO, "cannot write to standard output");
    return rc == 0 ? 0 : complain(&err);
}

static void list_one(struct dump *dump, uint64_t index, const char *path, const struct err *bad)
{
    if (dump->is_json)
        buf_printf(&dump->out, "{\"image\":%" PRIu64 ",\"whole\":%s}\n", index,
                   bad->code ? "false" : "true");
    else
        buf_printf(&dump->out, "%s\n", bad->code ? bad->msg : path);
}

/* -list, or the newest that is whole. */
static int dump_dir(struct dump *dump, const char *dir)
{
    struct nn_dir_set set = {.disk = disk_real(), .paths = {dir}, .count = 1};
    struct nn_image_list list;
    struct err err = {0};
    int result = 1;
    bool found = false;
    if (nn_images_list(&set, &list, &err) != 0)
        return complain(&err);
    if (list.n == 0)
        fprintf(stderr, "quern-imagedump: %s holds no image: is it a name directory?\n", dir);
    for (size_t i = 0; i < list.n && !found; i++) {
        struct err bad = {0};
        char *path = nn_image_path(dir, list.v[i].index, "");
        int rc = path ? nn_image_read(disk_real(), path, NULL, NULL, NULL, &bad) : ERR_NOMEM;
        if (dump->is_list) {
            list_one(dump, list.v[i].index, path ? path : dir, &bad);
            result = 0;
        } else if (rc == 0) {
            found = true;
            result = dump_image(dump, path);
        } else {
            complain(&bad);
        }
        mem_free(path);
    }
    if (dump->is_list && (write_out(dump) != 0 || fflush(stdout) != 0))
        result = 1;
    nn_images_release(&list);
    return result;
}

static int prepare(struct dump *dump, struct err *err)
{
    struct disk_stat st;
    dump->printer = nn_printer_new();
    if (!dump->printer)
        return err_set(err, ERR_NOMEM, "out of memory");
    int rc = dump->has_form ? nn_imageforms_init(&dump->forms, err) : 0;
    if (rc == 0 && (rc = disk_stat(disk_real(), dump->path, &st)) != 0)
        err_set(err, rc, "%s: cannot read: %s", dump->path, err_text(rc));
    if (rc == 0 && dump->output && strcmp(dump->output, "-") != 0 &&
        !freopen(dump->output, "we", stdout))
        rc = err_set(err, ERR_IO, "%s: cannot be written", dump->output);
    return rc;
}

static int run(struct dump *dump)
{
    struct disk_stat st = {0};
    struct err err = {0};
    int result = 1;
    nn_imagetext_init(&dump->text);
    if (prepare(dump, &err) != 0)
        complain(&err);
    else
        result = (disk_stat(disk_real(), dump->path, &st) == 0 && st.is_dir
                      ? dump_dir
                      : dump_image)(dump, dump->path);
    nn_printer_free(dump->printer);
    if (dump->has_form)
        nn_imageforms_release(&dump->forms);
    nn_imagetext_release(&dump->text);
    buf_release(&dump->out);
    return result;
}

/* ---- the command line ---- */

static int take_form(struct dump *dump, const char *name)
{
    static const struct {
        const char *name;
        enum nn_imageform form;
    } forms[] = {{"XML", NN_FORM_XML},
                 {"Delimited", NN_FORM_DELIMITED},
                 {"FileDistribution", NN_FORM_DISTRIBUTION}};
    for (size_t i = 0; i < ARRAY_LEN(forms); i++)
        if (strcasecmp(name, forms[i].name) == 0) {
            dump->has_form = true;
            dump->forms.form = forms[i].form;
            return 0;
        }
    dump->is_json = strcasecmp(name, "json") == 0;
    if (dump->is_json || strcasecmp(name, "text") == 0)
        return 0;
    fprintf(stderr,
            "quern-imagedump: -p %s: text, json, XML, Delimited and FileDistribution are "
            "made here\n",
            name);
    return 2;
}

static int take_value(struct dump *dump, const char *word, const char *value)
{
    const char **text = strcmp(word, "i") == 0 || strcmp(word, "inputFile") == 0    ? &dump->path
                        : strcmp(word, "o") == 0 || strcmp(word, "outputFile") == 0 ? &dump->output
                        : strcmp(word, "delimiter") == 0 ? &dump->forms.delimiter
                                                         : NULL;
    uint64_t *number = strcmp(word, "maxSize") == 0 ? &dump->forms.max_size
                       : strcmp(word, "step") == 0  ? &dump->forms.step
                                                    : NULL;
    if (text && *value) {
        *text = value;
        return 0;
    }
    if (number)
        return str_to_u64(value, number) == 0 ? 0 : usage(stderr, 2);
    return text ? usage(stderr, 2) : take_form(dump, value);
}

static bool wants_value(const char *word)
{
    static const char *const words[] = {"i",         "inputFile", "o",       "outputFile", "p",
                                        "processor", "delimiter", "maxSize", "step"};
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (strcmp(word, words[i]) == 0)
            return true;
    return false;
}

/* 0, 2, or -1: the word was all there was to do. */
static int take_word(struct dump *dump, const char *word)
{
    if (strcmp(word, "help") == 0 || strcmp(word, "h") == 0)
        return usage(stdout, -1);
    if (strcmp(word, "version") == 0)
        return printf("quern-imagedump %s\n", QUERN_VERSION) < 0 ? 2 : -1;
    if (strcmp(word, "json") == 0)
        dump->is_json = true;
    else if (strcmp(word, "list") == 0)
        dump->is_list = true;
    else if (strcmp(word, "format") == 0)
        dump->forms.is_formatted = true;
    else
        return usage(stderr, 2);
    return 0;
}

int main(int argc, char **argv)
{
    struct dump dump = {.forms = {.delimiter = "\t", .max_size = 128ULL << 30, .step = 2U << 20}};
    int code = 0;
    fds_fill_std();
    for (int i = 1; i < argc && code == 0; i++) {
        const char *word = argv[i][0] == '-' ? argv[i] + 1 + (argv[i][1] == '-') : NULL;
        if (word && wants_value(word))
            code = ++i < argc ? take_value(&dump, word, argv[i]) : usage(stderr, 2);
        else if (word)
            code = take_word(&dump, word);
        else if (dump.path)
            code = usage(stderr, 2);
        else
            dump.path = argv[i];
    }
    if (code != 0)
        return code < 0 ? 0 : code;
    return dump.path ? run(&dump) : usage(stderr, 2);
}
