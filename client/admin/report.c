/* SPDX-License-Identifier: Apache-2.0 */
#include "client/admin/report.h"

#include <inttypes.h>

#include "client/admin/commands.h"
#include "libcommon/base/str.h"

#define DEFAULT_RACK "/default-rack"

static void put_size(struct buf *out, const char *label, uint64_t bytes)
{
    char human[32];
    buf_printf(out, "%s: %" PRIu64 " (%s)\n", label, bytes,
               str_human_report(bytes, human, sizeof(human)));
}

static void put_percent(struct buf *out, const char *label, uint64_t part, uint64_t whole)
{
    buf_printf(out, "%s: %.2f%%\n", label, whole ? 100.0 * (double)part / (double)whole : 0.0);
}

static void put_count(struct buf *out, const char *label, uint64_t n)
{
    buf_printf(out, "\t%s: %" PRIu64 "\n", label, n);
}

/* As Java prints a date: "Sat Nov 21 10:00:00 UTC 2026". */
static void put_date(struct buf *out, const char *label, uint64_t ms)
{
    char text[64] = "Never";
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm;
    if (ms && localtime_r(&seconds, &tm))
        strftime(text, sizeof(text), "%a %b %d %H:%M:%S %Z %Y", &tm);
    buf_printf(out, "%s: %s\n", label, text);
}

static void put_totals(struct buf *out, const struct cl2nn_report *r)
{
    uint64_t present = r->used + r->remaining;
    if (r->safemode)
        buf_append_str(out, "Safe mode is ON\n");
    put_size(out, "Configured Capacity", r->capacity);
    put_size(out, "Present Capacity", present);
    put_size(out, "DFS Remaining", r->remaining);
    put_size(out, "DFS Used", r->used);
    put_percent(out, "DFS Used%", r->used, present);
    buf_append_str(out, "Replicated Blocks:\n");
    put_count(out, "Under replicated blocks", r->under_replicated);
    put_count(out, "Blocks with corrupt replicas", r->corrupt_blocks);
    put_count(out, "Missing blocks", r->missing_blocks);
    put_count(out, "Missing blocks (with replication factor 1)", r->missing_single);
    put_count(out, "Low redundancy blocks with highest priority to recover", r->highest_priority);
    put_count(out, "Pending deletion blocks", r->pending_deletion);
    /* There are no block groups; scripts look for the lines. */
    buf_append_str(out, "Erasure Coded Block Groups: \n");
    put_count(out, "Low redundancy block groups", 0);
    put_count(out, "Block groups with corrupt internal blocks", 0);
    put_count(out, "Missing block groups", 0);
    put_count(out, "Low redundancy blocks with highest priority to recover", 0);
    put_count(out, "Pending deletion blocks", 0);
    buf_append_str(out, "\n-------------------------------------------------\n");
}

static void put_node(struct buf *out, const struct cl2nn_node_report *n)
{
    buf_printf(out, "Name: " SLICE_FMT ":%u (" SLICE_FMT ")\n", SLICE_ARG(n->node.host),
               n->node.data_port, SLICE_ARG(n->node.name));
    buf_printf(out, "Hostname: " SLICE_FMT "\n", SLICE_ARG(n->node.name));
    if (n->node.rack.len && !slice_is(n->node.rack, DEFAULT_RACK))
        buf_printf(out, "Rack: " SLICE_FMT "\n", SLICE_ARG(n->node.rack));
    buf_printf(out, "Decommission Status : " SLICE_FMT "\n", SLICE_ARG(n->admin));
    put_size(out, "Configured Capacity", n->capacity);
    put_size(out, "DFS Used", n->used);
    put_size(out, "Non DFS Used", n->non_dfs);
    put_size(out, "DFS Remaining", n->remaining);
    put_percent(out, "DFS Used%", n->used, n->capacity);
    put_percent(out, "DFS Remaining%", n->remaining, n->capacity);
    put_size(out, "Configured Cache Capacity", 0);
    put_size(out, "Cache Used", 0);
    put_size(out, "Cache Remaining", 0);
    buf_append_str(out, "Cache Used%: 100.00%\nCache Remaining%: 0.00%\n"); /* of nothing */
    buf_printf(out, "Xceivers: %" PRIu64 "\n", n->xceivers);
    put_date(out, "Last contact", n->last_contact_ms);
    put_date(out, "Last Block Report", n->last_report_ms);
    buf_printf(out, "Num of Blocks: %" PRIu64 "\n\n\n", n->blocks);
}

