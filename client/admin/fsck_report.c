/* SPDX-License-Identifier: Apache-2.0 */
#include "client/admin/fsck_report.h"

#include <inttypes.h>

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
    uint64_t below = r->blocks - r->minimal;
    buf_append_str(out, stars);
    buf_printf(out, "  UNDER MIN REPL'D BLOCKS:\t%" PRIu64, below);
    if (r->blocks)
        buf_printf(out, " (%s %%)", fsck_float((double)below * 100 / (double)r->blocks, text));
    buf_append_str(out, "\n  MINIMAL BLOCK REPLICATION:\t1\n");
    if (r->corrupt_files)
        buf_printf(out,
                   "  CORRUPT FILES:\t%" PRIu64 "\n  MISSING BLOCKS:\t%" PRIu64
                   "\n  MISSING SIZE:\t\t%" PRIu64 " B\n",
                   r->corrupt_files, r->missing_blocks, r->missing_size);
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
    if (!fsck_report_is_healthy(r))
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
    put_share(out, "Missing replicas:\t\t", r->missing_replicas, r->expected_replicas);
    if (r->decommissioned)
        buf_printf(out, " DecommissionedReplicas:\t%" PRIu64 "\n", r->decommissioned);
    if (r->decommissioning)
        buf_printf(out, " DecommissioningReplicas:\t%" PRIu64 "\n", r->decommissioning);
    if (r->shows_maintenance)
        buf_printf(out,
                   " EnteringMaintenanceReplicas:\t%" PRIu64 "\n InMaintenanceReplicas:\t%" PRIu64
                   "\n",
                   r->entering, r->resting);
    buf_printf(out, " Blocks queued for replication:\t%" PRIu64 "\n", r->under);
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
}
