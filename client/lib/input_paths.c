/* SPDX-License-Identifier: Apache-2.0 */
#include "client/lib/input_paths.h"

#include "libcommon/base/buf.h"
#include "libcommon/base/str.h"

static int no_memory(struct err *err)
{
    return err_set(err, ERR_NOMEM, "out of memory");
}

static int unknown(const struct task_probe *probe, const char *word, struct slice typed,
                   struct arena *arena, struct err *err)
{
    const char **names = arena_calloc(arena, probe->inputs.n, sizeof(*names));
    char *name = slice_dup(typed);
    struct buf known = BUF_INIT;
    size_t n = 0;
    for (size_t i = 1; names && i < probe->inputs.n; i++) {
        buf_printf(&known, "%s" SLICE_FMT, i > 1 ? ", " : "", SLICE_ARG(probe->inputs.v[i].name));
        names[n] = slice_text(probe->inputs.v[i].name, arena);
        n += names[n] != NULL;
    }
    const char *near = name ? str_nearest(name, names, n) : NULL, *text = buf_cstr(&known);
    err_set(err, ERR_USAGE, "-input %s: the inputs of " SLICE_FMT " are %s%s%s%s", word,
            SLICE_ARG(probe->name), text ? text : "others", near ? " (did you mean " : "",
            near ? near : "", near ? "?)" : "");
    buf_release(&known);
    mem_free(name);
    return ERR_USAGE;
}

static int find_named(const struct task_probe *probe, const char *word, struct arena *arena,
                      struct input_path *ret, struct err *err)
{
    const char *equals = strchr(word, '=');
    struct slice name = slice_of(word, equals ? (size_t)(equals - word) : 0);
    if (probe->inputs.n < 2)
        return err_set(err, ERR_USAGE,
                       "-input %s: " SLICE_FMT " has no inputs with names: give paths alone", word,
                       SLICE_ARG(probe->name));
    if (!equals || !equals[1])
        return err_set(err, ERR_USAGE, "-input %s: NAME=PATH is wanted", word);
    for (uint32_t i = 1; i < probe->inputs.n; i++)
        if (slice_eq(probe->inputs.v[i].name, name)) {
            *ret = (struct input_path){word, equals + 1, i};
            return 0;
        }
    return unknown(probe, word, name, arena, err);
}

/* Where the job reads paths without a name, the names are for who likes. */
static int check_given(const struct task_probe *probe, const struct input_words *words,
                       const struct input_paths *paths, struct err *err)
{
    if (paths->n == 0 && probe->inputs.n < 2)
        return err_set(err, ERR_USAGE, "INPUT... OUTPUT are wanted");
    if (!probe->needs_names && words->plain_count > 0)
        return 0;
    for (size_t i = 1; i < probe->inputs.n; i++) {
        bool is_given = false;
        for (size_t k = 0; k < paths->n; k++)
            is_given = is_given || paths->v[k].input == i;
        if (!is_given)
            return err_set(err, ERR_USAGE,
                           "no path is given for the input " SLICE_FMT " of " SLICE_FMT
                           ": -input " SLICE_FMT "=PATH",
                           SLICE_ARG(probe->inputs.v[i].name), SLICE_ARG(probe->name),
                           SLICE_ARG(probe->inputs.v[i].name));
    }
    return 0;
}

int input_paths_sort_out(const struct task_probe *probe, const struct input_words *words,
                         struct arena *arena, struct input_paths *ret, struct err *err)
{
    size_t count = words->plain_count + words->named_count;
    int rc = 0;
    *ret = (struct input_paths){.v = arena_calloc(arena, count + 1, sizeof(*ret->v))};
    if (!ret->v)
        return no_memory(err);
    for (size_t i = 0; i < words->plain_count; i++)
        ret->v[ret->n++] =
            (struct input_path){words->plain[i], words->plain[i], probe->needs_names};
    for (size_t i = 0; rc == 0 && i < words->named_count; i++)
        rc = find_named(probe, words->named[i], arena, &ret->v[ret->n++], err);
    return rc == 0 ? check_given(probe, words, ret, err) : rc;
}

int input_paths_confs(const struct task_probe *probe, const struct split_conf *base,
                      struct arena *arena, const struct split_conf **ret, struct err *err)
{
    struct split_conf *confs = arena_calloc(arena, probe->inputs.n, sizeof(*confs));
    if (!confs)
        return no_memory(err);
    for (size_t i = 0; i < probe->inputs.n; i++) {
        const struct task_probe_input *input = &probe->inputs.v[i];
        bool is_used = !probe->has_rows && (i > 0 || !probe->needs_names);
        if (base->lines && is_used && !input->has_lines)
            return err_set(err, ERR_CONFIG,
                           SLICE_FMT " does not read lines: -D mapreduce.input.lineinputformat."
                                     "linespermap cannot cut its input",
                           SLICE_ARG(i ? input->name : probe->name));
        confs[i] = *base;
        if (confs[i].max_bytes == 0)
            confs[i].max_bytes = input->split_size;
        confs[i].is_whole = input->is_whole;
        confs[i].has_lines = input->has_lines;
    }
    *ret = confs;
    return 0;
}