static bool is_dead(const struct cl2nn_node_report *n)
{
    return slice_is(n->state, "dead");
}

static bool belongs(const struct cl2nn_node_report *n, unsigned section)
{
    switch (section) {
    case REPORT_LIVE:
        return !is_dead(n);
    case REPORT_DEAD:
        return is_dead(n);
    case REPORT_DECOMMISSIONING:
        return slice_is(n->admin, "Decommission in progress");
    case REPORT_ENTERING_MAINTENANCE:
        return slice_is(n->admin, "Entering maintenance");
    case REPORT_IN_MAINTENANCE:
        return slice_is(n->admin, "In maintenance");
    default: /* slow ones: writers find them and replace them by themselves, and tell nobody. So it
              * is as with a Hadoop that collects no figures of peers, which is how it is shipped.
              */
        return false;
    }
}

static void put_section(struct buf *out, const struct cl2nn_report *r, unsigned section,
                        const char *title, bool asked)
{
    size_t count = 0;
    for (size_t i = 0; i < r->nodes.n; i++)
        count += belongs(&r->nodes.v[i], section);
    if (count == 0 && !asked)
        return;
    buf_printf(out, "%s datanodes (%zu):\n\n", title, count);
    for (size_t i = 0; i < r->nodes.n; i++)
        if (belongs(&r->nodes.v[i], section))
            put_node(out, &r->nodes.v[i]);
}

void report_print(const struct cl2nn_report *report, unsigned sections, struct buf *out)
{
    static const struct {
        unsigned section;
        const char *title;
    } all[] = {
        {REPORT_LIVE, "Live"},
        {REPORT_DEAD, "Dead"},
        {REPORT_DECOMMISSIONING, "Decommissioning"},
        {REPORT_ENTERING_MAINTENANCE, "Entering maintenance"},
        {REPORT_IN_MAINTENANCE, "In maintenance"},
        {REPORT_SLOW, "Slow"},
    };
    put_totals(out, report);
    if (report->denied.len)
        return;
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        if (sections == 0 || (sections & all[i].section))
            put_section(out, report, all[i].section, all[i].title, sections != 0);
}

/* --- racks ------------------------------------------------------------------------------------ */

static struct slice rack_of(const struct cl2nn_node_report *n)
{
    return n->node.rack.len ? n->node.rack : slice_str(DEFAULT_RACK);
}

/* As Hadoop names the states here, which is not as in the report. */
static const char *state_of(const struct cl2nn_node_report *n)
{
    static const struct {
        const char *in_report, *here;
    } names[] = {
        {"Normal", "In Service"},
        {"Decommission in progress", "Decommission In Progress"},
        {"Decommissioned", "Decommissioned"},
        {"Entering maintenance", "Entering Maintenance"},
        {"In maintenance", "In Maintenance"},
    };
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (slice_is(n->admin, names[i].in_report))
            return names[i].here;
    return "";
}

/* The smallest rack behind `after` ("" = the first); false at the end. */
static bool next_rack(const struct cl2nn_report *r, struct slice after, struct slice *ret)
{
    bool found = false;
    for (size_t i = 0; i < r->nodes.n; i++) {
        struct slice rack = rack_of(&r->nodes.v[i]);
        if (is_dead(&r->nodes.v[i]) || slice_cmp(rack, after) <= 0)
            continue;
        if (!found || slice_cmp(rack, *ret) < 0)
            *ret = rack;
        found = true;
    }
    return found;
}

