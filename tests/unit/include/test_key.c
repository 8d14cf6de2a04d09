/* SPDX-License-Identifier: Apache-2.0
 * Keys of several parts order as bytes exactly as their parts do, and come back part by part. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <quern/key.h>

#include "libcommon/base/rand.h"

#define PARTS 4
#define TEXT  6

enum kind { TEXT_PART, U64_PART, I64_PART, F64_PART, KINDS };

struct part {
    enum kind kind;
    enum qn_direction direction;
};
struct value {
    unsigned char text[TEXT];
    size_t len;
    uint64_t u;
    double f;
};

/* Few letters, zeros and 0xff among them: texts that are beginnings of others, and numbers alike.
 */
static struct value some_value(struct rand *rand)
{
    static const unsigned char letters[] = {0, 1, 0xff, 'a'};
    static const double numbers[] = {0.0, -0.0, 1.5, -1.5, INFINITY, -INFINITY, 1e-300, -1e300};
    struct value v = {.len = rand_below(rand, TEXT + 1), .u = rand_u64(rand)};
    for (size_t i = 0; i < v.len; i++)
        v.text[i] = letters[rand_below(rand, sizeof(letters))];
    if (rand_chance(rand, 50))
        v.u = (uint64_t)((int64_t)v.u >> 62);
    v.f = numbers[rand_below(rand, 8)];
    return v;
}

static void put(struct qn_key *key, struct part part, const struct value *v)
{
    switch (part.kind) {
    case TEXT_PART:
        qn_key_put_text(key, qn_bytes(v->text, v->len), part.direction);
        break;
    case U64_PART:
        qn_key_put_u64(key, v->u, part.direction);
        break;
    case I64_PART:
        qn_key_put_i64(key, (int64_t)v->u, part.direction);
        break;
    default:
        qn_key_put_f64(key, v->f, part.direction);
    }
}

static int bytes_cmp(const void *a, size_t alen, const void *b, size_t blen)
{
    int c = memcmp(a, b, alen < blen ? alen : blen);
    return c ? (c > 0) - (c < 0) : (alen > blen) - (alen < blen);
}

static int part_cmp(struct part part, const struct value *a, const struct value *b)
{
    int c = part.kind == TEXT_PART  ? bytes_cmp(a->text, a->len, b->text, b->len)
            : part.kind == U64_PART ? (a->u > b->u) - (a->u < b->u)
            : part.kind == I64_PART
                ? ((int64_t)a->u > (int64_t)b->u) - ((int64_t)a->u < (int64_t)b->u)
                : (a->f > b->f) - (a->f < b->f);
    return part.direction == QN_DESC ? -c : c;
}

static void take_back(struct qn_slice rest, const struct part *parts, const struct value *values)
{
    for (int i = 0; i < PARTS; i++) {
        unsigned char room[TEXT];
        struct qn_slice text = {0};
        uint64_t u;
        int64_t s;
        double f;
        switch (parts[i].kind) {
        case TEXT_PART:
            assert_int_equal(qn_key_text_size(rest, parts[i].direction) > 0, 1);
            assert_int_equal(qn_key_take_text(&rest, room, sizeof(room), &text, parts[i].direction),
                             1);
            assert_int_equal(bytes_cmp(text.data, text.len, values[i].text, values[i].len), 0);
            break;
        case U64_PART:
            assert_int_equal(qn_key_take_u64(&rest, &u, parts[i].direction), 1);
            assert_true(u == values[i].u);
            break;
        case I64_PART:
            assert_int_equal(qn_key_take_i64(&rest, &s, parts[i].direction), 1);
            assert_true(s == (int64_t)values[i].u);
            break;
        default:
            assert_int_equal(qn_key_take_f64(&rest, &f, parts[i].direction), 1);
            assert_true(f == values[i].f);
        }
    }
    assert_int_equal(rest.len, 0);
}

