/* SPDX-License-Identifier: Apache-2.0
 * run: runs scenarios. Without --seed: the seeds that once found something (seeds.txt), then fresh
 * ones, and "N passed, N failed" at the end. A failure prints the line that replays it. */
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "libcommon/base/clock.h"
#include "libcommon/base/str.h"
#include "tests/sim/scenario.h"

struct options {
    const struct sim_scenario *scenario; /* NULL = all */
    uint64_t seed, steps, fresh, first_fresh, seconds, failures;
    const char *seeds_file;
    bool has_seed, is_traced, is_listing, wants_help;
};

struct tally {
    unsigned passed, failed;
    uint64_t steps, virtual_ms;
};

static const char usage[] =
    "usage: run [--scenario NAME] --seed N [--steps N] [--trace]\n"
    "       run [--scenario NAME] [--seeds FILE] [--fresh N [--first N]] [--seconds N]\n"
    "           [--failures N]\n"
    "       run --list\n"
    "  --scenario S this one only; else all of them, and with --seed the first of --list\n"
    "  --seed N     this seed only, twice; --steps N ends its faults after so many steps, and\n"
    "               --trace runs it once and prints every step\n"
    "  --seeds F    lines \"SCENARIO SEED [STEPS]\", run first\n"
    "  --fresh N    that many seeds nobody has seen, per scenario; the first is random, or "
    "--first\n"
    "  --seconds N  stop starting fresh ones after so long\n"
    "  --failures N stop after so many that failed\n";

static void tell_failure(const struct sim_scenario *scenario, uint64_t seed, uint64_t steps,
                         const struct sim_outcome *outcome)
{
    printf("FAIL %s seed %" PRIu64 ": %s\n", scenario->name, seed, outcome->failure);
    printf("     again: tests/sim/run --scenario %s --seed %" PRIu64, scenario->name, seed);
    if (steps)
        printf(" --steps %" PRIu64, steps);
    printf(" --trace\n");
}

/* The run that is under way, for when a BUG in what is simulated ends the process. */
static char running[160];

static void tell_abort(int sig)
{
    (void)sig;
    ssize_t n = write(STDOUT_FILENO, running, strlen(running));
    (void)n;
}

static void note_running(const struct sim_scenario *scenario, uint64_t seed, uint64_t steps)
{
    char more[32] = "";
    if (steps)
        snprintf(more, sizeof(more), " --steps %" PRIu64, steps);
    snprintf(running, sizeof(running),
             "FAIL %s seed %" PRIu64 ": the process ended; see above\n"
             "     again: tests/sim/run --scenario %s --seed %" PRIu64 "%s --trace\n",
             scenario->name, seed, scenario->name, seed, more);
}

static void run_one(const struct sim_scenario *scenario, uint64_t seed, uint64_t steps,
                    struct tally *tally)
{
    note_running(scenario, seed, steps);
    struct sim_outcome outcome = sim_run_twice(scenario, seed, steps);
    tally->steps += outcome.steps;
    tally->virtual_ms += outcome.end_ms;
    if (!outcome.has_failed) {
        tally->passed++;
        return;
    }
    tally->failed++;
    tell_failure(scenario, seed, steps, &outcome);
}

static int run_traced(const struct options *o)
{
    struct sim_outcome outcome = sim_run(o->scenario, o->seed, o->steps, true);
    printf("hash %016" PRIx64 " after %" PRIu64 " steps\n", outcome.hash, outcome.steps);
    if (outcome.has_failed)
        printf("FAIL %s seed %" PRIu64 ": %s\n", o->scenario->name, o->seed, outcome.failure);
    return outcome.has_failed;
}

/* Lines of the seeds file; of other scenarios than the chosen one they are passed over. */
static int run_file(const struct options *o, struct tally *tally)
{
    FILE *f = fopen(o->seeds_file, "r");
    char line[256], name[64];
    if (!f) {
        fprintf(stderr, "run: cannot open %s\n", o->seeds_file);
        return -1;
    }
    for (unsigned number = 1; fgets(line, sizeof(line), f); number++) {
        uint64_t seed = 0, steps = 0;
        if (line[0] == '#' || line[0] == '\n')
            continue;
        if (sscanf(line, "%63s %" SCNu64 " %" SCNu64, name, &seed, &steps) < 2 ||
            !sim_scenario_find(name)) {
            fprintf(stderr, "run: %s:%u: expected \"SCENARIO SEED [STEPS]\"\n", o->seeds_file,
                    number);
            fclose(f);
            return -1;
        }
        if (!o->scenario || o->scenario == sim_scenario_find(name))
            run_one(sim_scenario_find(name), seed, steps, tally);
    }
    fclose(f);
    return 0;
}

static bool is_enough(const struct options *o, const struct tally *tally)
{
    return o->failures && tally->failed >= o->failures;
}

