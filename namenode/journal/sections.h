/* SPDX-License-Identifier: Apache-2.0
 * sections: the state as an image holds it, and back.
 *
 * A section is a sequence of chunks (at most about 256 KiB, a row more), a chunk a sequence of
 * whole rows; fsimage frames and checks the chunks. The same state gives the same bytes, whatever
 * its history: no slots, no intern numbers, nothing that only this process knows. What is doomed
 * and not reaped yet is not in it.
 *
 * Rows (v = LEB128 varint, s = v length and bytes, u64 = 8 bytes little-endian):
 *
 *   1 counters  v next inode id, v next block id, v next stamp           one row, first
 *               v first and v last block id that lost records gave out   only after a recovery
 *   2 inodes    parents before their children, children in byte order of names
 *               v depth (0: the root, name "")   s name   v id   v mode
 *               v flags: 1 directory, 2 open, 4 last block being written, 8 last block in recovery,
 *                 16 a directory whose access time was set: it follows the mtime
 *               owner, group: v 0 and s for a word not met before, else v number of the word (1..)
 *               v mtime
 *               files only: v atime  v replication  v block size / 512  v blocks
 *                           open: u64 client
 *                           each block: v id  v stamp  v length
 *   3 answers   oldest first: u64 client  v seq  v time  v op  v value  v value
 *   4 jobs      oldest first: s name  v epoch
 *   5 extras    in order of ids, of the few inodes that have any: v id
 *               v quota of names + 1  v quota of space + 1   (0: none)
 *               v extended attributes; each: v space  s name  s value
 *               v access list entries; each: v type (4: default)  v permission  s name
 *   6 prepared  in order of ids, of the files being appended to or truncated (prepared.h): v id
 *               v kind  v length  but of kind BASE: v id of the prepared block  v its stamp
 *   7 datanodes in order of names, those that closes count on (blocks/members.h): s name  s uuid
 *
 * A reader refuses what does not parse, does not fit together, or leaves bytes over; it ignores
 * nothing. A later version may add sections; a section it does not know is ERR_VERSION. */
#ifndef QUERN_NAMENODE_JOURNAL_SECTIONS_H
#define QUERN_NAMENODE_JOURNAL_SECTIONS_H

#include "namenode/journal/state.h"

enum nn_section {
    NN_SECTION_COUNTERS = 1,
    NN_SECTION_INODES = 2,
    NN_SECTION_ANSWERS = 3,
    NN_SECTION_JOBS = 4,
    NN_SECTION_EXTRAS = 5,
    NN_SECTION_PREPARED = 6,
    NN_SECTION_DATANODES = 7,
};
const char *nn_section_name(uint16_t section); /* "inodes", or "?" */

/* Takes a chunk (borrows it); not 0 ends the saving and becomes its result. */
typedef int nn_chunk_fn(void *arg, uint16_t section, struct slice chunk);

/* In the order in which they must be loaded. Only reads the state: a forked child may do it. */
int nn_state_save(const struct nn_state *state, nn_chunk_fn *put, void *arg);
/* Of all that nn_state_save writes: equal states have equal hashes. 0 when memory is out. */
uint64_t nn_state_hash(const struct nn_state *state);

/* Loading into a state fresh from nn_state_init: every chunk in order, then the end. */
struct nn_loader;
struct nn_loader *nn_loader_new(struct nn_state *state); /* borrows; NULL when memory is out */
int nn_loader_take(struct nn_loader *loader, uint16_t section, struct slice chunk, struct err *err);
int nn_loader_end(struct nn_loader *loader, struct err *err);
void nn_loader_free(struct nn_loader *loader);

/* One JSON line for every row, for imagedump: chunks in order, no state is built. */
struct nn_printer;
struct nn_printer *nn_printer_new(void);
int nn_printer_take(struct nn_printer *printer, uint16_t section, struct slice chunk,
                    struct buf *out, struct err *err);
void nn_printer_free(struct nn_printer *printer);

#endif
