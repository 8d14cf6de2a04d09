/* SPDX-License-Identifier: Apache-2.0 */
#include "client/admin/fsck_report.h"

#include <inttypes.h>

#include "libcommon/daemon/status.h"

static void add_policy(struct fsck_report *r, const struct msg_counter *c)
{
    uint64_t replicas = 0;
    for (size_t i = 0; i < c->name.len && replicas < FSCK_POLICIES_MAX; i++)
        replicas = replicas * 10 + (uint64_t)(c->name.data[i] - '0') % 10;
    r->policies.blocks[replicas < FSCK_POLICIES_MAX ? replicas : FSCK_POLICIES_MAX] += c->value;
}

void fsck_report_add(struct fsck_report *r, const struct msg_counter_list *counters)
{
    const struct {
        const char *name;
        uint64_t *sum;
    } sums[] = {
#define FSCK_ROW(name) {#name, &r->name},
        FSCK_COUNTERS(FSCK_ROW)
#undef FSCK_ROW
    };
    const struct {
        const char *name;
        uint64_t *value;
    } facts[] = {{"nodes", &r->nodes}, {"racks", &r->racks}, {"replication", &r->replication}};
    for (size_t i = 0; i < counters->n; i++) {
        const struct msg_counter *c = &counters->v[i];
        bool is_fact = slice_is(c->group, "server");
        if (slice_is(c->group, "policy")) {
            add_policy(r, c);
            continue;
        }
        for (size_t k = 0; is_fact && k < ARRAY_LEN(facts); k++)
            if (slice_is(c->name, facts[k].name))
                *facts[k].value = c->value;
        for (size_t k = 0; !is_fact && k < ARRAY_LEN(sums); k++)
            if (slice_is(c->name, sums[k].name))
                *sums[k].sum += c->value;
    }
}

bool fsck_report_is_healthy(const struct fsck_report *r)
{
    return r->missing_blocks == 0 && r->corrupt_blocks == 0;
}

char *fsck_float(double v, char out[32])
{
    float f = (float)v;
    for (int digits = 1; digits <= 9; digits++) {
        snprintf(out, 32, "%.*g", digits, (double)f);
        if (strtof(out, NULL) == f)
            break;
    }
    if (strchr(out, 'e')) /* Java begins with powers at ten millions; we never get there */
        snprintf(out, 32, "%.1f", (double)f);
    size_t n = strlen(out);
    if (!strchr(out, '.') && n + 2 < 32)
        memcpy(out + n, ".0", 3);
    return out;
}

/* " label:\tN (x %)\n"; the share only when there is a whole. */
static void put_share(struct buf *out, const char *label, uint64_t n, uint64_t whole)
{
    char text[32];
    buf_printf(out, " %s%" PRIu64, label, n);
    if (whole)
        buf_printf(out, " (%s %%)", fsck_float((double)n * 100 / (double)whole, text));
    buf_append_byte(out, '\n');
}

static void put_box(struct buf *out, const struct fsck_report *r)
{
    static const char stars[] = "  ********************************\n";
    char text[32];
    uint64_t below = r->below;
    if (below == 0 && r->corrupt_files == 0)
        return;
    buf_append_str(out, stars);
    if (below) {
        buf_printf(out, "  UNDER MIN REPL'D BLOCKS:\t%" PRIu64, below);
        buf_printf(out, " (%s %%)\n  MINIMAL BLOCK REPLICATION:\t1\n",
                   fsck_float((double)below * 100 / (double)r->blocks, text));
    }
    if (r->corrupt_files)
        buf_printf(out, "  CORRUPT FILES:\t%" PRIu64 "\n", r->corrupt_files);
    if (r->missing_size)
        buf_printf(out, "  MISSING BLOCKS:\t%" PRIu64 "\n  MISSING SIZE:\t\t%" PRIu64 " B\n",
                   r->missing_blocks, r->missing_size);
    if (r->corrupt_blocks)
        buf_printf(out, "  CORRUPT BLOCKS: \t%" PRIu64 "\n  CORRUPT SIZE:\t\t%" PRIu64 " B\n",
                   r->corrupt_blocks, r->corrupt_size);
    buf_append_str(out, stars);
}

