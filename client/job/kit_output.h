/* SPDX-License-Identifier: Apache-2.0
 * kit_output: the files of one output directory in memory, for `quern job test` and `check` to
 * compare: all but those whose name begins with _ or ., in order of their names. */
#ifndef QUERN_CLIENT_JOB_KIT_OUTPUT_H
#define QUERN_CLIENT_JOB_KIT_OUTPUT_H

#include "libcommon/base/buf.h"
#include "libcommon/base/err.h"

struct kit_file {
    char *name; /* below the directory: "part-r-00000", "day=1/part-r-00000" */
    struct buf bytes;
};

struct kit_output {
    struct kit_file *files;
    size_t count, cap;
};

/* Adds to `output`, empty before, what is there, also when it fails. */
int kit_output_read(struct kit_output *output, const char *dir, struct err *err);
void kit_output_release(struct kit_output *output);

/* One file for each output's name, as long as all its tasks' files: "errors-r" of errors-r-00000
 * and errors-r-00001. How many tasks there were is no part of what a job says. */
int kit_output_merge(struct kit_output *output);
/* In each file the same lines in order of their bytes: reducers share them out in an order of
 * their own. */
int kit_output_sort_lines(struct kit_output *output);
uint64_t kit_output_bytes(const struct kit_output *output);

/* A pair of outputs, and what people call each. */
struct kit_pair {
    const struct kit_output *a, *b;
    const char *a_name, *b_name;
};

/* The same files, with the same bytes? `empty_is_none`: a file without a byte is as good as none.
 */
bool kit_output_is_same(const struct kit_pair *pair, bool empty_is_none);
/* Prints the first place that differs. */
void kit_output_show(const struct kit_pair *pair, bool empty_is_none);
void kit_output_show_lines(const struct kit_pair *pair, struct slice a, struct slice b);

#endif
