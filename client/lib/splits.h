/* SPDX-License-Identifier: Apache-2.0
 * splits: how a job's input is cut into tasks. Pure: the same paths, lengths and settings give the
 * same splits on any cluster, whoever holds the blocks and however many workers there are (only the
 * *hint* where to run a split depends on places).
 *
 * A file longer than 1.1 splits is cut at multiples of the split size; what is left of it, and
 * files smaller than a split that follow it, are packed together until a split is full. Splits are
 * in the order of the input, by path and offset: "the last one" of a key means something. Empty
 * files make no task, unless they are records; a compressed file is never cut. Where it is asked
 * for, each task gets so many lines instead. */
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

struct split_file {
    struct slice path;
    uint64_t len, block_size;
    const struct split_block *blocks; /* in order of offset; may be none (local files) */
    size_t block_count;
    bool is_whole;        /* never cut: it can be read from its beginning only */
    const uint64_t *cuts; /* NULL, or where each split but the first begins, whatever their sizes */
    size_t cut_count;
};

struct split_conf {
    uint64_t min_bytes, max_bytes; /* 0 = no such limit; the block size is between them */
    bool is_whole;                 /* no file is cut: its records cannot be found from the middle */
    bool takes_empty;              /* empty files are given to tasks, too */
};

struct split_segment {
    uint32_t file; /* index into the files given */
    uint64_t offset, length;
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

/* Where a file is cut so that each task gets `each` lines: fed with all its bytes, in order. */
struct split_lines {
    uint64_t each, seen, at; /* lines since the last cut; bytes fed */
    uint64_t *cuts;          /* owned */
    size_t count, cap;
};
int split_lines_feed(struct split_lines *lines, struct slice bytes); /* 0 or ERR_NOMEM */
/* All was fed: the cuts become the file's, in the arena. 0 or ERR_NOMEM; releases in any case. */
int split_lines_end(struct split_lines *lines, struct arena *arena, struct split_file *file);

/* Would this file be cut, if it may be? Then somebody should look whether it is compressed. */
bool splits_would_cut(const struct split_file *file, const struct split_conf *conf);
/* `files` in order of path. Everything lives in the arena; nodes borrow the files' names. 0 or
 * ERR_NOMEM. */
int splits_compute(const struct split_file *files, size_t file_count, const struct split_conf *conf,
                   struct arena *arena, struct splits *ret);

/* A little of the whole input, evenly: few short stretches, in order. The first one of each file
 * begins where the file does (a compressed one can be read from there only). In the arena; 0 or
 * ERR_NOMEM. */
int splits_sample(const struct split_file *files, size_t file_count, struct arena *arena,
                  struct split *ret);

#endif
