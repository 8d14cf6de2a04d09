/* SPDX-License-Identifier: Apache-2.0
 * model_client: writers and readers that know every byte they wrote, for all tests that break
 * things meanwhile.
 *
 *     model_client --seed N --seconds N [--writers N] [--dir /model] [--max-bytes N] [--ops N]
 *                  [--record FILE] [--errors-ok]
 *     model_client --check FILE
 *
 * Each writer has a directory and a model of it: which files must be there, how long they are, and
 * a seed from which every byte of each follows. It creates, writes in odd pieces, flushes, closes,
 * overwrites, aborts, appends, truncates, joins, renames, deletes, lists, stats and reads at random
 * places, makes directories, sets modes, replication, extended attributes and access lists, and
 * compares all it sees.
 *
 * What the model demands
 *   - a file that was closed is there, whole, until it was deleted; a renamed one under its new
 * name
 *   - a file that is being written can be read up to its last hflush at least, and what can be read
 *     is right
 *   - a call that failed has done all of its work or none (a file whose writing failed may be
 * there, with any beginning of its bytes, from the last hflush on; one that was appended to has
 *     what it had before in any case) What is at odds with it is a
 * violation: told at once, exit code 1. Failed calls are counted; they make the exit code 1 too,
 * unless --errors-ok.
 *
 * SIGTERM: it is time to end, as if the seconds were over.
 *
 * --record writes down, at the end, what must be there; --check reads all of it again, later. */
#include <signal.h>
#include <stdarg.h>
#include <unistd.h>

#include "libcommon/base/clock.h"
#include "libcommon/base/fault.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/str.h"
#include "tests/cluster/model.h"

static struct {
    uint64_t seed, seconds, writers, max_bytes, ops;
    const char *dir, *record, *check;
    bool errors_ok;
    _Atomic uint64_t end_ms;
    _Atomic bool is_violated;
} options = {.seconds = 5, .writers = 2, .dir = "/model", .max_bytes = 3U << 20};

/* --- bytes that follow from a seed ------------------------------------------------------------ */

static void fill(uint8_t *out, uint64_t seed, uint64_t offset, size_t size)
{
    size_t done = 0;
    while (done < size) {
        uint64_t at = offset + done, word = hash_u64(seed ^ hash_u64(at / 8 + 1));
        size_t skip = (size_t)(at % 8), n = 8 - skip;
        n = n < size - done ? n : size - done;
        memcpy(out + done, (const uint8_t *)&word + skip, n);
        done += n;
    }
}

