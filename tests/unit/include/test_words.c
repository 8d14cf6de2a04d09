/* SPDX-License-Identifier: Apache-2.0
 * Words found 64 bytes at a time are those that are found one by one, wherever a text is cut and
 * whatever bytes are in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "include/quern/words.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/rand.h"

/* What qn_emit_words gives: the words from here on, some at a time. */
struct taker {
    struct qn_host host;
    struct qn_task task;
    struct qn_slice rest;
    size_t count;
};

static int take_keys(struct qn_task *task, const struct qn_slice *keys, size_t count,
                     struct qn_slice value)
{
    struct taker *t = task->state;
    struct qn_slice word;
    assert_int_equal(value.len, 3);
    t->count += count;
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(qn_next_word(&t->rest, &word), 1);
        assert_ptr_equal(word.data, keys[i].data);
        assert_int_equal(word.len, keys[i].len);
    }
    return 0;
}

static int take_none(struct qn_task *task, const struct qn_slice *keys, size_t count,
                     struct qn_slice value)
{
    struct taker *t = task->state;
    (void)keys, (void)count, (void)value;
    t->count++;
    return -1;
}

static size_t emitted_words(struct qn_slice text)
{
    struct taker t = {.host = {.emit_keys = take_keys}, .rest = text};
    t.task = (struct qn_task){.host = &t.host, .state = &t};
    assert_int_equal(qn_emit_words(&t.task, text, qn_bytes("one", 3)), 0);
    return t.count;
}

/* All ways over a copy that ends where the text does, so that a look beyond it is noticed. */
static size_t same_words(const void *text, size_t len)
{
    unsigned char *copy = mem_alloc(len ? len : 1);
    size_t count = 0;
    assert_non_null(copy);
    if (len)
        memcpy(copy, text, len);
    struct qn_slice rest = qn_bytes(copy, len), one, other;
    size_t emitted = emitted_words(rest);
    struct qn_words words = qn_words_of(rest);
    while (qn_next_word(&rest, &one)) {
        assert_int_equal(qn_words_next(&words, &other), 1);
        assert_ptr_equal(one.data, other.data);
        assert_int_equal(one.len, other.len);
        count++;
    }
    assert_int_equal(qn_words_next(&words, &other), 0);
    assert_int_equal(qn_words_next(&words, &other), 0);
    assert_int_equal(emitted, count);
    mem_free(copy);
    return count;
}

static void words_of_any_bytes_are_the_same_all_ways(void **state)
{
    (void)state;
    static const char white[] = " \t\n\v\f\r";
    unsigned char text[400];
    struct rand rand;
    rand_init(&rand, 1);
    for (int i = 0; i < 20000; i++) {
        size_t len = rand_below(&rand, sizeof(text));
        uint32_t often = 1 + (uint32_t)rand_below(&rand, 100);
        for (size_t k = 0; k < len; k++)
            text[k] = (unsigned char)(rand_below(&rand, often) ? rand_below(&rand, 256)
                                                               : (uint8_t)white[k % 6]);
        same_words(text, len);
    }
}

static void words_may_begin_and_end_at_any_byte(void **state)
{
    (void)state;
    char text[200];
    for (size_t from = 0; from < 140; from++)
        for (size_t end = from + 1; end < 150; end++) {
            memset(text, ' ', sizeof(text));
            memset(text + from, 'x', end - from);
            assert_int_equal(same_words(text, end), 1);
            assert_int_equal(same_words(text, end + 3), 1);
        }
}

static void a_text_may_be_nothing_or_one_long_word(void **state)
{
    (void)state;
    char text[1000];
    struct qn_words none = qn_words_of(qn_bytes(NULL, 0));
    struct qn_slice word;
    assert_int_equal(qn_words_next(&none, &word), 0);
    memset(text, 'a', sizeof(text));
    for (size_t len = 0; len <= sizeof(text); len++)
        assert_int_equal(same_words(text, len), len > 0);
    memset(text, '\n', sizeof(text));
    assert_int_equal(same_words(text, sizeof(text)), 0);
}

static void emitting_ends_when_it_fails(void **state)
{
    (void)state;
    char text[1000];
    struct taker t = {.host = {.emit_keys = take_none}};
    t.task = (struct qn_task){.host = &t.host, .state = &t};
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = i % 2 ? ' ' : 'x';
    assert_int_equal(qn_emit_words(&t.task, qn_bytes(text, sizeof(text)), qn_bytes("one", 3)), -1);
    assert_int_equal(t.count, 1);
    assert_int_equal(qn_emit_words(&t.task, qn_bytes(text, 9), qn_bytes("one", 3)), -1);
    assert_int_equal(t.count, 2);
}

static void sixteen_bytes_at_a_time_tell_what_eight_do(void **state)
{
    (void)state;
    unsigned char block[QN_WORDS_BLOCK];
    for (unsigned at = 0; at < sizeof(block); at++)
        for (unsigned byte = 0; byte < 256; byte++) {
            memset(block, at % 2 ? ' ' : 'x', sizeof(block));
            block[at] = (unsigned char)byte;
            assert_true(qn_words_bits(block) == qn_words_bits_plain(block));
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_of_any_bytes_are_the_same_all_ways),
        cmocka_unit_test(words_may_begin_and_end_at_any_byte),
        cmocka_unit_test(a_text_may_be_nothing_or_one_long_word),
        cmocka_unit_test(emitting_ends_when_it_fails),
        cmocka_unit_test(sixteen_bytes_at_a_time_tell_what_eight_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
