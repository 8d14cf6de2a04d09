/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/namenode/serve/served.h"

#include "libcommon/daemon/options.h"

/* ---- the journal ---- */

struct nn_journal the_journal;

void served_flush(void)
{
    if (the_journal.durable == the_journal.last)
        return;
    the_journal.durable = the_journal.last;
    the_journal.options.on_durable(the_journal.options.arg, the_journal.durable);
}

static void journal_turn_end(void *arg)
{
    (void)arg;
    if (the_journal.fail_from) {
        the_journal.has_failed |= mem_has_failed();
        mem_fail_from(0);
    }
    if (!the_journal.is_held)
        served_flush();
}

int nn_journal_open(const struct nn_journal_options *options, struct nn_journal **ret,
                    struct err *err)
{
    (void)err;
    the_journal = (struct nn_journal){.options = *options, .is_open = true};
    loop_on_turn_end(options->loop, &the_journal.hook, journal_turn_end, NULL);
    *ret = &the_journal;
    return 0;
}
void nn_journal_close(struct nn_journal *journal)
{
    if (journal)
        loop_hook_remove(&journal->hook);
}
void nn_journal_stop(struct nn_journal *journal, loop_fn *stopped, void *arg)
{
    (void)journal;
    served_flush();
    stopped(arg);
}
const char *nn_journal_cluster_id(const struct nn_journal *journal)
{
    (void)journal;
    return "test-cluster";
}
int nn_journal_append(struct nn_journal *journal, uint16_t type, struct slice payload,
                      uint64_t *ret_index, struct err *err)
{
    if (journal->is_full)
        return err_set(err, ERR_NOSPC, "no room");
    *ret_index = ++journal->last;
    if (journal->on_record)
        journal->on_record(journal->last, type, payload);
    if (journal->fail_from)
        mem_fail_from(journal->fail_from);
    return 0;
}
uint64_t nn_journal_durable(const struct nn_journal *journal)
{
    return journal->durable;
}
uint64_t nn_journal_last(const struct nn_journal *journal)
{
    return journal->last;
}
int nn_journal_checkpoint(struct nn_journal *journal, nn_journal_done_fn *done, void *arg,
                          struct err *err)
{
    (void)journal;
    (void)err;
    done(arg, NULL);
    return 0;
}
size_t nn_journal_dirs(const struct nn_journal *journal, struct nn_journal_dir *ret, size_t cap)
{
    (void)journal;
    (void)ret;
    (void)cap;
    return 0;
}
uint64_t nn_journal_image_index(const struct nn_journal *journal)
{
    (void)journal;
    return 0;
}
bool nn_journal_image_is_fresh(const struct nn_journal *journal, uint64_t window_ms,
                               uint64_t records)
{
    (void)journal, (void)window_ms, (void)records;
    return false;
}
uint64_t nn_journal_roll(struct nn_journal *journal)
{
    return nn_journal_last(journal) + 1;
}
bool nn_journal_is_full(const struct nn_journal *journal)
{
    return journal->is_full;
}
int nn_journal_set_dirs(struct nn_journal *journal, const char *const *paths, size_t count,
                        nn_journal_done_fn *done, void *arg, struct err *err)
{
    (void)journal;
    (void)paths;
    (void)count;
    (void)done;
    (void)arg;
    return err_set(err, ERR_UNSUPPORTED, "not here");
}
void nn_journal_restore(struct nn_journal *journal)
{
    (void)journal;
}
void nn_journal_set_restore(struct nn_journal *journal, bool is_on)
{
    (void)journal;
    (void)is_on;
}
int nn_journal_pages(struct nn_journal *journal, struct nn_pages *pages)
{
    (void)journal;
    pages->done(pages);
    return 0;
}

bool nn_journal_wants_restore(const struct nn_journal *journal)
{
    (void)journal;
    return false;
}
int nn_journal_format(const struct nn_journal_format *format, struct err *err)
{
    (void)format;
    return err_set(err, ERR_UNSUPPORTED, "not here");
}

/* ---- the namenode and those who talk to it ---- */

struct err served_err;

