/* SPDX-License-Identifier: Apache-2.0
 * Jobs of more than two stages, and stages whose tasks are told late what they fetch. */
#include "jobtracker/events/settle.h"
#include "tests/unit/jobtracker/events/core_fixture.h"

static struct jt_job *submit_stages(struct fixture *f, uint32_t maps,
                                    const struct jt_shuffle *shuffles, uint32_t count)
{
    return submit_asking(f, maps, (struct jt_submit){.shuffles = shuffles, .shuffle_count = count});
}

static struct jt_effect *last(const struct fixture *f, enum jt_effect_kind kind)
{
    for (size_t i = f->core.effect_count; i-- > 0;)
        if (f->core.effects[i].kind == kind)
            return &f->core.effects[i];
    return NULL;
}

static struct jt_attempt *running(struct jt_stage *stage, uint32_t task)
{
    list_each (&stage->tasks[task].attempts, it) {
        struct jt_attempt *a = list_entry(it, struct jt_attempt, of_task);
        if (a->state == JT_ATTEMPT_RUNNING)
            return a;
    }
    return NULL;
}

static void finish_stage(struct fixture *f, struct jt_stage *stage)
{
    for (uint32_t rounds = 0; !jt_stage_is_done(stage); rounds++) {
        assert_true(rounds < 100);
        for (uint32_t t = 0; t < stage->count; t++)
            if (running(stage, t))
                assert_true(done(f, running(stage, t)));
        f->now += 50;
        jt_on_tick(&f->core, f->now);
    }
}

static const struct slice two_inputs[] = {{(const uint8_t *)"ab", 2}, {(const uint8_t *)"c", 1}};

static void a_small_jobs_reduce_gets_the_core_its_last_map_had(void **state)
{
    struct fixture *f = *state;
    const struct jt_shuffle shuffle = {.partitions = 8, .is_packed = true};
    worker(f, "a", 2, 1);
    struct jt_job *job = submit_stages(f, 1, &shuffle, 1);
    struct jt_job *large = submit_stages(f, 5, &shuffle, 1);
    assert_int_equal(large->stages[0].running, 1);
    assert_true(done(f, running(&job->stages[0], 0)));
    assert_int_equal(count(f, JT_PACK), 1);
    jt_on_packed(&f->core, last(f, JT_PACK)->stage, two_inputs, 2, f->now);
    assert_non_null(running(&job->stages[1], 0));
    assert_int_equal(large->stages[0].running, 1);
}

static void packed_tasks_are_asked_for_when_all_they_read_is_there(void **state)
{
    struct fixture *f = *state;
    const struct jt_shuffle shuffle = {.partitions = 8, .is_packed = true};
    struct jt_worker *w = worker(f, "a", 4, 1);
    struct jt_job *job = submit_stages(f, 3, &shuffle, 1);
    assert_true(done(f, running_on(w)));
    assert_true(done(f, running_on(w)));
    assert_int_equal(count(f, JT_PACK), 0);
    assert_int_equal(job->stages[1].blocked, 1); /* so that it is not taken for done */
    assert_true(done(f, running_on(w)));
    assert_int_equal(count(f, JT_PACK), 1);
    struct jt_stage *stage = last(f, JT_PACK)->stage;
    assert_ptr_equal(stage, &job->stages[1]);
    f->now += 50;
    jt_on_tick(&f->core, f->now);
    jt_settle(&f->core, job); /* whatever else happens to it */
    assert_int_equal(count(f, JT_PACK), 1);
    jt_on_packed(&f->core, stage, two_inputs, 2, f->now);
    assert_int_equal(stage->count, 2);
    assert_int_equal(stage->running, 2);
    assert_true(slice_is(stage->tasks[0].input, "ab"));
    assert_true(slice_is(stage->tasks[1].input, "c"));
    jt_on_packed(&f->core, stage, two_inputs, 1, f->now); /* said twice */
    assert_int_equal(stage->count, 2);
    finish_all(f);
    assert_int_equal(job->state, JT_JOB_COMMITTING);
}

