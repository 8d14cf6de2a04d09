/* SPDX-License-Identifier: Apache-2.0 */
#include "jobs/stream/fields.h"

#include <ctype.h>

enum kind { MISSING, TEXT, BELOW_ZERO, ZERO, ABOVE_ZERO };

/* --- what -k says ---------------------------------------------------------------------------- */

static uint32_t take_number(const char **at)
{
    char *end;
    unsigned long n = strtoul(*at, &end, 10);
    *at = end;
    return n > 1000000 ? 1000000 : (uint32_t)n;
}

/* F[.C][nr] */
static int take_position(const char **at, uint32_t *field, uint32_t *character,
                         struct fields_part *part)
{
    if (!isdigit((unsigned char)**at))
        return -1;
    *field = take_number(at);
    if (**at == '.') {
        ++*at;
        if (!isdigit((unsigned char)**at))
            return -1;
        *character = take_number(at);
    }
    for (; **at == 'n' || **at == 'r'; ++*at) {
        part->is_number |= **at == 'n';
        part->is_reverse |= **at == 'r';
    }
    return 0;
}

static int take_part(const char **at, struct fields_list *list)
{
    struct fields_part part = {.first_char = 1};
    while (**at == ' ')
        ++*at;
    if (take_position(at, &part.first, &part.first_char, &part) != 0 || part.first == 0 ||
        part.first_char == 0 || list->count == FIELDS_PARTS_MAX)
        return -1;
    if (**at == ',') {
        ++*at;
        if (take_position(at, &part.last, &part.last_char, &part) != 0)
            return -1;
    }
    list->parts[list->count++] = part;
    return **at == ' ' || !**at ? 0 : -1;
}

/* Behind the '-'. */
static int take_option(const char **at, struct fields_list *list, struct fields_part *global)
{
    if (**at == 'k') {
        ++*at;
        return take_part(at, list);
    }
    const char *begin = *at;
    for (; **at == 'n' || **at == 'r'; ++*at) {
        global->is_number |= **at == 'n';
        global->is_reverse |= **at == 'r';
    }
    return *at > begin && (**at == ' ' || !**at) ? 0 : -1;
}

int fields_parse(const char *options, struct fields_list *ret)
{
    struct fields_part global = {.first = 1, .first_char = 1};
    *ret = (struct fields_list){.count = 0};
    for (const char *at = options; *at;)
        if (*at == ' ')
            at++;
        else if (*at++ != '-' || take_option(&at, ret, &global) != 0)
            return -1;
    for (uint32_t i = 0; i < ret->count; i++)
        if (!ret->parts[i].is_number && !ret->parts[i].is_reverse) {
            ret->parts[i].is_number = global.is_number;
            ret->parts[i].is_reverse = global.is_reverse;
        }
    if (ret->count == 0 && (global.is_number || global.is_reverse))
        ret->parts[ret->count++] = global;
    return 0;
}

/* --- parts of a key -------------------------------------------------------------------------- */

/* 0 = it has not that many fields, or characters in them. */
static int find_part(const struct fields_part *part, struct qn_slice key, char separator,
                     struct qn_slice *ret)
{
    struct qn_slice field;
    const char *begin = (const char *)key.data, *end = begin + key.len;
    if (!qn_field(key, separator, part->first, &field))
        return 0;
    const char *from = (const char *)field.data + part->first_char - 1;
    if (part->first_char > (size_t)(end - (const char *)field.data))
        return 0;
    if (part->last && qn_field(key, separator, part->last, &field)) {
        size_t len = part->last_char ? part->last_char : field.len;
        const char *at = (const char *)field.data;
        end = len < (size_t)(end - at) ? at + len : end;
    }
    *ret = qn_bytes(from, end > from ? (size_t)(end - from) : 0);
    return 1;
}

/* A number as sort -n reads it, with as many digits as it has. */
struct digits {
    const char *whole, *fraction;
    size_t whole_len, fraction_len;
    int is_negative;
};

static size_t digits_at(const char *p, const char *end)
{
    size_t n = 0;
    while (p + n < end && isdigit((unsigned char)p[n]))
        n++;
    return n;
}

static struct digits read_digits(struct qn_slice text)
{
    const char *p = (const char *)text.data, *end = p + text.len;
    struct digits d = {.fraction_len = 0};
    d.is_negative = p < end && *p == '-';
    p += d.is_negative;
    while (p < end && *p == '0')
        p++;
    d.whole = p;
    d.whole_len = digits_at(p, end);
    p += d.whole_len;
    d.fraction = p;
    if (p < end && *p == '.') {
        d.fraction = ++p;
        d.fraction_len = digits_at(p, end);
        while (d.fraction_len && p[d.fraction_len - 1] == '0')
            d.fraction_len--;
    }
    return d;
}

