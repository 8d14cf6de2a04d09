/* SPDX-License-Identifier: Apache-2.0
 * served: a whole namenode on a loop of its own, spoken to over real sockets, but with a journal in
 * memory that becomes durable when the test says so: served.c takes the place of
 * namenode/journal/journal.c. */
#ifndef QUERN_TESTS_NAMENODE_SERVE_SERVED_H
#define QUERN_TESTS_NAMENODE_SERVE_SERVED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "libcommon/base/clock.h"
#include "libcommon/base/mem.h"
#include "namenode/namenode.h"

/* ---- the journal ---- */

struct nn_journal {
    struct nn_journal_options options;
    uint64_t last, durable;
    bool is_held; /* nothing becomes durable until served_flush */
    bool is_full;
    bool is_open;
    uint64_t
        fail_from;   /* allocations fail, from this one on, from a record to the end of the turn */
    bool has_failed; /* one did */
    void (*on_record)(uint64_t index, uint16_t type, struct slice payload); /* may be NULL */
    struct loop_hook hook;
};
extern struct nn_journal the_journal;

void served_flush(void);

/* ---- the namenode and those who talk to it ---- */

struct served {
    struct loop *loop;
    struct conf *conf;
    struct namenode *nn;
    struct identity me, node;
    struct rpc_link *client, *datanode;
    struct arena arena;
};

/* The configuration of a namenode that needs nothing; then what is to be another; then the start.
 * `user`: who the client says he is. */
void served_conf(struct served *s);
void served_set(struct served *s, const char *key, const char *value);
void served_start(struct served *s, const char *user);
void served_stop(struct served *s);
/* One more connection of this person. */
struct rpc_link *served_link(struct served *s, const struct identity *self);

/* Asks of a conversation over one link, and what came back. */
struct served_answer {
    bool is_done;
    int code;
    struct err err;
    struct buf bytes;
    const struct msg_desc *desc;
};

struct served_call {
    struct rpc_wait wait;
    struct served_answer answer;
};

void served_send(struct rpc_link *link, const struct msg_method *method, const void *ask,
                 uint32_t timeout_ms, struct served_call *call);
/* Turns of the loop until the answer is there; false after `limit_ms`. */
bool served_wait(struct served *s, struct served_call *call, uint64_t limit_ms);

extern struct err served_err; /* of the last question that failed */
/* Ask and wait. ret gets the answer, whose slices live in s->arena. */
int served_ask(struct served *s, struct rpc_link *link, const struct msg_method *method,
               const void *ask, void *ret);
#define ask_nn(s, NAME, ask, ret) \
    served_ask(s, (s)->client, &CL2NN_methods[CL2NN_AT_##NAME], ask, ret)
#define tell_nn(s, NAME, ask, ret) \
    served_ask(s, (s)->datanode, &DN2NN_methods[DN2NN_AT_##NAME], ask, ret)

#endif
