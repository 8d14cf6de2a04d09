/* SPDX-License-Identifier: Apache-2.0
 * fsimage: the bytes of an image, `image.<index of the last record in it>`. What the chunks mean
 * is the business of those who hand them in and take them out (sections.h); here they are framed,
 * checked and kept in order.
 *
 *        0  u32 magic "QIMG"      u32 version (1)
 *        8  u64 log id            of the log whose records go on after it
 *       16  u64 index             all records up to it are in the image
 *       24  u64 wall time (ms)    when it was begun
 *       32  zeros
 *       60  u32 CRC32C of bytes 0..59
 *       64  chunks: u16 section (1..0xfffe)  u16 zero  u32 length  u32 crc  bytes
 *           crc: CRC32C of section, zero, length and bytes, continued from the crc of the chunk
 *           before (the first: from that of the head), so no chunk can be left out or exchanged
 *      end  one more chunk, section 0xffff, 16 bytes: u64 chunks before it, u64 length of the file
 *
 * An image appears whole or not at all (store/outfile). A reader checks everything before it
 * believes anything: nn_image_read without a visitor first. One that does not check is damaged: an
 * older image and more of the log give the same state. */
#ifndef QUERN_NAMENODE_JOURNAL_FSIMAGE_H
#define QUERN_NAMENODE_JOURNAL_FSIMAGE_H

#include "libcommon/store/outfile.h"

#define NN_IMAGE_NAME_MAX  40
#define NN_IMAGE_CHUNK_MAX (64U << 20)

struct nn_image_head {
    uint64_t log_id;
    uint64_t index;
    uint64_t wall_ms;
};

/* "image.000000000042" */
char *nn_image_name(char out[NN_IMAGE_NAME_MAX], uint64_t index);
bool nn_image_name_parse(const char *name, uint64_t *ret_index);

struct nn_image_writer {
    struct outfile out;
    uint32_t crc;
    uint64_t chunks;
};
/* On failure nothing is left to end. */
int nn_image_begin(struct nn_image_writer *writer, struct disk *disk, const char *path,
                   const struct nn_image_head *head, struct err *err);
/* Errors stick; the commit tells them. */
void nn_image_put(struct nn_image_writer *writer, uint16_t section, struct slice chunk);
/* Ends the writer in either case. 0: the file is there, durably. */
int nn_image_commit(struct nn_image_writer *writer, struct err *err);
void nn_image_abort(struct nn_image_writer *writer);

/* Takes a chunk (borrows it); not 0 ends the reading and becomes its result. */
typedef int nn_image_visit_fn(void *arg, uint16_t section, struct slice chunk, struct err *err);

/* Check the whole file and hand its chunks to `visit` (NULL: only check), each when it was checked
 * itself. ERR_CORRUPT: damaged, cut or not an image; ERR_VERSION: of a later quern. */
int nn_image_read(struct disk *disk, const char *path, struct nn_image_head *ret_head,
                  nn_image_visit_fn *visit, void *arg, struct err *err);

#endif