static void put_replicated(struct buf *out, const struct fsck_report *r)
{
    char text[32];
    buf_printf(out, " Total size:\t%" PRIu64 " B", r->size);
    if (r->open_size)
        buf_printf(out, " (Total open files size: %" PRIu64 " B)", r->open_size);
    buf_printf(out, "\n Total files:\t%" PRIu64, r->files);
    if (r->open_files)
        buf_printf(out, " (Files currently being written: %" PRIu64 ")", r->open_files);
    buf_printf(out, "\n Total blocks (validated):\t%" PRIu64, r->blocks);
    if (r->blocks)
        buf_printf(out, " (avg. block size %" PRIu64 " B)", r->size / r->blocks);
    if (r->open_blocks)
        buf_printf(out, " (Total open file blocks (not validated): %" PRIu64 ")", r->open_blocks);
    buf_append_byte(out, '\n');
    put_box(out, r);
    put_share(out, "Minimally replicated blocks:\t", r->minimal, r->blocks);
    put_share(out, "Over-replicated blocks:\t", r->over, r->blocks);
    put_share(out, "Under-replicated blocks:\t", r->under, r->blocks);
    put_share(out, "Mis-replicated blocks:\t\t", r->mis, r->blocks);
    buf_printf(out, " Default replication factor:\t%" PRIu64 "\n", r->replication);
    double average = r->blocks ? (double)r->replicas / (double)r->blocks : 0;
    buf_printf(out, " Average block replication:\t%s\n", fsck_float(average, text));
    buf_printf(out, " Missing blocks:\t\t%" PRIu64 "\n", r->missing_blocks);
    buf_printf(out, " Corrupt blocks:\t\t%" PRIu64 "\n", r->corrupt_blocks);
    put_share(out, "Missing replicas:\t\t", r->missing_replicas,
              r->replicas ? r->expected_replicas : 0);
    if (r->decommissioned)
        buf_printf(out, " DecommissionedReplicas:\t%" PRIu64 "\n", r->decommissioned);
    if (r->decommissioning)
        buf_printf(out, " DecommissioningReplicas:\t%" PRIu64 "\n", r->decommissioning);
    if (r->entering)
        buf_printf(out, " EnteringMaintenanceReplicas:\t%" PRIu64 "\n", r->entering);
    if (r->resting)
        buf_printf(out, " InMaintenanceReplicas:\t%" PRIu64 "\n", r->resting);
    buf_printf(out, " Blocks queued for replication:\t%" PRIu64 "\n", r->queued);
}

/* All disks are of one type and all files of one policy here: only the numbers differ. */
static void put_policy(struct buf *out, const struct fsck_report *r, size_t replicas, uint64_t all)
{
    char name[40], share[32];
    uint64_t n = r->policies.blocks[replicas];
    snprintf(name, sizeof(name), "DISK:%zu(HOT)", replicas);
    snprintf(share, sizeof(share), "%.4f%%", (double)n * 100 / (double)all);
    if (replicas)
        buf_printf(out, "%-25s %10" PRIu64 "  %20s\n", name, n, share);
    else
        buf_printf(out, "%-35s %-20s %10" PRIu64 "  %20s\n", "", "HOT", n, share);
}

static void put_policies(struct buf *out, const struct fsck_report *r)
{
    uint64_t all = 0;
    bool is_done[FSCK_POLICIES_MAX + 1] = {true};
    for (size_t i = 0; i <= FSCK_POLICIES_MAX; i++)
        all += r->policies.blocks[i];
    buf_append_str(out, "\nBlocks satisfying the specified storage policy:\n"
                        "Storage Policy                  # of blocks       % of blocks\n");
    for (;;) { /* the most frequent first; there are a handful */
        size_t best = 0;
        for (size_t i = 1; i <= FSCK_POLICIES_MAX; i++)
            if (!is_done[i] && r->policies.blocks[i] &&
                (best == 0 || r->policies.blocks[i] > r->policies.blocks[best]))
                best = i;
        if (best == 0)
            break;
        put_policy(out, r, best, all);
        is_done[best] = true;
    }
    if (r->policies.blocks[0] == 0) {
        buf_append_str(out, "\nAll blocks satisfy specified storage policy.\n");
        return;
    }
    buf_append_str(out, "\nBlocks NOT satisfying the specified storage policy:\n"
                        "Storage Policy                  Specified Storage Policy      "
                        "# of blocks       % of blocks\n");
    put_policy(out, r, 0, all);
}

