/* SPDX-License-Identifier: Apache-2.0
 * Rows of attempts in one process: who has begun, who can still be taken out, whose fault an end
 * is. The process is played by the calls it makes on its page. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "worker/task/row.h"

#define LEN 5

struct world {
    struct progress_page page;
    struct wk_row row;
    char names[WK_ROW_MAX]; /* attempts are told apart by where they are, and not looked at */
};

static struct wk_attempt *at(struct world *w, size_t i)
{
    return (struct wk_attempt *)(void *)&w->names[i];
}

static void given(struct world *w, size_t n)
{
    struct wk_attempt *all[WK_ROW_MAX];
    for (size_t i = 0; i < n; i++)
        all[i] = at(w, i);
    row_begin(&w->row, all, n, &w->page);
}

static bool begins(struct world *w)
{
    return progress_row_begin(&w->page, w->row.number);
}

static void one_alone_is_in_hand_at_once(void **state)
{
    struct world w = {0};
    (void)state;
    assert_true(row_is_over(&w.row));
    given(&w, 1);
    assert_ptr_equal(row_in_hand(&w.row), at(&w, 0));
    assert_ptr_equal(row_answer(&w.row), at(&w, 0));
    assert_true(row_is_over(&w.row));
    assert_null(row_answer(&w.row));
}

static void they_are_answered_in_order_however_late(void **state)
{
    struct world w = {0};
    (void)state;
    given(&w, LEN);
    assert_null(row_in_hand(&w.row));
    for (size_t i = 0; i < LEN; i++) {
        assert_true(begins(&w));
        assert_ptr_equal(row_in_hand(&w.row), at(&w, i));
    }
    assert_false(begins(&w));
    for (size_t i = 0; i < LEN; i++)
        assert_ptr_equal(row_answer(&w.row), at(&w, i));
    assert_true(row_is_over(&w.row));
}

static void what_has_not_begun_can_be_taken_back_and_never_begins(void **state)
{
    struct world w = {0};
    struct wk_attempt *rest[WK_ROW_MAX];
    (void)state;
    given(&w, LEN);
    begins(&w);
    begins(&w);
    assert_int_equal(row_end(&w.row, rest), 3);
    assert_ptr_equal(rest[0], at(&w, 2));
    assert_ptr_equal(rest[2], at(&w, 4));
    assert_false(begins(&w));
    assert_ptr_equal(row_in_hand(&w.row), at(&w, 1));
    row_answer(&w.row);
    assert_false(row_is_over(&w.row));
    row_answer(&w.row);
    assert_true(row_is_over(&w.row));
}

static void a_process_that_is_late_begins_nothing_of_the_next_row(void **state)
{
    struct world w = {0};
    struct wk_attempt *rest[WK_ROW_MAX];
    (void)state;
    given(&w, LEN);
    uint16_t old = w.row.number;
    begins(&w);
    row_end(&w.row, rest);
    row_answer(&w.row);
    given(&w, LEN);
    assert_false(progress_row_begin(&w.page, old));
    assert_true(begins(&w));
}

static void a_row_is_stuck_when_none_has_begun_between_two_looks(void **state)
{
    struct world w = {0};
    struct wk_attempt *held[WK_ROW_MAX];
    (void)state;
    given(&w, LEN);
    begins(&w);
    begins(&w);
    begins(&w);
    assert_false(row_is_stuck(&w.row));
    assert_true(row_is_stuck(&w.row));
    begins(&w);
    assert_false(row_is_stuck(&w.row));
    assert_int_equal(row_take_held(&w.row, held), 3); /* done, and their answers are in there */
    assert_ptr_equal(held[0], at(&w, 0));
    assert_null(row_answer(&w.row));
    begins(&w);
    row_answer(&w.row);
    row_answer(&w.row);
    row_answer(&w.row);
    assert_false(row_is_stuck(&w.row));
    assert_false(row_is_stuck(&w.row)); /* the last one keeps nobody waiting */
}

