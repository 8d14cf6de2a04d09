/* SPDX-License-Identifier: Apache-2.0
 * quern-imagedump: an image of the namenode, for people and scripts. Reads only; images never
 * change once they have their name, so those of a running namenode may be read.
 *
 *     quern-imagedump [-json] [-list] IMAGE|DIR          DIR: its newest whole image
 *
 * The file is checked from end to end before its first line is printed.
 * Exit codes: 0 printed, 1 damaged or unreadable, 2 usage. */
#include <inttypes.h>

#include "libcommon/base/fds.h"
#include "libcommon/base/mem.h"
#include "namenode/journal/images.h"
#include "namenode/journal/sections.h"
#include "namenode/tools/imagetext.h"

struct dump {
    const char *path;
    bool is_json, is_list;
    struct buf out;
    struct nn_printer *printer;
    struct nn_imagetext text;
};

static int usage(FILE *to, int code)
{
    fprintf(to, "usage: quern-imagedump [-json] [-list] IMAGE|DIR\n"
                "\n"
                "Prints an image of the namenode (image.000000000042), or the newest one in a name "
                "directory.\n"
                "Changes nothing.\n"
                "\n"
                "  -json     one JSON object a line\n"
                "  -list     only tell which images a directory holds, and whether they are whole\n"
                "  -version  print the version\n");
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
    int rc = dump->is_json ? nn_printer_take(dump->printer, section, chunk, &dump->out, err)
                           : nn_imagetext_take(&dump->text, section, chunk, &dump->out, err);
    if (rc != 0)
        return rc;
    rc = write_out(dump);
    return rc ? err_set(err, rc, "cannot write to standard output") : 0;
}

static void print_head(struct dump *dump, const char *path, const struct nn_image_head *head)
{
    if (dump->is_json)
        buf_printf(&dump->out,
                   "{\"image\":%" PRIu64 ",\"log\":\"%016" PRIx64 "\",\"written\":%" PRIu64 "}\n",
                   head->index, head->log_id, head->wall_ms);
    else
        buf_printf(&dump->out, "# %s: all records up to %" PRIu64 "\n", path, head->index);
}

/* Twice: first to know that all of it is good. */
static int dump_image(struct dump *dump, const char *path)
{
    struct nn_image_head head;
    struct err err = {0};
    int rc = nn_image_read(disk_real(), path, &head, NULL, NULL, &err);
    if (rc == 0) {
        print_head(dump, path, &head);
        rc = nn_image_read(disk_real(), path, NULL, print_chunk, dump, &err);
    }
    if (rc == 0 && !dump->is_json)
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

static int run(struct dump *dump)
{
    struct disk_stat st;
    int result = 1;
    dump->printer = nn_printer_new();
    int rc = dump->printer ? 0 : ERR_NOMEM;
    nn_imagetext_init(&dump->text);
    if (rc == 0)
        rc = disk_stat(disk_real(), dump->path, &st);
    if (rc != 0)
        fprintf(stderr, "quern-imagedump: %s: cannot read: %s\n", dump->path, err_text(rc));
    else
        result = (st.is_dir ? dump_dir : dump_image)(dump, dump->path);
    nn_printer_free(dump->printer);
    nn_imagetext_release(&dump->text);
    buf_release(&dump->out);
    return result;
}

int main(int argc, char **argv)
{
    struct dump dump = {0};
    fds_fill_std();
    for (int i = 1; i < argc; i++) {
        const char *arg = argv[i];
        const char *word = arg[0] == '-' ? arg + 1 + (arg[1] == '-') : "";
        if (strcmp(word, "help") == 0 || strcmp(word, "h") == 0)
            return usage(stdout, 0);
        if (strcmp(word, "version") == 0)
            return printf("quern-imagedump %s\n", QUERN_VERSION) < 0;
        if (strcmp(word, "json") == 0)
            dump.is_json = true;
        else if (strcmp(word, "list") == 0)
            dump.is_list = true;
        else if (arg[0] == '-' || dump.path)
            return usage(stderr, 2);
        else
            dump.path = arg;
    }
    return dump.path ? run(&dump) : usage(stderr, 2);
}
