/* SPDX-License-Identifier: Apache-2.0
 * sink: an output file in the making: buffered, its length and checksum kept along, and the text
 * form of records.
 *
 *     key TAB value LF      or another separator. QN_TEXT, QN_BYTES as they are; numbers in
 * decimal, doubles with as many digits as bring the same double back; QN_NONE leaves out its side
 * and the tab
 *
 * or, raw, key and value as they are; all of it packed, if asked for. The file is made when it gets
 * its first record; where the publication makes files without a byte, it is not made at all. */
#ifndef QUERN_WORKER_SINK_SINK_H
#define QUERN_WORKER_SINK_SINK_H

#include "include/quern/job.h"
#include "libcommon/codec/packer.h"
#include "libcommon/proto/task/messages.h"
#include "worker/run/files.h"

#define SINK_BUFFER ((size_t)1 << 20)

struct sink_how {
    struct qn_create create;
    enum packer_kind pack;
    int level; /* of packing; 0 = the codec's own */
    bool is_raw;
    struct slice separator; /* between key and value; no bytes at all: a tab */
    bool skips_empty;       /* no file without a byte */
};

struct sink {
    struct sink_how how;
    struct files *files;
    const char *path;
    struct files_out *out; /* NULL: not made yet */
    struct packer *packer; /* NULL: bytes go out as they are */
    uint8_t *buf;
    size_t cap, fill;
    uint64_t len, records; /* len: of the file so far */
    uint64_t raw;          /* what went out, before packing */
    uint32_t crc;
    uint64_t write_us, finish_us; /* opening and writing; until it was whole */
    struct err failed;            /* code 0 while all is well; errors stick */
};

/* `path` and `buffer` are borrowed until finish or abandon. 0 or ERR_NOMEM. */
int sink_open(struct sink *sink, struct files *files, const char *path, const struct sink_how *how,
              struct slice buffer, struct err *err);
/* Bytes as they are. */
int sink_write(struct sink *sink, struct slice bytes);
/* One record as text. The values of a number type must be eight bytes long. */
int sink_record(struct sink *sink, enum qn_type key_type, struct slice key, enum qn_type value_type,
                struct slice value);
/* Ends the file and tells of it: length, records and checksum; the path is "" if it was skipped. */
int sink_finish(struct sink *sink, struct task_file *ret, struct err *err);
void sink_abandon(struct sink *sink);

#define SINK_NUMBER_MAX 32U
/* The text of a number at `out` (at least SINK_NUMBER_MAX bytes); its length. */
size_t sink_number(enum qn_type type, uint64_t bits, char *out);

#endif
