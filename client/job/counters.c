/* SPDX-License-Identifier: Apache-2.0 */
#include "client/job/counters.h"

#define FILES   "File System Counters"
#define TASKS   "Job Counters " /* with the space that Hadoop prints */
#define MAPS    "Map-Reduce Framework"
#define READ_IN "File Input Format Counters "
#define WRITTEN "File Output Format Counters "

/* What Hadoop's classes call them. */
static const struct alias {
    const char *constant, *group, *name;
} aliases[] = {
    {"HDFS_BYTES_READ", FILES, "HDFS: Number of bytes read"},
    {"HDFS_BYTES_WRITTEN", FILES, "HDFS: Number of bytes written"},
    {"FILE_BYTES_WRITTEN", FILES, "FILE: Number of bytes written"},
    {"TOTAL_LAUNCHED_MAPS", TASKS, "Launched map tasks"},
    {"TOTAL_LAUNCHED_REDUCES", TASKS, "Launched reduce tasks"},
    {"NUM_FAILED_MAPS", TASKS, "Failed map tasks"},
    {"NUM_FAILED_REDUCES", TASKS, "Failed reduce tasks"},
    {"NUM_KILLED_MAPS", TASKS, "Killed map tasks"},
    {"NUM_KILLED_REDUCES", TASKS, "Killed reduce tasks"},
    {"DATA_LOCAL_MAPS", TASKS, "Data-local map tasks"},
    {"RACK_LOCAL_MAPS", TASKS, "Rack-local map tasks"},
    {"OTHER_LOCAL_MAPS", TASKS, "Other local map tasks"},
    {"MILLIS_MAPS", TASKS, "Total time spent by all map tasks (ms)"},
    {"MILLIS_REDUCES", TASKS, "Total time spent by all reduce tasks (ms)"},
    {"SPILLED_RECORDS", MAPS, "Spilled Records"},
    {"CPU_MILLISECONDS", MAPS, "CPU time spent (ms)"},
    {"MAP_PHYSICAL_MEMORY_BYTES_MAX", MAPS, "Peak Map Physical memory (bytes)"},
    {"REDUCE_PHYSICAL_MEMORY_BYTES_MAX", MAPS, "Peak Reduce Physical memory (bytes)"},
    {"BYTES_READ", READ_IN, "Bytes Read"},
    {"BYTES_WRITTEN", WRITTEN, "Bytes Written"},
};

static void add(struct msg_counter_list *list, const char *group, const char *name, uint64_t value)
{
    list->v[list->n++] = (struct msg_counter){slice_str(group), slice_str(name), value};
}

static void add_some(struct msg_counter_list *list, const char *group, const char *name,
                     uint64_t value)
{
    if (value)
        add(list, group, name, value);
}

/* --- of the stages --------------------------------------------------------------------------- */

struct sums {
    bool exists;
    uint64_t launched, failed, killed, node_local, rack_local, remote, us, cpu_us;
    uint64_t in_bytes, out_bytes, kept_bytes;
};

static void sum_stage(struct sums *sums, const struct cl2jt_stage *stage)
{
    const struct task_account *a = &stage->account;
    sums->exists = true;
    sums->launched +=
        stage->done + stage->running + stage->failed_attempts + stage->killed_attempts;
    sums->failed += stage->failed_attempts;
    sums->killed += stage->killed_attempts;
    sums->node_local += stage->node_local;
    sums->rack_local += stage->rack_local;
    sums->remote += stage->remote;
    sums->us += stage->times.total;
    sums->cpu_us += a->cpu_us;
    sums->in_bytes += a->in_bytes;
    sums->out_bytes += a->out_bytes;
    sums->kept_bytes += a->run_bytes + a->spilled_bytes;
}

