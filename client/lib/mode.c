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
    ret->is_octal = true;
    ret->has_sticky = digits == 4;
    ret->octal = v;
    return true;
}

static const char *parse_who(const char *p, uint32_t *ret_who)
{
    uint32_t who = 0;
    for (;; p++) {
        if (*p == 'u')
            who |= 0700;
        else if (*p == 'g')
            who |= 0070;
        else if (*p == 'o')
            who |= 0007;
        else if (*p == 'a')
            who |= 0777;
        else
            break;
    }
    *ret_who = who ? who : 0777;
    return p;
}

/* One clause; NULL when it is none. */
static const char *parse_clause(const char *p, struct cl_mode_clause *ret)
{
    *ret = (struct cl_mode_clause){0};
    p = parse_who(skip_space(p), &ret->who);
    while (*p == '+' || *p == '-' || *p == '=')
        ret->op = *p++;
    const char *perms = p;
    for (; *p && strchr("rwxXt", *p); p++) {
        if (*p == 'r')
            ret->bits |= 0444 & ret->who;
        else if (*p == 'w')
            ret->bits |= 0222 & ret->who;
        else if (*p == 'x')
            ret->bits |= 0111 & ret->who;
        else if (*p == 'X')
            ret->cap_x = true;
        else if (ret->who & 0007)
            ret->bits |= CL_MODE_STICKY;
    }
    return ret->op && p > perms ? p : NULL;
}

int cl_mode_parse(const char *text, struct cl_mode *ret)
{
    *ret = (struct cl_mode){0};
    if (parse_octal(text, ret))
        return 0;
    for (const char *p = text;;) {
        if (ret->count == CL_MODE_CLAUSES_MAX)
            return ERR_INVAL;
        p = parse_clause(p, &ret->clauses[ret->count]);
        if (!p)
            return ERR_INVAL;
        ret->count++;
        p = skip_space(p);
        if (*p == '\0')
            return 0;
        if (*p++ != ',')
            return ERR_INVAL;
    }
}

uint32_t cl_mode_apply(const struct cl_mode *mode, uint32_t existing, bool is_dir)
{
    if (mode->is_octal)
        return mode->has_sticky ? mode->octal : mode->octal | (existing & CL_MODE_STICKY);
    uint32_t now = existing & 01777;
    for (uint32_t i = 0; i < mode->count; i++) {
        const struct cl_mode_clause *c = &mode->clauses[i];
        uint32_t bits = c->bits;
        if (c->cap_x && (c->op == '-' || is_dir || (now & 0111)))
            bits |= 0111 & c->who;
        if (c->op == '+')
            now |= bits;
        else if (c->op == '-')
            now &= ~bits;
        else /* says everything about those it names; the sticky bit goes with the others */
            now = (now & ~c->who & ~(c->who & 0007 ? CL_MODE_STICKY : 0U)) | bits;
    }
    return now;
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
    if (digits > 0 || cl_mode_parse(text, &mode) != 0)
        return ERR_INVAL;
    *ret_umask = ~cl_mode_apply(&mode, 0, false) & 0777;
    return 0;
}
