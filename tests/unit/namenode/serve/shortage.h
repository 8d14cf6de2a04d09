/* SPDX-License-Identifier: Apache-2.0
 * shortage: a namenode that is asked one question while the first allocation fails anywhere on the
 * way, then the second, and so on; or while nothing can be allocated any more from the moment on in
 * which the change is in the journal.
 *
 * Each question ends, in an answer or in an error; asked again, under the same number, it is
 * answered; the namenode goes on; and its state is what its journal says, no more and no less: a
 * second state, fed with the records alone, has the same hash after each trial. */
#ifndef QUERN_TESTS_NAMENODE_SERVE_SHORTAGE_H
#define QUERN_TESTS_NAMENODE_SERVE_SHORTAGE_H

#include "tests/unit/namenode/serve/served.h"

int shortage_setup(void **state);
int shortage_teardown(void **state);
extern struct served s;

/* ---- a question ---- */

enum when { NEVER, ON_THE_WAY, ONCE_JOURNALED };

/* `n` numbers the trial: each has a directory of its own, and a client. */
struct question {
    const struct msg_method *method;
    void (*prepare)(unsigned n); /* or NULL */
    int (*ask)(struct msg_origin o, unsigned n);
};
/* Ends with the first allocation that is more than the question takes. Gives how many fell short.
 */
unsigned try_all(const struct question *q, enum when when);

int ask_over(struct rpc_link *link, const struct msg_method *method, const void *ask, void *ret);
#define ASK(NAME, ask, ret)  ask_over(s.client, &CL2NN_methods[CL2NN_AT_##NAME], ask, ret)
#define TELL(NAME, ask, ret) ask_over(s.datanode, &DN2NN_methods[DN2NN_AT_##NAME], ask, ret)
struct msg_origin origin(void);
void must(int rc);
struct slice path_of(const char *name, unsigned n); /* "/t7/name" */

/* ---- what questions need to be there ---- */

extern struct cl2nn_created file;      /* of the last have_open_file */
extern struct msg_located_block block; /* of the last have_block */

void have_datanode(void);
void have_open_file(unsigned n);
void have_block(unsigned n);
void have_replica(unsigned n);
void have_file(unsigned n);
/* The block as a datanode or the writer tells it. */
struct msg_block written(uint64_t len);
int change(uint32_t what, struct msg_block of);
int complete(struct msg_origin from);
/* Shorter, inside its block. */
int cut(struct msg_origin o, unsigned n);

#endif
