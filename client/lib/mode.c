/* SPDX-License-Identifier: Apache-2.0 */
#include "client/lib/mode.h"

#include <ctype.h>

static bool is_octal_digit(char c)
{
    return c >= '0' && c <= '7';
}

static const char *skip_space(const char *p)
{
    while (isspace((unsigned char)*p))
        p++;
    return p;
}

static bool parse_octal(const char *p, struct cl_mode *ret)
{
    p = skip_space(p);
    p += *p == '+';
    size_t digits = 0;
    uint32_t v = 0;
    while (is_octal_digit(p[digits]) && digits < 5)
        v = v * 8 + (uint32_t)(p[digits++] - '0');
    if ((digits != 3 && digits != 4) || v > 01777 || *skip_space(p + digits))
        return false;
    ret->user = (struct cl_mode_change){'=', false, v >> 6 & 7};
    ret->group = (struct cl_mode_change){'=', false, v >> 3 & 7};
    ret->others = (struct cl_mode_change){'=', false, v & 7};
    ret->sticky = (struct cl_mode_change){'=', false, v >> 9};
    return true;
}

/* Whom a clause speaks about, as a mask of bits. */
static const char *parse_who(const char *p, uint32_t *ret_who)
{
    uint32_t who = 0;
    for (; *p && strchr("ugoa", *p); p++)
        who |= *p == 'u' ? 0700 : *p == 'g' ? 0070 : *p == 'o' ? 0007 : 0;
    *ret_who = who ? who : 0777;
    return p;
}

/* One clause; NULL when it is none. Only an umask's may name no permission ("o="). */
static const char *parse_clause(const char *p, bool is_umask, struct cl_mode *ret)
{
    struct cl_mode_change change = {0}, sticky = {0};
    uint32_t who;
    p = parse_who(skip_space(p), &who);
    while (*p == '+' || *p == '-' || *p == '=')
        change.op = sticky.op = *p++;
    const char *perms = p;
    for (; *p && strchr("rwxXt", *p); p++) {
        change.bits |= *p == 'r' ? 4 : *p == 'w' ? 2 : *p == 'x' ? 1 : 0;
        change.cap_x |= *p == 'X';
        sticky.bits |= *p == 't';
    }
    if (!change.op || (p == perms && !is_umask))
        return NULL;
    if (who & 0700)
        ret->user = change;
    if (who & 0070)
        ret->group = change;
    if (who & 0007) {
        ret->others = change;
        ret->sticky = sticky;
    }
    return p;
}

static int parse_symbolic(const char *text, bool is_umask, struct cl_mode *ret)
{
    static const struct cl_mode nothing = {{'+'}, {'+'}, {'+'}, {'+'}};
    *ret = nothing;
    for (const char *p = text;;) {
        p = parse_clause(p, is_umask, ret);
        if (!p)
            return ERR_INVAL;
        bool comma = false;
        for (; *p == ',' || isspace((unsigned char)*p); p++)
            comma |= *p == ',';
        if (*p == '\0')
            return 0;
        if (!comma)
            return ERR_INVAL;
    }
}

int cl_mode_parse(const char *text, struct cl_mode *ret)
{
    return parse_octal(text, ret) ? 0 : parse_symbolic(text, false, ret);
}

static uint32_t apply(const struct cl_mode_change *c, uint32_t existing, bool may_execute)
{
    uint32_t bits = c->bits | c->cap_x;
    uint32_t now = c->op == '+' ? existing | bits : c->op == '-' ? existing & ~bits : bits;
    return c->cap_x && !may_execute && !(existing & 1) ? now & ~1U : now;
}

uint32_t cl_mode_apply(const struct cl_mode *mode, uint32_t existing, bool is_dir)
{
    bool may_execute = is_dir || existing & 0111;
    return apply(&mode->sticky, existing >> 9 & 1, false) << 9 |
           apply(&mode->user, existing >> 6 & 7, may_execute) << 6 |
           apply(&mode->group, existing >> 3 & 7, may_execute) << 3 |
           apply(&mode->others, existing & 7, may_execute);
}

int cl_mode_parse_umask(const char *text, uint32_t *ret_umask)
{
    const char *p = skip_space(text);
    uint32_t v = 0;
    size_t digits = 0;
    while (is_octal_digit(p[digits]) && digits < 5)
        v = v * 8 + (uint32_t)(p[digits++] - '0');
    if (digits > 0 && digits < 5 && v <= 01777 && !*skip_space(p + digits)) {
        *ret_umask = v & 0777;
        return 0;
    }
    struct cl_mode mode;
    if (digits > 0 || parse_symbolic(text, true, &mode) != 0)
        return ERR_INVAL;
    *ret_umask = ~cl_mode_apply(&mode, 0, false) & 0777;
    return 0;
}
