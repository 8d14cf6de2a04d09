/* SPDX-License-Identifier: Apache-2.0
 * A program's view of files in a cluster: writes a file, flushes in the middle, reads it back in
 * two ways, lists its directory, asks where its bytes are, and removes it.
 *
 *     cc -o fs fs.c $(pkg-config --cflags --libs quern)
 *     ./fs [URI [DIRECTORY]]        quern://host:8020; without: as configured for the quern command
 */
#include <quern/fs.h>
#include <stdio.h>
#include <string.h>

static int fail(const char *what, const struct qn_error *error)
{
    fprintf(stderr, "%s: %s (%s)\n", what, error->message, qn_error_name(error->code));
    return 1;
}

static int write_file(struct qn_fs *fs, const char *path)
{
    struct qn_error error;
    struct qn_file *file = qn_open(fs, path, QN_WRITE | QN_OVERWRITE, NULL, &error);
    if (!file)
        return fail("open for writing", &error);
    if (qn_write(file, "hello, ", 7, &error) < 0 || qn_hflush(file, &error) != 0 ||
        qn_write(file, "cluster\n", 8, &error) < 0) {
        qn_abort(file); /* what was not closed is deleted */
        return fail("write", &error);
    }
    /* Only now is it safe: every block is on the disks of two datanodes. */
    return qn_close(file, &error) == 0 ? 0 : fail("close", &error);
}

static int read_file(struct qn_fs *fs, const char *path)
{
    char text[64], word[8];
    struct qn_error error;
    struct qn_file *file = qn_open(fs, path, QN_READ, NULL, &error);
    if (!file)
        return fail("open", &error);
    ssize_t n = qn_read(file, text, sizeof(text), &error); /* goes on where the last one ended */
    ssize_t m = qn_pread(file, word, sizeof(word), 7, &error); /* anywhere, from any thread */
    qn_close(file, NULL);
    if (n != 15 || m != 8 || memcmp(text, "hello, cluster\n", 15) != 0 ||
        memcmp(word, "cluster\n", 8) != 0)
        return fail("read", &error);
    printf("read back: %.*s", (int)n, text);
    return 0;
}

static int list(struct qn_fs *fs, const char *path)
{
    struct qn_error error;
    const struct qn_stat *entry;
    struct qn_dir *dir = qn_opendir(fs, path, &error);
    if (!dir)
        return fail("list", &error);
    while ((entry = qn_readdir(dir, &error)) != NULL)
        printf("%s %8llu %s\n", entry->is_dir ? "dir " : "file", (unsigned long long)entry->length,
               entry->name);
    qn_closedir(dir);
    return error.code == 0 ? 0 : fail("list", &error);
}

static int places(struct qn_fs *fs, const char *path)
{
    struct qn_error error;
    struct qn_blocks blocks;
    if (qn_locations(fs, path, 0, UINT64_MAX, &blocks, &error) != 0)
        return fail("locations", &error);
    for (size_t i = 0; i < blocks.count; i++) {
        printf("bytes %llu to %llu on", (unsigned long long)blocks.blocks[i].offset,
               (unsigned long long)(blocks.blocks[i].offset + blocks.blocks[i].length));
        for (unsigned n = 0; n < blocks.blocks[i].node_count; n++)
            printf(" %s", blocks.blocks[i].nodes[n]);
        printf("\n");
    }
    qn_blocks_release(&blocks);
    return 0;
}

int main(int argc, char **argv)
{
    struct qn_error error;
    char path[4096];
    const char *dir = argc > 2 ? argv[2] : "/tmp/example";
    struct qn_fs *fs = qn_fs_open(argc > 1 && *argv[1] ? argv[1] : NULL, NULL, &error);
    if (!fs)
        return fail("connect", &error);
    printf("%s as %s\n", qn_uri(fs), qn_user(fs));
    snprintf(path, sizeof(path), "%s/greeting", dir);
    int failed = write_file(fs, path) || read_file(fs, path) || list(fs, dir) || places(fs, path);
    if (!failed && qn_delete(fs, dir, true, &error) != 1)
        failed = fail("delete", &error);
    qn_fs_close(fs);
    return failed;
}
