/* SPDX-License-Identifier: Apache-2.0
 * audit: one line per call to a file of its own (dfs.namenode.audit.log), in Hadoop's form:
 *
 *   2026-11-21 10:00:00,123 INFO FSNamesystem.audit: allowed=true	ugi=bob (auth:SIMPLE)
 * ip=/10.0.0.5 cmd=rename	src=/a	dst=/b	perm=null	proto=rpc (one line, tabs)
 *
 * Lines are collected and written when 64 KiB are there or a second has gone by: a line more or
 * less at a crash is not worth a write per call. Control characters in names are escaped (\x0a), so
 * that nobody can write a line that did not happen. */
#ifndef QUERN_NAMENODE_SERVE_AUDIT_H
#define QUERN_NAMENODE_SERVE_AUDIT_H

#include "libcommon/base/buf.h"
#include "libcommon/event/loop.h"

struct nn_audit {
    int fd; /* -1 = no audit log */
    char *path;
    struct buf lines;
    struct loop_timer timer;
    uint64_t time_ms; /* of time_text */
    char time_text[32];
    bool has_failed; /* told once */
};

struct nn_audit_line {
    const char *user, *address, *command;
    struct slice source, target; /* data NULL = "null" */
    bool is_allowed;
};

/* path NULL or "": nothing is written anywhere. */
int nn_audit_open(struct nn_audit *audit, struct loop *loop, const char *path, struct err *err);
void nn_audit_close(struct nn_audit *audit); /* writes what is left */
/* The file was moved away: open it anew. */
int nn_audit_reopen(struct nn_audit *audit, struct err *err);
void nn_audit_add(struct nn_audit *audit, const struct nn_audit_line *line, uint64_t wall_ms);
void nn_audit_flush(struct nn_audit *audit);

#endif