static enum qn_direction flip(enum qn_direction direction)
{
    return direction == QN_ASC ? QN_DESC : QN_ASC;
}

static void put_number(struct qn_key *out, struct qn_slice text, enum qn_direction direction)
{
    struct digits d = read_digits(text);
    if (d.whole_len + d.fraction_len == 0) {
        qn_key_put_byte(out, ZERO, direction);
        return;
    }
    qn_key_put_byte(out, d.is_negative ? BELOW_ZERO : ABOVE_ZERO, direction);
    if (d.is_negative)
        direction = flip(direction);
    qn_key_put_u64(out, d.whole_len, direction); /* more digits, larger number */
    qn_key_put_text(out, qn_bytes(d.whole, d.whole_len), direction);
    qn_key_put_text(out, qn_bytes(d.fraction, d.fraction_len), direction);
}

static void put_part(struct qn_key *out, const struct fields_part *part, struct qn_slice key,
                     char separator)
{
    enum qn_direction direction = part->is_reverse ? QN_DESC : QN_ASC;
    struct qn_slice text;
    if (!find_part(part, key, separator, &text)) {
        qn_key_put_byte(out, MISSING, direction);
    } else if (part->is_number) {
        put_number(out, text, direction);
    } else {
        qn_key_put_byte(out, TEXT, direction);
        qn_key_put_text(out, text, direction);
    }
}

/* Java's, over the parts; over the whole key where there are none. */
static uint32_t hash_of(const struct fields_list *spread, struct qn_slice key, char separator)
{
    const struct fields_part whole = {.first = 1, .first_char = 1};
    uint32_t hash = 0;
    for (uint32_t i = 0; i < spread->count || i == 0; i++) {
        struct qn_slice text;
        if (!find_part(spread->count ? &spread->parts[i] : &whole, key, separator, &text))
            continue;
        const unsigned char *p = (const unsigned char *)text.data;
        for (size_t at = 0; at < text.len; at++) /* its bytes have a sign */
            hash = hash * 31u + p[at] - (p[at] > 127 ? 256u : 0u);
    }
    return hash;
}

int fields_wrap(struct qn_task *task, const struct fields_list *order,
                const struct fields_list *spread, char separator, struct qn_slice key,
                struct qn_room *room, struct qn_slice *ret)
{
    uint32_t hash = hash_of(spread, key, separator);
    if (qn_grow(task, room, 2 * (order->count + 1) * (key.len + 16) + 16) != 0)
        return -1;
    struct qn_key out = qn_key_in(room->data, room->size);
    for (uint32_t i = 0; i < order->count; i++)
        put_part(&out, &order->parts[i], key, separator);
    qn_key_put_text(&out, key, QN_ASC);
    for (int shift = 24; shift >= 0; shift -= 8)
        qn_key_put_byte(&out, hash >> shift & 0xff, QN_ASC);
    *ret = qn_key_bytes(&out);
    return 0;
}

/* --- and back -------------------------------------------------------------------------------- */

static int skip_text(struct qn_slice *rest, enum qn_direction direction)
{
    size_t len = qn_key_text_size(*rest, direction);
    *rest = qn_bytes((const char *)rest->data + len, rest->len - len);
    return len > 0;
}

static int skip_part(struct qn_slice *rest, enum qn_direction direction)
{
    if (rest->len == 0)
        return 0;
    enum kind kind = *(const unsigned char *)rest->data ^ (unsigned)direction;
    uint64_t digits;
    *rest = qn_bytes((const char *)rest->data + 1, rest->len - 1);
    if (kind == TEXT)
        return skip_text(rest, direction);
    if (kind != BELOW_ZERO && kind != ABOVE_ZERO)
        return kind == MISSING || kind == ZERO;
    if (kind == BELOW_ZERO)
        direction = flip(direction);
    return qn_key_take_u64(rest, &digits, direction) && skip_text(rest, direction) &&
           skip_text(rest, direction);
}

int fields_unwrap(struct qn_task *task, const struct fields_list *order, struct qn_slice wrapped,
                  struct qn_room *room, struct qn_slice *ret)
{
    int ok = 1;
    for (uint32_t i = 0; ok && i < order->count; i++)
        ok = skip_part(&wrapped, order->parts[i].is_reverse ? QN_DESC : QN_ASC);
    if (qn_grow(task, room, wrapped.len) != 0)
        return -1;
    if (!ok || !qn_key_take_text(&wrapped, room->data, room->size, ret, QN_ASC))
        return qn_fail(task, "a key that map did not make");
    return 0;
}

uint32_t fields_partition(struct qn_slice wrapped, uint32_t count)
{
    uint32_t hash = 0;
    for (size_t i = wrapped.len < 4 ? 0 : wrapped.len - 4; i < wrapped.len; i++)
        hash = hash << 8 | ((const unsigned char *)wrapped.data)[i];
    return (hash & 0x7fffffff) % count;
}
