/* SPDX-License-Identifier: Apache-2.0
 * spent: two inputs, each read in its own way, that meet in one reduce: what each customer spent.
 *
 *     orders       CSV with a heading:   number,customer,cents
 *     customers    lines:                customer TAB city
 *     the output   lines:                customer TAB city TAB cents
 *
 *     cc -shared -fPIC -I include docs/examples/spent.c -o spent.so
 *     quern run -input orders=/orders.csv -input customers=/customers ./spent.so /out
 *
 * Orders of nobody who is known are in OUT/unknown-r-00000. */
#include <stdio.h>

#include <quern/csv.h>

struct state {
    struct qn_csv csv;
    struct qn_room text; /* of a value; of the city */
};

static int setup(struct qn_task *task)
{
    return (*qn_state(task) = calloc(1, sizeof(struct state))) ? 0 : qn_fail(task, "out of memory");
}

/* What meets under one key must be told apart: the first byte does it. */
static int emit(struct qn_task *task, struct qn_slice key, char what, struct qn_slice value)
{
    struct state *s = *qn_state(task);
    if (qn_grow(task, &s->text, value.len + 1) != 0)
        return -1;
    s->text.data[0] = (unsigned char)what;
    memcpy(s->text.data + 1, value.data, value.len);
    return qn_emit(task, key, qn_bytes(s->text.data, value.len + 1));
}

static int map_order(struct qn_task *task, struct qn_slice record, struct qn_slice where)
{
    struct state *s = *qn_state(task);
    struct qn_slice number, customer, cents;
    if (qn_to_u64(where) == 0) /* the heading */
        return 0;
    if (qn_csv_begin(task, &s->csv, record, ',') != 0)
        return -1;
    if (!qn_csv_next(&s->csv, &number) || !qn_csv_next(&s->csv, &customer) ||
        !qn_csv_next(&s->csv, &cents))
        return qn_fail(task, "an order has three fields");
    return emit(task, customer, 'o', cents);
}

static int map_customer(struct qn_task *task, struct qn_slice city, struct qn_slice customer)
{
    return emit(task, customer, 'c', city);
}

static int reduce(struct qn_task *task, struct qn_slice customer, struct qn_values *values)
{
    struct state *s = *qn_state(task);
    struct qn_slice value;
    size_t city = 0;
    long long sum = 0;
    int is_known = 0;
    while (qn_next(values, &value)) {
        const char *text = value.data;
        size_t len = value.len - 1;
        if (qn_grow(task, &s->text, len + 32) != 0) /* the city, then TAB and the sum */
            return -1;
        if (text[0] == 'c') {
            memcpy(s->text.data, text + 1, city = len);
            is_known = 1;
        } else {
            char number[32];
            snprintf(number, sizeof(number), "%.*s", (int)len, text + 1);
            sum += strtoll(number, NULL, 10);
        }
    }
    int n = snprintf((char *)s->text.data + city, 32, "\t%lld", sum);
    struct qn_slice line = qn_bytes(s->text.data, city + (size_t)n);
    return is_known ? qn_emit(task, customer, line) : qn_emit_to(task, "unknown", customer, line);
}

static int cleanup(struct qn_task *task)
{
    struct state *s = *qn_state(task);
    if (s) {
        qn_give_back(&s->csv.room);
        qn_give_back(&s->text);
    }
    free(s);
    return 0;
}

static const struct qn_job orders = {.head = QN_JOB_HEAD,
                                     .name = "orders",
                                     .about = "CSV: number, customer, cents",
                                     .map = map_order,
                                     .input = QN_CSV};
static const struct qn_job customers = {.head = QN_JOB_HEAD,
                                        .name = "customers",
                                        .about = "lines: customer TAB city",
                                        .map = map_customer,
                                        .input = QN_KEY_VALUES};
static const struct qn_job *const inputs[] = {&orders, &customers, NULL};

const struct qn_job qn_job = {.head = QN_JOB_HEAD,
                              .name = "spent",
                              .about = "what each customer spent",
                              .setup = setup,
                              .reduce = reduce,
                              .cleanup = cleanup,
                              .inputs = inputs};
