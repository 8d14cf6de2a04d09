/* SPDX-License-Identifier: Apache-2.0
 * journal: puts the parts of this folder together (see journal.h). Threads: one for the log's
 * batches and one for putting images in place; everything else is on the loop. */
#include "namenode/journal/journal.h"

#include "libcommon/base/clock.h"
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/metric.h"
#include "libcommon/base/rand.h"
#include "libcommon/base/str.h"
#include "namenode/blocks/blocks.h"
#include "namenode/journal/checkpoint.h"
#include "namenode/journal/editlog.h"
#include "namenode/journal/recover.h"
#include "namenode/journal/restore.h"
#include "namenode/journal/sections.h"

#define MODULE     "nn.journal"
#define TRIGGER_MS 1000
#define RETRY_MS   60000 /* after a checkpoint that failed */
#define ADVICE     "`quern namenode -recover` tells what can be saved"

METRIC_COUNTER(images_written, "quern_nn_images_total", "images written");
METRIC_COUNTER(images_failed, "quern_nn_images_failed_total", "images that could not be written");

_Static_assert(NN_JOURNAL_DIRS_MAX == NN_DIRS_MAX && NN_DIRS_MAX <= WAL_DIRS_MAX,
               "every name directory has its place in the log and in the images");

/* Other directories than now. */
struct nn_wish_dirs {
    bool is_there, was_begun;
    char *paths[NN_DIRS_MAX];
    size_t count;
    bool is_new[NN_DIRS_MAX]; /* by place: was not wanted before */
    struct err err;
    nn_journal_done_fn *done;
    void *arg;
};

struct nn_journal {
    struct nn_journal_options options;
    struct nn_namedir dirs[NN_DIRS_MAX]; /* each has the same place in the log */
    char *paths[NN_DIRS_MAX];
    bool is_wanted[NN_DIRS_MAX], was_tried[NN_DIRS_MAX];
    size_t dir_count;
    char cluster_id[VERSION_ID_MAX];
    struct nn_restore restore;
    bool wants_restore; /* dropped directories are tried again and again */
    uint64_t restore_at_ms;
    struct nn_wish_dirs wish;
    struct workq *workq;
    struct nn_editlog log;
    struct nn_checkpoint checkpoint;
    nn_journal_done_fn *checkpoint_done; /* of who asked for the one that runs; may be NULL */
    void *checkpoint_arg;
    uint64_t image_index;
    uint64_t image_at_ms; /* monotonic: when the last one was begun, or the start */
    uint64_t retry_at_ms;
    struct loop_timer trigger;
    loop_fn *stopped;
    void *stopped_arg;
    struct loop_task stop_task;
    bool is_stopping, is_open;
};

/* ---- directories ---- */

static struct slice without_slashes(const char *path)
{
    struct slice s = slice_str(path);
    while (s.len > 1 && s.data[s.len - 1] == '/')
        s.len--;
    return s;
}

static int check_list(const char *const *paths, size_t count, struct err *err)
{
    if (count == 0 || count > NN_DIRS_MAX)
        return err_set(err, ERR_CONFIG, "dfs.namenode.name.dir takes 1 to %d directories, not %zu",
                       NN_DIRS_MAX, count);
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < i; k++)
            if (slice_eq(without_slashes(paths[i]), without_slashes(paths[k])))
                return err_set(err, ERR_CONFIG, "dfs.namenode.name.dir lists %s twice", paths[k]);
    return 0;
}

/* Records in a directory without a VERSION: no format that was cut short has any. */
static bool has_records(const struct nn_namedir *dir)
{
    struct wal_report report = {0};
    struct err ignored = {0};
    (void)wal_inspect(dir->disk, dir->path, &(struct wal_inspection){0}, &report, &ignored);
    return report.first > 1 || report.last >= 1;
}

static void close_dirs(struct nn_namedir *dirs, size_t count)
{
    for (size_t i = 0; i < count; i++)
        nn_namedir_close(&dirs[i]);
}