static void keys_order_as_their_parts_do_and_come_back(void **state)
{
    (void)state;
    struct rand rand;
    rand_init(&rand, 7);
    for (int round = 0; round < 20000; round++) {
        unsigned char room[2][PARTS * 2 * (TEXT + 1)];
        struct qn_key keys[2] = {qn_key_in(room[0], sizeof(room[0])),
                                 qn_key_in(room[1], sizeof(room[1]))};
        struct part parts[PARTS];
        struct value values[2][PARTS];
        int order = 0;
        for (int i = 0; i < PARTS; i++) {
            parts[i].kind = (enum kind)rand_below(&rand, KINDS);
            parts[i].direction = rand_chance(&rand, 50) ? QN_DESC : QN_ASC;
            values[0][i] = some_value(&rand);
            values[1][i] = rand_chance(&rand, 50) ? values[0][i] : some_value(&rand);
            put(&keys[0], parts[i], &values[0][i]);
            put(&keys[1], parts[i], &values[1][i]);
            if (order == 0)
                order = part_cmp(parts[i], &values[0][i], &values[1][i]);
        }
        assert_true(qn_key_fits(&keys[0]) && qn_key_fits(&keys[1]));
        assert_int_equal(bytes_cmp(room[0], keys[0].len, room[1], keys[1].len), order);
        take_back(qn_key_bytes(&keys[0]), parts, values[0]);
        take_back(qn_key_bytes(&keys[1]), parts, values[1]);
    }
}

static void not_a_number_is_one_key_and_comes_last(void **state)
{
    (void)state;
    unsigned char a[8], b[8], c[8];
    struct qn_key nan = qn_key_in(a, 8), other = qn_key_in(b, 8), most = qn_key_in(c, 8);
    qn_key_put_f64(&nan, NAN, QN_ASC);
    qn_key_put_f64(&other, -NAN, QN_ASC);
    qn_key_put_f64(&most, INFINITY, QN_ASC);
    assert_memory_equal(a, b, 8);
    assert_true(memcmp(a, c, 8) > 0);
    struct qn_slice rest = qn_key_bytes(&nan);
    double back = 0;
    assert_int_equal(qn_key_take_f64(&rest, &back, QN_ASC), 1);
    assert_true(isnan(back));
}

static void what_does_not_fit_is_told_and_writes_nothing_beyond(void **state)
{
    (void)state;
    unsigned char room[9] = {0};
    room[8] = 'x';
    struct qn_key key = qn_key_in(room, 8);
    qn_key_put_text(&key, qn_text("seven b"), QN_DESC);
    assert_int_equal(qn_key_fits(&key), 0);
    assert_int_equal(room[8], 'x');
}

static void bytes_that_are_no_such_part_are_refused(void **state)
{
    (void)state;
    const unsigned char cut[] = {'a', 0}, wrong[] = {'a', 0, 7, 0, 1}, whole[] = {'a', 'b', 0, 1};
    unsigned char room[8];
    struct qn_slice rest = qn_bytes(cut, sizeof(cut)), text;
    uint64_t u;
    assert_int_equal(qn_key_take_text(&rest, room, sizeof(room), &text, QN_ASC), 0);
    assert_int_equal(qn_key_text_size(rest, QN_ASC), 0);
    assert_int_equal(qn_key_take_u64(&rest, &u, QN_ASC), 0);
    rest = qn_bytes(wrong, sizeof(wrong));
    assert_int_equal(qn_key_take_text(&rest, room, sizeof(room), &text, QN_ASC), 0);
    rest = qn_bytes(whole, sizeof(whole));
    assert_int_equal(qn_key_take_text(&rest, room, 1, &text, QN_ASC), 0);
    assert_int_equal(rest.len, sizeof(whole));
}

static void partitions_hang_on_the_chosen_part_only(void **state)
{
    (void)state;
    struct rand rand;
    rand_init(&rand, 3);
    unsigned seen[4] = {0};
    for (uint64_t i = 0; i < 4000; i++) {
        unsigned char room[2][24];
        struct qn_key a = qn_key_in(room[0], 24), b = qn_key_in(room[1], 24);
        qn_key_put_u64(&a, i, QN_ASC);
        qn_key_put_u64(&b, i, QN_ASC);
        qn_key_put_u64(&a, rand_u64(&rand), QN_ASC);
        qn_key_put_u64(&b, rand_u64(&rand), QN_ASC);
        uint32_t at = qn_key_pick(qn_key_bytes(&a), 8, 4);
        assert_int_equal(at, qn_key_pick(qn_key_bytes(&b), 8, 4));
        assert_in_range(at, 0, 3);
        seen[at]++;
    }
    for (int i = 0; i < 4; i++)
        assert_in_range(seen[i], 800, 1200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_order_as_their_parts_do_and_come_back),
        cmocka_unit_test(not_a_number_is_one_key_and_comes_last),
        cmocka_unit_test(what_does_not_fit_is_told_and_writes_nothing_beyond),
        cmocka_unit_test(bytes_that_are_no_such_part_are_refused),
        cmocka_unit_test(partitions_hang_on_the_chosen_part_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
