/* SPDX-License-Identifier: Apache-2.0
 * setrep, with -w until every block has as many replicas as asked for. */
#include <inttypes.h>
#include <unistd.h>

#include "client/fs/commands.h"
#include "client/fs/later.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/str.h"

#define POLL_MS       10000
#define FIRST_POLL_MS 100

struct setrep {
    uint32_t replication;
    struct fs_items waiting;
};

static int setrep_begin(struct fs_run *run)
{
    struct setrep *state = run->state;
    const char *text = fs_shift_operand(run);
    run->recursive = true;
    int64_t n = 0;
    bool is_number = str_to_i64(text, &n) == 0 && n >= INT32_MIN && n <= INT32_MAX;
    if (!is_number || n > INT16_MAX || n < INT16_MIN) {
        fs_warn(run, "Illegal replication, a positive integer expected");
        if (is_number)
            return fs_bad_usage(run, "Value out of range. Value:\"%s\" Radix:10", text);
        return fs_bad_usage(run, "For input string: \"%s\"", text);
    }
    if (n < 1)
        return fs_bad_usage(run, "replication must be >= 1");
    state->replication = (uint32_t)n;
    return 0;
}

static int remember(struct fs_run *run, const struct fs_item *item)
{
    struct setrep *state = run->state;
    struct fs_item *copy = fs_items_add(&state->waiting);
    struct qn_error err;
    if (!copy || fs_item_suffix(copy, item, "", &err) != 0)
        return fs_fail(run, "%s", err_text(ERR_NOMEM));
    return 0;
}

static void setrep_ask(struct fs_run *run, struct fs_item *item, struct fs_answer *ret)
{
    const struct setrep *state = run->state;
    if (item->volume->qn) /* a local file has the one, whatever is asked for */
        ret->rc = qn_set_replication(item->volume->qn, item->path, state->replication, &ret->err);
}

static int setrep_tell(struct fs_run *run, struct fs_item *item, const struct fs_answer *answer)
{
    const struct setrep *state = run->state;
    if (answer->rc != 0)
        return fs_fail_error(run, item->text, &answer->err);
    printf("Replication %" PRIu32 " set: %s\n", state->replication, item->text);
    return fs_has(run, "w") && item->volume->qn ? remember(run, item) : 0;
}

static int setrep_path(struct fs_run *run, struct fs_item *item)
{
    static const struct fs_request request = {setrep_ask, setrep_tell};
    return item->stat.is_dir ? 0 : fs_later(run, item, &request);
}

/* 1 = every block has its replicas; else 0, with the first number that differs. */
static int is_replicated(struct fs_run *run, const struct fs_item *item, uint32_t *ret_now)
{
    struct setrep *state = run->state;
    struct qn_error err;
    struct qn_blocks blocks;
    if (qn_locations(item->volume->qn, item->path, 0, UINT64_MAX, &blocks, &err) != 0) {
        fs_fail_error(run, item->text, &err);
        return -1;
    }
    int done = 1;
    for (size_t i = 0; done && i < blocks.count; i++) {
        *ret_now = blocks.blocks[i].node_count;
        done = *ret_now == state->replication;
    }
    qn_blocks_release(&blocks);
    return done;
}

static void wait_for(struct fs_run *run, const struct fs_item *item)
{
    struct setrep *state = run->state;
    bool warned = false;
    uint32_t now = 0, pause = FIRST_POLL_MS;
    printf("Waiting for %s ...", item->text);
    for (;;) {
        fflush(stdout);
        int done = is_replicated(run, item, &now);
        if (done < 0 || fs_is_interrupted())
            return;
        if (done)
            break;
        if (now > state->replication && !warned) {
            printf("\nWARNING: the waiting time may be long for DECREASING the number of "
                   "replications.\n");
            warned = true;
        }
        /* A small cluster is there at once: look soon first, then as rarely as people know it. */
        usleep(pause * 1000);
        if (pause == POLL_MS)
            putchar('.');
        pause = pause * 2 < POLL_MS ? pause * 2 : POLL_MS;
    }
    printf(" done\n");
}

static void setrep_end(struct fs_run *run)
{
    struct setrep *state = run->state;
    for (size_t i = 0; i < state->waiting.n && !fs_is_interrupted(); i++)
        wait_for(run, &state->waiting.v[i]);
    fs_items_release(&state->waiting);
}

static const struct fs_option options[] = {
    {"w", NULL,
     "It requests that the command waits for the replication to complete. This can potentially "
     "take a very long time."},
    {"R", NULL, "It is accepted for backwards compatibility. It has no effect."},
    {NULL, NULL, NULL},
};

const struct fs_command fs_setrep = {
    .name = "setrep",
    .usage = "[-R] [-w] <rep> <path> ...",
    .help = "Set the replication level of a file. If <path> is a directory then the command "
            "recursively changes the replication factor of all files under the directory tree "
            "rooted at <path>. The EC files will be ignored here.\n",
    .syntax = {options, 2, FS_NO_LIMIT, false},
    .state_size = sizeof(struct setrep),
    .begin = setrep_begin,
    .path = setrep_path,
    .end = setrep_end,
};