static int open_dirs(struct disk *disk, const char *const *paths, size_t count,
                     struct nn_namedir *dirs, struct err *err)
{
    for (size_t i = 0; i < count; i++) {
        int rc = nn_namedir_open(&dirs[i], disk, paths[i], err);
        if (rc != 0) {
            close_dirs(dirs, i);
            return rc;
        }
    }
    return 0;
}

/* At least one is formatted, all that are belong to their logs and to one cluster, and none is
 * somebody else's. */
static int check_dirs(const struct nn_namedir *dirs, size_t count, const char **ret_cluster,
                      struct err *err)
{
    const struct nn_namedir *first = NULL;
    for (size_t i = 0; i < count; i++) {
        if (dirs[i].state == NN_DIR_FOREIGN)
            return err_set(err, ERR_CORRUPT,
                           "%s holds other files and no VERSION: it is not a name directory",
                           dirs[i].path);
        if (dirs[i].state != NN_DIR_FORMATTED)
            continue;
        int rc = nn_namedir_check_log(&dirs[i], err);
        if (rc != 0)
            return rc;
        if (first && strcmp(first->version.cluster_id, dirs[i].version.cluster_id) != 0)
            return err_set(err, ERR_FOREIGN,
                           "%s belongs to cluster %s, %s to cluster %s: one of them is wrong",
                           first->path, first->version.cluster_id, dirs[i].path,
                           dirs[i].version.cluster_id);
        first = first ? first : &dirs[i];
    }
    if (!first && dirs[0].state == NN_DIR_UNFINISHED && has_records(&dirs[0]))
        return err_set(err, ERR_CORRUPT,
                       "%s holds a log with records but no VERSION: bring that file back",
                       dirs[0].path);
    if (!first)
        return err_set(err, ERR_NOENT,
                       "%s is not formatted: `quern namenode -format` makes a new filesystem there",
                       dirs[0].path);
    *ret_cluster = first->version.cluster_id;
    return 0;
}

/* Those that the log uses. */
static struct nn_dir_set living_dirs(const struct nn_journal *journal, const struct wal *wal)
{
    struct nn_dir_set set = {.disk = journal->options.disk};
    for (size_t i = 0; i < journal->dir_count; i++) {
        bool is_alive = false;
        const char *path = wal_dir(wal, i, &is_alive);
        if (is_alive)
            set.paths[set.count++] = path;
    }
    return set;
}

/* ---- format ---- */

static int may_format(const struct nn_namedir *dir, bool force, struct err *err)
{
    bool is_cut_short = dir->state == NN_DIR_UNFINISHED && !has_records(dir);
    if (force || dir->state == NN_DIR_EMPTY || is_cut_short)
        return 0;
    if (dir->state == NN_DIR_UNFINISHED)
        return err_set(err, ERR_EXIST,
                       "%s holds a log with records but no VERSION: with -force all is lost",
                       dir->path);
    return nn_namedir_refuse(dir, err);
}

static int save_state(void *state, nn_image_put_fn *put, void *arg)
{
    return nn_state_save(state, put, arg);
}

static int write_first_image(const struct nn_dir_set *set, const struct nn_journal_format *format,
                             uint64_t log_id, struct err *err)
{
    struct nn_state state;
    struct nn_image_head head = {log_id, 0, clock_wall_ms()};
    int rc =
        nn_state_init(&state, NULL, slice_str(format->superuser), slice_str(format->supergroup));
    if (rc != 0)
        return err_set(err, rc, "out of memory");
    rc = nn_images_write(set, &head, save_state, &state, err);
    if (rc == 0)
        rc = nn_images_swap(set, 0, err);
    nn_state_release(&state);
    return rc;
}

static int make_log(const struct nn_journal_format *format, uint64_t log_id, struct err *err)
{
    struct wal_options options = {.disk = format->disk,
                                  .dirs = format->dirs,
                                  .dir_count = format->dir_count,
                                  .segment_bytes = format->segment_bytes};
    return wal_create(&options, log_id, 1, err);
}

