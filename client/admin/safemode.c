/* SPDX-License-Identifier: Apache-2.0
 * -safemode: in, out, is it on, wait until it is off. */
#include <strings.h>
#include <unistd.h>

#include "client/admin/commands.h"

#define WAIT_POLL_MS 500U

static int ask(struct session *session, uint32_t action, bool *ret_on)
{
    struct arena arena = ARENA_INIT;
    struct cl2nn_safemode_state state = {0};
    const struct cl2nn_safemode wish = {.action = action};
    int rc = admin_ask(session, "safemode", CL2NN_AT_SAFEMODE, &wish, &arena, &state);
    *ret_on = state.is_on;
    arena_release(&arena);
    return rc;
}

int admin_safemode(struct session *session, int argc, char **argv)
{
    static const struct {
        const char *word;
        uint32_t action;
    } actions[] = {
        {"enter", CL2NN_SAFEMODE_ENTER},
        {"leave", CL2NN_SAFEMODE_LEAVE},
        {"get", CL2NN_SAFEMODE_GET},
        {"wait", CL2NN_SAFEMODE_GET},
        {"forceExit", CL2NN_SAFEMODE_FORCE_EXIT},
    };
    bool is_on = false;
    size_t i = 0;
    (void)argc;
    while (i < ARRAY_LEN(actions) && strcasecmp(argv[1], actions[i].word) != 0)
        i++;
    if (i == ARRAY_LEN(actions))
        return ADMIN_USAGE;
    int rc = ask(session, actions[i].action, &is_on);
    while (rc == 0 && is_on && strcmp(actions[i].word, "wait") == 0) {
        usleep(WAIT_POLL_MS * 1000);
        rc = ask(session, CL2NN_SAFEMODE_GET, &is_on);
    }
    if (rc == 0)
        printf("Safe mode is %s\n", is_on ? "ON" : "OFF");
    return rc;
}
