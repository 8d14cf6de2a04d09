/* SPDX-License-Identifier: Apache-2.0
 * mode: permission bits as people write them: "755", "1777", "u=rwx,go-w", "+t", "a+X".
 *
 * Octal has three digits, or four of which the first is 0 or 1 (the sticky bit); three digits leave
 * the sticky bit as it is. Symbolic clauses are applied one after another; without u, g, o or a all
 * three are meant and no umask is applied. Pure. */
#ifndef QUERN_CLIENT_MODE_H
#define QUERN_CLIENT_MODE_H

#include "libcommon/base/err.h"

#define CL_MODE_CLAUSES_MAX 16
#define CL_MODE_STICKY      01000U

struct cl_mode_clause {
    char op;       /* '+', '-' or '=' */
    uint32_t who;  /* mask of bits it speaks about: 0700, 0070, 0007 together */
    uint32_t bits; /* 0777 pattern and sticky */
    bool cap_x;    /* X: execute for directories and where somebody has it already */
};

struct cl_mode {
    bool is_octal;
    bool has_sticky; /* octal with four digits */
    uint32_t octal;
    uint32_t count;
    struct cl_mode_clause clauses[CL_MODE_CLAUSES_MAX];
};

int cl_mode_parse(const char *text, struct cl_mode *ret); /* 0 or ERR_INVAL */
uint32_t cl_mode_apply(const struct cl_mode *mode, uint32_t existing, bool is_dir);

/* The umask a configuration names, in octal ("022", "77") or as what is allowed
 * ("u=rwx,g=rx,o="). */
int cl_mode_parse_umask(const char *text, uint32_t *ret_umask);

#endif