static void add_tasks(struct msg_counter_list *list, const struct sums *map,
                      const struct sums *reduce)
{
    add_some(list, TASKS, "Failed map tasks", map->failed);
    add_some(list, TASKS, "Killed map tasks", map->killed);
    add_some(list, TASKS, "Failed reduce tasks", reduce->failed);
    add_some(list, TASKS, "Killed reduce tasks", reduce->killed);
    add(list, TASKS, "Launched map tasks", map->launched);
    add_some(list, TASKS, "Launched reduce tasks", reduce->launched);
    add_some(list, TASKS, "Other local map tasks", map->remote);
    add_some(list, TASKS, "Data-local map tasks", map->node_local);
    add_some(list, TASKS, "Rack-local map tasks", map->rack_local);
    add(list, TASKS, "Total time spent by all map tasks (ms)", map->us / 1000);
    if (reduce->exists)
        add(list, TASKS, "Total time spent by all reduce tasks (ms)", reduce->us / 1000);
}

static void add_counted(struct msg_counter_list *list, const struct cl2jt_status *status,
                        bool is_engines)
{
    for (size_t i = 0; i < status->counters.n; i++)
        if (slice_is(status->counters.v[i].group, MAPS) == is_engines)
            list->v[list->n++] = status->counters.v[i];
}

int job_counters(const struct cl2jt_status *status, struct arena *arena,
                 struct msg_counter_list *ret)
{
    struct sums map = {0}, reduce = {0};
    *ret = (struct msg_counter_list){
        arena_calloc(arena, status->counters.n + JOB_COUNTERS_OWN, sizeof(*ret->v)), 0};
    if (!ret->v)
        return ERR_NOMEM;
    for (size_t i = 0; i < status->stages.n; i++)
        if (!slice_is(status->stages.v[i].name, "commit"))
            sum_stage(slice_is(status->stages.v[i].name, "map") ? &map : &reduce,
                      &status->stages.v[i]);
    uint64_t written = map.out_bytes + reduce.out_bytes;
    add_some(ret, FILES, "FILE: Number of bytes written", map.kept_bytes + reduce.kept_bytes);
    add(ret, FILES, "HDFS: Number of bytes read", map.in_bytes);
    add(ret, FILES, "HDFS: Number of bytes written", written);
    add_tasks(ret, &map, &reduce);
    add_counted(ret, status, true);
    add(ret, MAPS, "CPU time spent (ms)", (map.cpu_us + reduce.cpu_us) / 1000);
    add_counted(ret, status, false);
    add(ret, READ_IN, "Bytes Read", map.in_bytes);
    add(ret, WRITTEN, "Bytes Written", written);
    return 0;
}

/* --- one of them ----------------------------------------------------------------------------- */

static bool is_named(struct slice name, const char *said)
{
    size_t n = strlen(said), len = name.len;
    while (len && name.data[len - 1] == ' ')
        len--;
    while (n && said[n - 1] == ' ')
        n--;
    return len == n && memcmp(name.data, said, n) == 0;
}

/* MAP_INPUT_RECORDS as "Map input records". */
static bool is_constant(struct slice name, const char *said)
{
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.data[i];
        uint8_t upper = c >= 'a' && c <= 'z' ? (uint8_t)(c - 32) : c == ' ' ? '_' : c;
        if ((uint8_t)said[i] != upper)
            return false;
    }
    return said[name.len] == 0;
}

static const struct alias *alias_of(const char *constant)
{
    for (size_t i = 0; i < ARRAY_LEN(aliases); i++)
        if (strcmp(aliases[i].constant, constant) == 0)
            return &aliases[i];
    return NULL;
}

uint64_t job_counters_value(const struct msg_counter_list *list, const char *group,
                            const char *name)
{
    bool is_class = strstr(group, "Counter") != NULL && strchr(group, ' ') == NULL;
    const struct alias *alias = is_class ? alias_of(name) : NULL;
    for (size_t i = 0; i < list->n; i++) {
        const struct msg_counter *c = &list->v[i];
        bool is_it = alias ? is_named(c->group, alias->group) && is_named(c->name, alias->name)
                     : is_class && slice_is(c->group, MAPS)
                         ? is_constant(c->name, name) || is_named(c->name, name)
                         : is_named(c->group, group) && is_named(c->name, name);
        if (is_it)
            return c->value;
    }
    return 0;
}
