/* SPDX-License-Identifier: Apache-2.0
 * The fast way to write and to read a record's head, against the plain one, over short and long
 * lengths, cut anywhere, and over bytes that are no record. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "libcommon/base/rand.h"
#include "worker/run/record.h"

/* By definition: 1 with what the head takes and both lengths, 0 when the bytes end before it does,
 * -1 when they are none: a length has five bytes at most. */
static int plain(const uint8_t *p, size_t len, uint64_t *ret_head, uint64_t ret_lengths[2])
{
    size_t at = 0;
    for (int i = 0; i < 2; i++) {
        uint64_t v = 0;
        unsigned shift = 0;
        for (;; shift += 7) {
            if (shift == 35)
                return -1;
            if (at == len)
                return 0;
            v |= (uint64_t)(p[at] & 0x7f) << shift;
            if (p[at++] < 0x80)
                break;
        }
        if (v > RECORD_LEN_MAX)
            return -1;
        ret_lengths[i] = v;
    }
    *ret_head = at;
    return 1;
}

static void check(const uint8_t *p, size_t len)
{
    struct slice key = {0}, value = {0};
    uint64_t head = 0, lengths[2] = {0}, need = 0;
    const uint8_t *next = record_parse(p, p + len, &key, &value, &need);
    int kind = plain(p, len, &head, lengths);
    uint64_t whole = head + lengths[0] + lengths[1];
    if (kind == 1 && whole <= len) {
        assert_ptr_equal(next, p + whole);
        assert_true(key.data == p + head && key.len == lengths[0]);
        assert_true(value.data == key.data + key.len && value.len == lengths[1]);
        return;
    }
    assert_null(next);
    assert_true(need == (kind == 1 ? whole : kind == 0 ? 0 : UINT64_MAX));
}

static void what_is_written_is_read_however_it_is_cut(void **state)
{
    static const size_t odd[] = {0, 1, 2, 63, 126, 127, 128, 129, 255, 16383, 16384};
    static uint8_t bytes[2 * 16384 + RECORD_HEAD_MAX];
    (void)state;
    for (size_t k = 0; k < ARRAY_LEN(odd); k++)
        for (size_t v = 0; v < ARRAY_LEN(odd); v++) {
            uint64_t head = 0, lengths[2];
            size_t len = record_head(bytes, odd[k], odd[v]);
            assert_int_equal(plain(bytes, len, &head, lengths), 1);
            assert_true(head == len && lengths[0] == odd[k] && lengths[1] == odd[v]);
            len += odd[k] + odd[v];
            for (size_t cut = 0; cut <= 300 && cut <= len; cut++) {
                check(bytes, cut);
                check(bytes, len - cut);
            }
        }
    assert_int_equal(record_head(bytes, RECORD_LEN_MAX, RECORD_LEN_MAX), RECORD_HEAD_MAX);
    check(bytes, RECORD_HEAD_MAX);
}

static void any_bytes_are_read_as_the_definition_has_it(void **state)
{
    static const uint8_t often[] = {0, 1, 0x7f, 0x80, 0x81, 0xff, 0x0f, 0x10};
    (void)state;
    struct rand rand;
    rand_init(&rand, 6);
    for (int round = 0; round < 50000; round++) {
        uint8_t bytes[24];
        size_t len = rand_below(&rand, sizeof(bytes) + 1);
        for (size_t i = 0; i < len; i++)
            bytes[i] = rand_chance(&rand, 70) ? often[rand_below(&rand, ARRAY_LEN(often))]
                                              : (uint8_t)rand_u64(&rand);
        check(bytes, len);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read_however_it_is_cut),
        cmocka_unit_test(any_bytes_are_read_as_the_definition_has_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
