/* SPDX-License-Identifier: Apache-2.0
 * clients_image: what administrators ask of image and journal: an image now, a new segment. Copies
 * are in clients_journal. */
#include "namenode/serve/turn.h"

void nn_on_SAVE_NAMESPACE(struct rpc_call *call, const void *message, void *arg)
{
    const struct cl2nn_save *ask = message;
    const struct cl2nn_yes skipped = {false};
    struct nn_turn turn;
    nn_turn_begin(&turn, call, arg, "saveNamespace", slice_of(NULL, 0));
    int rc = nn_turn_check_super(&turn);
    if (rc == 0 && !nn_safemode_is_on(&turn.nn->blocks.safemode))
        rc = err_set(&turn.err, ERR_INVAL,
                     "Safe mode should be turned ON in order to create namespace image.");
    if (rc == 0 && ask->window_ms &&
        nn_journal_image_is_fresh(turn.nn->journal, ask->window_ms, ask->records)) {
        nn_turn_end(&turn, 0, &skipped);
        return;
    }
    if (rc == 0)
        rc = namenode_checkpoint(turn.nn, call, &turn.err);
    if (rc != 0)
        nn_turn_end(&turn, rc, NULL);
}

void nn_on_ROLL_EDITS(struct rpc_call *call, const void *ask, void *arg)
{
    struct nn_turn turn;
    struct cl2nn_rolled answer = {0};
    (void)ask;
    nn_turn_begin(&turn, call, arg, "rollEditLog", slice_of(NULL, 0));
    int rc = nn_turn_check_super(&turn);
    if (rc == 0 && nn_safemode_is_on(&turn.nn->blocks.safemode))
        rc = err_set(&turn.err, ERR_SAFEMODE, "Log not rolled. Name node is in safe mode.");
    if (rc == 0)
        answer.first_index = nn_journal_roll(turn.nn->journal);
    nn_turn_end(&turn, rc, &answer);
}
