/* SPDX-License-Identifier: Apache-2.0
 * writing: what the writer of a replica and its readers share, on whatever threads they are: the
 * open files, and how far they may be believed. Counted references; the files are closed with the
 * last.
 *
 * The writer's thread opens the files, hands them over once, and moves the visible length along
 * with each good ack. Length and the checksum of the partial chunk it ends in change together: a
 * reader that had one of them new and the other old would see a wrong checksum. */
#ifndef QUERN_DN_STORAGE_WRITING_H
#define QUERN_DN_STORAGE_WRITING_H

#include "datanode/storage/blockfile.h"

struct dn_writing;

struct dn_writing *dn_writing_new(void); /* one reference; NULL when memory is out */
struct dn_writing *dn_writing_ref(struct dn_writing *writing);
void dn_writing_unref(struct dn_writing *writing); /* NULL is fine */

/* Takes the files; once. What is visible begins with `visible`. */
void dn_writing_open(struct dn_writing *writing, struct dn_blockfile *file,
                     const struct dn_visible *visible);
void dn_writing_show(struct dn_writing *writing, uint64_t len, uint32_t tail_sum);

/* What may be read, and the files to read it from (borrowed while a reference is held; for reading
 * only). NULL while there are none: then nothing is visible. */
const struct dn_blockfile *dn_writing_look(struct dn_writing *writing, struct dn_visible *ret);

#endif
