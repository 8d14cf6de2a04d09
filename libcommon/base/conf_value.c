/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/base/conf_value.h"

#include <ctype.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/str.h"

typedef int parse_fn(const struct conf_option *option, struct conf_value *v, struct err *err);

static int want(struct err *err, const char *what)
{
    return err_set(err, ERR_CONFIG, "want %s", what);
}

static int parse_string(const struct conf_option *option, struct conf_value *v, struct err *err)
{
    (void)option, (void)v, (void)err;
    return 0;
}

static int parse_bool(const struct conf_option *option, struct conf_value *v, struct err *err)
{
    (void)option;
    return str_to_bool(v->text, &v->boolean) == 0 ? 0 : want(err, "true or false");
}

static int parse_int(const struct conf_option *option, struct conf_value *v, struct err *err)
{
    (void)option;
    return str_to_i64(v->text, &v->integer) == 0 ? 0 : want(err, "a whole number");
}

static int parse_number(const struct conf_option *option, struct conf_value *v, struct err *err)
{
    (void)option;
    return str_to_double(v->text, &v->number) == 0 ? 0 : want(err, "a number such as 0.75");
}

/* "100" or "1.5" of a key whose numbers count megabytes, say. */
static int bare_size(const char *text, uint64_t unit, uint64_t *ret_bytes)
{
    uint64_t whole;
    double number;
    if (str_to_u64(text, &whole) == 0)
        return __builtin_mul_overflow(whole, unit, ret_bytes) ? ERR_INVAL : 0;
    if (str_to_double(text, &number) != 0 || number * (double)unit >= 0x1p64)
        return ERR_INVAL;
    *ret_bytes = (uint64_t)(number * (double)unit);
    return 0;
}

static int parse_size(const struct conf_option *option, struct conf_value *v, struct err *err)
{
    bool is_bare = option->unit && v->text[strspn(v->text, "0123456789.")] == 0;
    int rc =
        is_bare ? bare_size(v->text, option->unit, &v->amount) : str_to_size(v->text, &v->amount);
    return rc == 0 ? 0 : want(err, "a size such as 4096, 64k, 128m or 1.5g");
}

static int parse_time(const struct conf_option *option, struct conf_value *v, struct err *err)
{
    if (str_to_ms(v->text, option->unit ? option->unit : 1, &v->amount) != 0)
        return want(err, "a time such as 250ms, 30s, 20m, 6h or 3d");
    return 0;
}

static char *trim(char *s)
{
    while (isspace((unsigned char)*s))
        s++;
    size_t n = strlen(s);
    while (n && isspace((unsigned char)s[n - 1]))
        s[--n] = 0;
    return s;
}

static int parse_list(const struct conf_option *option, struct conf_value *v, struct err *err)
{
    (void)option;
    size_t cap = 0;
    char *save = NULL;
    v->room = str_dup(v->text);
    if (!v->room)
        return err_set(err, ERR_NOMEM, "out of memory");
    for (char *w = strtok_r(v->room, ",\n", &save); w; w = strtok_r(NULL, ",\n", &save)) {
        w = trim(w);
        if (!*w)
            continue;
        if (mem_grow(&v->items, &cap, v->item_count, sizeof(char *)) != 0)
            return err_set(err, ERR_NOMEM, "out of memory");
        v->items[v->item_count++] = w;
    }
    return 0;
}

static int parse_address(const struct conf_option *option, struct conf_value *v, struct err *err)
{
    static const char wanted[] = "host:port (or [v6 address]:port)";
    (void)option;
    v->room = str_dup(v->text);
    if (!v->room)
        return err_set(err, ERR_NOMEM, "out of memory");
    v->address.host = v->room;
    if (!*v->room)
        return 0;
    uint64_t port;
    char *colon = strrchr(v->room, ':'), *host = v->room, *end = colon;
    if (!colon || str_to_u64(colon + 1, &port) != 0 || port > UINT16_MAX)
        return want(err, wanted);
    if (*host == '[') {
        if (end - host < 2 || end[-1] != ']')
            return want(err, wanted);
        host++;
        end--;
    } else if (memchr(host, ':', (size_t)(colon - host))) {
        return want(err, "host:port, with brackets around an IPv6 address: [::1]:8020");
    }
    *end = 0;
    if (strpbrk(host, " \t/"))
        return want(err, wanted);
    v->address = (struct conf_address){host, (uint16_t)port};
    return 0;
}

