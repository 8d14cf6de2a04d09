/* SPDX-License-Identifier: Apache-2.0
 * library_use: a program that uses libquern as nobody should (`misuse`), and as many threads at
 * once do (`threads N`). Only the public header. Prints what was wrong; 0 when nothing was. */
#include <inttypes.h>
#include <pthread.h>
#include <quern/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHARED_BYTES (3U << 20)
#define PIECE        5000U
#define ROUNDS       8

static _Atomic int wrongs;

#define EXPECT(condition)                                               \
    do {                                                                \
        if (!(condition)) {                                             \
            fprintf(stderr, "line %d: not %s\n", __LINE__, #condition); \
            wrongs++;                                                   \
        }                                                               \
    } while (0)

static struct qn_fs *open_fs(void)
{
    struct qn_error error;
    struct qn_fs *fs = qn_fs_open(NULL, NULL, &error);
    if (!fs) {
        fprintf(stderr, "%s\n", error.message);
        exit(1);
    }
    return fs;
}

/* ---- misuse ---- */

/* The call refuses, and says why. */
#define REFUSES(call)                                                    \
    do {                                                                 \
        struct qn_error e = {.code = 0, .message = ""};                  \
        long long got = (long long)(call);                               \
        EXPECT(got == QN_EINVAL && e.code == QN_EINVAL && e.message[0]); \
    } while (0)
#define REFUSES_POINTER(call)                                          \
    do {                                                               \
        struct qn_error e = {.code = 0, .message = ""};                \
        EXPECT((call) == NULL && e.code == QN_EINVAL && e.message[0]); \
    } while (0)

static void use_nothing(struct qn_fs *fs)
{
    char byte[1];
    struct qn_acl_entry nameless = {NULL, QN_ACL_USER, 7, false};
    REFUSES_POINTER(qn_open(NULL, "/a", QN_READ, NULL, &e));
    REFUSES_POINTER(qn_open(fs, NULL, QN_READ, NULL, &e));
    REFUSES_POINTER(qn_open(fs, "/a", 0, NULL, &e));
    REFUSES_POINTER(qn_open(fs, "/a", QN_READ | QN_WRITE, NULL, &e));
    REFUSES_POINTER(qn_opendir(NULL, "/", &e));
    REFUSES_POINTER(qn_opendir(fs, NULL, &e));
    REFUSES_POINTER(qn_readdir(NULL, &e));
    REFUSES(qn_read(NULL, byte, 1, &e));
    REFUSES(qn_pread(NULL, byte, 1, 0, &e));
    REFUSES(qn_seek(NULL, 0, &e));
    REFUSES(qn_write(NULL, byte, 1, &e));
    REFUSES(qn_hflush(NULL, &e));
    REFUSES(qn_hsync(NULL, &e));
    REFUSES(qn_stat(fs, "/", NULL, &e));
    REFUSES(qn_stat(NULL, "/", NULL, &e));
    REFUSES(qn_mkdir(NULL, "/d", 0, true, &e));
    REFUSES(qn_mkdir(fs, NULL, 0, true, &e));
    REFUSES(qn_rename(fs, NULL, "/b", false, &e));
    REFUSES(qn_rename(fs, "/a", NULL, false, &e));
    REFUSES(qn_delete(fs, NULL, true, &e));
    REFUSES(qn_delete(NULL, "/", true, &e));
    REFUSES(qn_chmod(fs, NULL, 0, &e));
    REFUSES(qn_chown(NULL, "/", NULL, NULL, &e));
    REFUSES(qn_utimes(fs, NULL, -1, -1, &e));
    REFUSES(qn_set_replication(NULL, "/a", 1, &e));
    REFUSES(qn_summary(fs, "/", NULL, &e));
    REFUSES(qn_set_quota(fs, NULL, 1, 1, &e));
    REFUSES(qn_set_xattr(fs, "/", NULL, "v", 1, QN_XATTR_CREATE, &e));
    REFUSES(qn_set_xattr(fs, "/", "user.a", NULL, 1, QN_XATTR_CREATE, &e));
    REFUSES(qn_remove_xattr(fs, "/", NULL, &e));
    REFUSES(qn_get_xattrs(fs, "/", NULL, NULL, &e));
    REFUSES(qn_get_acl(fs, "/", NULL, &e));
    REFUSES(qn_set_acl(fs, "/", QN_ACL_SET, NULL, 3, &e));
    REFUSES(qn_set_acl(fs, "/", QN_ACL_MODIFY, &nameless, 1, &e));
    REFUSES(qn_locations(fs, "/", 0, 1, NULL, &e));
    REFUSES(qn_space(fs, NULL, &e));
    REFUSES(qn_space(NULL, NULL, &e));
}

static void give_back_nothing(void)
{
    qn_fs_close(NULL);
    EXPECT(qn_close(NULL, NULL) == 0);
    qn_abort(NULL);
    qn_closedir(NULL);
    qn_stat_release(NULL);
    qn_xattrs_release(NULL);
    qn_acl_release(NULL);
    qn_blocks_release(NULL);
    EXPECT(qn_uri(NULL) == NULL && qn_user(NULL) == NULL && qn_home(NULL) == NULL);
    EXPECT(qn_tell(NULL) == QN_EINVAL && qn_length(NULL) == 0);
}

static void use_what_is_closed(struct qn_fs *fs)
{
    char byte[1] = "x";
    struct qn_error error;
    struct qn_file *file = qn_open(fs, "/misused", QN_WRITE | QN_OVERWRITE, NULL, &error);
    EXPECT(file != NULL);
    REFUSES(qn_read(file, byte, 1, &e));
    REFUSES(qn_seek(file, 0, &e));
    REFUSES(qn_write(file, NULL, 1, &e));
    REFUSES(qn_write(file, byte, SIZE_MAX, &e));
    EXPECT(qn_write(file, NULL, 0, &error) == 0);
    EXPECT(qn_write(file, byte, 1, &error) == 1);
    EXPECT(qn_close(file, &error) == 0 && error.code == 0);
    REFUSES(qn_close(file, &e));
    REFUSES(qn_write(file, byte, 1, &e));
    REFUSES(qn_hsync(file, &e));
    REFUSES(qn_pread(file, byte, 1, 0, &e));
    EXPECT(qn_tell(file) == QN_EINVAL && qn_length(file) == 0);
    qn_abort(file);
    file = qn_open(fs, "/misused", QN_READ, NULL, &error);
    EXPECT(file != NULL && qn_length(file) == 1);
    REFUSES(qn_write(file, byte, 1, &e));
    REFUSES(qn_hflush(file, &e));
    REFUSES(qn_seek(file, 2, &e));
    REFUSES(qn_read(file, NULL, 1, &e));
    EXPECT(qn_close(file, NULL) == 0);
    REFUSES(qn_read(file, byte, 1, &e));
    for (int i = 0; i < 200; i++) { /* no handle is kept for ever */
        file = qn_open(fs, "/misused", QN_READ, NULL, &error);
        EXPECT(file && qn_close(file, &error) == 0);
    }
    EXPECT(qn_open(fs, "/misused/below", QN_READ, NULL, &error) == NULL);
    struct qn_stat st; /* the same name on another cluster is another file */
    EXPECT(qn_stat(fs, "quern://elsewhere:8020/misused", &st, &error) == QN_EINVAL);
    EXPECT(strncmp(error.message, "Wrong FS: quern://elsewhere:8020/misused, expected: ", 52) == 0);
    EXPECT(qn_open(fs, "", QN_READ, NULL, &error) == NULL);
    EXPECT(qn_delete(fs, "/misused", false, &error) == 1);
}

static void misuse(void)
{
    struct qn_error error;
    const struct qn_option unknown[] = {{"dfs.bloksize", "1m"}, {NULL, NULL}},
                           valueless[] = {{"dfs.blocksize", NULL}, {NULL, NULL}};
    const struct qn_fs_options bad = {NULL, NULL, unknown}, worse = {NULL, NULL, valueless};
    EXPECT(qn_fs_open(NULL, &bad, &error) == NULL && strstr(error.message, "dfs.blocksize"));
    EXPECT(qn_fs_open(NULL, &worse, &error) == NULL && error.code == QN_EINVAL);
    EXPECT(qn_fs_open("nonsense", NULL, NULL) == NULL);
    EXPECT(qn_error_name(QN_ENOENT) && qn_error_name(0) && qn_error_name(-9999) &&
           qn_error_name(77));
    struct qn_fs *fs = open_fs();
    use_nothing(fs);
    give_back_nothing();
    use_what_is_closed(fs);
    EXPECT(qn_open(fs, "/left/open", QN_WRITE | QN_OVERWRITE, NULL, &error) != NULL);
    qn_fs_close(fs); /* and its open file */
}

/* ---- threads ---- */

struct thread {
    pthread_t id;
    unsigned number;
    struct qn_fs *fs;
    struct qn_file *shared, *sink;
};

static unsigned char shared_byte(uint64_t at)
{
    return (unsigned char)(at * 2654435761U >> 13);
}

static void read_shared(struct thread *t, unsigned round)
{
    unsigned char piece[PIECE];
    struct qn_error error;
    uint64_t at = (t->number * 7919U + round * 104729U) % (SHARED_BYTES - PIECE);
    ssize_t n = qn_pread(t->shared, piece, PIECE, at, &error);
    EXPECT(n == PIECE);
    for (ssize_t i = 0; i < n; i++)
        if (piece[i] != shared_byte(at + (uint64_t)i)) {
            EXPECT(piece[i] == shared_byte(at + (uint64_t)i));
            return;
        }
}

static void have_a_file(struct thread *t, unsigned round)
{
    char path[64], to[64], text[64] = "";
    struct qn_error error;
    struct qn_stat stat;
    snprintf(path, sizeof(path), "/threads/%u/a%u", t->number, round);
    snprintf(to, sizeof(to), "/threads/%u/b%u", t->number, round);
    struct qn_file *file = qn_open(t->fs, path, QN_WRITE, NULL, &error);
    EXPECT(file != NULL);
    EXPECT(qn_write(file, path, strlen(path), &error) == (ssize_t)strlen(path));
    EXPECT(qn_hflush(file, &error) == 0);
    EXPECT(qn_close(file, &error) == 0);
    EXPECT(qn_rename(t->fs, path, to, false, &error) == 0);
    EXPECT(qn_stat(t->fs, to, &stat, &error) == 0 && stat.length == strlen(path));
    qn_stat_release(&stat);
    file = qn_open(t->fs, to, QN_READ, NULL, &error);
    EXPECT(qn_read(file, text, sizeof(text) - 1, &error) == (ssize_t)strlen(path));
    EXPECT(strcmp(text, path) == 0);
    qn_close(file, &error);
}

static void look_around(struct thread *t)
{
    struct qn_error error;
    struct qn_blocks blocks;
    struct qn_space space;
    struct qn_dir *dir = qn_opendir(t->fs, "/threads", &error);
    unsigned entries = 0;
    while (dir && qn_readdir(dir, &error))
        entries++;
    EXPECT(entries > 0 && error.code == 0);
    qn_closedir(dir);
    EXPECT(qn_locations(t->fs, "/threads/shared", 0, UINT64_MAX, &blocks, &error) == 0);
    qn_blocks_release(&blocks);
    EXPECT(qn_space(t->fs, &space, &error) == 0 && space.capacity > 0);
}

static void *run_thread(void *arg)
{
    struct thread *t = arg;
    char dir[64];
    struct qn_error error;
    snprintf(dir, sizeof(dir), "/threads/%u", t->number);
    EXPECT(qn_mkdir(t->fs, dir, 0, true, &error) == 0);
    for (unsigned round = 0; round < ROUNDS; round++) {
        read_shared(t, round);
        have_a_file(t, round);
        look_around(t);
        EXPECT(qn_write(t->sink, dir, 16, &error) == 16); /* of one file: one after another */
    }
    EXPECT(qn_delete(t->fs, dir, true, &error) == 1);
    return NULL;
}

static void write_shared(struct qn_fs *fs)
{
    struct qn_error error;
    const struct qn_create small = {.block_size = 1U << 20};
    unsigned char *bytes = malloc(SHARED_BYTES);
    struct qn_file *file = qn_open(fs, "/threads/shared", QN_WRITE | QN_OVERWRITE, &small, &error);
    EXPECT(bytes && file);
    for (uint64_t i = 0; bytes && i < SHARED_BYTES; i++)
        bytes[i] = shared_byte(i);
    EXPECT(qn_write(file, bytes, SHARED_BYTES, &error) == SHARED_BYTES);
    EXPECT(qn_close(file, &error) == 0);
    free(bytes);
}

static void many_threads(unsigned count)
{
    struct qn_error error;
    struct qn_fs *fs = open_fs();
    struct thread *threads = calloc(count, sizeof(*threads));
    write_shared(fs);
    struct qn_file *shared = qn_open(fs, "/threads/shared", QN_READ, NULL, &error);
    struct qn_file *sink = qn_open(fs, "/threads/sink", QN_WRITE | QN_OVERWRITE, NULL, &error);
    EXPECT(threads && shared && sink);
    for (unsigned i = 0; threads && i < count; i++) {
        threads[i] = (struct thread){.number = i, .fs = fs, .shared = shared, .sink = sink};
        EXPECT(pthread_create(&threads[i].id, NULL, run_thread, &threads[i]) == 0);
    }
    for (unsigned i = 0; threads && i < count; i++)
        pthread_join(threads[i].id, NULL);
    EXPECT(qn_length(sink) == (uint64_t)count * ROUNDS * 16);
    EXPECT(qn_close(sink, &error) == 0);
    EXPECT(qn_close(shared, &error) == 0);
    qn_fs_close(fs);
    free(threads);
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "misuse") == 0)
        misuse();
    else if (argc == 3 && strcmp(argv[1], "threads") == 0)
        many_threads((unsigned)strtoul(argv[2], NULL, 10));
    else
        return 2;
    printf("%d wrong\n", wrongs);
    return wrongs != 0;
}
