/* SPDX-License-Identifier: Apache-2.0 */
#include "client/job/check.h"

#include "client/job/task_child.h"
#include "libcommon/proto/task/messages.h"

static int add_paths(const struct input_paths *paths, struct arena *arena, struct task_run *run)
{
    struct task_segment *all = arena_calloc(arena, paths->n + 1, sizeof(*all));
    for (size_t i = 0; all && i < paths->n; i++)
        all[i] =
            (struct task_segment){.path = slice_str(paths->v[i].path), .input = paths->v[i].input};
    run->input = (struct task_segment_list){all, all ? paths->n : 0};
    return all ? 0 : ERR_NOMEM;
}

int job_check(const struct job_plugin *plugin, const struct job_call *call, struct err *err)
{
    struct task_run run = {.job_name = plugin->probe.name,
                           .plugin = slice_str(plugin->path),
                           .conf = call->settings,
                           .partitions = 1,
                           .maps = 1};
    struct arena arena = ARENA_INIT;
    struct buf order = BUF_INIT, nothing = BUF_INIT;
    if (!plugin->probe.has_check)
        return 0;
    if (call->sides)
        run.sides = *call->sides;
    int rc = call->paths ? add_paths(call->paths, &arena, &run) : 0;
    msg_encode(&task_run_desc, &run, &order);
    const struct task_child child = {.option = "-check",
                                     .input = buf_slice(&order),
                                     .doing = "while it looked at how it was called",
                                     .name = plugin->path};
    rc = rc != 0 || buf_failed(&order) ? err_set(err, ERR_NOMEM, "out of memory")
                                       : task_child_ask(&child, &nothing, err);
    if (rc == ERR_PLUGIN)
        rc = err->code = ERR_CONFIG;
    buf_release(&order);
    buf_release(&nothing);
    arena_release(&arena);
    return rc;
}

/* -D key=value, -Dkey=value, -file PATH[#NAME], -input NAME=PATH */
static int take_words(const struct job_words *words, struct msg_pair_list *settings,
                      struct side_words *sides, const char **named, size_t *ret_named,
                      struct err *err)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < words->passed_count; i++) {
        const char *word = words->passed[i] + 1 + (words->passed[i][1] == '-');
        const char *value = word[0] == 'D' && word[1] ? word + 1 : words->passed[++i];
        const char *equals = strchr(value, '=');
        if (word[0] == 'D' && equals)
            settings->v[settings->n++] =
                (struct msg_pair){slice_of(value, (size_t)(equals - value)), slice_str(equals + 1)};
        else if (strcmp(word, "file") == 0)
            rc = side_words_add(sides, value, false, err);
        else if (strcmp(word, "input") == 0)
            named[(*ret_named)++] = value;
    }
    return rc;
}

int job_check_words(const struct job_plugin *plugin, const struct job_words *words, struct err *err)
{
    struct arena arena = ARENA_INIT;
    struct side_words sides = {0};
    struct task_side_list side_list = {0};
    struct input_paths paths = {0};
    struct input_words inputs = {.plain = words->inputs, .plain_count = words->input_count};
    struct msg_pair_list settings = {
        arena_calloc(&arena, words->passed_count + 1, sizeof(*settings.v)), 0};
    const char **named = arena_calloc(&arena, words->passed_count + 1, sizeof(*named));
    int rc = settings.v && named
                 ? take_words(words, &settings, &sides, named, &inputs.named_count, err)
                 : err_set(err, ERR_NOMEM, "out of memory");
    inputs.named = named;
    if (rc == 0 && !plugin->probe.has_rows)
        rc = input_paths_sort_out(&plugin->probe, &inputs, &arena, &paths, err);
    if (rc == 0)
        rc = job_sides_look(&sides, UINT64_MAX, &arena, &side_list, err);
    if (rc == 0)
        rc = job_check(plugin, &(struct job_call){settings, &paths, &side_list}, err);
    side_words_release(&sides);
    arena_release(&arena);
    return rc;
}
