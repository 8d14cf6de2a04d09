/* SPDX-License-Identifier: Apache-2.0
 * turn: one client's request from beginning to end: who asks, whether it was answered before,
 * whether changes are allowed now, and at the end the audit line and the answer, held until it is
 * durable. */
#ifndef QUERN_NAMENODE_SERVE_TURN_H
#define QUERN_NAMENODE_SERVE_TURN_H

#include "namenode/namenode.h"

struct nn_turn {
    struct namenode *nn;
    struct rpc_call *call;
    struct nn_caller caller;
    struct nn_view view;
    const char *command; /* for the audit log, Hadoop's name of it; NULL = no line */
    struct slice source, target;
    bool lacks_memory; /* something of the answer could not be copied: it must not go out */
    struct err err;
};

/* A question: nothing will change. */
void nn_turn_begin(struct nn_turn *turn, struct rpc_call *call, void *clients, const char *command,
                   struct slice source);
/* The same for a call that was begun before: it is not counted again. */
void nn_turn_resume(struct nn_turn *turn, struct rpc_call *call, void *clients, const char *command,
                    struct slice source);
/* May this change go on? False: the caller has his answer already, namely the first one (give
 * `repeat` to compose it; NULL for void methods), or that the namenode is in safe mode: "Cannot
 * WHAT SOURCE. Name node is in safe mode." */
typedef void nn_repeat_fn(struct nn_turn *turn, const void *ask, const struct nn_answer *answer);
struct nn_wish {
    const struct msg_origin *origin;
    enum nn_op op;
    const char *what; /* "create directory " */
    nn_repeat_fn *repeat;
    const void *ask;
};
bool nn_turn_may_change(struct nn_turn *turn, const struct nn_wish *change);
/* The nn_repeat_fn of methods that answer cl2nn_yes: the answer's first value. */
void nn_turn_repeat_yes(struct nn_turn *turn, const void *ask, const struct nn_answer *answer);
/* The check said rc: append and apply what it filled. Gives rc or why that failed; NN_CHECK_NOTHING
 * becomes 0. ret_answer may be NULL. */
int nn_turn_commit(struct nn_turn *turn, int rc, enum nn_op op, const void *filled,
                   uint64_t *ret_answer);
/* Does the caller need permission on so many directories below that path that they are gone through
 * in steps? True: `again` is called with the same call and question when he has it (then view.below
 * is that directory's id); when he has not, the call is failed. `skip_empty` as nn_access_below;
 * with NN_W it is looked again if something changed meanwhile. */
struct nn_look {
    const char *command; /* for the audit log */
    struct slice path;
    enum nn_access want;
    bool skip_empty;
    rpc_handler *again;
    const void *ask;
};
bool nn_turn_look_below(struct nn_turn *turn, void *clients, const struct nn_look *look);
/* The end: answer (struct of the method, NULL = void) when rc is 0, else turn->err. */
void nn_turn_end(struct nn_turn *turn, int rc, const void *answer);

/* ERR_ACCESS unless the caller is a superuser. */
int nn_turn_check_super(struct nn_turn *turn);

/* Will the answer be held, so that what it points to must not belong to the state? */
bool nn_turn_is_held(const struct nn_turn *turn);
/* The slice, copied into the call's arena if so; or in any case. Without memory it is empty, and
 * nn_turn_end fails the call. */
struct slice nn_turn_keep(struct nn_turn *turn, struct slice s);
struct slice nn_turn_copy(struct nn_turn *turn, struct slice s);
/* The nodes as the asker reaches them, in the call's arena. ERR_NOMEM. */
int nn_turn_nodes(struct nn_turn *turn, const uint32_t *nodes, size_t count,
                  struct msg_node_list *ret);

/* What a writer is told of the block he writes next along these nodes: they become its pipeline.
 * ERR_NOMEM. */
int nn_turn_tell_block(struct nn_turn *turn, uint32_t block, uint64_t offset,
                       const struct nn_placed *nodes, struct msg_located_block *ret);
/* The block is written along the nodes of these names from now on. ERR_NOMEM. */
int nn_turn_set_pipeline(struct nn_turn *turn, uint64_t block_id, const struct msg_strs *names);

/* Node numbers of names; names nobody is registered under are left out. */
size_t nn_turn_numbers(const struct nn_turn *turn, const struct msg_strs *names, uint32_t *ret,
                       size_t cap);

#define NN_HANDLER(NAME)                                  void nn_on_##NAME(struct rpc_call *call, const void *ask, void *arg);
#define NN_HANDLER_ROW(P, type, NAME, flags, ask, answer) NN_HANDLER(NAME)
CL2NN_METHODS(NN_HANDLER_ROW, CL2NN)
#undef NN_HANDLER_ROW
#undef NN_HANDLER

#endif
