/* SPDX-License-Identifier: Apache-2.0 */
#include "namenode/safemode.h"

#define MILLION 1000000ULL

const char *nn_safemode_state_name(enum nn_safemode_state state)
{
    static const char *const names[] = {"off", "waiting", "extending", "manual"};
    return (size_t)state < ARRAY_LEN(names) ? names[state] : "?";
}

void nn_safemode_init(struct nn_safemode *sm, uint32_t threshold_ppm, uint32_t min_nodes,
                      uint64_t extension_ms)
{
    *sm = (struct nn_safemode){
        .threshold_ppm = threshold_ppm,
        .min_nodes = min_nodes,
        .extension_ms = extension_ms,
        .state = NN_SAFEMODE_WAITING,
    };
}

void nn_safemode_note_newer(struct nn_safemode *sm)
{
    sm->has_newer = true;
    if (nn_safemode_is_behind(sm))
        sm->state = NN_SAFEMODE_MANUAL;
}

void nn_safemode_force(struct nn_safemode *sm)
{
    sm->is_forced = true;
    nn_safemode_leave(sm);
}

/* Blocks that must be safe: the threshold's share of all, rounded down as Hadoop does, but at least
 * one if there is any: a filesystem with one block does not open without it. */
static uint64_t needed(const struct nn_safemode *sm, uint64_t total)
{
    uint64_t need =
        total / MILLION * sm->threshold_ppm + total % MILLION * sm->threshold_ppm / MILLION;
    return need == 0 && total > 0 && sm->threshold_ppm > 0 ? 1 : need;
}

static bool is_enough(const struct nn_safemode *sm, const struct nn_safemode_figures *f)
{
    return f->safe >= needed(sm, f->total) && f->nodes >= sm->min_nodes;
}

bool nn_safemode_step(struct nn_safemode *sm, const struct nn_safemode_figures *now_known,
                      uint64_t now_ms)
{
    if (sm->state == NN_SAFEMODE_OFF || sm->state == NN_SAFEMODE_MANUAL)
        return false;
    if (!is_enough(sm, now_known)) {
        sm->state = NN_SAFEMODE_WAITING;
        return false;
    }
    if (sm->state == NN_SAFEMODE_WAITING) {
        sm->state = NN_SAFEMODE_EXTENDING;
        sm->extending_until_ms = now_ms + sm->extension_ms;
    }
    if (now_ms < sm->extending_until_ms)
        return false;
    sm->state = NN_SAFEMODE_OFF;
    return true;
}

void nn_safemode_enter(struct nn_safemode *sm, const char *reason)
{
    sm->state = NN_SAFEMODE_MANUAL;
    snprintf(sm->reason, sizeof(sm->reason), "%s", reason ? reason : "It was turned on manually");
}

void nn_safemode_leave(struct nn_safemode *sm)
{
    if (nn_safemode_is_behind(sm))
        return;
    sm->state = NN_SAFEMODE_OFF;
    sm->reason[0] = '\0';
}

static void why_blocks(const struct nn_safemode *sm, const struct nn_safemode_figures *f,
                       struct buf *out)
{
    uint64_t need = needed(sm, f->total);
    double threshold = (double)sm->threshold_ppm / (double)MILLION;
    if (f->safe < need)
        buf_printf(out,
                   "The reported blocks %llu needs additional %llu blocks to reach the threshold "
                   "%.4f of total blocks %llu.",
                   (unsigned long long)f->safe, (unsigned long long)(need - f->safe), threshold,
                   (unsigned long long)f->total);
    else
        buf_printf(out,
                   "The reported blocks %llu has reached the threshold %.4f of total blocks %llu.",
                   (unsigned long long)f->safe, threshold, (unsigned long long)f->total);
}

static void why_nodes(const struct nn_safemode *sm, const struct nn_safemode_figures *f,
                      struct buf *out)
{
    if (f->nodes < sm->min_nodes)
        buf_printf(
            out,
            " The number of live datanodes %u needs an additional %u live datanodes to reach "
            "the minimum number %u.",
            f->nodes, sm->min_nodes - f->nodes, sm->min_nodes);
    else
        buf_printf(out, " The number of live datanodes %u has reached the minimum number %u.",
                   f->nodes, sm->min_nodes);
}

void nn_safemode_why(const struct nn_safemode *sm, const struct nn_safemode_figures *now_known,
                     uint64_t now_ms, struct buf *out)
{
    if (sm->state == NN_SAFEMODE_OFF)
        return;
    if (nn_safemode_is_behind(sm)) {
        buf_append_str(out,
                       "Datanodes hold blocks that were never given out here: the name "
                       "directory is older than they are, perhaps a backup. Put the right one "
                       "back, or give these blocks up by \"quern admin -safemode forceExit\".");
        return;
    }
    if (sm->state == NN_SAFEMODE_MANUAL) {
        buf_printf(out, "%s. Use \"quern admin -safemode leave\" to turn safe mode off.",
                   sm->reason);
        return;
    }
    why_blocks(sm, now_known, out);
    why_nodes(sm, now_known, out);
    if (sm->state == NN_SAFEMODE_EXTENDING && sm->extending_until_ms > now_ms)
        buf_printf(out,
                   " In safe mode extension. Safe mode will be turned off automatically in "
                   "%llu seconds.",
                   (unsigned long long)((sm->extending_until_ms - now_ms + 999) / 1000));
    else
        buf_append_str(out, " Safe mode will be turned off automatically once the thresholds have "
                            "been reached.");
}
