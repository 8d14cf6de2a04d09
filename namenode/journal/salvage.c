/* SPDX-License-Identifier: Apache-2.0 */
#include "namenode/journal/salvage.h"

#include <inttypes.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/rand.h"
#include "libcommon/base/str.h"
#include "libcommon/store/fsutil.h"
#include "libcommon/store/wal.h"
#include "namenode/blocks/blocks.h"
#include "namenode/journal/editop.h"
#include "namenode/journal/recover.h"
#include "namenode/journal/sections.h"

#define ID_GAP       (1ULL << 24)
#define PAST_THE_END 1
#define MISFIT       2 /* a record that is whole, but is none of this state */

/* ---- a state from an image and the records of a log ---- */

struct attempt {
    struct nn_blocks blocks;
    struct nn_state state;
    struct nn_loader *loader;
    struct arena scratch;
    uint64_t limit, reached; /* record to stop at; the last one applied */
    struct err *err;
};

static int attempt_begin(struct attempt *a)
{
    struct nn_blocks_conf conf;
    static const struct nn_blocks_hooks hooks;
    nn_blocks_conf_init(&conf);
    a->scratch = ARENA_INIT;
    int rc = nn_blocks_init(&a->blocks, &conf, &hooks, 1, 0);
    if (rc == 0)
        rc = nn_state_init(&a->state, &a->blocks, slice_str("root"), slice_str("supergroup"));
    if (rc == 0 && !(a->loader = nn_loader_new(&a->state)))
        rc = ERR_NOMEM;
    return rc;
}

static void attempt_end(struct attempt *a)
{
    nn_loader_free(a->loader);
    arena_release(&a->scratch);
    nn_state_release(&a->state);
    nn_blocks_release(&a->blocks);
}

static int take_chunk(void *arg, uint16_t section, struct slice chunk, struct err *err)
{
    struct attempt *a = arg;
    return nn_loader_take(a->loader, section, chunk, err);
}

static int take_record(void *arg, const struct wal_record *record)
{
    struct attempt *a = arg;
    if (record->index > a->limit)
        return PAST_THE_END;
    a->state.applied = record->index;
    nn_blocks_set_applied(&a->blocks, record->index);
    int rc = nn_op_replay(&a->state, record->type, record->payload, &a->scratch, a->err);
    if (rc == 0)
        a->reached = record->index;
    return rc == 0 || rc == ERR_NOMEM ? rc : MISFIT;
}

/* Load image `index` of `image_dir` and what follows it up to `limit`. 0; MISFIT with how far it
 * came in a->reached: the state is not to be used then; or an error. */
static int attempt_load(struct attempt *a, const struct nn_salvage *s, struct err *err)
{
    char *path = nn_image_path(s->paths[s->image_dir], s->image, "");
    struct wal_report report;
    a->err = err;
    a->reached = a->state.applied = s->image;
    int rc = path ? nn_image_read(s->disk, path, NULL, take_chunk, a, err) : ERR_NOMEM;
    if (rc == 0)
        rc = nn_loader_end(a->loader, err);
    mem_free(path);
    if (rc != 0 || s->last == s->image)
        return rc;
    const struct wal_inspection what = {s->image + 1, take_record, a};
    struct err end = {0}; /* of the log: it is known to be damaged */
    rc = wal_inspect(s->disk, s->paths[s->log_dir], &what, &report, &end);
    bool came_through = a->reached == a->limit;
    return rc == ERR_NOMEM || rc == MISFIT ? rc : came_through ? 0 : MISFIT;
}

/* ---- the plan ---- */

struct found {
    struct wal_report log[NN_DIRS_MAX];
    bool has_log[NN_DIRS_MAX], is_whole[NN_DIRS_MAX];
    struct nn_image_list images;
    uint64_t newest_image; /* damaged or not */
};

static bool exists(const struct nn_salvage *s, size_t i)
{
    struct disk_stat st;
    return disk_stat(s->disk, s->paths[i], &st) == 0;
}

