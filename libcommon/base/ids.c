/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/base/ids.h"

#include <inttypes.h>

#include "libcommon/base/str.h"

char *block_id_text(struct block_id id, char *out, size_t cap)
{
    snprintf(out, cap, "blk_%" PRIu64 "_%" PRIu64, id.id, id.gs);
    return out;
}

/* "12_34" or "12" after the prefix */
static int parse_pair(const char *text, uint64_t *ret_a, uint64_t *ret_b, bool *ret_both)
{
    char copy[ID_TEXT_MAX];
    size_t n = strlen(text);
    if (n >= sizeof(copy))
        return ERR_INVAL;
    memcpy(copy, text, n + 1);
    char *under = strchr(copy, '_');
    if (under)
        *under = 0;
    uint64_t a, b = 0;
    if (str_to_u64(copy, &a) != 0 || (under && str_to_u64(under + 1, &b) != 0))
        return ERR_INVAL;
    *ret_a = a;
    *ret_b = b;
    *ret_both = under != NULL;
    return 0;
}

int block_id_parse(const char *text, struct block_id *ret)
{
    bool both;
    if (strncmp(text, "blk_", 4) == 0)
        text += 4;
    return parse_pair(text, &ret->id, &ret->gs, &both);
}

char *job_id_text(struct job_id id, char *out, size_t cap)
{
    snprintf(out, cap, "job_%" PRIu64 "_%04" PRIu64, id.cluster_ms, id.number);
    return out;
}

int job_id_parse(const char *text, struct job_id *ret)
{
    uint64_t a, b;
    bool both, prefixed = strncmp(text, "job_", 4) == 0;
    if (parse_pair(prefixed ? text + 4 : text, &a, &b, &both) != 0 || prefixed != both)
        return ERR_INVAL;
    *ret = both ? (struct job_id){a, b} : (struct job_id){0, a};
    return 0;
}

char *task_id_text(const struct attempt_id *id, char kind, char *out, size_t cap)
{
    snprintf(out, cap, "task_%" PRIu64 "_%04" PRIu64 "_%c_%06" PRIu32, id->job.cluster_ms,
             id->job.number, kind, id->task);
    return out;
}

char *attempt_id_text(const struct attempt_id *id, char kind, char *out, size_t cap)
{
    snprintf(out, cap, "attempt_%" PRIu64 "_%04" PRIu64 "_%c_%06" PRIu32 "_%" PRIu32,
             id->job.cluster_ms, id->job.number, kind, id->task, id->attempt);
    return out;
}