static void nothing_begins_when_the_answer_finds_the_job_over(void **state)
{
    struct fixture *f = *state;
    const struct jt_shuffle shuffle = {.partitions = 8, .is_packed = true};
    struct jt_worker *w = worker(f, "a", 4, 1);
    struct jt_job *job = submit_stages(f, 1, &shuffle, 1);
    assert_true(done(f, running_on(w)));
    assert_int_equal(count(f, JT_PACK), 1);
    jt_on_kill(&f->core, job, "nobody wants it", f->now);
    jt_on_packed(&f->core, &job->stages[1], two_inputs, 2, f->now);
    assert_false(job->stages[1].has_packing);
    assert_int_equal(job->stages[1].count, 1);
}

static void what_cannot_be_packed_now_is_asked_for_again(void **state)
{
    struct fixture *f = *state;
    const struct jt_shuffle shuffle = {.partitions = 8, .tasks = 2, .is_packed = true};
    struct jt_worker *a = worker(f, "a", 1, 1);
    struct jt_job *job = submit_stages(f, 1, &shuffle, 1);
    assert_int_equal(job->stages[1].count, 2);
    assert_true(done(f, running_on(a)));
    assert_int_equal(count(f, JT_PACK), 1);
    worker(f, "a", 1, 2); /* it has lost its memory, and the only map's output */
    jt_on_packed(&f->core, &job->stages[1], NULL, 0, f->now);
    f->now += 50;
    jt_on_tick(&f->core, f->now);
    assert_int_equal(count(f, JT_PACK), 1);
    assert_true(done(f, running_on(a)));
    assert_int_equal(count(f, JT_PACK), 2);
    jt_on_packed(&f->core, &job->stages[1], two_inputs, 2, f->now);
    /* What is chosen stays so when a map must run once more. */
    worker(f, "a", 2, 3);
    finish_all(f);
    assert_int_equal(count(f, JT_PACK), 2);
    assert_int_equal(job->state, JT_JOB_COMMITTING);
}

static void a_third_stage_reads_the_second(void **state)
{
    struct fixture *f = *state;
    const struct jt_shuffle shuffles[] = {{.partitions = 2}, {.partitions = 3}};
    struct jt_job *job;
    worker(f, "a", 4, 1);
    job = submit_stages(f, 2, shuffles, 2);
    assert_int_equal(job->stage_count, 4);
    assert_true(job->stages[1].feeds);
    assert_false(job->stages[2].feeds);
    finish_stage(f, &job->stages[0]);
    assert_int_equal(job->stages[1].running, 2);
    assert_int_equal(job->stages[2].running, 0);
    finish_stage(f, &job->stages[1]);
    assert_int_equal(job->stages[2].running, 3);
    struct jt_effect *told = last(f, JT_TELL_OUTPUTS);
    assert_int_equal(told->complete, 3); /* of stages 0 and 1 */
    assert_int_equal(job->output_count, 4);
    finish_all(f);
    assert_int_equal(job->state, JT_JOB_COMMITTING);
}

static void what_a_lost_second_stage_read_is_made_again_where_it_is_gone(void **state)
{
    struct fixture *f = *state;
    const struct jt_shuffle shuffles[] = {{.partitions = 1}, {.partitions = 1}};
    struct jt_worker *a = worker(f, "a", 1, 1);
    struct jt_job *job = submit_stages(f, 2, shuffles, 2);
    finish_stage(f, &job->stages[0]);
    finish_stage(f, &job->stages[1]);
    assert_int_equal(job->stages[2].running, 1);
    /* All there was of both stages was in its memory. */
    a = worker(f, "a", 2, 2);
    assert_int_equal(job->stages[0].done, 0);
    assert_int_equal(job->stages[1].done, 0);
    finish_all(f);
    assert_int_equal(job->state, JT_JOB_COMMITTING);
    assert_int_equal(a->cores, 2);
}

