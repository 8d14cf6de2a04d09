/* SPDX-License-Identifier: Apache-2.0
 * fuzz_conf: a configuration file of any bytes is taken, or refused with one line that names it;
 * what was taken and printed is taken again, and prints the same. */
#include <sys/mman.h>
#include <unistd.h>

#include "libcommon/daemon/config.h"
#include "libcommon/daemon/options.h"
#include "tests/fuzz/fuzz.h"

static const struct options_table *const tables[] = {&options_fs, &options_job, &options_node};
static const char *const values[] = {"128m",  "1.5g",  "-3",  "true",      "yes",  "30s",
                                     "0.25h", "host",  "a,b", "[::1]:80",  "1:2",  "16777217t",
                                     "",      "\"x\"", "x;y", "127.0.0.1", "1e99", "debug"};

void fuzz_seed(struct rand *rand, struct buf *out)
{
    buf_append_str(out, rand_chance(rand, 4) ? "[section]\n" : "# a comment\n");
    for (uint64_t left = 1 + rand_below(rand, 5); left > 0; left--) {
        const struct options_table *table = tables[rand_below(rand, ARRAY_LEN(tables))];
        const struct conf_option *row = &table->rows[rand_below(rand, table->count)];
        const char *value = row->fallback && rand_chance(rand, 2)
                                ? row->fallback
                                : values[rand_below(rand, ARRAY_LEN(values))];
        buf_printf(out, "%s = %s%s\n", row->key, value, rand_chance(rand, 5) ? " ; why" : "");
    }
}

static struct conf *fresh(void)
{
    struct conf *conf = conf_new();
    BUG_ON(!conf || options_register(conf, NULL) != 0);
    return conf;
}

static int read_bytes(struct conf *conf, struct slice bytes, struct err *err)
{
    static int fd = -1;
    char path[32];
    if (fd < 0)
        fd = memfd_create("conf", MFD_CLOEXEC);
    BUG_ON(fd < 0 || ftruncate(fd, 0) != 0 ||
           pwrite(fd, bytes.data, bytes.len, 0) != (ssize_t)bytes.len);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    return config_read_file(conf, path, err);
}

/* Without the places: they differ. */
static void strip(struct buf *text)
{
    size_t to = 0;
    bool in_place = false;
    for (size_t i = 0; i < text->len; i++) {
        uint8_t c = text->data[i];
        in_place = c != '\n' && (in_place || (c == ';' && i > 0 && text->data[i - 1] == ' '));
        if (!in_place && c != ' ')
            text->data[to++] = c;
    }
    text->len = to;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct conf *conf = fresh();
    struct err err = {0};
    if (read_bytes(conf, slice_of(data, size), &err) == 0) {
        struct conf *again = fresh();
        struct buf first = BUF_INIT, second = BUF_INIT;
        conf_print(conf, &first);
        if (read_bytes(again, buf_slice(&first), &err) != 0)
            BUG("what was printed is refused: %s", err.msg);
        conf_print(again, &second);
        strip(&first);
        strip(&second);
        if (!slice_eq(buf_slice(&first), buf_slice(&second)))
            BUG("printed and read again it is another");
        buf_release(&first);
        buf_release(&second);
        conf_free(again);
    } else {
        BUG_ON(!err.msg[0] || strchr(err.msg, '\n'));
    }
    conf_free(conf);
    return 0;
}