static void only_what_is_in_hand_costs_its_process_when_it_is_taken_out(void **state)
{
    struct world w = {0};
    struct wk_attempt *others[WK_ROW_MAX];
    size_t n;
    (void)state;
    given(&w, LEN);
    begins(&w);
    begins(&w);
    assert_true(row_take(&w.row, at(&w, 0), others, &n)); /* held back */
    assert_int_equal(n, 0);
    assert_true(row_take(&w.row, at(&w, 3), others, &n)); /* not begun */
    assert_int_equal(n, 2);
    assert_ptr_equal(others[0], at(&w, 2));
    assert_ptr_equal(others[1], at(&w, 4));
    assert_false(row_take(&w.row, at(&w, 1), others, &n));
    assert_null(row_in_hand(&w.row));
    assert_null(row_break(&w.row, others, &n)); /* we ended it ourselves */
    assert_int_equal(n, 0);
    assert_true(row_is_over(&w.row));
}

/* The process would begin it with its next step. */
static void the_next_in_turn_never_begins_when_it_is_taken_out(void **state)
{
    struct world w = {0};
    struct wk_attempt *others[WK_ROW_MAX];
    size_t n;
    (void)state;
    given(&w, LEN);
    assert_true(begins(&w));
    assert_true(row_take(&w.row, at(&w, 1), others, &n));
    assert_int_equal(n, LEN - 2);
    assert_false(begins(&w));
    assert_ptr_equal(row_in_hand(&w.row), at(&w, 0));
}

static void no_row_has_the_number_nought(void **state)
{
    struct world w = {.row.number = UINT16_MAX};
    (void)state;
    given(&w, LEN);
    assert_int_not_equal(w.row.number, 0);
}

static void the_one_in_hand_is_charged_with_the_end_of_the_process(void **state)
{
    struct world w = {0};
    struct wk_attempt *others[WK_ROW_MAX];
    size_t n;
    (void)state;
    given(&w, LEN);
    for (int i = 0; i < 3; i++)
        begins(&w);
    row_answer(&w.row);
    assert_ptr_equal(row_break(&w.row, others, &n), at(&w, 2));
    assert_int_equal(n, 3);
    assert_ptr_equal(others[0], at(&w, 1));
    assert_ptr_equal(others[1], at(&w, 3));
    assert_ptr_equal(others[2], at(&w, 4));
    assert_true(row_is_over(&w.row));
}

static void nobody_is_charged_with_an_end_between_two(void **state)
{
    struct world w = {0};
    struct wk_attempt *others[WK_ROW_MAX];
    size_t n;
    (void)state;
    given(&w, LEN);
    begins(&w);
    row_answer(&w.row);
    assert_null(row_break(&w.row, others, &n));
    assert_int_equal(n, 4);
}

static void the_first_is_charged_when_the_process_did_not_get_to_it(void **state)
{
    struct world w = {0};
    struct wk_attempt *others[WK_ROW_MAX];
    size_t n;
    (void)state;
    given(&w, LEN); /* or it would be tried for ever */
    assert_ptr_equal(row_break(&w.row, others, &n), at(&w, 0));
    assert_int_equal(n, 4);
}

static void a_page_full_of_nonsense_is_believed_as_far_as_it_can_be_true(void **state)
{
    struct world w = {0};
    struct wk_attempt *others[WK_ROW_MAX];
    size_t n;
    (void)state;
    given(&w, LEN);
    memset(&w.page, 0xff, sizeof(w.page));
    assert_ptr_equal(row_in_hand(&w.row), at(&w, 4));
    assert_int_equal(row_end(&w.row, others), 0);
    row_answer(&w.row);
    memset(&w.page, 0, sizeof(w.page));
    assert_null(row_in_hand(&w.row));
    row_break(&w.row, others, &n);
    assert_int_equal(n, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_alone_is_in_hand_at_once),
        cmocka_unit_test(they_are_answered_in_order_however_late),
        cmocka_unit_test(what_has_not_begun_can_be_taken_back_and_never_begins),
        cmocka_unit_test(a_process_that_is_late_begins_nothing_of_the_next_row),
        cmocka_unit_test(a_row_is_stuck_when_none_has_begun_between_two_looks),
        cmocka_unit_test(only_what_is_in_hand_costs_its_process_when_it_is_taken_out),
        cmocka_unit_test(the_next_in_turn_never_begins_when_it_is_taken_out),
        cmocka_unit_test(no_row_has_the_number_nought),
        cmocka_unit_test(the_one_in_hand_is_charged_with_the_end_of_the_process),
        cmocka_unit_test(nobody_is_charged_with_an_end_between_two),
        cmocka_unit_test(the_first_is_charged_when_the_process_did_not_get_to_it),
        cmocka_unit_test(a_page_full_of_nonsense_is_believed_as_far_as_it_can_be_true),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