static int open_dirs(struct nn_salvage *s, struct err *err)
{
    for (size_t i = 0; i < s->count; i++) {
        struct err bad = {0};
        int rc = nn_namedir_open(&s->dirs[i], s->disk, s->paths[i], &bad);
        if (rc == ERR_BUSY) {
            if (err)
                *err = bad;
            return rc;
        }
        if (rc == 0 && s->dirs[i].state == NN_DIR_FORMATTED && !s->cluster_id[0] &&
            nn_namedir_check_log(&s->dirs[i], NULL) == 0)
            snprintf(s->cluster_id, sizeof(s->cluster_id), "%s", s->dirs[i].version.cluster_id);
    }
    return 0;
}

static void look_at_logs(struct nn_salvage *s, struct found *f)
{
    for (size_t i = 0; i < s->count; i++) {
        struct err bad = {0};
        int rc = wal_inspect(s->disk, s->paths[i], &(struct wal_inspection){0}, &f->log[i], &bad);
        f->has_log[i] = f->log[i].wal_id != 0;
        f->is_whole[i] = rc == 0 && f->has_log[i];
        if (f->has_log[i] && f->log[i].acknowledged > s->acknowledged)
            s->acknowledged = f->log[i].acknowledged;
    }
}

static void consider(struct nn_salvage *s, size_t image_dir, uint64_t image, size_t log_dir,
                     uint64_t last)
{
    bool is_first = s->image_dir == SIZE_MAX;
    if (!is_first && (last < s->last || (last == s->last && image <= s->image)))
        return;
    s->image_dir = image_dir;
    s->image = image;
    s->log_dir = log_dir;
    s->last = last;
}

/* A whole image alone is a plan, and with every log that goes on where it ends. */
static void consider_image(struct nn_salvage *s, const struct found *f,
                           const struct nn_image_file *file)
{
    struct nn_image_head head = {0};
    char *path = nn_image_path(s->paths[file->dir], file->index, "");
    int rc = path ? nn_image_read(s->disk, path, &head, NULL, NULL, NULL) : ERR_NOMEM;
    mem_free(path);
    if (rc != 0 || head.index != file->index)
        return;
    consider(s, file->dir, file->index, file->dir, file->index);
    for (size_t i = 0; i < s->count; i++)
        if (f->has_log[i] && f->log[i].wal_id == head.log_id &&
            f->log[i].first <= file->index + 1 && f->log[i].last > file->index)
            consider(s, file->dir, file->index, i, f->log[i].last);
}

/* Would a start do with what is there? A whole log that reaches the newest image. */
static bool is_enough(const struct nn_salvage *s, const struct found *f)
{
    for (size_t i = 0; i < s->count; i++)
        if (f->is_whole[i] && s->dirs[i].state == NN_DIR_FORMATTED &&
            f->log[i].first <= s->image + 1 && f->log[i].last >= f->newest_image &&
            f->log[i].last == s->last)
            return true;
    return false;
}

/* The plan, tried; one that meets a record that does not fit ends before it. */
static int try_plan(struct nn_salvage *s, bool *is_changed, struct err *err)
{
    for (;;) {
        struct attempt a = {.limit = s->last};
        int rc = attempt_begin(&a);
        if (rc == 0)
            rc = attempt_load(&a, s, err);
        uint64_t reached = a.reached;
        attempt_end(&a);
        if (rc != MISFIT)
            return rc;
        s->last = reached;
        *is_changed = true;
    }
}

static void tell_plan(struct nn_salvage *s, const struct found *f)
{
    struct buf *out = &s->report;
    uint64_t known = s->acknowledged > f->newest_image ? s->acknowledged : f->newest_image;
    for (size_t i = 0; i < s->count; i++)
        if (f->has_log[i] && f->log[i].last > known)
            known = f->log[i].last;
    buf_printf(out, "kept     the image of record %" PRIu64 " in %s", s->image,
               s->paths[s->image_dir]);
    if (s->last > s->image)
        buf_printf(out, ", and records %" PRIu64 " to %" PRIu64 " of the log in %s", s->image + 1,
                   s->last, s->paths[s->log_dir]);
    if (s->is_whole)
        buf_append_str(out, "\nlost     nothing: a start needs no help\n");
    else if (known > s->last)
        buf_printf(out,
                   "\nlost     records %" PRIu64 " to %" PRIu64
                   ", and all there may have been after them\n",
                   s->last + 1, known);
    else
        buf_printf(out, "\nlost     what came after record %" PRIu64 ", if anything did\n",
                   s->last);
}