void report_topology(const struct cl2nn_report *report, struct buf *out)
{
    struct slice rack = slice_str(""), next = slice_str("");
    while (next_rack(report, rack, &next)) {
        rack = next;
        buf_printf(out, "Rack: " SLICE_FMT "\n", SLICE_ARG(rack));
        for (size_t i = 0; i < report->nodes.n; i++) {
            const struct cl2nn_node_report *n = &report->nodes.v[i];
            if (is_dead(n) || !slice_eq(rack_of(n), rack))
                continue;
            buf_printf(out, "   " SLICE_FMT ":%u (" SLICE_FMT ") %s\n", SLICE_ARG(n->node.host),
                       n->node.data_port, SLICE_ARG(n->node.name), state_of(n));
        }
        buf_append_byte(out, '\n');
    }
}

/* ---- the commands ---- */

typedef void print_fn(const struct cl2nn_report *report, unsigned sections, struct buf *out);

/* However they registered, a list is the same each time. */
static int by_address(const void *a, const void *b)
{
    const struct cl2nn_node_report *x = a, *y = b;
    int rc = slice_cmp(x->node.host, y->node.host);
    return rc != 0
               ? rc
               : (x->node.data_port > y->node.data_port) - (x->node.data_port < y->node.data_port);
}

static int print_report(struct session *session, const char *what, unsigned sections,
                        print_fn *print)
{
    struct arena arena = ARENA_INIT;
    struct cl2nn_report report = {0};
    struct buf out = BUF_INIT;
    const struct msg_void ask = {0};
    int rc = admin_ask(session, what, CL2NN_AT_REPORT, &ask, &arena, &report);
    if (rc == 0) {
        if (report.nodes.n)
            qsort(report.nodes.v, report.nodes.n, sizeof(*report.nodes.v), by_address);
        if (!session->is_json)
            print(&report, sections, &out);
        else if (!report.denied.len)
            rc = msg_print_line(&cl2nn_report_desc, &report, stdout);
        if (out.len)
            fwrite(out.data, 1, out.len, stdout);
        if (buf_failed(&out) || rc != 0)
            rc = session_fail(what, ADMIN_FAILED, err_text(ERR_NOMEM));
    }
    if (rc == 0 && report.denied.len) {
        char line[256];
        snprintf(line, sizeof(line), SLICE_FMT, SLICE_ARG(report.denied));
        rc = session_fail(what, ADMIN_FAILED, line);
    }
    buf_release(&out);
    arena_release(&arena);
    return rc;
}

/* Words that are no flag are passed over, as Hadoop does. */
int admin_report(struct session *session, int argc, char **argv)
{
    static const struct {
        const char *word;
        unsigned section;
    } flags[] = {
        {"-live", REPORT_LIVE},
        {"-dead", REPORT_DEAD},
        {"-decommissioning", REPORT_DECOMMISSIONING},
        {"-enteringmaintenance", REPORT_ENTERING_MAINTENANCE},
        {"-inmaintenance", REPORT_IN_MAINTENANCE},
        {"-slownodes", REPORT_SLOW},
    };
    unsigned sections = 0;
    for (int i = 1; i < argc; i++)
        for (size_t f = 0; f < ARRAY_LEN(flags); f++)
            if (strcmp(argv[i], flags[f].word) == 0)
                sections |= flags[f].section;
    return print_report(session, argv[0], sections, report_print);
}

static void print_topology(const struct cl2nn_report *report, unsigned sections, struct buf *out)
{
    (void)sections;
    if (!report->denied.len)
        report_topology(report, out);
}

int admin_topology(struct session *session, int argc, char **argv)
{
    (void)argc;
    return print_report(session, argv[0], 0, print_topology);
}
