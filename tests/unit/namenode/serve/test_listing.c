/* SPDX-License-Identifier: Apache-2.0
 * listing: a directory that changes while somebody goes through it page by page. */
#include "tests/unit/namenode/serve/served.h"

#define STAYING 300
#define PAGE    20

static struct served s;
static uint64_t seq;

static int setup(void **state)
{
    (void)state;
    served_conf(&s);
    served_start(&s, "eve");
    seq = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    served_stop(&s);
    return 0;
}

static void make(char first, unsigned n)
{
    char path[64];
    snprintf(path, sizeof(path), "/d/%c%06u", first, n);
    struct cl2nn_mkdir ask = {{77, ++seq}, slice_str(path), 0755, true, 0};
    assert_int_equal(ask_nn(&s, MKDIR, &ask, NULL), 0);
}

static void remove_one(struct slice name)
{
    char path[64];
    snprintf(path, sizeof(path), "/d/" SLICE_FMT, SLICE_ARG(name));
    struct cl2nn_delete ask = {{77, ++seq}, slice_str(path), true, 0};
    struct cl2nn_yes yes;
    assert_int_equal(ask_nn(&s, DELETE, &ask, &yes), 0);
    assert_true(yes.yes);
}

/* Before each page something new comes in front of the cursor and behind it; the entry the cursor
 * stands at is taken away when it is not one of those that stay. */
static void what_stays_is_told_once_whatever_comes_and_goes(void **state)
{
    (void)state;
    unsigned told[STAYING] = {0}, pages = 0, others = 0;
    for (unsigned i = 0; i < STAYING; i++)
        make('k', i * 10);
    struct cl2nn_list ask = {.path = slice_str("/d"), .limit = PAGE};
    struct cl2nn_listing page = {0};
    char last[64] = "";
    do {
        make('a', pages);                     /* before everything */
        make('k', pages * PAGE * 10 / 2 + 5); /* among what was told, or is to be */
        make('z', pages);                     /* behind everything */
        ask.start_after = slice_str(last);
        assert_int_equal(ask_nn(&s, LIST, &ask, &page), 0);
        for (size_t i = 0; i < page.files.n; i++) {
            struct slice name = page.files.v[i].name;
            assert_true(slice_cmp(slice_str(last), name) < 0); /* in order, over pages too */
            snprintf(last, sizeof(last), SLICE_FMT, SLICE_ARG(name));
            if (last[0] == 'k' && strtol(last + 1, NULL, 10) % 10 == 0)
                told[strtol(last + 1, NULL, 10) / 10]++;
            else
                others++;
        }
        bool stays = last[0] == 'k' && strtol(last + 1, NULL, 10) % 10 == 0;
        if (!stays)
            remove_one(slice_str(last));
        pages++;
    } while (page.remaining && pages < 100);
    assert_in_range(pages, STAYING / PAGE, 30);
    for (int i = 0; i < STAYING; i++)
        assert_int_equal(told[i], 1);
    assert_true(others > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_stays_is_told_once_whatever_comes_and_goes, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