static int make_dirs(struct nn_namedir *dirs, const struct nn_journal_format *format,
                     const char *cluster_id, struct err *err)
{
    struct nn_dir_set set = {.disk = format->disk, .count = format->dir_count};
    uint64_t log_id = 0;
    int rc = 0;
    rand_secret(&log_id, sizeof(log_id));
    log_id |= 1;
    for (size_t i = 0; rc == 0 && i < format->dir_count; i++) {
        set.paths[i] = format->dirs[i];
        rc = nn_namedir_clear(&dirs[i], err);
    }
    if (rc == 0)
        rc = make_log(format, log_id, err);
    if (rc == 0)
        rc = write_first_image(&set, format, log_id, err);
    for (size_t i = 0; rc == 0 && i < format->dir_count; i++)
        rc = nn_namedir_finish(&dirs[i], cluster_id, clock_wall_ms(), err);
    return rc;
}

int nn_journal_format(const struct nn_journal_format *format, struct err *err)
{
    struct nn_namedir dirs[NN_DIRS_MAX] = {0};
    char cluster_id[VERSION_ID_MAX];
    version_new_id(cluster_id);
    int rc = check_list(format->dirs, format->dir_count, err);
    if (rc == 0 && format->cluster_id && !version_id_is_ok(format->cluster_id))
        rc = err_set(err, ERR_INVAL,
                     "\"%s\" cannot be a cluster's name: letters, digits, - _ . and at most %d",
                     format->cluster_id, VERSION_ID_MAX - 1);
    for (size_t i = 0; rc == 0 && i < format->dir_count; i++)
        rc = fsutil_mkdirs(format->disk, format->dirs[i], err);
    if (rc != 0)
        return rc;
    rc = open_dirs(format->disk, format->dirs, format->dir_count, dirs, err);
    if (rc != 0)
        return rc;
    for (size_t i = 0; rc == 0 && i < format->dir_count; i++)
        rc = may_format(&dirs[i], format->force, err);
    if (rc == 0)
        rc = make_dirs(dirs, format, format->cluster_id ? format->cluster_id : cluster_id, err);
    close_dirs(dirs, format->dir_count);
    return rc;
}

/* ---- the log's events ---- */

static void continue_stop(void *arg);
static void trigger(void *arg);
static void go_on_restoring(struct nn_journal *journal);

static void on_durable(void *arg, uint64_t durable)
{
    struct nn_journal *journal = arg;
    nn_checkpoint_on_durable(&journal->checkpoint, durable);
    journal->options.on_durable(journal->options.arg, durable);
    trigger(journal);
}

static void on_failed(void *arg, const struct err *err)
{
    struct nn_journal *journal = arg;
    journal->options.on_failed(journal->options.arg, err);
}

static void on_full(void *arg, bool is_full)
{
    struct nn_journal *journal = arg;
    journal->options.on_full(journal->options.arg, is_full);
}

static void on_batch(void *arg)
{
    struct nn_journal *journal = arg;
    nn_restore_on_batch(&journal->restore);
    go_on_restoring(journal);
    continue_stop(journal); /* one that seals makes nothing durable, and a stop waits for it, too */
}

static void on_notice(void *arg, const char *line)
{
    (void)arg;
    log_warn(MODULE, "%s", line);
}

/* ---- checkpoints ---- */

static void on_checkpoint(void *arg, uint64_t index, const struct err *err)
{
    struct nn_journal *journal = arg;
    nn_journal_done_fn *done = journal->checkpoint_done;
    uint64_t kept = journal->image_index;
    journal->checkpoint_done = NULL;
    if (err) {
        metric_add(&images_failed, 1);
        journal->retry_at_ms = loop_now_ms(journal->options.loop) + RETRY_MS;
        if (!journal->is_stopping)
            log_error(MODULE, "no image of record %llu: %s", (unsigned long long)index, err->msg);
    } else {
        metric_add(&images_written, 1);
        journal->image_index = index;
        wal_drop_below(journal->log.wal, kept + 1);
        log_info(MODULE, "wrote the image of record %llu", (unsigned long long)index);
    }
    if (done)
        done(journal->checkpoint_arg, err);
    continue_stop(journal);
}

