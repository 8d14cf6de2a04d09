/* SPDX-License-Identifier: Apache-2.0
 * mode: permission bits as people write them: "755", "1777", "u=rwx,go-w", "+t", "a+X".
 *
 * As Hadoop reads them: octal has three digits, or four of which the first is 0 or 1 (the sticky
 * bit, which three digits clear). Of several symbolic clauses about the same class (user, group or
 * others, which the sticky bit goes with) the last counts, and alone: "a=rwx,o-w" only takes w from
 * the others. Without u, g, o or a all three are meant and no umask is applied. Pure. */
#ifndef QUERN_CLIENT_MODE_H
#define QUERN_CLIENT_MODE_H

#include "libcommon/base/err.h"

/* What is done to one class: three bits of permission, or the sticky bit (as 1). */
struct cl_mode_change {
    char op;       /* '+', '-' or '=' */
    bool cap_x;    /* X: execute for directories and where somebody has it already */
    uint32_t bits; /* 0..7 */
};

struct cl_mode {
    struct cl_mode_change user, group, others, sticky;
};

int cl_mode_parse(const char *text, struct cl_mode *ret); /* 0 or ERR_INVAL */
uint32_t cl_mode_apply(const struct cl_mode *mode, uint32_t existing, bool is_dir);

/* The umask a configuration names, in octal ("022", "77") or as what is allowed
 * ("u=rwx,g=rx,o="). */
int cl_mode_parse_umask(const char *text, uint32_t *ret_umask);

#endif
