/* SPDX-License-Identifier: Apache-2.0
 * pack: msgpack over buf and slice. Private to wire/ and to tools that dump packed bytes; everyone
 * else declares messages (msg.h). The only user of msgpack-c.
 *
 * Bytes from outside are scanned before msgpack-c sees them: every object whole, nesting at most
 * MSG_DEPTH_MAX, no array or map claiming more items than there are bytes left, no more than
 * PACK_ITEMS_MAX objects in all. So what the unpacker allocates is bounded by what was sent (some
 * 24 bytes per object) and five bytes cannot ask for gigabytes. */
#ifndef QUERN_WIRE_PACK_H
#define QUERN_WIRE_PACK_H

#include <msgpack.h>

#include "libcommon/wire/msg.h"

#define PACK_ITEMS_MAX (4U << 20)

/* A packer that appends to `out`; failing shows in buf_failed. */
void pack_init(msgpack_packer *packer, struct buf *out);

/* Is `in` exactly one well-formed object within the limits? 0 or ERR_PROTO (offset and reason). */
int pack_scan(struct slice in, struct err *err);

/* The scanned object as a tree. Strings and bytes in it borrow `in`. */
struct pack_tree {
    msgpack_zone *zone;
    msgpack_object root;
};
int pack_open(struct slice in, struct pack_tree *ret, struct err *err); /* ERR_PROTO, ERR_NOMEM */
void pack_close(struct pack_tree *tree);

#endif
