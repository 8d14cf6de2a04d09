/* SPDX-License-Identifier: Apache-2.0
 * splits: how a job's input is cut into tasks. Pure: the same paths, lengths and settings give the
 * same splits on any cluster, whoever holds the blocks and however many workers there are (only the
 * *hint* where to run a split depends on places).
 *
 * A file longer than 1.1 splits is cut at multiples of the split size; what is left of it, and
 * files smaller than a split that follow it, are packed together until a split is full. Splits are
 * in the order of the input (of the job's inputs, where it has several), by path and offset: "the
 * last one" of a key means something. An empty file is a small one: a job over empty files has a
 * task, as with Hadoop (but not where tasks are counted in lines, of which it has none). A
 * compressed file is cut only where unpacking can begin anew (client/lib/cuts finds such places).
 */
#ifndef QUERN_CLIENT_SPLITS_H
#define QUERN_CLIENT_SPLITS_H

#include "libcommon/base/conf.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/slice.h"

#define SPLIT_NODES_MAX    15
#define SPLIT_SEGMENTS_MAX 10000 /* files packed into one split at most */

struct split_block {
    uint64_t offset, length;
    const struct slice *nodes; /* node names */
    uint32_t node_count;
};

/* A place where a file may be cut; of a compressed one as task_segment has it. */
struct split_cut {
    uint64_t offset, frame;
};

struct split_file {
    struct slice path;
    uint64_t len, block_size;
    const struct split_block *blocks; /* in order of offset; may be none (local files) */
    size_t block_count;
    bool is_whole;                /* never cut: it can be read from its beginning only */
    const struct split_cut *cuts; /* a whole one is cut here all the same (client/lib/cuts) */
    size_t cut_count;
    uint32_t input; /* as task_segment's: which split_conf holds */
};

struct split_conf {
    uint64_t min_bytes, max_bytes; /* 0 = no such limit; the block size is between them */
    bool is_whole;                 /* no file is cut: its records cannot be found from the middle */
    bool has_lines;                /* records can be found from anywhere in their text */
    uint64_t lines;                /* 0, or: no task has more lines, and none those of two files */
};

struct split_segment {
    uint32_t file; /* index into the files given */
    uint64_t offset, length;
    uint64_t frame; /* as task_segment's */
};

struct split {
    struct split_segment *segments;
    size_t segment_count;
    uint64_t bytes;
    struct slice nodes[SPLIT_NODES_MAX]; /* those that hold most of it, best first */
    uint32_t node_count;
};

struct splits {
    struct split *v;
    size_t n;
    uint64_t bytes;
};

/* Is this path left out of the inputs? A pattern with a slash is for whole paths, part by part; one
 * without for last names: "*.tmp", "/logs/2025-*". */
bool splits_exclude(const struct conf_list *patterns, struct slice path);

/* N rows that a job makes itself, as a file without a name, of N bytes, whose blocks are what a
 * task makes. `text` is 1000, 10k, 5m, 2b, 1t; `tasks` 0 = one per million. ERR_INVAL. */
int splits_rows(struct slice text, uint64_t tasks, struct split_file *ret);

/* The size of a split of this file, and how much may be left of it without being cut again. */
uint64_t splits_size(const struct split_file *file, const struct split_conf *conf);
uint64_t splits_last_size(const struct split_file *file, const struct split_conf *conf);
/* Would this file be cut, if it may be? Then somebody should look where (client/lib/cuts). */
bool splits_would_cut(const struct split_file *file, const struct split_conf *conf);
static inline int splits_order(const struct split_file *a, const struct split_file *b)
{
    return a->input != b->input ? a->input < b->input ? -1 : 1 : slice_cmp(a->path, b->path);
}
/* `files` in order of input and path (splits_order); `confs` by input. Everything lives in the
 * arena; nodes borrow the files' names. No split has files of two inputs. 0 or ERR_NOMEM. */
int splits_compute(const struct split_file *files, size_t file_count,
                   const struct split_conf *confs, struct arena *arena, struct splits *ret);

/* A little of the whole input, evenly: few short stretches, in order. The first one of each file
 * begins where the file does (a compressed one can be read from there only). In the arena; 0 or
 * ERR_NOMEM. */
int splits_sample(const struct split_file *files, size_t file_count, struct arena *arena,
                  struct split *ret);

#endif
