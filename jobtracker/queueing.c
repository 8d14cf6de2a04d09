/* SPDX-License-Identifier: Apache-2.0 */
#include "jobtracker/queueing.h"

#include "jobtracker/record.h"
#include "libcommon/base/str.h"

/* --- the configuration ----------------------------------------------------------------------- */

static struct slice next_word(struct slice *text)
{
    size_t start = 0, end;
    while (start < text->len && text->data[start] == ' ')
        start++;
    for (end = start; end < text->len && text->data[end] != ' ';)
        end++;
    struct slice word = slice_of(text->data + start, end - start);
    *text = slice_of(text->data + end, text->len - end);
    return word;
}

static bool take_number(struct slice text, uint32_t *ret)
{
    uint64_t n = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9' || n > 100000000)
            return false;
        n = n * 10 + text.data[i] - '0';
    }
    *ret = (uint32_t)n;
    return text.len > 0 && n > 0;
}

static bool take_cores(struct slice text, struct jt_queue_conf *conf)
{
    bool is_percent = text.len > 0 && text.data[text.len - 1] == '%';
    text.len -= is_percent;
    return take_number(text, is_percent ? &conf->most_percent : &conf->most_cores) &&
           conf->most_percent <= 100;
}

static bool take_setting(struct slice word, struct jt_queue_conf *conf)
{
    const uint8_t *sign = word.len ? memchr(word.data, '=', word.len) : NULL;
    if (!sign)
        return false;
    struct slice key = slice_of(word.data, (size_t)(sign - word.data));
    struct slice value = slice_of(sign + 1, word.len - key.len - 1);
    if (slice_is(key, "cores"))
        return take_cores(value, conf);
    uint32_t *where = slice_is(key, "weight")    ? &conf->weight
                      : slice_is(key, "running") ? &conf->most_running
                      : slice_is(key, "jobs")    ? &conf->most_jobs
                                                 : NULL;
    return where && take_number(value, where);
}

static int take_queue(const char *text, struct jt_queue_conf *ret, struct err *err)
{
    struct slice left = slice_str(text), word = next_word(&left);
    *ret = (struct jt_queue_conf){.name = word, .weight = 1};
    for (size_t i = 0; i < word.len; i++)
        if (memchr("=%/\"'<>&", word.data[i], 9) || word.data[i] < ' ')
            return err_set(err, ERR_CONFIG, "jobtracker.queues: \"" SLICE_FMT "\" is no name",
                           SLICE_ARG(word));
    while ((word = next_word(&left)).len > 0)
        if (!take_setting(word, ret))
            return err_set(err, ERR_CONFIG,
                           "jobtracker.queues: queue " SLICE_FMT ": \"" SLICE_FMT
                           "\" is not weight=N, cores=N, cores=N%%, running=N or jobs=N",
                           SLICE_ARG(ret->name), SLICE_ARG(word));
    return 0;
}

int queueing_configure(struct jt_queues *queues, const struct conf *conf, struct err *err)
{
    struct jt_queue_conf confs[JT_QUEUES_MAX];
    struct conf_list list = conf_list(conf, "jobtracker.queues");
    int rc = 0;
    if (list.count >= JT_QUEUES_MAX)
        return err_set(err, ERR_CONFIG, "jobtracker.queues: at most %d queues", JT_QUEUES_MAX - 1);
    for (size_t i = 0; rc == 0 && i < list.count; i++) {
        rc = take_queue(list.items[i], &confs[i], err);
        for (size_t k = 0; rc == 0 && k < i; k++)
            if (slice_eq(confs[k].name, confs[i].name))
                rc = err_set(err, ERR_CONFIG, "jobtracker.queues: " SLICE_FMT " is there twice",
                             SLICE_ARG(confs[i].name));
    }
    if (rc != 0)
        return rc;
    rc = jt_queues_configure(queues, confs, list.count);
    return rc == 0 ? 0
                   : err_set(err, rc,
                             "jobtracker.queues: no memory or place for more queues "
                             "(those that are left empty go with the next start)");
}

/* --- submissions ----------------------------------------------------------------------------- */

static int no_queue(const struct jt_queues *queues, struct slice name, struct err *err)
{
    struct buf known = BUF_INIT;
    for (uint32_t i = 0; i < queues->count; i++)
        if (!queues->items[i]->is_closed)
            buf_printf(&known, "%s%s", known.len ? ", " : "", queues->items[i]->name);
    int rc =
        err_set(err, ERR_NOENT, "no queue \"" SLICE_FMT "\": there is %s (`quern queue -list`)",
                SLICE_ARG(name), buf_failed(&known) ? "another" : buf_cstr(&known));
    buf_release(&known);
    return rc;
}

int queueing_check(const struct jt_queues *queues, struct slice name, struct err *err)
{
    const struct jt_queue *queue = jt_queue_find(queues, name);
    if (!queue || queue->is_closed)
        return no_queue(queues, name, err);
    if (queue->conf.most_jobs && queue->job_count >= queue->conf.most_jobs)
        return err_set(err, ERR_LIMIT,
                       "queue %s has %u jobs that are not over, and takes no more than %u: try "
                       "again when one has ended",
                       queue->name, queue->job_count, queue->conf.most_jobs);
    return 0;
}

/* --- for people ------------------------------------------------------------------------------ */

static struct cl2jt_queue describe(const struct jt_queue *queue, uint64_t weights)
{
    struct cl2jt_queue ret = {
        .name = slice_str(queue->name),
        .state = slice_str(queue->is_closed ? "stopped" : "running"),
        .weight = queue->conf.weight,
        .most_cores = queue->conf.most_cores,
        .most_percent = queue->conf.most_percent,
        .most_running = queue->conf.most_running,
        .most_jobs = queue->conf.most_jobs,
        .share_percent = (uint32_t)((queue->conf.weight * 200ULL / weights + 1) / 2),
        .fair_cores = (uint32_t)(queue->fair / JT_UNITS),
        .cores_used = queue->used.cores,
        .memory_used = queue->used.memory,
        .running = (uint32_t)queue->rich.count,
        .waiting = queue->job_count - (uint32_t)queue->rich.count,
    };
    return ret;
}

int queueing_describe(struct jobtracker *jt, struct arena *arena, struct cl2jt_queues *ret)
{
    struct jt_queues *queues = &jt->core.queues;
    struct cl2jt_queue *items = arena_calloc(arena, queues->count + 1, sizeof(*items));
    uint64_t weights = 0;
    if (!items)
        return ERR_NOMEM;
    jt_queues_share(queues, &jt->core.fleet);
    for (uint32_t i = 0; i < queues->count; i++)
        weights += queues->items[i]->is_closed ? 0 : queues->items[i]->conf.weight;
    *ret = (struct cl2jt_queues){
        .queues = {items, 0}, .cores = jt->core.fleet.cores, .memory = jt->core.fleet.memory};
    for (uint32_t i = 0; i < queues->count; i++)
        if (!queues->items[i]->is_closed || queues->items[i]->job_count > 0)
            items[ret->queues.n++] = describe(queues->items[i], weights);
    return 0;
}