static void maps_that_died_unneeded_are_made_again_when_they_are_needed(void **state)
{
    struct fixture *f = *state;
    const struct jt_shuffle shuffles[] = {{.partitions = 1}, {.partitions = 1}};
    struct jt_worker *a = worker(f, "a", 2, 1);
    struct jt_job *job = submit_stages(f, 2, shuffles, 2);
    finish_stage(f, &job->stages[0]); /* on a */
    struct jt_worker *b = worker(f, "b", 2, 1);
    struct jt_attempt *second = running(&job->stages[1], 0);
    if (second->worker == a) { /* let it run on b */
        has_failed(f, second, false);
        second = running(&job->stages[1], 0);
    }
    assert_ptr_equal(second->worker, b);
    assert_true(done(f, second));
    for (int i = 0; i < 70; i++) { /* a falls silent: what it holds is not needed */
        f->now += 1000;
        jt_on_beat(&f->core, b, f->now);
        jt_on_tick(&f->core, f->now);
    }
    assert_false(a->is_live);
    assert_int_equal(job->stages[0].done, 2);
    worker(f, "b", 2, 2);
    assert_int_equal(job->stages[1].done, 0);
    assert_int_equal(job->stages[0].done, 0);
    finish_all(f);
    assert_int_equal(job->state, JT_JOB_COMMITTING);
}

static void after_a_restart_the_second_stage_is_believed_when_its_worker_comes_back(void **state)
{
    struct fixture *f = *state;
    const struct jt_shuffle shuffles[] = {{.partitions = 1, .tasks = 1, .is_packed = true},
                                          {.partitions = 4, .is_packed = true}};
    jt_on_resume_begin(&f->core);
    struct jt_job *job = submit_stages(f, 1, shuffles, 2);
    for (uint32_t stage = 0; stage < 2; stage++) {
        struct attempt_id id = {{0, job->number}, stage, 0, 0};
        jt_on_resumed(&f->core, job,
                      &(struct jt_resumed){id, slice_str("a"), slice_str("result"), {0}}, f->now);
        jt_on_packed(&f->core, &job->stages[stage + 1], two_inputs, stage ? 2 : 1, f->now);
    }
    assert_int_equal(f->core.effect_count, 0);
    jt_on_resume_end(&f->core, 2, f->now);
    assert_int_equal(job->stages[2].count, 2);
    struct jt_worker_offer offer = {.name = slice_str("a"),
                                    .rack = slice_str("/r"),
                                    .host = slice_str("h"),
                                    .cores = 2,
                                    .memory = 2 * GIB,
                                    .incarnation = 1};
    struct jt_worker *a = jt_on_register(&f->core, &offer, f->now);
    struct attempt_id held = {{0, job->number}, 1, 0, 0};
    assert_true(jt_on_held(&f->core, a, &held, f->now)); /* and nothing of stage 0 */
    jt_on_held_all(&f->core, a, f->now);
    jt_on_beat(&f->core, a, f->now);
    assert_int_equal(job->stages[2].running, 2);
    for (int i = 0; i < 20; i++) {
        f->now += 1000;
        jt_on_beat(&f->core, a, f->now);
        jt_on_tick(&f->core, f->now);
    }
    assert_int_equal(job->stages[0].done, 1); /* nobody needs what nobody holds */
    jt_on_fetch_failed(&f->core, &(struct attempt_id){{0, job->number}, 2, 0, 2000}, slice_str("a"),
                       (uint64_t[]){0}, 1, f->now);
    assert_int_equal(job->stages[1].done, 0);
    assert_int_equal(job->stages[0].done, 0); /* now it is */
    finish_all(f);
    assert_int_equal(job->state, JT_JOB_COMMITTING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_small_jobs_reduce_gets_the_core_its_last_map_had),
        CASE(packed_tasks_are_asked_for_when_all_they_read_is_there),
        CASE(nothing_begins_when_the_answer_finds_the_job_over),
        CASE(what_cannot_be_packed_now_is_asked_for_again),
        CASE(a_third_stage_reads_the_second),
        CASE(what_a_lost_second_stage_read_is_made_again_where_it_is_gone),
        CASE(maps_that_died_unneeded_are_made_again_when_they_are_needed),
        CASE(after_a_restart_the_second_stage_is_believed_when_its_worker_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
