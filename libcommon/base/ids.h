/* SPDX-License-Identifier: Apache-2.0
 * ids: how blocks, jobs, tasks and attempts are numbered and shown. All ids are u64, come from a
 * journaled counter and are never used twice.
 *
 *   blk_1073741825_1001          block id and generation stamp
 *   job_1700000000000_0017       cluster start (ms) and number; people may type 17
 *   task_1700000000000_0017_m_000012       attempt_1700000000000_0017_m_000012_0 */
#ifndef QUERN_BASE_IDS_H
#define QUERN_BASE_IDS_H

#include "libcommon/base/slice.h"

#define ID_TEXT_MAX 96

struct block_id {
    uint64_t id;
    uint64_t gs;
};

struct job_id {
    uint64_t cluster_ms; /* when this jobtracker's history began */
    uint64_t number;
};

struct attempt_id {
    struct job_id job;
    uint32_t stage; /* 0 = first stage, shown as m when it is a map stage, else r */
    uint32_t task;
    uint32_t attempt;
};

char *block_id_text(struct block_id id, char *out, size_t cap);
int block_id_parse(const char *text, struct block_id *ret); /* with or without blk_ and _gs */

char *job_id_text(struct job_id id, char *out, size_t cap);
/* "job_1700000000000_0017" or "17" (cluster_ms stays 0 then). ERR_INVAL otherwise. */
int job_id_parse(const char *text, struct job_id *ret);

/* kind is 'm' or 'r'. */
char *task_id_text(const struct attempt_id *id, char kind, char *out, size_t cap);
char *attempt_id_text(const struct attempt_id *id, char kind, char *out, size_t cap);

#endif
