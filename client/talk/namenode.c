/* SPDX-License-Identifier: Apache-2.0 */
#include "client/talk/namenode.h"

#include <unistd.h>

#include "libcommon/base/clock.h"
#include "libcommon/base/fault.h"

#define RETRY_MIN_MS 5
#define RETRY_MAX_MS 1000
#define DIAL_MAX_MS  20000 /* as Hadoop's ipc.client.connect.timeout */

int cl_namenode_open(struct cl_namenode *namenode, struct err *err)
{
    uint32_t timeout_ms = namenode->timeout_ms;
    struct chan_conf conf = {.address = namenode->socket,
                             .self = namenode->self,
                             .role = WIRE_NAMENODE,
                             .timeout_ms = timeout_ms < DIAL_MAX_MS ? timeout_ms : DIAL_MAX_MS};
    if (namenode->socket && chan_open(&conf, &namenode->chan, NULL) == 0)
        return 0; /* half the kernel's work of TCP */
    conf.address = namenode->address;
    return chan_open(&conf, &namenode->chan, err);
}

void cl_namenode_close(struct cl_namenode *namenode)
{
    chan_close(namenode->chan);
    namenode->chan = NULL;
}

#define START_WAIT_MS 20000

/* What a file being written needs: its writer waits for a namenode that is in safe mode as long as
 * for one that is down, instead of losing what he wrote. Other calls wait for START_WAIT_MS while
 * it starts, and not at all when an operator wants it so. */
static bool is_patient(unsigned at)
{
    return at == CL2NN_AT_ADD_BLOCK || at == CL2NN_AT_ABANDON_BLOCK || at == CL2NN_AT_NEW_STAMP ||
           at == CL2NN_AT_UPDATE_PIPELINE || at == CL2NN_AT_FLUSHED || at == CL2NN_AT_COMPLETE ||
           at == CL2NN_AT_APPEND_AGAIN || at == CL2NN_AT_SWITCH;
}

int cl_namenode_ask(struct cl_namenode *namenode, unsigned at, const void *ask, struct arena *arena,
                    void *ret_answer, struct err *err)
{
    const struct msg_method *method = &CL2NN_methods[at];
    uint64_t start_ms = clock_mono_ms(), pause_ms = RETRY_MIN_MS;
    uint64_t deadline_ms = start_ms + namenode->call_ms;
    for (;;) {
        uint64_t now_ms = clock_mono_ms();
        uint32_t left_ms = now_ms < deadline_ms ? (uint32_t)(deadline_ms - now_ms) : 1;
        fault_hit("client.ask");
        int rc = chan_call(namenode->chan, method, ask, arena, ret_answer, left_ms, err);
        bool again = rc == ERR_RETRY || rc == ERR_SAFEMODE;
        if (again && !is_patient(at))
            again = rc == ERR_RETRY && clock_mono_ms() < start_ms + START_WAIT_MS;
        if (!again || clock_mono_ms() + pause_ms >= deadline_ms)
            return rc;
        usleep((useconds_t)pause_ms * 1000);
        pause_ms = pause_ms * 2 < RETRY_MAX_MS ? pause_ms * 2 : RETRY_MAX_MS;
    }
}
