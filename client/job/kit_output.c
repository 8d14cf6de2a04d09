/* SPDX-License-Identifier: Apache-2.0 */
#include "client/job/kit_output.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/str.h"
#include "libcommon/store/fsutil.h"

#define OUTPUT_MAX ((size_t)1 << 30)

/* --- reading --------------------------------------------------------------------------------- */

struct reading {
    struct kit_output *output;
    const char *dir, *below; /* "" or "day=1/" */
    struct err *err;
};

static int read_below(const struct reading *reading);

static int no_memory(struct err *err)
{
    return err_set(err, ERR_NOMEM, "out of memory");
}

static int read_file(struct kit_output *output, const char *path, const char *name, struct err *err)
{
    if (mem_grow(&output->files, &output->cap, output->count, sizeof(*output->files)) != 0)
        return no_memory(err);
    struct kit_file *file = &output->files[output->count];
    *file = (struct kit_file){str_dup(name), BUF_INIT};
    if (!file->name)
        return no_memory(err);
    output->count++;
    return fsutil_read_all(disk_real(), path, OUTPUT_MAX, &file->bytes, err);
}

static int visit(void *arg, const char *name, bool is_dir)
{
    const struct reading *above = arg;
    if (name[0] == '.' || (name[0] == '_' && !*above->below))
        return 0;
    char *path = fsutil_join(above->dir, name);
    char *below = str_printf("%s%s%s", above->below, name, is_dir ? "/" : "");
    const struct reading reading = {above->output, path, below, above->err};
    int rc = !path || !below ? no_memory(above->err)
             : is_dir        ? read_below(&reading)
                             : read_file(above->output, path, below, above->err);
    mem_free(path);
    mem_free(below);
    return rc;
}

static int read_below(const struct reading *reading)
{
    int rc = disk_list(disk_real(), reading->dir, visit, (void *)(uintptr_t)reading);
    if (rc != 0 && reading->err->code == 0)
        err_set(reading->err, rc, "%s: %s", reading->dir, err_text(rc));
    return rc;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct kit_file *)a)->name, ((const struct kit_file *)b)->name);
}

int kit_output_read(struct kit_output *output, const char *dir, struct err *err)
{
    int rc = read_below(&(struct reading){output, dir, "", err});
    if (output->count > 0)
        qsort(output->files, output->count, sizeof(*output->files), by_name);
    return rc;
}

void kit_output_release(struct kit_output *output)
{
    for (size_t i = 0; i < output->count; i++) {
        mem_free(output->files[i].name);
        buf_release(&output->files[i].bytes);
    }
    mem_free(output->files);
    *output = (struct kit_output){0};
}

/* --- in other forms -------------------------------------------------------------------------- */

/* "errors-r" of "errors-r-00003", and of "errors-r-00003.gz". */
static void cut_number(char *name)
{
    char *slash = strrchr(name, '/'), *from = slash ? slash : name;
    for (char *p = from; (p = strchr(p, '-')) != NULL; p++) {
        size_t digits = 0;
        if (p[1] == 0 || !strchr("mr", p[1]) || p[2] != '-')
            continue;
        while (isdigit((unsigned char)p[3 + digits]))
            digits++;
        if (digits >= 5 && (p[3 + digits] == 0 || p[3 + digits] == '.')) {
            p[2] = 0;
            return;
        }
    }
}

int kit_output_merge(struct kit_output *output)
{
    size_t kept = 0;
    bool has_failed = false;
    for (size_t i = 0; i < output->count; i++) {
        struct kit_file *file = &output->files[i];
        cut_number(file->name);
        if (kept > 0 && strcmp(output->files[kept - 1].name, file->name) == 0) {
            buf_append_slice(&output->files[kept - 1].bytes, buf_slice(&file->bytes));
            has_failed |= buf_failed(&output->files[kept - 1].bytes);
            mem_free(file->name);
            buf_release(&file->bytes);
        } else {
            output->files[kept++] = *file;
        }
    }
    output->count = kept;
    return has_failed ? ERR_NOMEM : 0;
}

static struct slice take_line(struct slice *rest)
{
    const uint8_t *nl = rest->len ? memchr(rest->data, '\n', rest->len) : NULL;
    size_t n = nl ? (size_t)(nl - rest->data) : rest->len;
    struct slice line = slice_of(rest->data, n);
    *rest = slice_of(rest->data + n + (nl != NULL), rest->len - n - (nl != NULL));
    return line;
}

