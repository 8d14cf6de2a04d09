/* SPDX-License-Identifier: Apache-2.0 */
#include "namenode/journal/pages.h"

#include <stdlib.h>

#include "libcommon/base/mem.h"
#include "libcommon/store/fsutil.h"
#include "libcommon/store/walfile.h"

#define FILES_MAX 100000U

struct found {
    uint64_t *segments;
    size_t count, cap;
    uint64_t image;
    bool has_image;
};

static int note_file(void *arg, const char *name, bool is_dir)
{
    struct found *f = arg;
    uint64_t number = 0;
    if (is_dir)
        return 0;
    if (nn_image_name_parse(name, &number)) {
        f->image = !f->has_image || number > f->image ? number : f->image;
        f->has_image = true;
        return 0;
    }
    if (!walfile_name_parse(name, &number))
        return 0;
    if (f->count == FILES_MAX || mem_grow(&f->segments, &f->cap, f->count, sizeof(uint64_t)) != 0)
        return ERR_NOMEM;
    f->segments[f->count++] = number;
    return 0;
}

static int by_number(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

static int list(struct nn_pages *p)
{
    struct found f = {0};
    char name[NN_IMAGE_NAME_MAX > WALFILE_NAME_MAX ? NN_IMAGE_NAME_MAX : WALFILE_NAME_MAX];
    int rc = disk_list(p->disk, p->dir, note_file, &f);
    struct slice *v = rc == 0 ? arena_calloc(p->arena, f.count + 1, sizeof(*v)) : NULL;
    if (rc == 0 && !f.has_image)
        rc = ERR_NOENT;
    if (rc == 0 && !v)
        rc = ERR_NOMEM;
    if (rc == 0) {
        if (f.count > 0)
            qsort(f.segments, f.count, sizeof(*f.segments), by_number);
        v[0] = slice_keep(slice_str(nn_image_name(name, f.image)), p->arena);
        for (size_t i = 0; i < f.count; i++)
            v[i + 1] = slice_keep(slice_str(walfile_name(name, f.segments[i])), p->arena);
        p->files.names = (struct msg_strs){v, f.count + 1};
        for (size_t i = 0; i <= f.count; i++)
            rc = v[i].len == 0 ? ERR_NOMEM : rc;
    }
    mem_free(f.segments);
    return rc;
}

static int read_page(struct nn_pages *p)
{
    uint64_t number = 0;
    struct disk_stat st;
    int fd = -1;
    if (!nn_image_name_parse(p->name, &number) && !walfile_name_parse(p->name, &number))
        return ERR_INVAL;
    uint8_t *page = arena_alloc(p->arena, NN_PAGE_BYTES);
    char *path = fsutil_join(p->dir, p->name);
    int rc = page && path ? disk_open(p->disk, path, DISK_READ, &fd) : ERR_NOMEM;
    mem_free(path);
    if (rc != 0)
        return rc;
    rc = disk_stat_fd(p->disk, fd, &st);
    int64_t n = rc == 0 ? disk_pread(p->disk, fd, page, NN_PAGE_BYTES, p->offset) : rc;
    disk_close(p->disk, fd);
    if (n < 0)
        return (int)n;
    p->bytes.size = st.size_bytes;
    p->bytes.bytes = slice_of(page, (size_t)n);
    return 0;
}

static void run_pages(struct work *work)
{
    struct nn_pages *p = CONTAINER_OF(work, struct nn_pages, work);
    int rc = p->name ? read_page(p) : list(p);
    if (rc != 0)
        err_set(&p->err, rc, "%s/%s: cannot read: %s", p->dir, p->name ? p->name : "image.*",
                err_text(rc));
}

static void pages_done(struct work *work)
{
    struct nn_pages *p = CONTAINER_OF(work, struct nn_pages, work);
    p->done(p);
}

void nn_pages_start(struct nn_pages *pages, struct workq *workq)
{
    workq_submit(workq, &pages->work, run_pages, pages_done);
}