void fsck_report_print(const struct fsck_report *r, struct buf *out)
{
    buf_printf(out, "Status: %s\n", fsck_report_is_healthy(r) ? "HEALTHY" : "CORRUPT");
    buf_printf(out, " Number of data-nodes:\t%" PRIu64 "\n", r->nodes);
    buf_printf(out, " Number of racks:\t\t%" PRIu64 "\n", r->racks);
    buf_printf(out, " Total dirs:\t\t\t%" PRIu64 "\n", r->dirs);
    buf_printf(out, " Total symlinks:\t\t%" PRIu64 "\n\nReplicated Blocks:\n", r->symlinks);
    put_replicated(out, r);
    buf_append_str(out, "\nErasure Coded Block Groups:\n"
                        " Total size:\t0 B\n"
                        " Total files:\t0\n"
                        " Total block groups (validated):\t0\n"
                        " Minimally erasure-coded block groups:\t0\n"
                        " Over-erasure-coded block groups:\t0\n"
                        " Under-erasure-coded block groups:\t0\n"
                        " Unsatisfactory placement block groups:\t0\n"
                        " Average block group size:\t0.0\n"
                        " Missing block groups:\t\t0\n"
                        " Corrupt block groups:\t\t0\n"
                        " Missing internal blocks:\t0\n"
                        " Blocks queued for replication:\t0\n");
    if (r->policies.is_wanted)
        put_policies(out, r);
}

void fsck_report_json(const struct fsck_report *r, const char *path, struct slice corrupt,
                      struct buf *out)
{
#define FSCK_JSON(name) buf_printf(out, "\"" #name "\":%" PRIu64 ",", r->name);
    buf_append_str(out, "{\"path\":");
    json_append_string(out, slice_str(path));
    buf_printf(out, ",\"status\":\"%s\",\"counters\":{",
               fsck_report_is_healthy(r) ? "HEALTHY" : "CORRUPT");
    FSCK_COUNTERS(FSCK_JSON)
    FSCK_JSON(nodes)
    FSCK_JSON(racks)
#undef FSCK_JSON
    buf_printf(out, "\"replication\":%" PRIu64 "},\"corrupt\":[", r->replication);
    for (size_t at = 0; at < corrupt.len;) {
        struct slice one = slice_str((const char *)corrupt.data + at);
        buf_append_str(out, at ? "," : "");
        json_append_string(out, one);
        at += one.len + 1;
    }
    buf_append_str(out, "]}\n");
}

static bool ends_with(struct slice line, const char *end)
{
    size_t n = strlen(end);
    return line.len >= n && memcmp(line.data + line.len - n, end, n) == 0;
}

int fsck_exit_code(struct slice line)
{
    static const struct {
        const char *end;
        int code;
    } ends[] = {
        {"is HEALTHY", 0},        {"is CORRUPT", 1},
        {"does not exist", 0},    {"is EXCESS", 0},
        {"is DECOMMISSIONED", 2}, {"is DECOMMISSIONING", 3},
        {"is IN MAINTENANCE", 4}, {"is ENTERING MAINTENANCE", 5},
        {"is STALE", 6},
    };
    static const char bad_id[] = "Incorrect blockId format:";
    for (size_t i = 0; i < ARRAY_LEN(ends); i++)
        if (ends_with(line, ends[i].end))
            return ends[i].code;
    return memmem(line.data, line.len, bad_id, strlen(bad_id)) ? 0 : 255;
}