int nn_salvage_plan(struct nn_salvage *s, struct err *err)
{
    struct found f = {.newest_image = 0};
    struct nn_dir_set set = {.disk = s->disk};
    bool is_changed = false;
    int rc = open_dirs(s, err);
    if (rc != 0)
        return rc;
    for (size_t i = 0; i < s->count; i++)
        if (exists(s, i))
            set.paths[set.count++] = s->paths[i];
    rc = nn_images_list(&set, &f.images, err);
    look_at_logs(s, &f);
    s->image_dir = SIZE_MAX;
    for (size_t i = 0; rc == 0 && i < f.images.n; i++) {
        struct nn_image_file file = f.images.v[i];
        for (size_t k = 0; k < s->count; k++) /* the set leaves out what is missing */
            if (s->paths[k] == set.paths[f.images.v[i].dir])
                file.dir = k;
        f.newest_image = file.index > f.newest_image ? file.index : f.newest_image;
        consider_image(s, &f, &file);
    }
    nn_images_release(&f.images);
    if (rc == 0 && s->image_dir == SIZE_MAX)
        rc = err_set(err, ERR_CORRUPT,
                     "%s holds no image that is whole: there is nothing to go on "
                     "from",
                     s->paths[0]);
    if (rc == 0)
        rc = try_plan(s, &is_changed, err);
    if (rc != 0)
        return rc;
    s->is_whole = !is_changed && is_enough(s, &f);
    tell_plan(s, &f);
    return buf_failed(&s->report) ? err_set(err, ERR_NOMEM, "out of memory") : 0;
}

/* ---- carrying it out ---- */

struct names {
    char **v;
    size_t n, cap;
};

static int note_name(void *arg, const char *name, bool is_dir)
{
    struct names *names = arg;
    bool stays = strcmp(name, "in_use.lock") == 0 || strcmp(name, "lost+found") == 0 ||
                 (is_dir && strncmp(name, "recovered-", 10) == 0);
    if (stays)
        return 0;
    if (mem_grow(&names->v, &names->cap, names->n, sizeof(*names->v)) != 0)
        return ERR_NOMEM;
    names->v[names->n] = str_printf("%s", name);
    return names->v[names->n] ? (names->n++, 0) : ERR_NOMEM;
}

static int move_name(const struct nn_salvage *s, const char *dir, const char *to, const char *name)
{
    char *from = fsutil_join(dir, name), *target = fsutil_join(to, name);
    int rc = from && target ? disk_rename(s->disk, from, target) : ERR_NOMEM;
    mem_free(from);
    mem_free(target);
    return rc;
}

/* VERSION goes first, durably: what is left of the rest is nothing that a start would take. */
static int move_all(const struct nn_salvage *s, const char *dir, const char *to,
                    const struct names *names)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < names->n; i++)
        if (strcmp(names->v[i], "VERSION") == 0)
            rc = move_name(s, dir, to, "VERSION");
    if (rc == 0)
        rc = disk_fsync_dir(s->disk, to);
    if (rc == 0)
        rc = disk_fsync_dir(s->disk, dir);
    for (size_t i = 0; rc == 0 && i < names->n; i++)
        if (strcmp(names->v[i], "VERSION") != 0)
            rc = move_name(s, dir, to, names->v[i]);
    if (rc == 0)
        rc = disk_fsync_dir(s->disk, to);
    return rc == 0 ? disk_fsync_dir(s->disk, dir) : rc;
}

static int set_aside(const struct nn_salvage *s, const char *dir, uint64_t wall_ms,
                     struct slice decision, struct err *err)
{
    struct names names = {0};
    char *to = str_printf("%s/recovered-%" PRIu64, dir, wall_ms);
    char *file = to ? fsutil_join(to, "DECISION") : NULL;
    int rc = file ? fsutil_mkdirs(s->disk, to, err) : err_set(err, ERR_NOMEM, "out of memory");
    if (rc == 0)
        rc = fsutil_replace(s->disk, file, decision, err);
    if (rc == 0 && ((rc = disk_list(s->disk, dir, note_name, &names)) != 0 ||
                    (rc = move_all(s, dir, to, &names)) != 0))
        err_set(err, rc, "%s: cannot set aside what is there: %s", dir, err_text(rc));
    for (size_t i = 0; i < names.n; i++)
        mem_free(names.v[i]);
    mem_free(names.v);
    mem_free(file);
    mem_free(to);
    return rc;
}