static int start_checkpoint(struct nn_journal *journal, struct err *err)
{
    struct nn_image_head head = {.log_id = wal_id(journal->log.wal),
                                 .index = wal_last(journal->log.wal),
                                 .wall_ms = clock_wall_ms()};
    struct nn_dir_set set = living_dirs(journal, journal->log.wal);
    journal->image_at_ms = loop_now_ms(journal->options.loop);
    nn_checkpoint_on_durable(&journal->checkpoint, wal_durable(journal->log.wal));
    return nn_checkpoint_start(&journal->checkpoint, &set, &head, journal->image_index, save_state,
                               journal->options.state, err);
}

int nn_journal_checkpoint(struct nn_journal *journal, nn_journal_done_fn *done, void *arg,
                          struct err *err)
{
    if (journal->is_stopping)
        return err_set(err, ERR_CLOSED, "the namenode is stopping");
    if (!nn_restore_is_idle(&journal->restore))
        return err_set(err, ERR_BUSY, "a name directory is being filled: try again in a moment");
    if (wal_last(journal->log.wal) == journal->image_index) { /* nothing has changed */
        done(arg, NULL);
        return 0;
    }
    int rc = start_checkpoint(journal, err);
    if (rc != 0)
        return rc;
    journal->checkpoint_done = done;
    journal->checkpoint_arg = arg;
    return 0;
}

static void trigger(void *arg)
{
    struct nn_journal *journal = arg;
    struct err err = {0};
    uint64_t now_ms = loop_now_ms(journal->options.loop);
    uint64_t records = wal_last(journal->log.wal) - journal->image_index;
    if (journal->wants_restore && now_ms >= journal->restore_at_ms)
        nn_journal_restore(journal);
    go_on_restoring(journal);
    if (records == 0 || !nn_restore_is_idle(&journal->restore) || journal->is_stopping ||
        now_ms < journal->retry_at_ms || !nn_checkpoint_is_idle(&journal->checkpoint))
        return;
    if (records < journal->options.checkpoint_records &&
        now_ms - journal->image_at_ms < journal->options.checkpoint_ms)
        return;
    if (start_checkpoint(journal, &err) != 0) {
        journal->retry_at_ms = now_ms + RETRY_MS;
        log_error(MODULE, "no image: %s", err.msg);
    }
}

/* ---- directories come and go ---- */

static bool is_alive(const struct nn_journal *journal, size_t place)
{
    bool alive = false;
    wal_dir(journal->log.wal, place, &alive);
    return alive;
}

static void release_wish(struct nn_wish_dirs *wish)
{
    for (size_t i = 0; i < wish->count; i++)
        mem_free(wish->paths[i]);
    *wish = (struct nn_wish_dirs){0};
}

static size_t find_place(const struct nn_journal *journal, const char *path)
{
    size_t i = 0;
    while (i < journal->dir_count &&
           !slice_eq(without_slashes(journal->paths[i]), without_slashes(path)))
        i++;
    return i;
}

static int add_place(struct nn_journal *journal, const char *path, struct err *err)
{
    size_t place = 0;
    char *copy = str_dup(path);
    int rc = copy ? wal_add_dir(journal->log.wal, path, &place) : ERR_NOMEM;
    if (rc != 0) {
        mem_free(copy);
        return err_set(err, rc, "%s: %s", path,
                       rc == ERR_LIMIT ? "too many name directories since the start: restart"
                                       : err_text(rc));
    }
    BUG_ON(place != journal->dir_count);
    journal->paths[place] = copy;
    journal->dirs[place] =
        (struct nn_namedir){.disk = journal->options.disk, .path = copy, .lock = FSUTIL_LOCK_INIT};
    journal->dir_count++;
    return 0;
}

/* Between batches: the new ones get a place, and are tried like those that were dropped. */
static void begin_wish(struct nn_journal *journal)
{
    struct nn_wish_dirs *wish = &journal->wish;
    wish->was_begun = true;
    for (size_t i = 0; i < wish->count && wish->err.code == 0; i++) {
        size_t place = find_place(journal, wish->paths[i]);
        if (place == journal->dir_count && add_place(journal, wish->paths[i], &wish->err) != 0)
            return;
        wish->is_new[place] = !journal->is_wanted[place];
        journal->is_wanted[place] = true;
    }
}

