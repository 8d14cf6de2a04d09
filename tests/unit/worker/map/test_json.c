/* SPDX-License-Identifier: Apache-2.0
 * What is JSON and what is not, as RFC 8259 has it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "libcommon/base/buf.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/rand.h"
#include "worker/map/json.h"

static void values_are_taken(void **state)
{
    (void)state;
    static const char *const good[] = {
        "{}",
        "[]",
        " null ",
        "true",
        "-0.5e+10",
        "0",
        "12E3",
        "\"\"",
        "\"\\u00e9\\n\\\"\"",
        "{\"a\":[1,{\"b\":[]},\"x\"],\"c\":{}}\r",
        "[ 1 , [ ] , { \"a\" : -1 } ]",
        "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"",
    };
    size_t at;
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        if (json_check(slice_str(good[i]), &at))
            fail_msg("%s at %zu: %s", good[i], at, json_check(slice_str(good[i]), &at));
}

static void what_is_none_is_told_with_its_place(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t at;
    } bad[] = {
        {"", 0},
        {"{", 1},
        {"[1,]", 3},
        {"{\"a\"}", 4},
        {"{\"a\":1,}", 7},
        {"01", 1},
        {"1.", 2},
        {"-", 1},
        {"1e", 2},
        {"tru", 0},
        {"\"a", 2},
        {"\"\\x\"", 3},
        {"\"\\u12g4\"", 5},
        {"[1 2]", 3},
        {"{} {}", 3},
        {"\"\t\"", 1},
        {"{a:1}", 1},
        {"nul", 0},
        {"\"\xff\"", 1},
        {"\"\xc0\x80\"", 1},
        {"\"\xed\xa0\x80\"", 1},
        {"[}", 1},
        {"{]", 1},
        {"]", 0},
        {"'a'", 0},
    };
    size_t at;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        const char *why = json_check(slice_str(bad[i].text), &at);
        if (!why || at != bad[i].at)
            fail_msg("%s: %s at %zu, not %zu", bad[i].text, why ? why : "taken", at, bad[i].at);
    }
}

static void nesting_has_a_limit(void **state)
{
    (void)state;
    struct buf text = BUF_INIT;
    size_t at;
    for (uint32_t i = 0; i < JSON_DEPTH; i++)
        buf_append_str(&text, i % 2 ? "{\"a\":" : "[");
    for (uint32_t i = JSON_DEPTH; i-- > 0;)
        buf_append_str(&text, i % 2 ? (i == JSON_DEPTH - 1 ? "1}" : "}") : "]");
    assert_null(json_check(buf_slice(&text), &at));
    buf_clear(&text);
    for (uint32_t i = 0; i <= JSON_DEPTH; i++)
        buf_append_byte(&text, '[');
    assert_string_equal(json_check(buf_slice(&text), &at), "nested too deeply");
    assert_int_equal(at, JSON_DEPTH);
    buf_release(&text);
}

/* Never beyond the text: the sanitizer looks on. */
static void random_bytes_hurt_nobody(void **state)
{
    (void)state;
    static const char letters[] = "{}[]\",:\\u01e.-tfn \xc3\xa9\xf0";
    struct rand rand;
    rand_init(&rand, 31);
    for (int i = 0; i < 20000; i++) {
        size_t n = rand_below(&rand, 24), at = 0;
        uint8_t *text = mem_alloc(n ? n : 1); /* no byte more */
        for (size_t k = 0; k < n; k++)
            text[k] = (uint8_t)letters[rand_below(&rand, sizeof(letters) - 1)];
        (void)json_check(slice_of(text, n), &at);
        assert_true(at <= n);
        mem_free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_taken),
        cmocka_unit_test(what_is_none_is_told_with_its_place),
        cmocka_unit_test(nesting_has_a_limit),
        cmocka_unit_test(random_bytes_hurt_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