void served_set(struct served *s, const char *key, const char *value)
{
    struct err err;
    if (conf_set(s->conf, key, value, CONF_FROM_DEFINE, &err) != 0)
        fail_msg("%s", err.msg);
}

static void served_done(void *arg, int code, const void *answer, const struct err *err)
{
    struct served_answer *a = arg;
    a->is_done = true;
    a->code = code;
    if (code == 0)
        msg_encode(a->desc, answer, &a->bytes);
    else
        a->err = *err;
}

void served_send(struct rpc_link *link, const struct msg_method *method, const void *ask,
                 uint32_t timeout_ms, struct served_call *call)
{
    *call = (struct served_call){.answer = {.desc = method->answer}};
    call->wait.done = served_done;
    call->wait.arg = &call->answer;
    call->wait.timeout_ms = timeout_ms;
    rpc_link_ask(link, method, ask, &call->wait);
}

bool served_wait(struct served *s, struct served_call *call, uint64_t limit_ms)
{
    uint64_t until = clock_mono_ms() + limit_ms;
    while (!call->answer.is_done && clock_mono_ms() < until)
        loop_turn(s->loop, 5);
    return call->answer.is_done;
}

int served_ask(struct served *s, struct rpc_link *link, const struct msg_method *method,
               const void *ask, void *ret)
{
    struct served_call call;
    served_send(link, method, ask, 5000, &call);
    if (!served_wait(s, &call, 6000))
        fail_msg("%s was not answered", method->name);
    if (call.answer.code == 0 && ret) {
        void *copy = arena_alloc(&s->arena, call.answer.bytes.len + 1);
        memcpy(copy, call.answer.bytes.data, call.answer.bytes.len);
        assert_int_equal(msg_decode(method->answer, slice_of(copy, call.answer.bytes.len),
                                    &s->arena, ret, &served_err),
                         0);
    }
    served_err = call.answer.err;
    buf_release(&call.answer.bytes);
    return call.answer.code;
}

struct rpc_link *served_link(struct served *s, const struct identity *self)
{
    struct rpc_conf conf = {.self = self, .retry_min_ms = 1, .retry_max_ms = 10};
    struct rpc_link *link = NULL;
    struct err err;
    if (rpc_link_open(s->loop, rpc_server_address(s->nn->server), &conf, &link, &err) != 0)
        fail_msg("%s", err.msg);
    while (!rpc_link_peer(link))
        loop_turn(s->loop, 5);
    return link;
}

void served_conf(struct served *s)
{
    struct err err;
    *s = (struct served){0};
    s->conf = conf_new();
    assert_int_equal(options_register(s->conf, &err), 0);
    served_set(s, "dfs.namenode.rpc-address", "127.0.0.1:0");
    served_set(s, "dfs.namenode.safemode.extension", "0");
    served_set(s, "dfs.namenode.redundancy.settle", "0");
    served_set(s, "dfs.replication", "1");
    served_set(s, "hadoop.user.group.static.mapping.overrides", "alice=staff;bob=;eve=supergroup");
}

void served_start(struct served *s, const char *user)
{
    struct err err = {0};
    s->loop = loop_new(&err);
    s->nn = mem_calloc(1, sizeof(*s->nn));
    s->nn->conf = s->conf;
    s->nn->loop = s->loop;
    s->nn->node_name = "nn";
    if (namenode_open(s->nn, &err) != 0)
        fail_msg("%s", err.msg);
    s->me = (struct identity){.role = WIRE_CLIENT, .user = user, .node = "here"};
    s->node = (struct identity){.role = WIRE_DATANODE, .user = "dn", .node = "dn1"};
    s->client = served_link(s, &s->me);
    s->datanode = served_link(s, &s->node);
    while (nn_safemode_is_on(&s->nn->blocks.safemode))
        loop_turn(s->loop, 5);
}

void served_stop(struct served *s)
{
    rpc_link_close(s->client);
    rpc_link_close(s->datanode);
    namenode_release(s->nn);
    for (int i = 0; i < 5; i++)
        loop_turn(s->loop, 1);
    loop_free(s->loop);
    conf_free(s->conf);
    arena_release(&s->arena);
}
