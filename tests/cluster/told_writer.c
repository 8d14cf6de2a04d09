/* SPDX-License-Identifier: Apache-2.0
 * told_writer [-append] PATH: writes one file as it is told on stdin, a line per call, and answers
 * each with "ok LENGTH" or "error CODE MESSAGE": so that a test can look at the cluster, or break
 * it, between any two calls.
 *
 *   write N   N more bytes; byte i of the file is (i * 31 + i / 256) % 251
 *   hflush, hsync, close, quit (without a close) */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <quern/fs.h>

#define PIECE 65536U

static struct qn_error error;
static int64_t length;

static int put(struct qn_file *file, uint64_t count)
{
    static uint8_t bytes[PIECE];
    while (count) {
        size_t n = count < PIECE ? (size_t)count : PIECE;
        for (size_t i = 0; i < n; i++) {
            uint64_t at = (uint64_t)length + i;
            bytes[i] = (uint8_t)((at * 31 + at / 256) % 251);
        }
        int64_t done = qn_write(file, bytes, n, &error);
        if (done < 0)
            return (int)done;
        length += done;
        count -= (uint64_t)done;
    }
    return 0;
}

static int obey(struct qn_file **file, const char *line)
{
    if (strncmp(line, "write ", 6) == 0)
        return put(*file, strtoull(line + 6, NULL, 10));
    if (strcmp(line, "hflush") == 0)
        return qn_hflush(*file, &error);
    if (strcmp(line, "hsync") == 0)
        return qn_hsync(*file, &error);
    struct qn_file *closing = *file;
    *file = NULL;
    return qn_close(closing, &error);
}

static void answer(int rc)
{
    if (rc == 0)
        printf("ok %lld\n", (long long)length);
    else
        printf("error %d %s\n", rc, error.message);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    char line[64];
    bool is_append = argc == 3 && strcmp(argv[1], "-append") == 0;
    int flags = is_append ? QN_WRITE | QN_APPEND : QN_WRITE;
    struct qn_fs *fs = argc == 2 || is_append ? qn_fs_open(NULL, NULL, &error) : NULL;
    struct qn_file *file = fs ? qn_open(fs, argv[argc - 1], flags, NULL, &error) : NULL;
    length = file ? (int64_t)qn_length(file) : 0;
    answer(file ? 0 : -1);
    while (file && fgets(line, sizeof(line), stdin)) {
        line[strcspn(line, "\n")] = '\0';
        if (strcmp(line, "quit") == 0)
            _Exit(0);
        answer(obey(&file, line));
    }
    qn_fs_close(fs);
    return 0;
}
