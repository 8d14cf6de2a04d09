/* SPDX-License-Identifier: Apache-2.0
 * quern/job.h: all a job author needs. A job is a shared object that exports one
 * `const struct qn_job qn_job`; nothing is linked against.
 *
 *     cc -shared -fPIC -I include my.c -o my.so && quern run ./my.so /in /out
 *
 * Keys and values are bytes with a length. `.key` and `.value` say what map emits, and so how keys
 * are ordered and how text output prints them:
 *
 *     QN_TEXT, QN_BYTES   as they are; ordered as bytes
 *     QN_U64, QN_I64, QN_F64   eight bytes, the machine's own representation (qn_from_u64 and kin);
 *                         ordered as numbers
 *     QN_NONE             nothing: output lines have no tab and no value
 *
 * The calls, per attempt of a task: setup, then map for each record (or reduce for each key, with
 * all its values), then cleanup (also after a failure). All on one thread. Each returns 0, or
 * anything else for failure: say why with `return qn_fail(task, "no date in %.*s", ...)`. Slices
 * handed to a callback, and those qn_next gives, are borrowed until the callback returns or asks
 * for the next; what is emitted is copied at once. qn_state(task) is this attempt's own pointer. */
#ifndef QUERN_JOB_H
#define QUERN_JOB_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#ifdef __cplusplus
extern "C" {
#define QN_ZERO \
    {           \
    }
#else
#define QN_ZERO
#endif

#define QN_JOB_ABI   1u
#define QN_JOB_MAGIC 0x6a6e7271u /* "qrnj" */

struct qn_slice {
    const void *data;
    size_t len;
};

enum qn_type { QN_UNSET, QN_TEXT, QN_BYTES, QN_U64, QN_I64, QN_F64, QN_NONE };

/* How values of one key may be folded before they travel. A declared fold is the fastest; the
 * values must be QN_U64, QN_I64 or QN_F64 (QN_FIRST: any). QN_COUNT counts values, whatever they
 * are: reduce then sees partial counts as QN_U64. QN_CONCAT strings values together in the order
 * they were emitted, with .concat_with between them, as long as they stay within .concat_limit
 * bytes: reduce then sees several such pieces, and may not depend on where they were cut. */
enum qn_fold { QN_NO_FOLD, QN_SUM, QN_MIN, QN_MAX, QN_COUNT, QN_FIRST, QN_CONCAT };

/* How input becomes records. Whatever the format, a record is in one task's hands, whole. Files
 * that are packed (gzip, bzip2, zstd, lz4) are read as their text. Where the records are lines,
 * zstd is cut at its frames, and lz4 at them and its independent blocks; offsets then count on from
 * split_offset, where the piece begins in the packed file, and not from the beginning of the text.
 *
 *     QN_LINES        lines of text, without their '\n'; a '\r' before it is the line's own
 *     QN_RECORDS      .record_size bytes each, as they are
 *     QN_ROWS         there are no files; map is called with an empty record for each row
 *                     0 .. N - 1 in `where`, N being the job's option called "<its name>.rows"
 *                     (1000, 10m, 2b)
 *     QN_CRLF_LINES   lines of text that end in "\n" or "\r\n", without either
 *     QN_KEY_VALUES   the same, cut at the first tab: `where` is what stands before it, the record
 *                     what stands behind it (nothing, when there is no tab)
 *     QN_PREFIXED     bytes, before each record its length (four bytes, least significant first);
 *                     a file is not cut
 *     QN_CSV          RFC 4180 with .csv_separator: a quoted field may have line breaks in it. The
 *                     record is as the file has it, without its end; <quern/csv.h> takes fields off
 *     QN_JSON_LINES   one JSON value in a line, checked; empty lines are passed over. Malformed
 *                     ones end the task, or are counted and passed over (-D job.bad.records=N)
 *     QN_WHOLE_FILES  each file is one record, also an empty one; it must fit into a quarter of the
 *                     task's memory */
enum qn_input_format {
    QN_LINES,
    QN_RECORDS,
    QN_ROWS,
    QN_CRLF_LINES,
    QN_KEY_VALUES,
    QN_PREFIXED,
    QN_CSV,
    QN_JSON_LINES,
    QN_WHOLE_FILES
};
/* How what is emitted becomes a file. QN_TEXT_LINES: key TAB value and a newline, numbers as people
 * write them. QN_RAW: the bytes of key and value, and nothing else. */
enum qn_output_format { QN_TEXT_LINES, QN_RAW };

/* What part of which file the current record comes from. */
struct qn_input {
    const char *path;
    uint64_t offset; /* of the record */
    uint64_t split_offset, split_length;
    const char *name; /* which of the job's .inputs that is, from setup on; "" = none of them. Only
                         for jobs that have .inputs: a host that knows none lacks this, too */
};

struct qn_task;
struct qn_values;
struct qn_counter;

/* The host's functions. Authors use the inline calls below. Only ever grows at the end; `size`
 * tells how far it goes in the host that runs us. */
struct qn_host {
    uint32_t abi;
    uint32_t size;
    int (*emit)(struct qn_task *task, struct qn_slice key, struct qn_slice value);
    int (*next)(struct qn_values *values, struct qn_slice *ret_value);
    const char *(*option)(struct qn_task *task, const char *name);
    struct qn_counter *(*counter)(struct qn_task *task, const char *group, const char *name);
    void (*status)(struct qn_task *task, const char *text);
    void (*log)(struct qn_task *task, const char *text);
    int (*fail)(struct qn_task *task, const char *text);
    const struct qn_input *(*input)(struct qn_task *task);
    int (*format)(char *out, size_t cap, const char *fmt, __builtin_va_list ap);
    int (*side_file)(struct qn_task *task, const char *name, struct qn_slice *ret);
    const char *(*setting)(struct qn_task *task, uint32_t index, const char **ret_name);
    int (*emit_to)(struct qn_task *task, const char *output, struct qn_slice key,
                   struct qn_slice value);
    int (*emit_keys)(struct qn_task *task, const struct qn_slice *keys, size_t count,
                     struct qn_slice value);
    const char *(*input_at)(struct qn_task *task, uint32_t index, const char **ret_name);
    const char *(*side_at)(struct qn_task *task, uint32_t index);
    struct qn_slice (*key_of)(const struct qn_values *values);
};

/* The visible head of what the host passes around; the rest is its own. */
struct qn_task {
    const struct qn_host *host;
    void *state;         /* yours: qn_state */
    uint32_t task_index; /* 0, 1, 2 ... within its stage */
    uint32_t attempt;
    uint32_t partitions; /* reducers of this job; as long as nobody knows: at most so many */
    uint32_t is_reduce;
};
struct qn_values {
    const struct qn_host *host;
    /* What qn_next gives before it asks the host: `left` numbers, one each `step` bytes. */
    const uint8_t *at;
    size_t step, left;
};
struct qn_counter {
    uint64_t value;
};

/* Which reducer gets a key, where .partition is absent. QN_BY_HASH: any, by hash. QN_BY_RANGE: each
 * gets a range of keys, so that the order holds over all output files (part-r-00000 has the first
 * keys) and all get about as much: the ranges are cut by a sample of the input, taken when the job
 * is submitted. Not for jobs with a .compare or .group of their own. */
enum qn_spread { QN_BY_HASH, QN_BY_RANGE };

struct qn_option_row {
    const char *name;          /* "grep.pattern": set with -D grep.pattern=x; "*": any other, too */
    const char *default_value; /* NULL = must be given */
    const char *help;
};

struct qn_job_head {
    uint32_t magic, abi;
    uint32_t job_size, host_size, task_size;
    uint32_t reserved;
};
#define QN_JOB_HEAD                                                               \
    {                                                                             \
        QN_JOB_MAGIC, QN_JOB_ABI, (uint32_t)sizeof(struct qn_job),                \
            (uint32_t)sizeof(struct qn_host), (uint32_t)sizeof(struct qn_task), 0 \
    }

/* Fields are given by name, in this order; what is left out is absent. New fields come at the end.
 */
struct qn_job {
    struct qn_job_head head;
    const char *name QN_ZERO;
    const char *about QN_ZERO; /* one line for `quern run -list` */

    int (*setup)(struct qn_task *task) QN_ZERO;
    /* One record; `where` is its offset in the file (QN_U64), but for QN_KEY_VALUES. */
    int (*map)(struct qn_task *task, struct qn_slice record, struct qn_slice where) QN_ZERO;
    /* Instead of map, if present: a span of many whole records as the file has them; lines each
     * with its '\n' (the last line of a file may lack it). `where` is the span's offset. Not for
     * QN_ROWS, QN_JSON_LINES and QN_WHOLE_FILES. */
    int (*map_lines)(struct qn_task *task, struct qn_slice lines, struct qn_slice where) QN_ZERO;

    /* Folding before the shuffle: declared, or your own (associative and commutative; may run any
     * number of times; emits what reduce can take). Not both. */
    enum qn_fold combine_op QN_ZERO;
    int (*combine)(struct qn_task *task, struct qn_slice key, struct qn_values *values) QN_ZERO;

    /* Absent: the job has no reduce stage, and what map emits is the output. */
    int (*reduce)(struct qn_task *task, struct qn_slice key, struct qn_values *values) QN_ZERO;
    int (*cleanup)(struct qn_task *task) QN_ZERO;

    enum qn_type key QN_ZERO, value QN_ZERO;         /* what map emits; unset = QN_TEXT */
    enum qn_type out_key QN_ZERO, out_value QN_ZERO; /* what reduce emits; unset = the same */

    /* Which reducer gets a key: 0 .. count - 1. Absent: as .spread says. */
    uint32_t (*partition)(struct qn_slice key, uint32_t count) QN_ZERO;
    /* Order of keys, <0 0 >0. Absent: by type, as above, and much faster. */
    int (*compare)(struct qn_slice a, struct qn_slice b) QN_ZERO;
    /* 0 = same group: one reduce call gets the values of all keys alike in this sense (they must be
     * neighbours in the order), and the first of those keys; qn_key_of tells each value's. Absent:
     * equal keys. */
    int (*group)(struct qn_slice a, struct qn_slice b) QN_ZERO;

    const struct qn_option_row *options QN_ZERO; /* ends with a NULL name */
    uint32_t default_reducers QN_ZERO;           /* 0 = chosen from the input's size */

    enum qn_input_format input QN_ZERO;
    uint32_t record_size QN_ZERO; /* of QN_RECORDS */
    enum qn_output_format output QN_ZERO;
    enum qn_spread spread QN_ZERO;

    const char *concat_with QN_ZERO; /* of QN_CONCAT; absent: nothing */
    uint32_t concat_limit QN_ZERO;   /* of QN_CONCAT; 0 = 1024, at most 8192 */

    char csv_separator QN_ZERO; /* of QN_CSV; 0 = ',' */

    /* The job's next stage, a table like this one (with a head of its own): what .reduce emits does
     * not become the output, but goes on, by key, to the reducers of `then`, without touching the
     * filesystem. It is partitioned, combined, sorted and grouped as that table says, and may go on
     * from there: map -> reduce -> reduce -> ... With a .map (or .map_lines) of its own, `then` is
     * handed each record that comes as the line of text it would have become in a file, and emits
     * .key and .value from that, as if it were a job behind this one; without one, what comes is
     * what .reduce emitted, and .key and .value are as our .out_key and .out_value (or unset).
     * Options of all tables are the job's. In `then` not: .input but lines, .spread by range. */
    const struct qn_job *then QN_ZERO;

    /* Inputs that are read in ways of their own, for a job that brings them together: a list of
     * tables like this one, each with a head and a .name, that ends with NULL.
     *
     *     static const struct qn_job orders = {.head = QN_JOB_HEAD, .name = "orders",
     *                                          .map = map_order, .input = QN_CSV};
     *     static const struct qn_job people = {.head = QN_JOB_HEAD, .name = "people",
     *                                          .map = map_person, .input = QN_JSON_LINES};
     *     static const struct qn_job *const inputs[] = {&orders, &people, NULL};
     *
     *     quern run -input orders=/sales -input people=/people.json ./my.so /out
     *
     * A table has .about, .map or .map_lines, .input (but QN_ROWS), .record_size, .csv_separator
     * and .split_size of its own; all else is ours, so that both maps emit our .key and .value, and
     * meet in our .reduce. A task reads files of one of them only, and calls our setup and cleanup
     * (qn_input(task)->name says whose files). Paths given without a name are read by our own .map,
     * if there is one, and the names are further ways that may be left out; if there is none, they
     * are the first table's, and each of the others must be given a path. Not in `then`. */
    const struct qn_job *const *inputs QN_ZERO;

    /* A task is given so many bytes of a file at most where the file can be cut, for a map that
     * takes long for each: more tasks work beside each other. 0 = a block. What is set for the job
     * by mapreduce.input.fileinputformat.split.maxsize goes before it. */
    uint64_t split_size QN_ZERO;

    /* Not 0: what map emits is of use to .reduce alone, a form of our own, or no answer yet. Asked
     * for no reducers (-reduces 0), the job is refused instead of writing that. */
    uint32_t needs_reduce QN_ZERO;

    /* Is what the job was called with what is wanted? Called where the job is submitted, before it
     * is, in a process of its own, which ends behind it: what is wrong is told once then, not by
     * every task (which do not call this). There are qn_option, qn_input_at, qn_side_at and
     * qn_fail; no record, no bytes of side files, nothing to emit, no .cleanup. It may be .setup
     * itself, where that does no more than look at these and allocate. In `then` it is of that
     * table's options, and there are no inputs; not in `inputs`. */
    int (*check)(struct qn_task *task) QN_ZERO;
};

/* Yours to define. Declared here so that C++ exports it too. */
extern __attribute__((visibility("default"))) const struct qn_job qn_job;

/* --- what a job calls ------------------------------------------------------------------------ */

static inline int qn_emit(struct qn_task *task, struct qn_slice key, struct qn_slice value)
{
    return task->host->emit(task, key, value);
}
/* Many keys with the same value: as that many calls of qn_emit one after the other, in fewer steps
 * where numbers are summed. */
static inline int qn_emit_keys(struct qn_task *task, const struct qn_slice *keys, size_t count,
                               struct qn_slice value)
{
    return task->host->emit_keys(task, keys, count, value);
}
/* To a further output of the same task, written as the job's output is: what goes to "errors" is in
 * OUT/errors-r-00003 when reducer 3 emits it, OUT/errors-m-00003 when map 3 does. A name may have
 * slashes: "day=2026-11-21/part" is OUT/day=2026-11-21/part-r-00003. Appears with the job's output,
 * all at once, or not at all. A task may have 256 of them. From map, reduce and cleanup; not from
 * combine. */
static inline int qn_emit_to(struct qn_task *task, const char *output, struct qn_slice key,
                             struct qn_slice value)
{
    return task->host->emit_to(task, output, key, value);
}
/* 1 = *value is the next one, 0 = no more. */
static inline int qn_next(struct qn_values *values, struct qn_slice *value)
{
    if (values->left == 0)
        return values->host->next(values, value);
    value->data = values->at;
    value->len = 8;
    values->at += values->step;
    values->left--;
    return 1;
}
/* The whole key of the value that qn_next gave last: where .group takes several keys for alike,
 * each value's own, in their order. Valid as long as the value. Before the first value, and when
 * there are no more: the key of the call. */
static inline struct qn_slice qn_key_of(const struct qn_values *values)
{
    return values->host->key_of(values);
}
static inline void **qn_state(struct qn_task *task)
{
    return &task->state;
}
/* The value of a declared option; never NULL for one with a default or that had to be given. */
static inline const char *qn_option(struct qn_task *task, const char *name)
{
    return task->host->option(task, name);
}
/* What the task knows of itself and its job, one by one from index 0: all that was set with -D, and
 * mapreduce.job.id, .job.name, .task.id, .task.attempt.id, .task.partition, .task.ismap,
 * .job.reduces, user.name. NULL = there are no more. */
static inline const char *qn_setting_at(struct qn_task *task, uint32_t index, const char **name)
{
    return task->host->setting(task, index, name);
}
/* One of them by its name; NULL = it is not set. */
static inline const char *qn_setting(struct qn_task *task, const char *name)
{
    const char *here, *value;
    for (uint32_t i = 0; (value = qn_setting_at(task, i, &here)) != NULL; i++)
        if (strcmp(here, name) == 0)
            return value;
    return NULL;
}
/* The bytes of a file that came with the job (`quern run -file PATH[#NAME]`), mapped read-only
 * until the attempt ends; a link called NAME is in the directory the task works in, too. 0, or -1:
 * there is none, and the task has failed. */
static inline int qn_side_file(struct qn_task *task, const char *name, struct qn_slice *bytes)
{
    return task->host->side_file(task, name, bytes);
}
/* The names of the side files, one by one from index 0; NULL = there are no more. */
static inline const char *qn_side_at(struct qn_task *task, uint32_t index)
{
    return task->host->side_at(task, index);
}
/* For .check: the paths of the job's inputs as they were typed, one by one from index 0; NULL =
 * there are no more, as everywhere else. *name is which of .inputs reads it, "" = the job's own. */
static inline const char *qn_input_at(struct qn_task *task, uint32_t index, const char **name)
{
    return task->host->input_at(task, index, name);
}
static inline const struct qn_input *qn_input(struct qn_task *task)
{
    return task->host->input(task);
}
/* Look a counter up once (in setup), then add to it at the cost of an addition. */
static inline struct qn_counter *qn_counter(struct qn_task *task, const char *group,
                                            const char *name)
{
    return task->host->counter(task, group, name);
}
static inline void qn_count(struct qn_task *task, const char *group, const char *name, uint64_t n)
{
    struct qn_counter *c = task->host->counter(task, group, name);
    if (c)
        c->value += n;
}

__attribute__((format(printf, 2, 3))) static inline int qn_fail(struct qn_task *task,
                                                                const char *fmt, ...)
{
    char text[512];
    __builtin_va_list ap;
    __builtin_va_start(ap, fmt);
    task->host->format(text, sizeof(text), fmt, ap);
    __builtin_va_end(ap);
    return (task->host->fail)(task, text); /* in brackets: cmocka has a macro `fail` */
}
__attribute__((format(printf, 2, 3))) static inline void qn_log(struct qn_task *task,
                                                                const char *fmt, ...)
{
    char text[512];
    __builtin_va_list ap;
    __builtin_va_start(ap, fmt);
    task->host->format(text, sizeof(text), fmt, ap);
    __builtin_va_end(ap);
    task->host->log(task, text);
}
__attribute__((format(printf, 2, 3))) static inline void qn_status(struct qn_task *task,
                                                                   const char *fmt, ...)
{
    char text[256];
    __builtin_va_list ap;
    __builtin_va_start(ap, fmt);
    task->host->format(text, sizeof(text), fmt, ap);
    __builtin_va_end(ap);
    task->host->status(task, text);
}

/* --- bytes, numbers, words ------------------------------------------------------------------- */

static inline struct qn_slice qn_bytes(const void *data, size_t len)
{
    struct qn_slice s;
    s.data = data;
    s.len = len;
    return s;
}
static inline struct qn_slice qn_text(const char *s)
{
    return qn_bytes(s, strlen(s));
}
static inline struct qn_slice qn_nothing(void)
{
    return qn_bytes("", 0);
}
/* The slice borrows *v. */
static inline struct qn_slice qn_from_u64(const uint64_t *v)
{
    return qn_bytes(v, sizeof(*v));
}
static inline struct qn_slice qn_from_i64(const int64_t *v)
{
    return qn_bytes(v, sizeof(*v));
}
static inline struct qn_slice qn_from_f64(const double *v)
{
    return qn_bytes(v, sizeof(*v));
}
static inline uint64_t qn_to_u64(struct qn_slice s)
{
    uint64_t v = 0;
    if (s.len == sizeof(v))
        memcpy(&v, s.data, sizeof(v));
    return v;
}
static inline int64_t qn_to_i64(struct qn_slice s)
{
    return (int64_t)qn_to_u64(s);
}
static inline double qn_to_f64(struct qn_slice s)
{
    double v = 0;
    if (s.len == sizeof(v))
        memcpy(&v, s.data, sizeof(v));
    return v;
}

/* Memory of a job's own that grows and is used again for each record: zeroed at first, qn_give_back
 * in cleanup. */
struct qn_room {
    unsigned char *data;
    size_t size;
};
/* Room for `need` bytes; what stands in it stays. 0, or the task has failed. */
static inline int qn_grow(struct qn_task *task, struct qn_room *room, size_t need)
{
    if (need <= room->size)
        return 0;
    unsigned char *more = (unsigned char *)realloc(room->data, need + need / 2);
    if (!more)
        return qn_fail(task, "out of memory: %zu bytes for one record", need);
    room->data = more;
    room->size = need + need / 2;
    return 0;
}
static inline void qn_give_back(struct qn_room *room)
{
    free(room->data);
    room->data = NULL;
    room->size = 0;
}

/* The bytes of `w` that are white space (space, \t \n \v \f \r) have their top bit set, all others
 * are 0. Eight at a time without a branch: where words end is what a processor guesses worst. */
static inline uint64_t qn_white(uint64_t w)
{
    const uint64_t ones = 0x0101010101010101u, tops = ones << 7, low = w & ~tops;
    uint64_t control = (ones * (127 + 14) - low) & (low + ones * (127 - 8)); /* 8 < byte < 14 */
    uint64_t space = ~((((w ^ (ones * ' ')) & ~tops) + ~tops) | (w ^ (ones * ' ')));
    return ((control & ~w) | space) & tops;
}
#ifdef __SSE2__
/* Which of sixteen bytes are white space: a bit for each. */
static inline unsigned qn_white_16(const unsigned char *p)
{
    const __m128i four = _mm_set1_epi8(4), b = _mm_loadu_si128((const __m128i *)(const void *)p);
    __m128i control = _mm_sub_epi8(b, _mm_set1_epi8('\t')); /* \t \n \v \f \r become 0 .. 4 */
    __m128i is_control = _mm_cmpeq_epi8(_mm_min_epu8(control, four), control);
    __m128i is_white = _mm_or_si128(is_control, _mm_cmpeq_epi8(b, _mm_set1_epi8(' ')));
    return (unsigned)_mm_movemask_epi8(is_white);
}
#endif

/* Take the first word off *rest: bytes up to white space, as isspace in the C locale and awk see
 * it. 1 = *word is it, 0 = none is left. */
static inline int qn_next_word(struct qn_slice *rest, struct qn_slice *word)
{
    const unsigned char *p = (const unsigned char *)rest->data, *end = p + rest->len;
#ifdef __SSE2__
    if (end - p >= 16) { /* where most words are: it begins and ends among these */
        unsigned is_white = qn_white_16(p), letters = ~is_white & 0xffffu;
        unsigned from = letters ? (unsigned)__builtin_ctz(letters) : 0, behind = is_white >> from;
        if (letters && behind) {
            p += from;
            *word = qn_bytes(p, (size_t)(unsigned)__builtin_ctz(behind));
            p += word->len;
            *rest = qn_bytes(p, (size_t)(end - p));
            return 1;
        }
    }
#endif
    while (p < end && (*p == ' ' || (unsigned)(*p - '\t') < 5))
        p++;
    const unsigned char *start = p;
    uint64_t w, white = 0;
    while (end - p >= 8 && white == 0) {
        memcpy(&w, p, 8);
        white = qn_white(w);
        p += white ? __builtin_ctzll(white) / 8
                   : 8; /* little-endian, as all machines quern runs on */
    }
    if (white == 0)
        while (p < end && *p != ' ' && (unsigned)(*p - '\t') >= 5)
            p++;
    *word = qn_bytes(start, (size_t)(p - start));
    *rest = qn_bytes(p, (size_t)(end - p));
    return word->len != 0;
}
/* For .partition: all keys to one reducer, where the answer is of the whole. */
static inline uint32_t qn_one_partition(struct qn_slice key, uint32_t count)
{
    (void)key;
    (void)count;
    return 0;
}

/* Take the first field off *rest: bytes up to `separator`, which goes with it. 0 = none is left;
 * a text of n separators has n + 1 fields. Begin with line->data set, though it may be empty. */
static inline int qn_next_field(struct qn_slice *rest, char separator, struct qn_slice *field)
{
    const char *p = (const char *)rest->data;
    if (!p)
        return 0;
    const char *cut = rest->len ? (const char *)memchr(p, separator, rest->len) : NULL;
    *field = qn_bytes(p, cut ? (size_t)(cut - p) : rest->len);
    *rest = cut ? qn_bytes(cut + 1, rest->len - field->len - 1) : qn_bytes(NULL, 0);
    return 1;
}
/* The n-th field of a line, counted from 1. 0 = it has not that many. */
static inline int qn_field(struct qn_slice line, char separator, uint64_t n, struct qn_slice *field)
{
    while (n > 0 && qn_next_field(&line, separator, field))
        if (--n == 0)
            return 1;
    return 0;
}
/* 1 = the text is a decimal number, as "-2.5e3", or "inf"; blanks around it are nothing. 0 = it is
 * none, or NaN, or hexadecimal, or longer than sixty bytes. */
static inline int qn_number(struct qn_slice text, double *ret)
{
    const char *p = (const char *)text.data;
    char room[64], *end;
    while (text.len &&
           (p[text.len - 1] == ' ' || (p[text.len - 1] >= '\t' && p[text.len - 1] <= '\r')))
        text.len--;
    if (text.len == 0 || text.len >= sizeof(room) || memchr(p, 'x', text.len) ||
        memchr(p, 'X', text.len))
        return 0;
    memcpy(room, p, text.len);
    room[text.len] = 0;
    *ret = strtod(room, &end);
    return end == room + text.len && *ret == *ret;
}
/* Take the first line off *rest, without its '\n'; a '\r' before that is the line's own. 0 = none
 * is left. */
static inline int qn_next_line(struct qn_slice *rest, struct qn_slice *line)
{
    if (rest->len == 0)
        return 0;
    const char *p = (const char *)rest->data;
    const char *nl = (const char *)memchr(p, '\n', rest->len);
    size_t n = nl ? (size_t)(nl - p) : rest->len;
    *rest = qn_bytes(p + n + (nl != NULL), rest->len - n - (nl != NULL));
    *line = qn_bytes(p, n);
    return 1;
}

#ifdef __cplusplus
}
#endif

#endif
