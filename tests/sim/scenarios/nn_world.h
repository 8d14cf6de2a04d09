/* SPDX-License-Identifier: Apache-2.0
 * nn_world: a simulated filesystem. One namenode: the real namespace, journal, wal (on a disk that
 * forgets), block side and safe mode, driven here instead of by loop and sockets. Datanodes: the
 * real replica states and the real agreement on lengths around a pretended disk. Clients that
 * write, rename, delete and remember what they were told.
 *
 * What datanodes and clients know of each other's replies is exactly what messages told them;
 * checks (nn_check.c) look into everything. */
#ifndef QUERN_TESTS_SIM_NN_WORLD_H
#define QUERN_TESTS_SIM_NN_WORLD_H

#include "datanode/storage/agree.h"
#include "libcommon/store/wal.h"
#include "namenode/blocks/events.h"
#include "namenode/journal/check.h"
#include "tests/sim/disk.h"
#include "tests/sim/scenario.h"

#define DN_MAX     8
#define VOLUMES    2
#define CL_MAX     4
#define FILES      8 /* names each client plays with */
#define PATH_CAP   40
#define NODES_MAX  DN_MAX
#define PAGE_MAX   4 /* replicas in a page of a full report */
#define DELETE_MAX 32
#define BLOCK_SIZE 65536U
#define BLOCKS_MAX 3 /* of one file */

/* Virtual times, a tenth or so of the real defaults. */
#define HEARTBEAT_MS 1000
#define RECHECK_MS   5000
#define STALE_MS     5000
#define PENDING_MS   20000
#define SOFT_MS      15000
#define HARD_MS      30000
#define LATE_MS      3000 /* a cast is under way no longer than this */

/* ---- messages: one struct for all, copied whole ---- */

enum nn_msg_kind {
    /* client -> namenode, casts, answered by NN_ANSWER */
    CL_MKDIR,
    CL_CREATE,
    CL_ADD_BLOCK,
    CL_ABANDON,
    CL_STAMP,
    CL_PIPELINE,
    CL_FLUSHED,
    CL_COMPLETE,
    CL_RENAME,
    CL_DELETE,
    CL_REPLICATION,
    CL_APPEND,
    CL_SWITCH,
    CL_TRUNCATE,
    CL_CONCAT,
    CL_RENEW,
    CL_STAT,
    CL_LOCATE,
    CL_BAD,
    NN_ANSWER,
    /* client -> datanode, casts, answered by DN_ANSWER */
    CL_OPEN,
    CL_WRITE,
    CL_RESUME,
    CL_FINALIZE,
    CL_READ,
    DN_ANSWER,
    /* datanode -> namenode, on its connection */
    DN_REGISTER,
    DN_BEAT,
    DN_REPORT,
    DN_CHANGE,
    DN_COPIED,
    DN_RECOVERED,
    /* namenode -> datanode, on that connection */
    NN_REGISTERED,
    NN_HEARD,
    NN_COPY,
    NN_DELETE,
    NN_RECOVER,
    NN_REPORT,
    NN_CLONE,
    /* datanode -> datanode, casts */
    DN_COPY_DATA,
    DN_COPY_DONE,
    DN_PROMISE,
    DN_PROMISED,
    DN_SETTLE,
    DN_SETTLED,
    NN_MSG_KINDS
};

struct nn_page {
    uint64_t id;
    uint32_t page, count;
    bool is_last;
    uint64_t ids[PAGE_MAX], stamps[PAGE_MAX], lens[PAGE_MAX], states[PAGE_MAX];
};

struct nn_msg {
    struct sim_msg head;
    enum nn_msg_kind kind;
    uint64_t call;        /* which question an answer belongs to */
    uint64_t client, seq; /* origin */
    uint64_t file_id, new_gs, new_len, values[2];
    struct msg_block block, previous;
    char path[PATH_CAP], to[PATH_CAP];
    uint32_t replication;
    uint32_t nodes[NODES_MAX], node_count; /* datanode numbers, from 1 */
    int code;
    bool flag; /* overwrite; sync; flushed; again; is_open in an answer to STAT */
    enum nn_change change;
    unsigned volume;
    enum dn_replica_state state;
    struct nn_page page;
    struct block_id blocks[DELETE_MAX];
    uint32_t block_count;
    bool failed[VOLUMES]; /* register, beat */
};

struct nn_msg *nn_msg_new(enum nn_msg_kind kind);
const char *nn_msg_name(enum nn_msg_kind kind);

/* ---- datanode ---- */

