/* SPDX-License-Identifier: Apache-2.0
 * seqfile: Hadoop's SequenceFile as text, "key TAB value" a line, as `fs -text` shows it. Version
 * 6; keys and values of Hadoop's own simple kinds (Text, Byte-, Short-, Int-, Long-, VInt-, VLong-,
 * Float-, Double-, Boolean-, Null- and BytesWritable); plain, compressed by record or by block.
 *
 *     "SEQ" 6   Text key class   Text value class   u8 compressed   u8 by block
 *     [Text codec class]   u32 count of pairs: Text Text   sync (16 bytes)
 *     plain, by record    u32 record length   u32 key length   key   value [packed]
 *                         u32 ffffffff and the sync now and then
 *     by block            u32 ffffffff   sync   v records   then four times v length and packed
 *                         bytes: key lengths (v), keys, value lengths (v), values
 *
 * Numbers are big-endian, v is Hadoop's variable length, a Text is v length and bytes. */
#ifndef QUERN_FS_SEQFILE_H
#define QUERN_FS_SEQFILE_H

#include "client/fs/records.h"

bool fs_seq_is(struct slice head);

/* From the first byte on; returns as the calls of records.h. */
int fs_seq_show(const struct fs_records *in);

#endif
