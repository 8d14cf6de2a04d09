/* SPDX-License-Identifier: Apache-2.0 */
#include "namenode/journal/images.h"

#include "libcommon/base/mem.h"
#include "libcommon/base/str.h"
#include "libcommon/store/fsutil.h"
#include "namenode/journal/namedir.h"

#define NEW ".new"

char *nn_image_path(const char *dir, uint64_t index, const char *suffix)
{
    char name[NN_IMAGE_NAME_MAX];
    return str_printf("%s/%s%s", dir, nn_image_name(name, index), suffix);
}

/* ---- listing ---- */

struct listing {
    struct nn_image_list *list;
    size_t dir;
};

static int note_image(void *arg, const char *name, bool is_dir)
{
    struct listing *l = arg;
    struct nn_image_list *list = l->list;
    uint64_t index = 0;
    if (is_dir || !nn_image_name_parse(name, &index))
        return 0;
    if (mem_grow(&list->v, &list->cap, list->n, sizeof(*list->v)) != 0)
        return ERR_NOMEM;
    size_t at = list->n++;
    for (; at && list->v[at - 1].index < index; at--)
        list->v[at] = list->v[at - 1];
    list->v[at] = (struct nn_image_file){.index = index, .dir = l->dir};
    return 0;
}

int nn_images_list(const struct nn_dir_set *dirs, struct nn_image_list *ret, struct err *err)
{
    *ret = (struct nn_image_list){0};
    for (size_t i = 0; i < dirs->count; i++) {
        struct listing l = {ret, i};
        int rc = disk_list(dirs->disk, dirs->paths[i], note_image, &l);
        if (rc != 0) {
            nn_images_release(ret);
            return err_set(err, rc, "%s: cannot list: %s", dirs->paths[i], err_text(rc));
        }
    }
    return 0;
}

void nn_images_release(struct nn_image_list *list)
{
    mem_free(list->v);
    *list = (struct nn_image_list){0};
}

/* ---- writing ---- */

struct writers {
    struct nn_image_writer v[NN_DIRS_MAX];
    size_t open;
};

static int put_all(void *arg, uint16_t section, struct slice chunk)
{
    struct writers *writers = arg;
    for (size_t i = 0; i < writers->open; i++)
        nn_image_put(&writers->v[i], section, chunk);
    return 0;
}

static int begin_all(const struct nn_dir_set *dirs, const struct nn_image_head *head,
                     struct writers *writers, struct err *err)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < dirs->count; i++) {
        char *path = nn_image_path(dirs->paths[i], head->index, NEW);
        rc = path ? nn_image_begin(&writers->v[i], dirs->disk, path, head, err)
                  : err_set(err, ERR_NOMEM, "out of memory");
        writers->open += rc == 0;
        mem_free(path);
    }
    return rc;
}

static void remove_new(const struct nn_dir_set *dirs, uint64_t index)
{
    for (size_t i = 0; i < dirs->count; i++) {
        char *path = nn_image_path(dirs->paths[i], index, NEW);
        if (path)
            (void)disk_unlink(dirs->disk, path); /* an unfinished image is nobody's loss */
        mem_free(path);
    }
}

int nn_images_write(const struct nn_dir_set *dirs, const struct nn_image_head *head,
                    nn_image_save_fn *save, void *state, struct err *err)
{
    struct writers writers = {.open = 0};
    for (size_t i = 0; i < dirs->count; i++) /* what an earlier writer left when it died */
        (void)nn_namedir_tidy(&(struct nn_namedir){.disk = dirs->disk, .path = dirs->paths[i]},
                              NULL);
    int rc = begin_all(dirs, head, &writers, err);
    if (rc == 0 && (rc = save(state, put_all, &writers)) != 0)
        err_set(err, rc, "cannot save the state: %s", err_text(rc));
    for (size_t i = 0; i < writers.open; i++) {
        if (rc == 0)
            rc = nn_image_commit(&writers.v[i], err);
        else
            nn_image_abort(&writers.v[i]);
    }
    if (rc != 0)
        remove_new(dirs, head->index);
    return rc;
}

static int swap_one(const struct nn_dir_set *dirs, size_t i, uint64_t index, struct err *err)
{
    char *from = nn_image_path(dirs->paths[i], index, NEW);
    char *to = nn_image_path(dirs->paths[i], index, "");
    int rc = from && to ? disk_rename(dirs->disk, from, to) : ERR_NOMEM;
    if (rc == 0)
        rc = disk_fsync_dir(dirs->disk, dirs->paths[i]);
    mem_free(from);
    mem_free(to);
    if (rc == 0)
        return 0;
    return err_set(err, rc, "%s: cannot put the new image in place: %s", dirs->paths[i],
                   err_text(rc));
}

int nn_images_swap(const struct nn_dir_set *dirs, uint64_t index, struct err *err)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < dirs->count; i++)
        rc = swap_one(dirs, i, index, err);
    return rc;
}

int nn_images_retire(const struct nn_dir_set *dirs, uint64_t keep, struct err *err)
{
    struct nn_image_list list;
    int rc = nn_images_list(dirs, &list, err);
    for (size_t i = 0; rc == 0 && i < list.n; i++) {
        if (list.v[i].index >= keep)
            continue;
        char *path = nn_image_path(dirs->paths[list.v[i].dir], list.v[i].index, "");
        rc = path ? disk_unlink(dirs->disk, path) : ERR_NOMEM;
        if (rc != 0)
            err_set(err, rc, "%s: cannot remove: %s", path ? path : "image", err_text(rc));
        mem_free(path);
    }
    nn_images_release(&list);
    return rc;
}