void violated(const struct writer *w, const char *path, const char *fmt, ...)
{
    char what[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    fprintf(stderr, "VIOLATION (seed %" PRIu64 ", writer %u): %s: %s\n", options.seed,
            w ? w->number : 0, path, what);
    options.is_violated = true;
}

void failed(struct writer *w, const char *call, const char *path, const struct qn_error *error)
{
    w->counts.errors++;
    fprintf(stderr, "failed (writer %u): %s %s: %s\n", w->number, call, path, error->message);
}

bool has_violation(void)
{
    return options.is_violated;
}

/* Compare; the place of the first wrong byte is told. */
static bool is_right(const struct writer *w, const char *path, uint64_t seed, uint64_t offset,
                     const uint8_t *got, size_t size, uint8_t *room)
{
    fill(room, seed, offset, size);
    if (memcmp(room, got, size) == 0)
        return true;
    size_t i = 0;
    while (room[i] == got[i])
        i++;
    violated(w, path, "byte %" PRIu64 " is %02x and should be %02x", offset + i, got[i], room[i]);
    return false;
}

/* --- reading back ----------------------------------------------------------------------------- */

/* A read at a random place of a file of this length (at least). */
static void read_somewhere(struct writer *w, struct qn_file *f, const char *path, uint64_t seed,
                           uint64_t length)
{
    struct qn_error error;
    uint64_t offset = rand_below(&w->rand, length + 1);
    size_t size = (size_t)rand_below(&w->rand, rand_chance(&w->rand, 5) ? PIECE_MAX : 5000) + 1;
    uint64_t left = qn_length(f) - offset;
    size_t want = size < left ? size : (size_t)left;
    ssize_t n = qn_pread(f, w->got, size, offset, &error);
    w->counts.reads++;
    if (n < 0) {
        failed(w, "pread", path, &error);
        return;
    }
    if ((size_t)n != want)
        violated(w, path, "pread gave %zd bytes at %" PRIu64 " instead of %zu", n, offset, want);
    else if (is_right(w, path, seed, offset, w->got, want, w->piece))
        w->counts.verified += want;
}

static void read_whole(struct writer *w, struct qn_file *f, const char *path, uint64_t seed,
                       uint64_t length)
{
    struct qn_error error;
    uint64_t at = 0;
    ssize_t n = 0;
    while ((n = qn_read(f, w->got, VERIFY, &error)) > 0) {
        if (!is_right(w, path, seed, at, w->got, (size_t)n, w->piece))
            return;
        at += (uint64_t)n;
    }
    w->counts.reads++;
    w->counts.verified += at;
    if (n < 0)
        failed(w, "read", path, &error);
    else if (at < length)
        violated(w, path, "ends at %" PRIu64 " and should have %" PRIu64 " bytes", at, length);
}

/* A closed file has exactly `length` bytes; one being written at least so many. */
static void check_file(struct writer *w, const char *path, uint64_t seed, uint64_t length,
                       bool is_open)
{
    struct qn_error error;
    struct qn_file *f = qn_open(w->fs, path, QN_READ, NULL, &error);
    if (!f) {
        if (error.code == QN_ENOENT)
            violated(w, path, "is not there");
        else
            failed(w, "open", path, &error);
        return;
    }
    uint64_t there = qn_length(f);
    if (is_open ? there < length : there != length)
        violated(w, path, "has %" PRIu64 " bytes and should have %" PRIu64, there, length);
    else if (rand_chance(&w->rand, 4))
        read_whole(w, f, path, seed, length);
    else
        for (int i = 0; i < 4; i++)
            read_somewhere(w, f, path, seed, length);
    qn_close(f, NULL);
}

/* --- operations ------------------------------------------------------------------------------- */

/* Some bytes more, in one odd piece. */
static bool write_piece(struct writer *w, struct qn_file *f, const char *path, struct file *file,
                        uint64_t target)
{
    struct qn_error error;
    uint64_t left = target - file->length;
    size_t most = rand_chance(&w->rand, 3) ? PIECE_MAX : 3000;
    size_t n = (size_t)rand_below(&w->rand, most) + 1;
    n = n < left ? n : (size_t)left;
    fill(w->piece, file->seed, file->begin + file->length, n);
    w->counts.writes++;
    if (qn_write(f, w->piece, n, &error) < 0) {
        failed(w, "write", path, &error);
        return false;
    }
    file->length += n;
    w->counts.written += n;
    return true;
}

static bool flush(struct writer *w, struct qn_file *f, const char *path, const struct file *file)
{
    struct qn_error error;
    int rc = rand_chance(&w->rand, 3) ? qn_hsync(f, &error) : qn_hflush(f, &error);
    w->counts.flushes++;
    if (rc != 0) {
        failed(w, "flush", path, &error);
        return false;
    }
    if (file->begin == 0 && rand_chance(&w->rand, 2))
        check_file(w, path, file->seed, file->length, true);
    return true;
}

static bool write_all(struct writer *w, struct qn_file *f, const char *path, struct file *file,
                      uint64_t target)
{
    while (file->length < target && !options.is_violated) {
        if (!write_piece(w, f, path, file, target))
            return false;
        if (rand_chance(&w->rand, 8) && !flush(w, f, path, file))
            return false;
    }
    return true;
}

static uint64_t random_length(struct writer *w)
{
    switch (rand_below(&w->rand, 6)) {
    case 0:
        return rand_below(&w->rand, 2);
    case 1:
    case 2:
        return rand_below(&w->rand, 6000);
    case 3:
        return 512 * rand_below(&w->rand, 200);
    default:
        return rand_below(&w->rand, options.max_bytes);
    }
}

/* A new one, or in the place of `old`, of which nothing is left. */
static void create(struct writer *w, struct file *old)
{
    static const uint64_t block_sizes[] = {0, 1U << 20, (1U << 20) + 512, 3U << 20};
    struct qn_error error;
    struct file file;
    char path[300];
    new_name(w, &file);
    file.seed = rand_u64(&w->rand);
    if (old) {
        memcpy(file.name, old->name, sizeof(file.name));
        forget(w, old);
        w->counts.overwrites++;
    }
    path_of(w, &file, path);
    const struct qn_create how = {.block_size = block_sizes[rand_below(&w->rand, 4)]};
    int flags = old ? QN_WRITE | QN_OVERWRITE : QN_WRITE;
    struct qn_file *f = qn_open(w->fs, path, flags, &how, &error);
    w->counts.creates++;
    if (!f) {
        failed(w, "create", path, &error);
        remove_for_good(w, path);
        return;
    }
    bool good = write_all(w, f, path, &file, random_length(w));
    if (good && rand_chance(&w->rand, 15)) {
        w->counts.aborts++;
        qn_abort(f);
        if (is_there(w, path, NULL) == 1)
            remove_for_good(w, path); /* its own removal may have failed */
        return;
    }
    w->counts.closes++;
    int rc = qn_close(f, &error);
    if (rc == 0 && !good)
        violated(w, path, "close succeeded after a failed write");
    if (rc != 0 && good)
        failed(w, "close", path, &error);
    if (rc == 0)
        w->files[w->count++] = file;
    else
        remove_for_good(w, path);
}

/* ---- at the end of a file that is there ---- */

/* Whatever became of it, what was there before, or flushed since, is right. */
static void give_up(struct writer *w, const char *path, struct file *file, uint64_t sure)
{
    check_file(w, path, file->seed, sure, true);
    remove_for_good(w, path);
    forget(w, file);
}

static void append(struct writer *w, struct file *file)
{
    struct qn_error error;
    char path[300];
    uint64_t before = file->length;
    path_of(w, file, path);
    int flags = QN_WRITE | QN_APPEND | (rand_chance(&w->rand, 4) ? QN_NEW_BLOCK : 0);
    struct qn_file *f = qn_open(w->fs, path, flags, NULL, &error);
    w->counts.appends++;
    if (!f) {
        failed(w, "append", path, &error);
        give_up(w, path, file, before);
        return;
    }
    if (qn_length(f) != before)
        violated(w, path, "is appended to at %" PRIu64 " and should be at %" PRIu64, qn_length(f),
                 before);
    if (rand_chance(&w->rand, 4))
        check_file(w, path, file->seed, before, true); /* as it was */
    uint64_t more = random_length(w);
    bool good = write_all(w, f, path, file, before + (more < (1U << 20) ? more : 1U << 20));
    if (good && rand_chance(&w->rand, 15)) {
        w->counts.aborts++;
        qn_abort(f);
        give_up(w, path, file, before);
        return;
    }
    int rc = qn_close(f, &error);
    w->counts.closes++;
    if (rc == 0 && !good)
        violated(w, path, "close succeeded after a failed write");
    if (rc != 0 && good)
        failed(w, "close", path, &error);
    if (rc != 0)
        give_up(w, path, file, before);
}

/* The file's length, once nobody changes it any more; it must be there. */
static uint64_t settled_length(struct writer *w, const char *path)
{
    uint64_t give_up_ms = clock_mono_ms() + RESOLVE_MS;
    for (;;) {
        struct qn_error error;
        struct qn_stat stat;
        int rc = qn_stat(w->fs, path, &stat, &error);
        bool is_open = rc == 0 && stat.is_open;
        if (rc == 0)
            qn_stat_release(&stat);
        if (rc == 0 && !is_open)
            return stat.length;
        if (rc == QN_ENOENT || clock_mono_ms() > give_up_ms) {
            violated(w, path, rc ? "is lost by a truncation: %s" : "is never cut", error.message);
            return 0;
        }
        usleep(5000);
    }
}

static void truncate_one(struct writer *w, struct file *file)
{
    struct qn_error error;
    char path[300];
    path_of(w, file, path);
    uint64_t to = rand_below(&w->rand, file->length + 1);
    int rc = qn_truncate(w->fs, path, to, &error);
    w->counts.truncates++;
    if (rc < 0)
        failed(w, "truncate", path, &error);
    uint64_t now = settled_length(w, path);
    if (now != to && (rc >= 0 || now != file->length))
        violated(w, path, "has %" PRIu64 " bytes after it was cut from %" PRIu64 " to %" PRIu64,
                 now, file->length, to);
    file->length = now;
    check_file(w, path, file->seed, now, false);
}

/* Bytes that go on where the file ends, in a file of their own. */
static bool write_tail(struct writer *w, const char *path, struct file *tail)
{
    struct qn_error error;
    const struct qn_create how = {.block_size = 1U << 20};
    struct qn_file *f = qn_open(w->fs, path, QN_WRITE, &how, &error);
    if (!f) {
        failed(w, "create", path, &error);
        return false;
    }
    bool good = write_all(w, f, path, tail, rand_below(&w->rand, 5000) + 1);
    int rc = qn_close(f, &error);
    if (rc != 0 && good)
        failed(w, "close", path, &error);
    return rc == 0;
}

static void concat(struct writer *w, struct file *file)
{
    struct qn_error error;
    struct file tail;
    char path[300], source[300];
    new_name(w, &tail);
    tail.seed = file->seed;
    tail.begin = file->length;
    path_of(w, file, path);
    path_of(w, &tail, source);
    w->counts.concats++;
    if (!write_tail(w, source, &tail)) {
        remove_for_good(w, source);
        return;
    }
    const char *sources[] = {source};
    int rc = qn_concat(w->fs, path, sources, 1, &error);
    if (rc != 0)
        failed(w, "concat", path, &error);
    bool is_left = rc != 0 && is_there(w, source, NULL) == 1;
    if (is_left)
        remove_for_good(w, source);
    else
        file->length += tail.length;
    check_file(w, path, file->seed, file->length, false);
}

static void step(struct writer *w)
{
    struct file *file = w->count ? &w->files[rand_below(&w->rand, w->count)] : NULL;
    uint64_t dice = rand_below(&w->rand, 100);
    char path[300];
    if (!file || (dice < 31 && w->count < FILES_MAX)) {
        create(w, NULL);
    } else if (dice < 35) {
        create(w, file);
    } else if (dice < 57) {
        path_of(w, file, path);
        check_file(w, path, file->seed, file->length, false);
        check_attributes(w, file);
    } else if (dice < 60) {
        attributes(w, file);
    } else if (dice < 62) {
        directories(w);
    } else if (dice < 69) {
        append(w, file);
    } else if (dice < 72) {
        truncate_one(w, file);
    } else if (dice < 75) {
        concat(w, file);
    } else if (dice < 84) {
        rename_one(w, file);
    } else if (dice < 95) {
        delete_one(w, file);
    } else {
        list(w);
    }
}

/* --- a writer's life -------------------------------------------------------------------------- */

static bool is_over(const struct writer *w)
{
    uint64_t done = w->counts.creates + w->counts.reads + w->counts.renames + w->counts.deletes;
    return options.is_violated || clock_mono_ms() >= options.end_ms ||
           (options.ops && done >= options.ops);
}

static void check_all(struct writer *w)
{
    for (size_t i = 0; i < w->count && !options.is_violated; i++) {
        struct qn_error error;
        char path[300];
        path_of(w, &w->files[i], path);
        struct qn_file *f = qn_open(w->fs, path, QN_READ, NULL, &error);
        if (!f && error.code == QN_ENOENT) {
            violated(w, path, "is not there at the end");
        } else if (!f) {
            failed(w, "open", path, &error);
        } else {
            if (qn_length(f) != w->files[i].length)
                violated(w, path, "has %" PRIu64 " bytes at the end and should have %" PRIu64,
                         qn_length(f), w->files[i].length);
            read_whole(w, f, path, w->files[i].seed, w->files[i].length);
            check_attributes(w, &w->files[i]);
            qn_close(f, NULL);
        }
    }
    for (size_t i = 0; i < w->dir_count && !options.is_violated; i++)
        check_attributes(w, &w->dirs[i]);
}

static void live(void *arg)
{
    struct writer *w = arg;
    while (!is_over(w))
        step(w);
    list(w);
    check_all(w);
}

static bool prepare(struct writer *w, struct qn_fs *fs, unsigned number)
{
    struct qn_error error;
    w->fs = fs;
    w->number = number;
    rand_init(&w->rand, options.seed * 1000 + number);
    snprintf(w->dir, sizeof(w->dir), "%s/s%" PRIu64 "-w%u", options.dir, options.seed, number);
    w->piece = mem_alloc(PIECE_MAX);
    w->got = mem_alloc(PIECE_MAX);
    if (!w->piece || !w->got)
        return false;
    if (qn_delete(fs, w->dir, true, &error) < 0 || qn_mkdir(fs, w->dir, 0755, true, &error) != 0) {
        fprintf(stderr, "%s: %s\n", w->dir, error.message);
        return false;
    }
    return true;
}

static void add_counts(struct counts *sum, const struct counts *c)
{
    sum->creates += c->creates;
    sum->writes += c->writes;
    sum->flushes += c->flushes;
    sum->closes += c->closes;
    sum->aborts += c->aborts;
    sum->renames += c->renames;
    sum->deletes += c->deletes;
    sum->reads += c->reads;
    sum->lists += c->lists;
    sum->errors += c->errors;
    sum->appends += c->appends;
    sum->truncates += c->truncates;
    sum->concats += c->concats;
    sum->mkdirs += c->mkdirs;
    sum->attributes += c->attributes;
    sum->overwrites += c->overwrites;
    sum->written += c->written;
    sum->verified += c->verified;
}

static bool record(const struct writer *writers)
{
    FILE *out = fopen(options.record, "w");
    for (uint64_t i = 0; out && i < options.writers; i++)
        for (size_t k = 0; k < writers[i].count; k++)
            fprintf(out, "%s/%s %" PRIu64 " %" PRIu64 "\n", writers[i].dir,
                    writers[i].files[k].name, writers[i].files[k].seed, writers[i].files[k].length);
    return out && fclose(out) == 0;
}

static int report(const struct writer *writers)
{
    struct counts c = {0};
    for (uint64_t i = 0; i < options.writers; i++)
        add_counts(&c, &writers[i].counts);
    printf("%" PRIu64 " creates, %" PRIu64 " writes, %" PRIu64 " flushes, %" PRIu64
           " closes, %" PRIu64 " aborts, %" PRIu64 " renames, %" PRIu64 " deletes, %" PRIu64
           " reads, %" PRIu64 " lists, %" PRIu64 " appends, %" PRIu64 " truncates, %" PRIu64
           " concats, %" PRIu64 " overwrites, %" PRIu64 " mkdirs, %" PRIu64 " attributes\n",
           c.creates, c.writes, c.flushes, c.closes, c.aborts, c.renames, c.deletes, c.reads,
           c.lists, c.appends, c.truncates, c.concats, c.overwrites, c.mkdirs, c.attributes);
    printf("%" PRIu64 " bytes written, %" PRIu64 " bytes verified, %" PRIu64 " calls failed, %s\n",
           c.written, c.verified, c.errors, options.is_violated ? "VIOLATED" : "nothing violated");
    return options.is_violated || (c.errors && !options.errors_ok);
}

static int run_writers(struct qn_fs *fs)
{
    struct writer *writers = mem_calloc(options.writers, sizeof(*writers));
    uint64_t started = 0;
    bool ready = writers != NULL;
    for (uint64_t i = 0; ready && i < options.writers; i++)
        ready = prepare(&writers[i], fs, (unsigned)i);
    options.end_ms = clock_mono_ms() + options.seconds * 1000;
    while (ready && started < options.writers) {
        ready =
            thread_start(&writers[started].thread, "writer", live, &writers[started], NULL) == 0;
        started += ready;
    }
    for (uint64_t i = 0; i < started; i++)
        thread_join(&writers[i].thread);
    int code = ready ? report(writers) : 1;
    if (ready && options.record && !record(writers))
        code = 1;
    for (uint64_t i = 0; writers && i < options.writers; i++) {
        mem_free(writers[i].piece);
        mem_free(writers[i].got);
    }
    mem_free(writers);
    return code;
}

/* --- checking a record ------------------------------------------------------------------------ */

static int check_record(struct qn_fs *fs)
{
    char path[300];
    uint64_t seed = 0, length = 0, files = 0;
    struct writer w = {.fs = fs, .piece = mem_alloc(PIECE_MAX), .got = mem_alloc(PIECE_MAX)};
    FILE *in = fopen(options.check, "r");
    if (!in || !w.piece || !w.got) {
        fprintf(stderr, "%s: cannot be read\n", options.check);
        return 1;
    }
    while (fscanf(in, "%299s %" SCNu64 " %" SCNu64, path, &seed, &length) == 3) {
        struct qn_error error;
        struct qn_file *f = qn_open(fs, path, QN_READ, NULL, &error);
        files++;
        if (!f) {
            violated(&w, path, "%s", error.message);
            continue;
        }
        if (qn_length(f) != length)
            violated(&w, path, "has %" PRIu64 " bytes and should have %" PRIu64, qn_length(f),
                     length);
        read_whole(&w, f, path, seed, length);
        qn_close(f, NULL);
    }
    fclose(in);
    mem_free(w.piece);
    mem_free(w.got);
    printf("%" PRIu64 " files, %" PRIu64 " bytes verified, %" PRIu64 " calls failed, %s\n", files,
           w.counts.verified, w.counts.errors,
           options.is_violated ? "VIOLATED" : "nothing violated");
    return options.is_violated || w.counts.errors;
}

static void end_now(int signal_number)
{
    (void)signal_number;
    options.end_ms = 0;
}

/* --- main ------------------------------------------------------------------------------------- */

static int usage(void)
{
    fprintf(stderr, "usage: model_client --seed N --seconds N [--writers N] [--dir DIR] "
                    "[--max-bytes N] [--ops N] [--record FILE] [--errors-ok] | --check FILE\n");
    return 2;
}

static bool parse(int argc, char **argv)
{
    const struct {
        const char *name;
        uint64_t *number;
        const char **text;
        bool *flag;
    } all[] = {
        {"--seed", &options.seed, NULL, NULL},
        {"--seconds", &options.seconds, NULL, NULL},
        {"--writers", &options.writers, NULL, NULL},
        {"--max-bytes", &options.max_bytes, NULL, NULL},
        {"--ops", &options.ops, NULL, NULL},
        {"--dir", NULL, &options.dir, NULL},
        {"--record", NULL, &options.record, NULL},
        {"--check", NULL, &options.check, NULL},
        {"--errors-ok", NULL, NULL, &options.errors_ok},
    };
    for (int i = 1; i < argc; i++) {
        size_t k = 0;
        while (k < ARRAY_LEN(all) && strcmp(argv[i], all[k].name) != 0)
            k++;
        if (k == ARRAY_LEN(all) || (!all[k].flag && i + 1 == argc))
            return false;
        if (all[k].flag)
            *all[k].flag = true;
        else if (all[k].text)
            *all[k].text = argv[++i];
        else if (str_to_u64(argv[++i], all[k].number) != 0)
            return false;
    }
    return options.writers > 0 && options.max_bytes > 0;
}

int main(int argc, char **argv)
{
    struct qn_error error;
    struct err err;
    if (!parse(argc, argv))
        return usage();
    if (fault_arm_from_env(&err) != 0) {
        fprintf(stderr, "model_client: %s\n", err.msg);
        return 2;
    }
    struct qn_fs *fs = qn_fs_open(NULL, NULL, &error);
    if (!fs) {
        fprintf(stderr, "model_client: %s\n", error.message);
        return 1;
    }
    (void)signal(SIGTERM, end_now);
    int code = options.check ? check_record(fs) : run_writers(fs);
    qn_fs_close(fs);
    return code;
}
