/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/base/mem.h"
#include "tests/sim/scenarios/nn_world.h"

const char *nn_msg_name(enum nn_msg_kind kind)
{
    static const char *const names[NN_MSG_KINDS] = {
        [CL_MKDIR] = "MKDIR",
        [CL_CREATE] = "CREATE",
        [CL_ADD_BLOCK] = "ADD_BLOCK",
        [CL_ABANDON] = "ABANDON",
        [CL_STAMP] = "STAMP",
        [CL_PIPELINE] = "PIPELINE",
        [CL_FLUSHED] = "FLUSHED",
        [CL_COMPLETE] = "COMPLETE",
        [CL_RENAME] = "RENAME",
        [CL_DELETE] = "DELETE",
        [CL_REPLICATION] = "REPLICATION",
        [CL_APPEND] = "APPEND",
        [CL_SWITCH] = "SWITCH",
        [CL_TRUNCATE] = "TRUNCATE",
        [CL_CONCAT] = "CONCAT",
        [CL_RENEW] = "RENEW",
        [CL_STAT] = "STAT",
        [CL_LOCATE] = "LOCATE",
        [CL_BAD] = "BAD",
        [NN_ANSWER] = "answer",
        [CL_OPEN] = "OPEN",
        [CL_WRITE] = "WRITE",
        [CL_RESUME] = "RESUME",
        [CL_FINALIZE] = "FINALIZE",
        [CL_READ] = "READ",
        [DN_ANSWER] = "answer",
        [DN_REGISTER] = "REGISTER",
        [DN_BEAT] = "HEARTBEAT",
        [DN_REPORT] = "FULL_REPORT",
        [DN_CHANGE] = "CHANGE",
        [DN_COPIED] = "COPIED",
        [DN_RECOVERED] = "RECOVERED",
        [NN_REGISTERED] = "registered",
        [NN_HEARD] = "heard",
        [NN_COPY] = "order COPY",
        [NN_DELETE] = "order DELETE",
        [NN_RECOVER] = "order RECOVER",
        [NN_REPORT] = "order REPORT",
        [NN_CLONE] = "order CLONE",
        [DN_COPY_DATA] = "COPY_DATA",
        [DN_COPY_DONE] = "copy done",
        [DN_PROMISE] = "PROMISE",
        [DN_PROMISED] = "promised",
        [DN_SETTLE] = "SETTLE",
        [DN_SETTLED] = "settled",
    };
    return names[kind];
}

static struct sim_msg *msg_copy(const struct sim_msg *msg)
{
    struct nn_msg *copy = mem_alloc(sizeof(*copy));
    BUG_ON(!copy);
    memcpy(copy, CONTAINER_OF(msg, struct nn_msg, head), sizeof(*copy));
    return &copy->head;
}

struct nn_msg *nn_msg_new(enum nn_msg_kind kind)
{
    struct nn_msg *msg = mem_calloc(1, sizeof(*msg));
    BUG_ON(!msg);
    msg->kind = kind;
    msg->head = (struct sim_msg){.name = nn_msg_name(kind), .copy = msg_copy};
    return msg;
}