/* Refused: those that came with it go again. Granted: those that are not in it go. */
static void end_wish(struct nn_journal *journal)
{
    struct nn_wish_dirs wish = journal->wish;
    bool is_listed[NN_DIRS_MAX] = {0};
    for (size_t i = 0; i < wish.count; i++)
        is_listed[find_place(journal, wish.paths[i]) % NN_DIRS_MAX] = true;
    for (size_t i = 0; i < journal->dir_count; i++) {
        bool goes = wish.err.code != 0 ? wish.is_new[i] : !is_listed[i];
        if (!goes)
            continue;
        journal->is_wanted[i] = false;
        if (is_alive(journal, i))
            wal_leave(journal->log.wal, i);
        else
            nn_namedir_close(&journal->dirs[i]);
    }
    release_wish(&journal->wish);
    if (wish.done)
        wish.done(wish.arg, wish.err.code != 0 ? &wish.err : NULL);
}

static void unlock_departed(struct nn_journal *journal)
{
    for (size_t i = 0; i < journal->dir_count; i++)
        if (!journal->is_wanted[i] && !is_alive(journal, i))
            nn_namedir_close(&journal->dirs[i]);
}

/* The next one that was dropped or is new, when nothing else touches images and segments. */
static void go_on_restoring(struct nn_journal *journal)
{
    if (journal->is_stopping || !nn_restore_is_idle(&journal->restore) ||
        !nn_checkpoint_is_idle(&journal->checkpoint) || !wal_is_settled(journal->log.wal))
        return;
    if (journal->wish.is_there && !journal->wish.was_begun)
        begin_wish(journal);
    for (size_t i = 0; i < journal->dir_count; i++) {
        if (!journal->is_wanted[i] || journal->was_tried[i] || is_alive(journal, i))
            continue;
        struct nn_dir_set from = living_dirs(journal, journal->log.wal);
        journal->was_tried[i] = true;
        nn_restore_start(&journal->restore, &journal->dirs[i], i, &from, journal->cluster_id);
        return;
    }
    if (journal->wish.is_there)
        end_wish(journal);
    unlock_departed(journal);
}

static void on_restored(void *arg, struct nn_namedir *dir, const struct err *err)
{
    struct nn_journal *journal = arg;
    size_t place = (size_t)(dir - journal->dirs);
    if (err) {
        nn_namedir_close(dir);
        log_error(MODULE, "%s takes no part: %s", journal->paths[place], err->msg);
    } else {
        log_info(MODULE, "%s takes part in the journal", journal->paths[place]);
    }
    if (err && journal->wish.is_there && journal->wish.is_new[place] && journal->wish.err.code == 0)
        journal->wish.err = *err;
    go_on_restoring(journal);
}

void nn_journal_restore(struct nn_journal *journal)
{
    journal->restore_at_ms = loop_now_ms(journal->options.loop) + RETRY_MS;
    memset(journal->was_tried, 0, sizeof(journal->was_tried));
    go_on_restoring(journal);
}

void nn_journal_set_restore(struct nn_journal *journal, bool is_on)
{
    journal->wants_restore = is_on;
    if (is_on)
        nn_journal_restore(journal);
}

bool nn_journal_wants_restore(const struct nn_journal *journal)
{
    return journal->wants_restore;
}

int nn_journal_set_dirs(struct nn_journal *journal, const char *const *paths, size_t count,
                        nn_journal_done_fn *done, void *arg, struct err *err)
{
    struct nn_wish_dirs wish = {.is_there = true, .done = done, .arg = arg};
    int rc = check_list(paths, count, err);
    if (rc == 0 && (journal->is_stopping || journal->wish.is_there))
        rc = err_set(err, ERR_BUSY, "name directories are being changed already");
    for (size_t i = 0; rc == 0 && i < count; i++) {
        wish.paths[i] = str_dup(paths[i]);
        wish.count++;
        if (!wish.paths[i])
            rc = err_set(err, ERR_NOMEM, "out of memory");
        else if (paths[i][0] != '/')
            rc =
                err_set(err, ERR_CONFIG, "dfs.namenode.name.dir: %s is no absolute path", paths[i]);
    }
    if (rc != 0) {
        release_wish(&wish);
        return rc;
    }
    journal->wish = wish;
    nn_journal_restore(journal);
    return 0;
}