#define CHOICE_MAX 128

/* The words of `choices`, in turn; they are few and short. */
static const char *choice_next(const char **at, char word[CHOICE_MAX])
{
    size_t n = strcspn(*at, " ");
    if (n == 0)
        return NULL;
    BUG_ON(n >= CHOICE_MAX);
    memcpy(word, *at, n);
    word[n] = 0;
    *at += n + ((*at)[n] == ' ');
    return word;
}

static int parse_choice(const struct conf_option *option, struct conf_value *v, struct err *err)
{
    char word[CHOICE_MAX], near[CHOICE_MAX] = "";
    unsigned best = 3;
    const char *at = option->choices;
    for (v->amount = 0; choice_next(&at, word); v->amount++) {
        if (strcmp(word, v->text) == 0)
            return 0;
        unsigned d = str_distance(v->text, word);
        if (d < best) {
            best = d;
            memcpy(near, word, sizeof(near));
        }
    }
    return err_set(err, ERR_CONFIG, "want one of: %s%s%s%s", option->choices,
                   *near ? " (did you mean " : "", near, *near ? "?)" : "");
}

static parse_fn *const parsers[] = {
    [CONF_STRING] = parse_string, [CONF_BOOL] = parse_bool,       [CONF_INT] = parse_int,
    [CONF_NUMBER] = parse_number, [CONF_SIZE] = parse_size,       [CONF_TIME] = parse_time,
    [CONF_LIST] = parse_list,     [CONF_ADDRESS] = parse_address, [CONF_CHOICE] = parse_choice,
};

static bool is_less(enum conf_type type, const struct conf_value *a, const struct conf_value *b)
{
    if (type == CONF_INT)
        return a->integer < b->integer;
    if (type == CONF_NUMBER)
        return a->number < b->number;
    return a->amount < b->amount;
}

static void parse_limit(const struct conf_option *option, const char *text, struct conf_value *ret)
{
    *ret = (struct conf_value){.text = (char *)(uintptr_t)text}; /* only read, never released */
    if (parsers[option->type](option, ret, NULL) != 0)
        BUG("%s: limit \"%s\" is no value", option->key, text);
}

static int check_limits(const struct conf_option *option, const struct conf_value *v,
                        struct err *err)
{
    struct conf_value limit;
    if (option->min) {
        parse_limit(option, option->min, &limit);
        if (is_less(option->type, v, &limit))
            return err_set(err, ERR_CONFIG, "must be at least %s", option->min);
    }
    if (option->max) {
        parse_limit(option, option->max, &limit);
        if (is_less(option->type, &limit, v))
            return err_set(err, ERR_CONFIG, "must be at most %s", option->max);
    }
    return 0;
}

int conf_value_parse(const struct conf_option *option, const char *text, struct conf_value *ret,
                     struct err *err)
{
    struct conf_value v = {.text = str_dup(text)};
    if (!v.text)
        return err_set(err, ERR_NOMEM, "out of memory");
    char *trimmed = trim(v.text);
    memmove(v.text, trimmed, strlen(trimmed) + 1);
    int rc = parsers[option->type](option, &v, err);
    if (rc == 0)
        rc = check_limits(option, &v, err);
    if (rc != 0) {
        conf_value_release(&v);
        return rc;
    }
    *ret = v;
    return 0;
}

int conf_value_empty(const struct conf_option *option, struct conf_value *ret)
{
    char *text = str_dup("");
    if (!text)
        return ERR_NOMEM;
    *ret = (struct conf_value){.text = text};
    if (option->type == CONF_ADDRESS)
        ret->address.host = text;
    return 0;
}

void conf_value_release(struct conf_value *value)
{
    mem_free(value->text);
    mem_free(value->room);
    mem_free(value->items);
    *value = (struct conf_value){0};
}