static void leave_gap(struct nn_state *state)
{
    if (!state->spared_from)
        state->spared_from = state->next_block_id;
    state->next_block_id += ID_GAP;
    state->spared_to = state->next_block_id - 1;
    state->next_gs += ID_GAP;
    state->tree.next_id += ID_GAP;
}

static int save_state(void *state, nn_image_put_fn *put, void *arg)
{
    return nn_state_save(state, put, arg);
}

static int make_anew(const struct nn_salvage *s, struct nn_state *state, uint64_t wall_ms,
                     struct err *err)
{
    struct nn_dir_set set = {.disk = s->disk, .count = s->count};
    struct nn_image_head head = {.index = s->last, .wall_ms = wall_ms};
    struct wal_options options = {.disk = s->disk,
                                  .dirs = s->paths,
                                  .dir_count = s->count,
                                  .segment_bytes = s->segment_bytes};
    rand_secret(&head.log_id, sizeof(head.log_id));
    head.log_id |= 1;
    for (size_t i = 0; i < s->count; i++)
        set.paths[i] = s->paths[i];
    int rc = wal_create(&options, head.log_id, s->last + 1, err);
    if (rc == 0)
        rc = nn_images_write(&set, &head, save_state, state, err);
    if (rc == 0)
        rc = nn_images_swap(&set, s->last, err);
    return rc;
}

static int say_decision(const struct nn_salvage *s, const char *who, uint64_t wall_ms,
                        struct buf *out)
{
    buf_append_slice(out, buf_slice(&s->report));
    buf_printf(out,
               "decided  %s, at %" PRIu64 " ms since 1970: go on from record %" PRIu64
               ". What was in this directory before is here, unchanged.\n",
               who, wall_ms, s->last);
    return buf_failed(out) ? ERR_NOMEM : 0;
}

/* A directory that is missing is made, and one whose VERSION is damaged locked; one that is
 * somebody's is refused before anything moves. */
static int prepare_dirs(struct nn_salvage *s, struct err *err)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < s->count; i++) {
        if (s->dirs[i].state == NN_DIR_FOREIGN)
            rc = err_set(err, ERR_EXIST, "%s holds other files: move them away first", s->paths[i]);
        if (rc != 0 || s->dirs[i].state != NN_DIR_MISSING)
            continue;
        rc = fsutil_mkdirs(s->disk, s->paths[i], err);
        if (rc == 0)
            rc = fsutil_lock(s->disk, s->paths[i], &s->dirs[i].lock, err);
    }
    return rc;
}

int nn_salvage_do(struct nn_salvage *s, const char *who, uint64_t wall_ms, struct err *err)
{
    struct attempt a = {.limit = s->last};
    struct buf decision = BUF_INIT;
    char cluster_id[VERSION_ID_MAX];
    int rc = prepare_dirs(s, err);
    snprintf(cluster_id, sizeof(cluster_id), "%s", s->cluster_id);
    if (!cluster_id[0])
        version_new_id(cluster_id); /* every VERSION is lost: datanodes must be told with -force */
    if (attempt_begin(&a) != 0 || say_decision(s, who, wall_ms, &decision) != 0)
        rc = rc ? rc : err_set(err, ERR_NOMEM, "out of memory");
    if (rc == 0)
        rc = attempt_load(&a, s, err);
    if (rc == 0)
        leave_gap(&a.state);
    for (size_t i = 0; rc == 0 && i < s->count; i++)
        rc = set_aside(s, s->paths[i], wall_ms, buf_slice(&decision), err);
    if (rc == 0)
        rc = make_anew(s, &a.state, wall_ms, err);
    for (size_t i = 0; rc == 0 && i < s->count; i++)
        rc = nn_namedir_finish(&s->dirs[i], cluster_id, wall_ms, err);
    attempt_end(&a);
    buf_release(&decision);
    return rc == MISFIT ? err_set(err, ERR_CORRUPT, "the directories changed meanwhile") : rc;
}

void nn_salvage_release(struct nn_salvage *s)
{
    for (size_t i = 0; i < s->count; i++)
        nn_namedir_close(&s->dirs[i]);
    buf_release(&s->report);
}