/* ---- open ---- */

static int open_log(struct nn_journal *journal, struct wal **ret, struct err *err)
{
    const struct nn_journal_options *o = &journal->options;
    struct wal_options options = {.disk = o->disk,
                                  .dirs = (const char *const *)journal->paths,
                                  .dir_count = o->dir_count,
                                  .segment_bytes = o->segment_bytes,
                                  .notify = on_notice,
                                  .advice = ADVICE};
    return wal_open(&options, ret, err);
}

/* New directories become name directories when they have everything. */
static int finish_dirs(struct nn_journal *journal, const struct wal *wal, const char *cluster_id,
                       struct err *err)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < journal->dir_count; i++) {
        bool is_alive = false;
        wal_dir(wal, i, &is_alive);
        if (is_alive && journal->dirs[i].state != NN_DIR_FORMATTED)
            rc = nn_namedir_finish(&journal->dirs[i], cluster_id, clock_wall_ms(), err);
    }
    return rc;
}

static int recover(struct nn_journal *journal, struct wal *wal, const char *cluster_id,
                   struct err *err)
{
    struct nn_recovered_state recovered;
    struct nn_dir_set set = living_dirs(journal, wal);
    int rc = nn_recover_state(&set, wal, journal->options.state, &recovered, err);
    if (rc == 0)
        rc = nn_recover_images(&set, &recovered, err);
    if (rc == 0)
        rc = finish_dirs(journal, wal, cluster_id, err);
    journal->image_index = recovered.image_index;
    nn_images_release(&recovered.images);
    return rc;
}

static int start(struct nn_journal *journal, struct wal *wal, struct err *err)
{
    struct loop *loop = journal->options.loop;
    struct nn_editlog_events events = {on_durable, on_failed, on_full, on_batch, journal};
    journal->workq = workq_new(loop, "nn-journal", 2, err);
    if (!journal->workq)
        return err ? err->code : ERR_NOMEM;
    if (loop_every(loop, &journal->trigger, TRIGGER_MS, trigger, journal) != 0)
        return err_set(err, ERR_NOMEM, "out of memory");
    nn_checkpoint_init(&journal->checkpoint, loop, journal->workq, on_checkpoint, journal);
    nn_restore_init(&journal->restore, journal->workq, wal, on_restored, journal);
    nn_editlog_start(&journal->log, wal, loop, journal->workq, &events);
    journal->image_at_ms = loop_now_ms(loop);
    journal->is_open = true;
    return 0;
}

static int open_all(struct nn_journal *journal, struct err *err)
{
    const struct nn_journal_options *o = &journal->options;
    struct wal *wal = NULL;
    const char *cluster_id = NULL;
    for (size_t i = 0; i < o->dir_count; i++) {
        journal->is_wanted[i] = journal->was_tried[i] =
            true; /* one that fails waits to be asked for */
        journal->paths[i] = str_dup(o->dirs[i]);
        if (!journal->paths[i])
            return err_set(err, ERR_NOMEM, "out of memory");
    }
    int rc =
        open_dirs(o->disk, (const char *const *)journal->paths, o->dir_count, journal->dirs, err);
    if (rc != 0)
        return rc;
    journal->dir_count = o->dir_count;
    rc = check_dirs(journal->dirs, journal->dir_count, &cluster_id, err);
    if (rc == 0)
        snprintf(journal->cluster_id, sizeof(journal->cluster_id), "%s", cluster_id);
    if (rc == 0)
        rc = open_log(journal, &wal, err);
    if (rc == 0)
        rc = recover(journal, wal, cluster_id, err);
    if (rc == 0)
        rc = start(journal, wal, err);
    if (rc != 0)
        wal_abandon(wal);
    return rc;
}

int nn_journal_open(const struct nn_journal_options *options, struct nn_journal **ret,
                    struct err *err)
{
    int rc = check_list(options->dirs, options->dir_count, err);
    if (rc != 0)
        return rc;
    struct nn_journal *journal = mem_calloc(1, sizeof(*journal));
    if (!journal)
        return err_set(err, ERR_NOMEM, "out of memory");
    journal->options = *options;
    rc = open_all(journal, err);
    if (rc != 0) {
        nn_journal_close(journal);
        return rc;
    }
    *ret = journal;
    return 0;
}