struct dn_rep {
    struct list link;
    struct dn_replica r;
    uint64_t synced; /* bytes that survive a power cut */
    bool is_rotten;  /* its bytes are wrong */
    bool is_bad;     /* and its datanode knows, until it crashes */
};

/* Finalized, or under recovery from there: its bytes stand. */
static inline bool dn_rep_is_whole(const struct dn_rep *rep)
{
    return rep->r.state == DN_REPLICA_FINALIZED ||
           (rep->r.state == DN_REPLICA_RUR && rep->r.before == DN_REPLICA_FINALIZED);
}

struct dn_sim {
    struct sim_host host;
    struct nn_world *w;
    uint32_t number; /* 1.. */
    struct list reps;
    bool has_failed[VOLUMES];
    struct sim_conn *conn; /* to the namenode; NULL = none */
    bool is_registered;
    uint64_t losses; /* power cuts, lost disks, rot: what flushed bytes need not survive here */
    uint64_t report_id;
    struct list jobs; /* recoveries it leads, copies it sends: struct dn_job */
    uint64_t next_call;
};

void dn_sim_add(struct nn_world *w, uint32_t number);
void dn_sim_start(struct dn_sim *dn); /* after a crash */
enum dn_crash { DN_KILLED, DN_POWER_CUT };
void dn_sim_crash(struct dn_sim *dn, enum dn_crash how);
void dn_sim_lose_volume(struct dn_sim *dn,
                        unsigned volume); /* all on it is gone; noticed by the beat */
void dn_sim_release(struct dn_sim *dn);
struct dn_rep *dn_sim_find(const struct dn_sim *dn, uint64_t id);
/* Finalized, with this stamp and length, and not rotten. */
bool dn_sim_has(const struct dn_sim *dn, struct block_id block, uint64_t len);

/* ---- namenode ---- */

struct nn_held_answer {
    struct list link;
    uint64_t index; /* goes out when this is durable */
    struct sim_host *to;
    struct nn_msg *msg;
};

struct nn_sim {
    struct sim_host host;
    struct nn_world *w;
    struct sim_disk *disk;
    struct nn_blocks blocks;
    struct nn_state state;
    struct nn_limits limits;
    struct nn_caller caller;
    struct wal *wal;
    struct wal_batch *batch;
    struct list held;
    struct sim_conn *conns[DN_MAX + 1]; /* by node index of the registry */
    uint32_t number_of[DN_MAX + 1];     /* node index -> datanode number */
    uint64_t image_ms;
    bool is_open;       /* state and blocks exist */
    bool dies_in_batch; /* the next batch of the log is its last */
    bool was_safe;
    uint64_t term;
    uint64_t copies, copies_second; /* orders in the present second of virtual time */
};

void nn_sim_add(struct nn_world *w);
void nn_sim_start(struct nn_sim *nn);
void nn_sim_crash(struct nn_sim *nn, enum sim_crash how);
void nn_sim_release(struct nn_sim *nn);
uint32_t nn_sim_node(const struct nn_sim *nn,
                     uint32_t number); /* datanode -> node index, 0 = none */
/* Append, apply. 0 or ERR_NOSPC. */
int nn_sim_commit(struct nn_sim *nn, enum nn_op number, const void *op, uint64_t answer[2]);
struct nn_view nn_sim_view(struct nn_sim *nn);
/* Answer once all that is applied now is durable. Takes msg. */
void nn_sim_answer(struct nn_sim *nn, struct sim_host *to, struct nn_msg *msg);
void nn_sim_begin_recovery(struct nn_sim *nn, uint32_t slot);
/* nn_serve.c: a client asks. */
void nn_sim_serve(struct nn_sim *nn, struct sim_host *from, const struct nn_msg *ask);

/* ---- client ---- */

enum cl_entry_state {
    CL_ABSENT,
    CL_CLOSED, /* a file, closed, acknowledged */
    CL_UNSURE, /* something was under way when the writer died or gave up */
};

/* Who had all acknowledged bytes of a block, and what they had lost before those were sent. */
struct cl_flush {
    bool is_member[DN_MAX + 1]; /* by datanode number */
    uint64_t losses[DN_MAX + 1];
};

struct cl_entry {
    enum cl_entry_state state;
    uint64_t len;
    uint32_t replication;
    struct msg_block blocks[BLOCKS_MAX];
    uint32_t block_count;  /* 0 with len > 0: this life did not write it and does not know them */
    uint64_t file_id;      /* of an abandoned file */
    uint64_t base;         /* of an abandoned file: what it had before it was appended to */
    uint64_t flushed;      /* of an abandoned file: so many bytes were flushed ... */
    struct cl_flush flush; /* ... by these */
    bool is_busy;          /* the operation under way is about it */
};

