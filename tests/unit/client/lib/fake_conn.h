/* SPDX-License-Identifier: Apache-2.0
 * fake_conn: one conversation with the fake cluster, and who answers it. For its own files. */
#ifndef QUERN_TEST_FAKE_CONN_H
#define QUERN_TEST_FAKE_CONN_H

#include "libcommon/base/mem.h"
#include "libcommon/wire/frame.h"
#include "tests/unit/client/lib/fake_cluster.h"

struct fake_conn {
    int fd;
    struct fake_node *node; /* NULL = the namenode */
    struct buf in;
    struct arena arena;
    struct frame frame;
};

int fake_recv(struct fake_conn *c);
/* Takes `out`. */
void fake_send(struct fake_conn *c, struct buf *out);
void fake_answer(struct fake_conn *c, const struct msg_desc *desc, const void *answer);
void fake_fail(struct fake_conn *c, int code, const char *text);

#define FAKE_DECODE(c, type, var)                                                \
    struct type var = {0};                                                       \
    if (msg_decode(&type##_desc, (c)->frame.body, &(c)->arena, &var, NULL) != 0) \
    return false

/* One request, with the lock held. False: the conversation is over. */
bool fake_namenode(struct fake_conn *c);
bool fake_datanode(struct fake_conn *c);
/* Until the client hangs up, the node finds its voice, or the test is over. Lock held. */
void fake_be_silent(struct fake_conn *c);

#endif