const char *nn_journal_cluster_id(const struct nn_journal *journal)
{
    return journal->cluster_id;
}

/* ---- use ---- */

int nn_journal_append(struct nn_journal *journal, uint16_t type, struct slice payload,
                      uint64_t *ret_index, struct err *err)
{
    if (journal->is_stopping)
        return err_set(err, ERR_CLOSED, "the namenode is stopping");
    return nn_editlog_append(&journal->log, type, payload, ret_index, err);
}

int nn_journal_pages(struct nn_journal *journal, struct nn_pages *pages)
{
    struct nn_dir_set set = living_dirs(journal, journal->log.wal);
    size_t size = strlen(set.paths[0]) + 1;
    pages->dir = arena_alloc(pages->arena, size);
    if (!pages->dir)
        return ERR_NOMEM;
    memcpy(pages->dir, set.paths[0], size);
    pages->disk = journal->options.disk;
    pages->files.durable = wal_durable(journal->log.wal);
    nn_pages_start(pages, journal->workq);
    return 0;
}

uint64_t nn_journal_durable(const struct nn_journal *journal)
{
    return wal_durable(journal->log.wal);
}

uint64_t nn_journal_last(const struct nn_journal *journal)
{
    return wal_last(journal->log.wal);
}

size_t nn_journal_dirs(const struct nn_journal *journal, struct nn_journal_dir *ret, size_t cap)
{
    size_t n = 0;
    for (size_t i = 0; i < journal->dir_count && n < cap; i++) {
        ret[n].path = wal_dir(journal->log.wal, i, &ret[n].is_alive);
        n += journal->is_wanted[i];
    }
    return n;
}

uint64_t nn_journal_image_index(const struct nn_journal *journal)
{
    return journal->image_index;
}

bool nn_journal_image_is_fresh(const struct nn_journal *journal, uint64_t window_ms,
                               uint64_t records)
{
    return loop_now_ms(journal->options.loop) - journal->image_at_ms < window_ms &&
           wal_last(journal->log.wal) - journal->image_index < records;
}

uint64_t nn_journal_roll(struct nn_journal *journal)
{
    wal_roll(journal->log.wal);
    return wal_last(journal->log.wal) + 1;
}

bool nn_journal_is_full(const struct nn_journal *journal)
{
    return wal_is_full(journal->log.wal);
}

/* ---- stop ---- */

static void tell_stopped(void *arg)
{
    struct nn_journal *journal = arg;
    loop_fn *stopped = journal->stopped;
    journal->stopped = NULL;
    if (stopped)
        stopped(journal->stopped_arg);
}

static void continue_stop(void *arg)
{
    struct nn_journal *journal = arg;
    if (journal->stopped && nn_editlog_is_drained(&journal->log) &&
        nn_checkpoint_is_idle(&journal->checkpoint))
        loop_defer(journal->options.loop, &journal->stop_task, tell_stopped, journal);
}

void nn_journal_stop(struct nn_journal *journal, loop_fn *stopped, void *arg)
{
    journal->is_stopping = true;
    journal->stopped = stopped;
    journal->stopped_arg = arg;
    loop_timer_stop(&journal->trigger);
    nn_checkpoint_cancel(&journal->checkpoint);
    continue_stop(journal);
}

void nn_journal_close(struct nn_journal *journal)
{
    if (!journal)
        return;
    loop_timer_stop(&journal->trigger);
    loop_undefer(&journal->stop_task);
    if (journal->is_open) {
        journal->stopped = NULL;
        journal->checkpoint_done = NULL;
        nn_editlog_stop(&journal->log);
        nn_checkpoint_release(&journal->checkpoint);
    }
    workq_free(journal->workq);
    if (journal->is_open)
        nn_editlog_close(&journal->log);
    close_dirs(journal->dirs, journal->dir_count);
    release_wish(&journal->wish);
    for (size_t i = 0; i < NN_DIRS_MAX; i++)
        mem_free(journal->paths[i]);
    mem_free(journal);
}
