/* SPDX-License-Identifier: Apache-2.0 */
#include "namenode/blocks/report.h"

const char *nn_verdict_name(enum nn_verdict verdict)
{
    static const char *const names[] = {"GOOD",       "OPEN",      "LAGGING", "BAD_STAMP",
                                        "BAD_LENGTH", "BAD_STATE", "SUSPECT", "DELETE"};
    return (size_t)verdict < ARRAY_LEN(names) ? names[verdict] : "?";
}

static enum nn_verdict judge_complete(const struct nn_block *block, const struct nn_said *said)
{
    if (said->gs > block->gs)
        return NN_VERDICT_SUSPECT;
    switch (said->state) {
    case NN_REPLICA_FINALIZED:
        return said->len == block->len ? NN_VERDICT_GOOD : NN_VERDICT_BAD_LENGTH;
    case NN_REPLICA_RBW:
    case NN_REPLICA_RUR:
        return NN_VERDICT_LAGGING;
    case NN_REPLICA_RWR:
        break;
    }
    return NN_VERDICT_BAD_STATE;
}

enum nn_verdict nn_report_judge(const struct nn_block *block, uint64_t highest_id,
                                const struct nn_said *said)
{
    if (!block)
        return said->id > highest_id ? NN_VERDICT_SUSPECT : NN_VERDICT_DELETE;
    if (said->gs < block->gs)
        return NN_VERDICT_BAD_STAMP;
    if (block->state == NN_BLOCK_COMPLETE)
        return judge_complete(block, said);
    if (block->state == NN_BLOCK_COMMITTED && said->gs == block->gs &&
        said->state == NN_REPLICA_FINALIZED && said->len == block->len)
        return NN_VERDICT_GOOD;
    return NN_VERDICT_OPEN;
}

void nn_report_release(struct nn_report *report)
{
    bitset_release(&report->seen);
    *report = (struct nn_report){0};
}

int nn_report_begin_page(struct nn_report *report, const struct nn_report_page *page)
{
    for (size_t i = 0; i < page->count; i++)
        if (page->states[i] > NN_REPLICA_RUR)
            return ERR_INVAL;
    if (page->page == 0) {
        nn_report_release(report);
        report->id = page->report_id;
        report->is_running = true;
    }
    if (!report->is_running || report->id != page->report_id || report->next_page != page->page) {
        nn_report_release(report);
        return ERR_STALE;
    }
    report->next_page++;
    return 0;
}
