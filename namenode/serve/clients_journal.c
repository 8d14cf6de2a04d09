/* SPDX-License-Identifier: Apache-2.0
 * clients_journal: image and log as files, for -fetchImage and for a namenode that begins as a copy
 * of this one. They show every name there is: only superusers get them. */
#include "libcommon/base/mem.h"
#include "namenode/serve/turn.h"

struct asking {
    struct nn_pages pages;
    struct rpc_call *call;
};

static void answer_pages(struct nn_pages *pages)
{
    struct asking *a = pages->arg;
    if (pages->err.code != 0)
        rpc_fail_err(a->call, &pages->err);
    else if (pages->name)
        rpc_answer(a->call, &pages->bytes);
    else
        rpc_answer(a->call, &pages->files);
}

/* In the call's arena: it lives until the call is answered. */
static int start(struct nn_turn *turn, struct rpc_call *call, const struct cl2nn_journal_page *page)
{
    struct arena *arena = rpc_call_arena(call);
    struct asking *a = arena_calloc(arena, 1, sizeof(*a));
    const char *name = slice_text(page ? page->name : slice_str(""), arena);
    if (!a || !name)
        return err_set(&turn->err, ERR_NOMEM, "out of memory");
    a->call = call;
    a->pages.arena = arena;
    a->pages.done = answer_pages;
    a->pages.arg = a;
    a->pages.files.cluster_id = slice_str(turn->nn->identity.cluster);
    if (page) {
        a->pages.name = name;
        a->pages.offset = page->offset;
    }
    int rc = nn_journal_pages(turn->nn->journal, &a->pages);
    return rc == 0 ? 0 : err_set(&turn->err, rc, "out of memory");
}

void nn_on_JOURNAL_FILES(struct rpc_call *call, const void *ask, void *arg)
{
    struct nn_turn turn;
    (void)ask;
    nn_turn_begin(&turn, call, arg, "fetchImage", slice_of(NULL, 0));
    int rc = nn_turn_check_super(&turn);
    if (rc == 0)
        rc = start(&turn, call, NULL);
    if (rc != 0)
        nn_turn_end(&turn, rc, NULL);
}

void nn_on_JOURNAL_PAGE(struct rpc_call *call, const void *ask, void *arg)
{
    struct nn_turn turn;
    nn_turn_begin(&turn, call, arg, "fetchImage", slice_of(NULL, 0));
    int rc = nn_turn_check_super(&turn);
    if (rc == 0)
        rc = start(&turn, call, ask);
    if (rc != 0)
        nn_turn_end(&turn, rc, NULL);
}
