/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "jobs/stream/environment.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What an environment's name cannot have is '_'. */
static int put_variable(const char *name, size_t len, const char *value)
{
    char *plain = strndup(name, len);
    if (!plain)
        return -1;
    for (char *p = plain; *p; p++)
        if (!((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9')))
            *p = '_';
    int rc = *plain ? setenv(plain, value, 1) : 0;
    free(plain);
    return rc;
}

/* -cmdenv: NAME=VALUE, one a line; or, from Hadoop's own key, with blanks between. */
static int put_given(const char *list)
{
    const char *ends = strchr(list, '\n') ? "\n" : " ";
    int rc = 0;
    while (rc == 0 && *list) {
        size_t len = strcspn(list, ends);
        const char *eq = (const char *)memchr(list, '=', len);
        char *value = eq ? strndup(eq + 1, len - (size_t)(eq + 1 - list)) : NULL;
        if (eq)
            rc = value ? put_variable(list, (size_t)(eq - list), value) : -1;
        free(value);
        list += len + (list[len] != 0);
    }
    return rc;
}

static int put_path(void)
{
    const char *old = getenv("PATH");
    char *here = getcwd(NULL, 0), *path = NULL;
    int rc = here && asprintf(&path, "%s:%s", here, old ? old : "/usr/bin:/bin") > 0
                 ? setenv("PATH", path, 1)
                 : -1;
    free(here);
    free(path);
    return rc;
}

/* Under its name, and under the one it had before Hadoop 0.21, as old scripts ask for it. */
static int put_setting(const char *name, const char *value)
{
    static const char *const old[][2] = {
        {"mapreduce.job.id", "mapred_job_id"},
        {"mapreduce.job.name", "mapred_job_name"},
        {"mapreduce.job.reduces", "mapred_reduce_tasks"},
        {"mapreduce.task.id", "mapred_tip_id"},
        {"mapreduce.task.attempt.id", "mapred_task_id"},
        {"mapreduce.task.partition", "mapred_task_partition"},
        {"mapreduce.task.ismap", "mapred_task_is_map"},
        {"mapreduce.map.input.file", "map_input_file"},
        {"mapreduce.map.input.start", "map_input_start"},
        {"mapreduce.map.input.length", "map_input_length"},
    };
    int rc = put_variable(name, strlen(name), value);
    for (size_t i = 0; rc == 0 && i < sizeof(old) / sizeof(*old); i++)
        if (strcmp(old[i][0], name) == 0)
            rc = setenv(old[i][1], value, 1);
    return rc;
}

static int put_number(const char *name, uint64_t number)
{
    char text[32];
    snprintf(text, sizeof(text), "%llu", (unsigned long long)number);
    return put_setting(name, text);
}

/* A setting no longer than stream.jobconf.truncate.limit allows. */
static int put_short(const char *name, const char *value, long limit)
{
    char *cut = limit >= 0 && strlen(value) > (size_t)limit ? strndup(value, (size_t)limit) : NULL;
    int rc = put_setting(name, cut ? cut : value);
    free(cut);
    return rc;
}

int environment_fill(struct qn_task *task)
{
    const char *name, *value;
    long limit = strtol(qn_option(task, "stream.jobconf.truncate.limit"), NULL, 10);
    int rc = put_path();
    for (uint32_t i = 0; rc == 0 && (value = qn_setting_at(task, i, &name)) != NULL; i++)
        rc = put_short(name, value, limit);
    return rc == 0 ? put_given(qn_option(task, "stream.addenvironment")) : rc;
}

int environment_fill_input(const struct qn_input *input)
{
    int rc = put_setting("mapreduce.map.input.file", input->path);
    rc = rc ? rc : put_number("mapreduce.map.input.start", input->split_offset);
    return rc ? rc : put_number("mapreduce.map.input.length", input->split_length);
}
