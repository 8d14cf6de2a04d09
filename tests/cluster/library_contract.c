/* SPDX-License-Identifier: Apache-2.0
 * library_contract: what Hadoop's filesystem specification demands of streams (open, seek, create,
 * append, concat, flush), asked of libquern, and its views; with an argument as a client on the
 * node of that name. Only the public header. Prints what was wrong; 0 when nothing was. Its files
 * are below /contract. */
#include <quern/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK   (1U << 20) /* the smallest there is */
#define BIG     (2U * BLOCK + 4321U)
#define SEEKS   300U
#define AT(off) ((unsigned char)((off)*2654435761U >> 11))

static unsigned wrongs;
static bool is_on_a_node; /* which has a replica of each block */
static struct qn_fs *fs;
static struct qn_error error;

#define EXPECT(condition)                                                                   \
    do {                                                                                    \
        if (!(condition)) {                                                                 \
            fprintf(stderr, "line %d: not %s (%s)\n", __LINE__, #condition, error.message); \
            wrongs++;                                                                       \
        }                                                                                   \
        error.message[0] = 0;                                                               \
    } while (0)

static struct qn_file *begin(const char *path, int flags)
{
    const struct qn_create small = {.block_size = BLOCK};
    return qn_open(fs, path, flags, &small, &error);
}

static void make(const char *path, const char *text)
{
    struct qn_file *file = begin(path, QN_WRITE | QN_OVERWRITE);
    EXPECT(file && qn_write(file, text, strlen(text), &error) == (ssize_t)strlen(text));
    EXPECT(qn_close(file, &error) == 0);
}

static bool has(const char *path, const char *text)
{
    char got[200];
    struct qn_file *file = begin(path, QN_READ);
    ssize_t n = file ? qn_read(file, got, sizeof(got), &error) : -1;
    (void)qn_close(file, NULL);
    return n == (ssize_t)strlen(text) && memcmp(got, text, (size_t)n) == 0;
}

static bool is_there(const char *path)
{
    struct qn_stat stat;
    if (qn_stat(fs, path, &stat, &error) != 0)
        return false;
    qn_stat_release(&stat);
    return true;
}

/* ---- open ---- */

static void only_files_that_are_there_are_opened(void)
{
    EXPECT(!begin("/contract/none", QN_READ) && error.code == QN_ENOENT);
    EXPECT(!begin("/contract", QN_READ) && error.code == QN_EISDIR);
    make("/contract/twice", "two streams, each where it is");
    struct qn_file *one = begin("/contract/twice", QN_READ);
    struct qn_file *two = begin("/contract/twice", QN_READ);
    char a[4], b[4];
    EXPECT(one && two && qn_read(one, a, 3, &error) == 3 && qn_read(two, b, 4, &error) == 4);
    EXPECT(qn_close(one, &error) == 0);
    EXPECT(memcmp(a, "two", 3) == 0 && memcmp(b, "two ", 4) == 0);
    EXPECT(qn_read(two, b, 4, &error) == 4 && memcmp(b, "stre", 4) == 0);
    EXPECT(qn_close(two, &error) == 0);
}

static void a_file_nobody_wrote_to_yet_is_empty(void)
{
    char byte;
    struct qn_file *out = begin("/contract/begun", QN_WRITE), *in;
    EXPECT(out && is_there("/contract/begun"));
    EXPECT(!begin("/contract/begun", QN_WRITE) && error.code == QN_ELEASE); /* as in Hadoop */
    EXPECT((in = begin("/contract/begun", QN_READ)) && qn_read(in, &byte, 1, &error) == 0);
    EXPECT(qn_close(in, &error) == 0 && qn_close(out, &error) == 0);
    EXPECT(has("/contract/begun", ""));
}

/* ---- seek ---- */

static void an_empty_file_has_one_place(void)
{
    char byte;
    make("/contract/empty", "");
    struct qn_file *in = begin("/contract/empty", QN_READ);
    EXPECT(in && qn_read(in, &byte, 1, &error) == 0 && qn_read(in, NULL, 0, &error) == 0);
    EXPECT(qn_seek(in, 0, &error) == 0 && qn_read(in, &byte, 1, &error) == 0);
    EXPECT(qn_pread(in, &byte, 1, 0, &error) == 0);
    EXPECT(qn_seek(in, 1, &error) < 0 && qn_seek(in, (uint64_t)-1, &error) < 0);
    EXPECT(qn_tell(in) == 0 && qn_close(in, &error) == 0);
}

static void refused_seeks_leave_a_stream_where_it_is(void)
{
    char got[8];
    make("/contract/ten", "0123456789");
    struct qn_file *in = begin("/contract/ten", QN_READ);
    EXPECT(in && qn_seek(in, 7, &error) == 7);
    EXPECT(qn_seek(in, (uint64_t)-1, &error) == QN_EINVAL);
    EXPECT(qn_seek(in, 11, &error) == QN_EINVAL);
    EXPECT(qn_tell(in) == 7 && qn_read(in, got, 8, &error) == 3 && memcmp(got, "789", 3) == 0);
    EXPECT(qn_read(in, got, 1, &error) == 0 && qn_tell(in) == 10); /* at the end, and still there */
    EXPECT(qn_seek(in, 10, &error) == 10 && qn_read(in, got, 1, &error) == 0);
    EXPECT(qn_seek(in, 9, &error) == 9 && qn_read(in, got, 1, &error) == 1 && got[0] == '9');
    EXPECT(qn_pread(in, got, 1, 11, &error) == 0);
    EXPECT(qn_pread(in, got, 1, (uint64_t)-1, &error) == 0);
    EXPECT(qn_close(in, &error) == 0);
}

static bool is_pattern(const unsigned char *bytes, uint64_t off, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (bytes[i] != AT(off + i))
            return false;
    return true;
}

static void reads_at_a_place_do_not_move_the_stream(struct qn_file *in, unsigned char *got)
{
    EXPECT(qn_seek(in, 40, &error) == 40 && qn_read(in, got, 1, &error) == 1 && got[0] == AT(40));
    EXPECT(qn_pread(in, got, 256, 128, &error) == 256 && is_pattern(got, 128, 256));
    EXPECT(qn_tell(in) == 41 && qn_read(in, got, 1, &error) == 1 && got[0] == AT(41));
    EXPECT(qn_pread(in, got, BIG, BLOCK - 1, &error) == BIG - BLOCK + 1);
    EXPECT(is_pattern(got, BLOCK - 1, BIG - BLOCK + 1));
    EXPECT(qn_tell(in) == 42 && qn_pread(in, got, 0, 5, &error) == 0);
}

static void a_stream_reads_on_from_wherever_it_was_set(struct qn_file *in, unsigned char *got)
{
    uint64_t draw = 88172645463325252ULL;
    for (unsigned i = 0; i < SEEKS; i++) {
        draw ^= draw << 13, draw ^= draw >> 7, draw ^= draw << 17;
        uint64_t off = draw % BIG;
        size_t want = 1 + (size_t)(draw >> 40) % 9000;
        want = want < BIG - off ? want : (size_t)(BIG - off);
        EXPECT(qn_seek(in, off, &error) == (int64_t)off);
        EXPECT(qn_read(in, got, want, &error) == (ssize_t)want && is_pattern(got, off, want));
        EXPECT(qn_tell(in) == (int64_t)(off + want));
    }
}

/* The pages of a replica on this host, when there is one; else a copy. */
static void views_show_the_file_from_any_place(struct qn_file *in)
{
    struct qn_view view;
    uint64_t at = 0;
    for (; qn_view(in, at, SIZE_MAX, &view, &error) == 0 && view.size > 0;
         at += view.size, qn_view_release(&view))
        EXPECT(is_pattern(view.data, at, view.size) && view.is_copy == !is_on_a_node);
    EXPECT(at == BIG && view.size == 0);
    for (at = 1; at < BIG; at = at * 3 + 7) {
        EXPECT(qn_view(in, at, 5000, &view, &error) == 0 && view.size > 0 && view.size <= 5000);
        EXPECT(is_pattern(view.data, at, view.size));
        qn_view_release(&view);
    }
}

static void a_view_outlives_the_file(void)
{
    struct qn_view view;
    make("/contract/viewed", "still here");
    struct qn_file *in = begin("/contract/viewed", QN_READ);
    EXPECT(in && qn_view(in, 6, 100, &view, &error) == 0 && view.size == 4);
    EXPECT(qn_close(in, &error) == 0 && qn_delete(fs, "/contract/viewed", false, &error) == 1);
    EXPECT(memcmp(view.data, "here", 4) == 0);
    qn_view_release(&view);
}

static void seek_in_a_big_file(void)
{
    unsigned char *bytes = malloc(BIG);
    struct qn_file *file = begin("/contract/big", QN_WRITE);
    for (uint64_t i = 0; bytes && i < BIG; i++)
        bytes[i] = AT(i);
    EXPECT(bytes && file && qn_write(file, bytes, BIG, &error) == BIG);
    EXPECT(qn_close(file, &error) == 0 && (file = begin("/contract/big", QN_READ)));
    reads_at_a_place_do_not_move_the_stream(file, bytes);
    a_stream_reads_on_from_wherever_it_was_set(file, bytes);
    views_show_the_file_from_any_place(file);
    EXPECT(qn_close(file, &error) == 0);
    free(bytes);
}

/* ---- create ---- */

static void what_is_there_is_replaced_only_on_demand(void)
{
    make("/contract/old", "a longer text than the new one");
    EXPECT(!begin("/contract/old", QN_WRITE) && error.code == QN_EEXIST);
    EXPECT(has("/contract/old", "a longer text than the new one"));
    make("/contract/old", "short");
    EXPECT(has("/contract/old", "short"));
    EXPECT(qn_mkdir(fs, "/contract/dir", 0, false, &error) == 0);
    EXPECT(!begin("/contract/dir", QN_WRITE | QN_OVERWRITE));
    EXPECT(!begin("/contract/dir", QN_WRITE) && is_there("/contract/dir"));
    EXPECT(!begin("/contract/old/below", QN_WRITE) && !begin("/contract/old/a/b", QN_WRITE));
    EXPECT(!begin("/contract/no/parent", QN_WRITE | QN_NO_PARENTS) && error.code == QN_ENOENT);
    EXPECT(!is_there("/contract/no"));
    make("/contract/made/on/the/way", "x");
    EXPECT(has("/contract/made/on/the/way", "x"));
}

static void flushed_bytes_are_seen_and_closed_ones_counted(void)
{
    struct qn_stat stat;
    for (int sync = 0; sync < 2; sync++) {
        struct qn_file *out = begin("/contract/flushed", QN_WRITE | QN_OVERWRITE);
        EXPECT(out && qn_hflush(out, &error) == 0 && has("/contract/flushed", ""));
        EXPECT(qn_write(out, "seen", 4, &error) == 4);
        EXPECT((sync ? qn_hsync(out, &error) : qn_hflush(out, &error)) == 0);
        EXPECT(has("/contract/flushed", "seen") && qn_tell(out) == 4);
        EXPECT(qn_hflush(out, &error) == 0 && qn_hsync(out, &error) == 0);
        EXPECT(qn_write(out, ", too", 5, &error) == 5 && qn_close(out, &error) == 0);
        EXPECT(has("/contract/flushed", "seen, too"));
        EXPECT(qn_stat(fs, "/contract/flushed", &stat, &error) == 0);
        EXPECT(stat.length == 9 && !stat.is_open && !stat.is_dir && stat.block_size == BLOCK);
        qn_stat_release(&stat);
    }
}

static void a_reader_keeps_what_it_opened(void)
{
    char got[16];
    make("/contract/kept", "kept");
    struct qn_file *in = begin("/contract/kept", QN_READ), *out;
    EXPECT((out = begin("/contract/kept", QN_WRITE | QN_APPEND)) != NULL);
    EXPECT(qn_write(out, "more", 4, &error) == 4 && qn_close(out, &error) == 0);
    EXPECT(qn_length(in) == 4 && qn_read(in, got, 16, &error) == 4 && memcmp(got, "kept", 4) == 0);
    EXPECT(qn_close(in, &error) == 0 && has("/contract/kept", "keptmore"));
}

/* ---- append, concat ---- */

static void append(const char *path, const char *text)
{
    struct qn_file *out = begin(path, QN_WRITE | QN_APPEND);
    EXPECT(out && qn_write(out, text, strlen(text), &error) == (ssize_t)strlen(text));
    EXPECT(qn_close(out, &error) == 0);
}

static void what_is_appended_follows(void)
{
    struct qn_file *out;
    EXPECT(!begin("/contract/absent", QN_WRITE | QN_APPEND) && error.code == QN_ENOENT);
    EXPECT(!begin("/contract/dir", QN_WRITE | QN_APPEND) && !is_there("/contract/absent"));
    make("/contract/grows", "");
    append("/contract/grows", "one");
    append("/contract/grows", "");
    append("/contract/grows", "two");
    EXPECT(has("/contract/grows", "onetwo"));
    EXPECT((out = begin("/contract/grows", QN_WRITE | QN_APPEND)) && qn_tell(out) == 6);
    EXPECT(!begin("/contract/grows", QN_WRITE | QN_APPEND));
    EXPECT(qn_write(out, "three", 5, &error) == 5);
    EXPECT(qn_rename(fs, "/contract/grows", "/contract/grown", false, &error) == 0);
    EXPECT(qn_close(out, &error) == 0 && !is_there("/contract/grows"));
    EXPECT(has("/contract/grown", "onetwothree"));
}

static int join(const char *to, const char *a, const char *b)
{
    const char *const sources[] = {a, b};
    return qn_concat(fs, to, sources, b ? 2 : 1, &error);
}

static void files_are_joined_or_stay_as_they_are(void)
{
    make("/contract/a", "a");
    make("/contract/b", "bb");
    make("/contract/c", "ccc");
    EXPECT(join("/contract/absent", "/contract/a", NULL) < 0);
    EXPECT(join("/contract/a", "/contract/absent", NULL) < 0);
    EXPECT(join("/contract/a", "/contract/b", "/contract/absent") < 0);
    EXPECT(join("/contract/a", "/contract/a", NULL) < 0);
    EXPECT(join("/contract/a", "/contract/b", "/contract/b") < 0);
    EXPECT(join("/contract/a", "/contract/dir", NULL) < 0);
    EXPECT(join("/contract/a", "/contract/empty", NULL) < 0);
    EXPECT(has("/contract/a", "a") && has("/contract/b", "bb") && is_there("/contract/empty"));
    EXPECT(join("/contract/a", "/contract/c", "/contract/b") == 0 && has("/contract/a", "acccbb"));
    EXPECT(!is_there("/contract/b") && !is_there("/contract/c"));
}

/* A name that goes to a new file in the middle of writing is not taken from it. */
static void a_writer_keeps_its_file_whoever_has_the_name(void)
{
    struct qn_file *out = begin("/contract/mine", QN_WRITE);
    EXPECT(out && qn_write(out, "mine", 4, &error) == 4 && qn_hflush(out, &error) == 0);
    EXPECT(qn_rename(fs, "/contract/mine", "/contract/moved", false, &error) == 0);
    make("/contract/mine", "another's");
    qn_abort(out);
    EXPECT(has("/contract/mine", "another's"));
    out = begin("/contract/gone", QN_WRITE);
    EXPECT(out && qn_write(out, "x", 1, &error) == 1);
    EXPECT(qn_delete(fs, "/contract/gone", false, &error) == 1);
    make("/contract/gone", "another's");
    EXPECT(qn_close(out, &error) < 0 && has("/contract/gone", "another's"));
}

int main(int argc, char **argv)
{
    const char *node = argc > 1 ? argv[1] : "elsewhere";
    const struct qn_option here[] = {{"node.name", node}, {NULL, NULL}};
    is_on_a_node = strcmp(node, "elsewhere") != 0;
    fs = qn_fs_open(NULL, &(struct qn_fs_options){.options = here}, &error);
    if (!fs || qn_mkdir(fs, "/contract", 0, true, &error) != 0) {
        fprintf(stderr, "%s\n", error.message);
        return 1;
    }
    only_files_that_are_there_are_opened();
    a_file_nobody_wrote_to_yet_is_empty();
    an_empty_file_has_one_place();
    refused_seeks_leave_a_stream_where_it_is();
    seek_in_a_big_file();
    a_view_outlives_the_file();
    what_is_there_is_replaced_only_on_demand();
    flushed_bytes_are_seen_and_closed_ones_counted();
    a_reader_keeps_what_it_opened();
    what_is_appended_follows();
    files_are_joined_or_stay_as_they_are();
    a_writer_keeps_its_file_whoever_has_the_name();
    EXPECT(qn_delete(fs, "/contract", true, &error) == 1);
    qn_fs_close(fs);
    printf("%u wrong\n", wrongs);
    return wrongs != 0;
}