static void run_fresh(const struct options *o, struct tally *tally)
{
    uint64_t end_ms = o->seconds ? clock_mono_ms() + o->seconds * 1000 : UINT64_MAX;
    for (uint64_t n = 0; n < o->fresh && clock_mono_ms() < end_ms && !is_enough(o, tally); n++)
        for (size_t i = 0; i < sim_scenario_count; i++)
            if (!o->scenario || o->scenario == sim_scenarios[i])
                run_one(sim_scenarios[i], o->first_fresh + n, o->steps, tally);
}

static int parse_number(const char *text, uint64_t *ret)
{
    if (str_to_u64(text, ret) == 0)
        return 0;
    fprintf(stderr, "run: %s is not a number\n", text);
    return -1;
}

static int unknown_scenario(const char *name)
{
    fprintf(stderr, "run: no scenario %s; there are:", name);
    for (size_t i = 0; i < sim_scenario_count; i++)
        fprintf(stderr, " %s", sim_scenarios[i]->name);
    fputc('\n', stderr);
    return -1;
}

/* What was asked for must make sense together: an option that would have no effect is a mistake. */
static int judge(const struct options *o, int rest, char **argv)
{
    const char *why = NULL;
    if (rest > 0)
        fprintf(stderr, "run: %s is not an option: a seed is --seed N\n", argv[0]);
    else if (o->is_traced && !o->has_seed)
        why = "--trace prints one seed: say --seed N";
    else if (o->has_seed && (o->fresh || o->seeds_file))
        why = "--seed is one seed, --fresh and --seeds are many: say one or the other";
    else if (!o->has_seed && !o->fresh && !o->seeds_file && !o->is_listing && !o->wants_help)
        why = "nothing to do: say --seed N, --fresh N, --seeds FILE or --list";
    if (why)
        fprintf(stderr, "run: %s\n", why);
    return why || rest > 0 ? -1 : 0;
}

static int parse(int argc, char **argv, struct options *o)
{
    static const struct option longs[] = {
        {"scenario", 1, NULL, 'c'}, {"seed", 1, NULL, 's'},    {"steps", 1, NULL, 'n'},
        {"trace", 0, NULL, 't'},    {"seeds", 1, NULL, 'f'},   {"fresh", 1, NULL, 'r'},
        {"first", 1, NULL, 'i'},    {"seconds", 1, NULL, 'd'}, {"list", 0, NULL, 'l'},
        {"failures", 1, NULL, 'u'}, {"help", 0, NULL, 'h'},    {NULL, 0, NULL, 0},
    };
    int c = 0, rc = 0;
    while (rc == 0 && (c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
        switch (c) {
        case 'c':
            o->scenario = sim_scenario_find(optarg);
            rc = o->scenario ? 0 : unknown_scenario(optarg);
            break;
        case 's':
            o->has_seed = true;
            rc = parse_number(optarg, &o->seed);
            break;
        case 'n':
            rc = parse_number(optarg, &o->steps);
            break;
        case 't':
            o->is_traced = true;
            break;
        case 'f':
            o->seeds_file = optarg;
            break;
        case 'r':
            rc = parse_number(optarg, &o->fresh);
            break;
        case 'i':
            rc = parse_number(optarg, &o->first_fresh);
            break;
        case 'd':
            rc = parse_number(optarg, &o->seconds);
            break;
        case 'u':
            rc = parse_number(optarg, &o->failures);
            break;
        case 'l':
            o->is_listing = true;
            break;
        case 'h':
            o->wants_help = true;
            break;
        default:
            rc = -1;
        }
    }
    return rc ? rc : judge(o, argc - optind, argv + optind);
}

int main(int argc, char **argv)
{
    struct options o = {.first_fresh = clock_wall_ms() % 1000000000};
    struct tally tally = {0};
    if (parse(argc, argv, &o) < 0) {
        fputs(usage, stderr);
        return 2;
    }
    if (o.wants_help) {
        fputs(usage, stdout);
        return 0;
    }
    signal(SIGABRT, tell_abort);
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (size_t i = 0; o.is_listing && i < sim_scenario_count; i++)
        printf("%-12s %s\n", sim_scenarios[i]->name, sim_scenarios[i]->about);
    if (o.is_listing)
        return 0;
    if (!o.scenario && o.has_seed)
        o.scenario = sim_scenarios[0];
    if (o.has_seed && o.is_traced)
        return run_traced(&o);
    if (o.has_seed)
        run_one(o.scenario, o.seed, o.steps, &tally);
    if (o.seeds_file && run_file(&o, &tally) < 0)
        return 2;
    if (o.fresh)
        run_fresh(&o, &tally);
    printf("sim: %" PRIu64 " steps, %" PRIu64 " hours of virtual time%s", tally.steps,
           tally.virtual_ms / 3600000, o.fresh ? "" : "\n");
    if (o.fresh)
        printf(", fresh seeds from %" PRIu64 "\n", o.first_fresh);
    printf("%u passed, %u failed\n", tally.passed, tally.failed);
    return tally.failed ? 1 : 0;
}
