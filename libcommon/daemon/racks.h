/* SPDX-License-Identifier: Apache-2.0
 * racks: on which rack a node stands, from a table file or a script (net.topology.table.file.name,
 * net.topology.script.file.name; the table comes first). The namenode places replicas by it, the
 * jobtracker tasks.
 *
 *   table    lines "NODE /rack", # begins a comment; NODE is a node.name or a host
 *   script   called with up to 100 node names as arguments, prints one rack for each, on a thread;
 *            its answers are kept until racks_reload. One that fails or says nothing leaves the
 *            node on the default rack, and is asked again at the node's next registration.
 *
 * A rack is a path: it begins with a slash. Without either, a node's own claim counts, else
 * "/default-rack". */
#ifndef QUERN_LIBCOMMON_DAEMON_RACKS_H
#define QUERN_LIBCOMMON_DAEMON_RACKS_H

#include "libcommon/base/slice.h"
#include "libcommon/event/loop.h"

#define RACKS_DEFAULT "/default-rack"

struct racks;

/* Paths may be NULL or "". An unreadable table or a line in it that makes no sense is an error that
 * names file and line. */
int racks_open(struct loop *loop, const char *table, const char *script, struct racks **ret,
               struct err *err);
void racks_close(struct racks *racks); /* waits for a running script; NULL is fine */
/* Read the table again and forget the script's answers. On failure the old ones stay. */
int racks_reload(struct racks *racks, struct err *err);

/* One question; zeroed = idle. */
struct racks_wait {
    void (*done)(void *arg, struct slice rack); /* on the loop; the rack is borrowed for the call */
    void *arg;
    struct list link;
    char *node; /* private */
};
/* Calls done, at once when it is known, else later. `claim`: what the node says itself, or "". */
void racks_ask(struct racks *racks, struct slice node, struct slice host, struct slice claim,
               struct racks_wait *wait);
void racks_cancel(struct racks_wait *wait); /* done will not be called; harmless when idle */

#endif
