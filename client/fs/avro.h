/* SPDX-License-Identifier: Apache-2.0
 * avro: an Avro object container file as text, one record a line, in the JSON that Avro's own
 * encoder writes, as `fs -text` shows it. Codecs null, deflate, bzip2, zstandard.
 *
 *     "Obj" 1   map of metadata (avro.schema, avro.codec)   sync (16 bytes)
 *     blocks: long count of records   long bytes   that many bytes, packed   the sync
 *
 * A long is zigzag in groups of seven bits, the lowest first; a map is blocks of pairs, each with
 * its count in front (negative: then the block's size in bytes follows), 0 ends it. */
#ifndef QUERN_FS_AVRO_H
#define QUERN_FS_AVRO_H

#include "client/fs/avro_schema.h"
#include "client/fs/records.h"

bool fs_avro_is(struct slice head);

/* From the first byte on; returns as the calls of records.h. */
int fs_avro_show(const struct fs_records *in);

/* One value of `schema` from the front of *in (which moves on) to JSON. ERR_CORRUPT when it is cut
 * short, makes no sense, nests too deep or would be longer than FS_RECORD_MAX. */
int fs_avro_json(const struct avro_schema *schema, struct slice *in, struct buf *out);

/* The number in front of *in, which moves on. */
bool fs_avro_long(struct slice *in, int64_t *ret);

#endif