enum cl_step { CL_IDLE, CL_ASKING_NN, CL_ASKING_DNS, CL_RESTING };

struct cl_sim;
typedef void cl_then(struct cl_sim *cl, const struct nn_msg *answer);

struct cl_sim {
    struct sim_host host;
    struct nn_world *w;
    uint32_t number;
    uint64_t id, seq, next_call; /* of this life */
    struct cl_entry entries[FILES];
    bool has_dir;
    enum cl_step step;
    uint64_t act_ms; /* when to repeat, rest no longer, or stop waiting for datanodes */
    /* the question to the namenode that is under way */
    struct nn_msg *ask;
    unsigned tries;
    cl_then *then;
    void (*rested)(struct cl_sim *cl);
    /* the last recorded change and its answer: a late copy must get the same */
    uint64_t again_call, last_values[2];
    struct nn_msg *last_ask;
    /* questions to the pipeline that are under way */
    struct nn_msg *dn_ask;
    uint64_t answered, failed; /* bit sets over the pipeline */
    void (*dns_said)(struct cl_sim *cl);
    /* the operation under way */
    uint32_t entry, other;
    uint64_t file_id;
    struct cl_entry fresh; /* the file being written */
    uint32_t want_blocks;
    struct msg_block block; /* being written; len = acknowledged */
    struct msg_block base;  /* of an append: what it begins with */
    uint64_t want_len, sent_len, new_gs;
    struct cl_flush sent; /* to whom sent_len went */
    uint32_t pipeline[NODES_MAX], pipeline_count;
    uint32_t exclude[NODES_MAX], exclude_count;
    unsigned failures; /* of this file */
    bool is_writing;
    uint64_t ops_done, writes_done, gave_up;
};

void cl_sim_add(struct nn_world *w, uint32_t number);
void cl_sim_crash(struct cl_sim *cl);
void cl_sim_start(struct cl_sim *cl);
void cl_sim_release(struct cl_sim *cl);
void cl_path(const struct cl_sim *cl, uint32_t entry, char out[PATH_CAP]);
/* nn_client.c, for nn_write.c: ask the namenode (takes msg; changes get a number); then(answer)
 * with code 0, or an error that is not a matter of time. */
void cl_ask(struct cl_sim *cl, struct nn_msg *msg, cl_then *then);
void cl_op_done(struct cl_sim *cl);
/* This cannot be finished: the process ends, and what it was at is unsure. */
void cl_give_up(struct cl_sim *cl, const char *why);
/* nn_write.c */
void cl_write_start(struct cl_sim *cl, bool overwrite);
void cl_write_on_answer(struct cl_sim *cl, uint32_t number, const struct nn_msg *answer);
void cl_write_timeout(struct cl_sim *cl); /* the datanodes had their time */
void cl_write_on(struct cl_sim *cl);      /* with the block that is being written */
void cl_write_next(struct cl_sim *cl);    /* with another one, or close */
void cl_rest(struct cl_sim *cl, uint64_t ms, void (*rested)(struct cl_sim *cl));
/* nn_append.c */
void cl_append_start(struct cl_sim *cl);
void cl_truncate_start(struct cl_sim *cl);
void cl_concat_start(struct cl_sim *cl);

/* ---- the whole ---- */

struct nn_world {
    struct sim *sim;
    struct nn_sim nn;
    struct dn_sim dns[DN_MAX];
    struct cl_sim cls[CL_MAX];
    uint32_t dn_count, cl_count, racks, replication;
    uint32_t sync_ms;   /* a batch of the log takes up to so long */
    uint32_t report_ms; /* between registration and the first report, at most */
    uint32_t recover_ms, report_every_ms;
    bool has_disk_faults; /* disks die and rot: replicas may vanish without an order */
    bool is_healing;      /* no new operations but what cleans up */
    bool is_clearing;     /* everything settled once: now all files go */
    uint64_t next_client;
};

static inline struct nn_world *nn_world(struct sim *sim)
{
    return sim->scenario;
}

/* nn_check.c: after every step; and all of it, when `is_full`. */
void nn_check(struct nn_world *w, bool is_full);
/* A datanode just carried out a deletion of this replica. */
void nn_check_deletion(struct nn_world *w, const struct dn_rep *rep);
/* May this replica be lost, now, and nothing acknowledged with it, whatever the namenode does that
 * does not know yet? For faults that must stay survivable. */
bool nn_is_expendable(const struct nn_world *w, const struct dn_sim *dn, const struct dn_rep *rep);
bool nn_is_settled(struct nn_world *w, struct buf *why);

#endif