static int line_order(const void *a, const void *b)
{
    return slice_cmp(*(const struct slice *)a, *(const struct slice *)b);
}

static int sort_lines(struct buf *text)
{
    size_t count = 0, n = 0;
    for (struct slice rest = buf_slice(text); rest.len; count++)
        (void)take_line(&rest);
    struct slice *lines = mem_calloc(count + 1, sizeof(*lines));
    struct buf sorted = BUF_INIT;
    if (!lines)
        return ERR_NOMEM;
    for (struct slice rest = buf_slice(text); rest.len;)
        lines[n++] = take_line(&rest);
    qsort(lines, n, sizeof(*lines), line_order);
    for (size_t i = 0; i < n; i++) {
        buf_append_slice(&sorted, lines[i]);
        buf_append_byte(&sorted, '\n');
    }
    mem_free(lines);
    buf_release(text);
    *text = sorted;
    return buf_failed(text) ? ERR_NOMEM : 0;
}

int kit_output_sort_lines(struct kit_output *output)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < output->count; i++)
        rc = sort_lines(&output->files[i].bytes);
    return rc;
}

uint64_t kit_output_bytes(const struct kit_output *output)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < output->count; i++)
        sum += output->files[i].bytes.len;
    return sum;
}

/* --- comparing ------------------------------------------------------------------------------- */

/* The first file that one of them lacks, or has with other bytes. */
struct difference {
    const struct kit_file *a, *b; /* one may be NULL */
};

static const struct kit_file *file_at(const struct kit_output *output, size_t *at, bool skips)
{
    while (*at < output->count && skips && output->files[*at].bytes.len == 0)
        ++*at;
    return *at < output->count ? &output->files[*at] : NULL;
}

static bool find_difference(const struct kit_pair *pair, bool empty_is_none, struct difference *ret)
{
    for (size_t i = 0, k = 0;; i++, k++) {
        const struct kit_file *a = file_at(pair->a, &i, empty_is_none);
        const struct kit_file *b = file_at(pair->b, &k, empty_is_none);
        if (!a && !b)
            return false;
        int order = !a ? 1 : !b ? -1 : strcmp(a->name, b->name);
        if (order == 0 && slice_eq(buf_slice(&a->bytes), buf_slice(&b->bytes)))
            continue;
        *ret = (struct difference){order <= 0 ? a : NULL, order >= 0 ? b : NULL};
        return true;
    }
}

bool kit_output_is_same(const struct kit_pair *pair, bool empty_is_none)
{
    struct difference none;
    return !find_difference(pair, empty_is_none, &none);
}

static void show_side(const char *whose, bool is_there, struct slice line)
{
    if (!is_there)
        printf("  %-9s (nothing more)\n", whose);
    else
        printf("  %-9s %.*s%s\n", whose, (int)(line.len < 200 ? line.len : 200),
               (const char *)line.data, line.len > 200 ? "..." : "");
}

void kit_output_show_lines(const struct kit_pair *pair, struct slice a, struct slice b)
{
    for (unsigned long number = 1; a.len > 0 || b.len > 0; number++) {
        bool has_a = a.len > 0, has_b = b.len > 0;
        struct slice x = take_line(&a), y = take_line(&b);
        if (has_a && has_b && slice_eq(x, y))
            continue;
        printf("  line %lu\n", number);
        show_side(pair->a_name, has_a, x);
        show_side(pair->b_name, has_b, y);
        return;
    }
    printf("  but for the end of the last line\n");
}

void kit_output_show(const struct kit_pair *pair, bool empty_is_none)
{
    struct difference first;
    if (!find_difference(pair, empty_is_none, &first))
        return;
    if (!first.a || !first.b) {
        const struct kit_file *only = first.a ? first.a : first.b;
        printf("  file      %s, %zu bytes: only %s\n", only->name, only->bytes.len,
               first.a ? pair->a_name : pair->b_name);
        return;
    }
    if (strncmp(first.a->name, "part-", 5) != 0 || pair->a->count > 1)
        printf("  file      %s\n", first.a->name);
    kit_output_show_lines(pair, buf_slice(&first.a->bytes), buf_slice(&first.b->bytes));
}
