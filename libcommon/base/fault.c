/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/base/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include "libcommon/base/str.h"

#define RULES_MAX  16
#define POINTS_MAX 128
#define NAME_CAP   48

enum act { ACT_KILL, ACT_EXIT, ACT_STOP, ACT_DELAY, ACT_RESULT };

struct rule {
    char name[NAME_CAP]; /* may end in '*' */
    uint64_t at;         /* fires at this hit */
    bool onwards;        /* and at all later ones */
    enum act act;
    enum fault_action result;
    unsigned delay_ms;
    _Atomic uint64_t hits;
};

/* Arming builds a new table and then switches to it, so that threads at their points never see half
 * a rule. The old tables stay: a thread may be at one for as long as its delay, and people and
 * tests arm by hand, which is not often. One thread arms at a time. */
struct rule_table {
    struct rule_table *before; /* in `all` */
    size_t count;
    struct rule rules[RULES_MAX];
};
static struct rule_table nothing;
static struct rule_table *_Atomic table = &nothing;
static struct rule_table *all; /* that were ever armed */

_Atomic bool fault_is_armed;
static bool is_counting;
static struct {
    const char *_Atomic name;
    _Atomic uint64_t hits;
} points[POINTS_MAX];

static const struct {
    const char *word;
    enum act act;
    enum fault_action result;
} actions[] = {
    {"kill", ACT_KILL, 0},
    {"exit", ACT_EXIT, 0},
    {"stop", ACT_STOP, 0},
    {"eio", ACT_RESULT, FAULT_EIO},
    {"enospc", ACT_RESULT, FAULT_ENOSPC},
    {"corrupt", ACT_RESULT, FAULT_CORRUPT},
    {"drop", ACT_RESULT, FAULT_DROP},
};

/* Names are literals: the address settles most comparisons. A full table only loses counts. */
static void count_point(const char *name)
{
    for (size_t i = 0; i < POINTS_MAX; i++) {
        const char *there = points[i].name;
        if (!there) {
            const char *none = NULL;
            if (!__atomic_compare_exchange_n((const char **)&points[i].name, &none, name, false,
                                             __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
                there = none;
            else
                there = name;
        }
        if (there == name || strcmp(there, name) == 0) {
            points[i].hits++;
            return;
        }
    }
}

static bool name_matches(const char *pattern, const char *name)
{
    size_t n = strlen(pattern);
    if (n && pattern[n - 1] == '*')
        return strncmp(pattern, name, n - 1) == 0;
    return strcmp(pattern, name) == 0;
}

static enum fault_action fire(const struct rule *rule)
{
    switch (rule->act) {
    case ACT_KILL:
        raise(SIGKILL);
        break;
    case ACT_EXIT:
        _exit(99);
    case ACT_STOP:
        raise(SIGSTOP);
        break;
    case ACT_DELAY:
        poll(NULL, 0, (int)rule->delay_ms);
        break;
    case ACT_RESULT:
        return rule->result;
    }
    return FAULT_NONE;
}

enum fault_action fault_hit_slow(const char *name)
{
    enum fault_action result = FAULT_NONE;
    struct rule_table *now = atomic_load_explicit(&table, memory_order_acquire);
    count_point(name);
    for (size_t i = 0; i < now->count; i++) {
        struct rule *rule = &now->rules[i];
        if (!name_matches(rule->name, name))
            continue;
        uint64_t hit = ++rule->hits;
        if (hit == rule->at || (rule->onwards && hit > rule->at)) {
            enum fault_action a = fire(rule);
            if (a != FAULT_NONE)
                result = a;
        }
    }
    return result;
}

int fault_errno(enum fault_action action)
{
    return action == FAULT_EIO ? EIO : action == FAULT_ENOSPC ? ENOSPC : 0;
}

static int parse_action(const char *word, struct rule *rule)
{
    uint64_t ms = 100;
    if (strncmp(word, "delay", 5) == 0) {
        if (word[5] && (str_to_u64(word + 5, &ms) != 0 || ms > INT32_MAX))
            return ERR_INVAL;
        rule->act = ACT_DELAY;
        rule->delay_ms = (unsigned)ms;
        return 0;
    }
    for (size_t i = 0; i < ARRAY_LEN(actions); i++) {
        if (strcmp(word, actions[i].word) == 0) {
            rule->act = actions[i].act;
            rule->result = actions[i].result;
            return 0;
        }
    }
    return ERR_INVAL;
}

static int parse_rule(char *text, struct rule *rule)
{
    char *eq = strchr(text, '='), *colon = eq ? strchr(eq, ':') : NULL;
    if (!colon || (size_t)(eq - text) >= NAME_CAP)
        return ERR_INVAL;
    *eq = *colon = 0;
    char *plus = strchr(eq + 1, '+');
    if (plus)
        *plus = 0;
    *rule = (struct rule){.onwards = plus != NULL};
    memcpy(rule->name, text, (size_t)(eq - text) + 1);
    if (str_to_u64(eq + 1, &rule->at) != 0 || rule->at == 0)
        return ERR_INVAL;
    return parse_action(colon + 1, rule);
}

static int parse_rules(const char *spec, struct rule_table *to, struct err *err)
{
    char copy[512], *save = NULL;
    if (strlen(spec) >= sizeof(copy))
        return err_set(err, ERR_INVAL, "fault: specification too long");
    memcpy(copy, spec, strlen(spec) + 1);
    for (char *w = strtok_r(copy, ",", &save); w; w = strtok_r(NULL, ",", &save)) {
        if (to->count == RULES_MAX || parse_rule(w, &to->rules[to->count]) != 0)
            return err_set(err, ERR_INVAL,
                           "fault: bad rule near \"%s\": want name=N:action (kill, exit, stop, "
                           "eio, enospc, corrupt, drop, delayMS)",
                           w);
        to->count++;
    }
    return 0;
}

static void switch_to(struct rule_table *next)
{
    bool is_armed = next->count > 0 || is_counting;
    atomic_store_explicit(&table, next, memory_order_release);
    atomic_store_explicit(&fault_is_armed, is_armed, memory_order_release);
}

int fault_arm(const char *spec, struct err *err)
{
    if (!spec || !*spec) {
        switch_to(&nothing);
        return 0;
    }
    struct rule_table *next = calloc(1, sizeof(*next)); /* mem_alloc is a fault point itself */
    if (!next)
        return err_set(err, ERR_NOMEM, "fault: no memory for the rules");
    int rc = parse_rules(spec, next, err);
    if (rc != 0) {
        free(next);
        return rc;
    }
    next->before = all;
    all = next;
    switch_to(next);
    return 0;
}

static void write_counts(void)
{
    const char *file = getenv("QUERN_FAULT_COUNT");
    struct buf out = BUF_INIT;
    fault_report(&out);
    int fd = file ? open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644) : -1;
    if (fd >= 0) {
        ssize_t ignored = write(fd, out.data, out.len);
        (void)ignored;
        close(fd);
    }
    buf_release(&out);
}

int fault_arm_from_env(struct err *err)
{
    if (getenv("QUERN_FAULT_COUNT") && !is_counting) {
        is_counting = true;
        atexit(write_counts);
    }
    return fault_arm(getenv("QUERN_FAULT"), err);
}

void fault_report(struct buf *out)
{
    for (size_t i = 0; i < POINTS_MAX && points[i].name; i++)
        buf_printf(out, "%s %llu\n", points[i].name, (unsigned long long)points[i].hits);
}
