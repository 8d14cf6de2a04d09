/* SPDX-License-Identifier: Apache-2.0
 * model: what a writer of model_client knows, and what its files share (model_client.c says what is
 * demanded). */
#ifndef QUERN_TESTS_CLUSTER_MODEL_H
#define QUERN_TESTS_CLUSTER_MODEL_H

#include <inttypes.h>
#include <quern/fs.h>
#include <stdio.h>

#include "libcommon/base/rand.h"
#include "libcommon/base/slice.h"
#include "libcommon/event/thread.h"

#define FILES_MAX  40 /* per writer */
#define DIRS_MAX   6
#define PIECE_MAX  (1U << 20)
#define VERIFY     (1U << 18)
#define RESOLVE_MS 120000 /* how long to ask what became of a call that failed */

/* What can be set of a file or directory without touching its bytes, each as a number. */
enum attr {
    ATTR_MODE,
    ATTR_TAG,         /* an extended attribute; 0 = it has none */
    ATTR_LIST,        /* the permission of one named user; 8 = no list */
    ATTR_REPLICATION, /* of files */
    ATTRS
};
#define ATTR_ANY  UINT64_MAX /* not known: not compared */
#define ATTR_NONE 8

struct file {
    char name[64];
    uint64_t seed, length;
    uint64_t begin; /* the first byte is that of this offset */
    bool is_dir;
    uint64_t attrs[ATTRS];
};

struct counts {
    uint64_t creates, writes, flushes, closes, aborts, renames, deletes, reads, lists, errors;
    uint64_t written, verified, appends, truncates, concats, mkdirs, attributes, overwrites;
};

struct writer {
    struct thread thread;
    struct qn_fs *fs;
    struct rand rand;
    char dir[200];
    unsigned number;
    uint64_t next_name;
    struct file files[FILES_MAX], dirs[DIRS_MAX];
    size_t count, dir_count;
    struct counts counts;
    uint8_t *piece, *got; /* PIECE_MAX bytes each */
};

/* ---- model_client.c ---- */

/* At odds with what it should be: told, and the end. */
void violated(const struct writer *w, const char *path, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void failed(struct writer *w, const char *call, const char *path, const struct qn_error *error);
bool has_violation(void);

/* ---- model_names.c ---- */

void path_of(const struct writer *w, const struct file *file, char out[300]);
/* Nothing is known of it yet but its name, which is a new one. */
void new_name(struct writer *w, struct file *file);
void forget(struct writer *w, struct file *file);
/* 1 there, 0 not there; asks until it is known. */
int is_there(struct writer *w, const char *path, uint64_t *ret_length);
/* Gone, whatever it takes: what is left of a file whose writing failed. */
void remove_for_good(struct writer *w, const char *path);

void rename_one(struct writer *w, struct file *file);
void delete_one(struct writer *w, struct file *file);
void list(struct writer *w);
/* Make a directory, or rename or delete one, or set something of it. */
void directories(struct writer *w);
/* Set one of them. */
void attributes(struct writer *w, struct file *file);
/* They are what they were set to. */
void check_attributes(struct writer *w, const struct file *file);

#endif
