/* SPDX-License-Identifier: Apache-2.0
 * slow_writer PATH: a client that writes what it is given on stdin, one line at a time, and has
 * each flushed to the datanodes before it says "flushed N"; the file stays open until its stdin
 * ends. */
#include <inttypes.h>
#include <quern/fs.h>
#include <stdio.h>
#include <string.h>

static int fail(const char *what, const struct qn_error *error)
{
    fprintf(stderr, "slow_writer: %s: %s\n", what, error->message);
    return 1;
}

static int write_lines(struct qn_file *file)
{
    char line[4096];
    struct qn_error error;
    uint64_t written = 0;
    while (fgets(line, sizeof(line), stdin)) {
        ssize_t n = qn_write(file, line, strlen(line), &error);
        if (n < 0 || qn_hflush(file, &error) != 0)
            return fail("write", &error);
        written += (uint64_t)n;
        printf("flushed %" PRIu64 "\n", written);
        fflush(stdout);
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct qn_error error;
    struct qn_fs *fs = argc == 2 ? qn_fs_open(NULL, NULL, &error) : NULL;
    if (!fs)
        return argc == 2 ? fail("connect", &error) : 2;
    struct qn_file *file = qn_open(fs, argv[1], QN_WRITE, NULL, &error);
    int code = file ? write_lines(file) : fail("create", &error);
    if (file && qn_close(file, &error) != 0)
        code = fail("close", &error);
    qn_fs_close(fs);
    return code;
}
