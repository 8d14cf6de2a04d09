/* SPDX-License-Identifier: Apache-2.0
 * Private to write.c (from request to last ack) and write_files.c (the files it is written into).
 * What belongs to the loop and what to the thread is said at the fields. */
#ifndef QUERN_DN_SERVE_WRITE_INSIDE_H
#define QUERN_DN_SERVE_WRITE_INSIDE_H

#include "datanode/serve/relay.h"
#include "datanode/serve/write.h"

/* How it ended, for the loop. */
enum dn_write_outcome {
    DN_WRITE_REFUSED, /* nothing was begun; upstream has been told and may ask for something else */
    DN_WRITE_BROKEN,  /* begun, and left in the middle */
    DN_WRITE_FINALIZED, /* and the last ack may go */
};

struct dn_write {
    struct list link;
    struct dn_serve *serve;
    struct dn_session *session;
    const struct data_write *ask; /* the session's, until it is answered */
    bool is_local;
    struct dn_claim claim;
    struct dn_move move;
    struct loop_task began;
    /* set on the loop before the thread starts */
    uint64_t id, gs; /* gs: the stamp to write under */
    struct dn_volume *volume;
    struct dn_writing *writing;
    struct dn_replica before; /* RECOVER: the replica as it was; with a base: that one */
    int fd, cancel_fd;
    /* the thread's */
    struct dn_blockfile *file; /* owned by `writing` once that has it */
    int down_fd;
    struct dn_relay *relay; /* bytes are being moved */
    uint8_t *ring;
    size_t ring_bytes;
    bool has_begun, is_finalized;
    bool is_source_bad; /* what was to be copied is damaged */
    int code;           /* of something done on the loop */
    int end_code;       /* why it broke off or was not begun; 0 = it did not */
    /* the thread's last word */
    enum dn_write_outcome outcome;
    uint64_t len;
    uint8_t last_ack[PACKET_ACK_BYTES];
};

static inline bool dn_write_is_recover(const struct dn_write *w)
{
    return w->ask->stage == DATA_WRITE_RECOVER;
}

static inline bool dn_write_joins(const struct dn_write *w)
{
    return w->ask->stage == DATA_WRITE_JOIN;
}

/* Temporary until it is whole. */
static inline bool dn_write_is_copy(const struct dn_write *w)
{
    return w->ask->stage == DATA_WRITE_COPY || dn_write_joins(w);
}

static inline bool dn_write_has_base(const struct dn_write *w)
{
    return w->ask->base.id != 0;
}

/* ---- write_files: on the thread ---- */

/* Make the files, or for RECOVER make those there are fit, and share them with readers. */
int dn_write_open_files(struct dn_write *w, struct err *err);
/* What was made for nothing. */
void dn_write_remove_files(struct dn_write *w);
/* The relay's finalize; the argument is the write. */
int dn_write_finalize(void *arg);

#endif
