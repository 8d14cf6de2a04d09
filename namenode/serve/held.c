/* SPDX-License-Identifier: Apache-2.0 */
#include "namenode/serve/held.h"

#include "libcommon/base/fault.h"

/* In the call's arena. */
struct waiting {
    struct list link;
    struct rpc_call *call;
    uint64_t index;
    const void *answer;
    const char *why; /* with code */
    int code;
};

void nn_held_init(struct nn_held *held)
{
    *held = (struct nn_held){0};
    list_init(&held->queue);
}

static void tell(const struct waiting *w)
{
    if (rpc_call_method(w->call)->flags & MSG_RECORDED)
        fault_hit("nn.answer"); /* durable, and nobody was told */
    if (w->code != 0)
        rpc_fail(w->call, w->code, "%s", w->why);
    else
        rpc_answer(w->call, w->answer);
}

static struct waiting *hold(struct nn_held *held, uint64_t index, struct rpc_call *call)
{
    struct waiting *w = arena_calloc(rpc_call_arena(call), 1, sizeof(*w));
    if (!w) {
        rpc_fail(call, ERR_NOMEM, "out of memory");
        return NULL;
    }
    w->call = call;
    w->index = index;
    list_push_back(&held->queue, &w->link);
    held->count++;
    return w;
}

static void unhold(struct nn_held *held, struct waiting *w)
{
    list_remove(&w->link);
    held->count--;
}

void nn_held_answer(struct nn_held *held, uint64_t index, struct rpc_call *call, const void *answer)
{
    if (index <= held->durable && list_is_empty(&held->queue)) {
        rpc_answer(call, answer);
        return;
    }
    struct waiting *w = hold(held, index, call);
    if (!w || !answer)
        return;
    uint32_t size = rpc_call_method(call)->answer->size;
    void *copy = arena_alloc(rpc_call_arena(call), size);
    if (copy)
        w->answer = memcpy(copy, answer, size);
    else {
        w->code = ERR_NOMEM;
        w->why = "out of memory";
    }
}

void nn_held_fail(struct nn_held *held, uint64_t index, struct rpc_call *call,
                  const struct err *err)
{
    if (index <= held->durable && list_is_empty(&held->queue)) {
        rpc_fail_err(call, err);
        return;
    }
    struct waiting *w = hold(held, index, call);
    if (!w)
        return;
    const char *why = slice_text(slice_str(err->msg), rpc_call_arena(call));
    w->code = err->code;
    w->why = why ? why : err_text(err->code);
}

void nn_held_release_to(struct nn_held *held, uint64_t durable)
{
    if (durable > held->durable)
        held->durable = durable;
    while (!list_is_empty(&held->queue)) {
        struct waiting *w = list_first(&held->queue, struct waiting, link);
        if (w->index > held->durable)
            return;
        unhold(held, w);
        tell(w);
    }
}

void nn_held_drop_all(struct nn_held *held)
{
    while (!list_is_empty(&held->queue)) {
        struct waiting *w = list_first(&held->queue, struct waiting, link);
        unhold(held, w);
        rpc_fail(w->call, ERR_CLOSED, "the namenode is stopping");
    }
}
