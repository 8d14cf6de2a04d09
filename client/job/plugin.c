/* SPDX-License-Identifier: Apache-2.0 */
#include "client/job/plugin.h"

#include <unistd.h>

#include "client/job/task_child.h"
#include "libcommon/base/proc.h"
#include "libcommon/base/str.h"
#include "libcommon/store/disk.h"

#define NAMES_MAX 256

/* Where bundled jobs are: beside the programs of a build, or in lib/quern of an installation. */
static const char *const places[] = {"jobs", "../lib/quern/jobs"};

struct names {
    char *v[NAMES_MAX];
    size_t n;
};

static void names_release(struct names *names)
{
    for (size_t i = 0; i < names->n; i++)
        mem_free(names->v[i]);
}

static int note_name(void *arg, const char *file, bool is_dir)
{
    struct names *names = arg;
    size_t n = strlen(file);
    if (is_dir || n < 4 || strcmp(file + n - 3, ".so") != 0 || names->n == NAMES_MAX)
        return 0;
    char *name = slice_dup(slice_of(file, n - 3));
    if (!name)
        return ERR_NOMEM;
    size_t at = names->n++;
    for (; at > 0 && strcmp(names->v[at - 1], name) > 0; at--)
        names->v[at] = names->v[at - 1];
    names->v[at] = name;
    return 0;
}

/* The directory of bundled jobs; NULL when there is none. mem_free it. */
static char *bundle_dir(void)
{
    char *own = proc_own_dir(), *found = NULL;
    for (size_t i = 0; own && !found && i < ARRAY_LEN(places); i++) {
        char *dir = str_printf("%s/%s", own, places[i]);
        struct disk_stat st;
        if (dir && disk_stat(disk_real(), dir, &st) == 0 && st.is_dir)
            found = dir;
        else
            mem_free(dir);
    }
    mem_free(own);
    return found;
}

static int unknown(const char *word, const char *dir, struct err *err)
{
    struct names names = {0};
    if (dir)
        disk_list(disk_real(), dir, note_name, &names);
    const char *near = str_nearest(word, (const char *const *)names.v, names.n);
    if (near)
        err_set(err, ERR_NOENT,
                "no job named \"%s\" (did you mean %s? `quern run -list` shows all)", word, near);
    else
        err_set(err, ERR_NOENT,
                "no job named \"%s\" (`quern run -list` shows all; a plugin of your own is given "
                "with a slash: ./%s.so)",
                word, word);
    names_release(&names);
    return ERR_NOENT;
}

static int find(const char *word, char **ret_path, struct err *err)
{
    struct disk_stat st;
    size_t n = strlen(word);
    bool is_path = strchr(word, '/') || (n > 3 && strcmp(word + n - 3, ".so") == 0);
    char *dir = is_path ? NULL : bundle_dir();
    char *path = is_path ? str_dup(word) : dir ? str_printf("%s/%s.so", dir, word) : NULL;
    int rc = 0;
    if (!path || (!is_path && disk_stat(disk_real(), path, &st) != 0))
        rc = unknown(word, dir, err);
    else if (is_path && disk_stat(disk_real(), path, &st) != 0)
        rc = err_set(err, ERR_NOENT, "%s: No such file or directory", word);
    else if (st.is_dir)
        rc = err_set(err, ERR_ISDIR, "%s: Is a directory, not a plugin", word);
    mem_free(dir);
    if (rc != 0)
        mem_free(path);
    else
        *ret_path = path;
    return rc;
}

/* --- the probe ------------------------------------------------------------------------------- */

static int probe(struct job_plugin *plugin, struct err *err)
{
    const struct task_child child = {.option = "-probe",
                                     .plugin = plugin->path,
                                     .doing = "while it was loaded",
                                     .name = plugin->path};
    int rc = task_child_ask(&child, &plugin->bytes, err);
    return rc == 0 ? msg_decode(&task_probe_desc, buf_slice(&plugin->bytes), &plugin->arena,
                                &plugin->probe, err)
                   : rc;
}

int job_plugin_open(struct job_plugin *plugin, const char *word, struct err *err)
{
    *plugin = (struct job_plugin){0};
    int rc = find(word, &plugin->path, err);
    if (rc == 0)
        rc = probe(plugin, err);
    if (rc != 0)
        job_plugin_close(plugin);
    return rc;
}

void job_plugin_close(struct job_plugin *plugin)
{
    mem_free(plugin->path);
    buf_release(&plugin->bytes);
    arena_release(&plugin->arena);
    *plugin = (struct job_plugin){0};
}

/* --- for people ------------------------------------------------------------------------------ */

int job_plugin_list(void)
{
    struct names names = {0};
    char *dir = bundle_dir();
    if (dir)
        disk_list(disk_real(), dir, note_name, &names);
    for (size_t i = 0; i < names.n; i++) {
        struct job_plugin plugin;
        struct err err = {0};
        if (job_plugin_open(&plugin, names.v[i], &err) == 0) {
            printf("%-16s " SLICE_FMT "\n", names.v[i], SLICE_ARG(plugin.probe.about));
            job_plugin_close(&plugin);
        } else {
            printf("%-16s (%s)\n", names.v[i], err.msg);
        }
    }
    if (names.n == 0)
        fprintf(stderr, "quern run: no bundled jobs are installed beside this program\n");
    names_release(&names);
    mem_free(dir);
    return names.n ? 0 : 1;
}

void job_plugin_help(const struct job_plugin *plugin)
{
    const struct task_probe *p = &plugin->probe;
    printf(SLICE_FMT ": " SLICE_FMT "\n\nusage: quern run [-D key=value] [-reduces N] " SLICE_FMT
                     "%s OUTPUT\n",
           SLICE_ARG(p->name), SLICE_ARG(p->about), SLICE_ARG(p->name),
           p->needs_names ? " -input NAME=PATH..."
           : p->has_rows  ? ""
                          : " INPUT...");
    for (size_t i = 1; i < p->inputs.n; i++)
        printf("%s  -input " SLICE_FMT "=PATH%*s" SLICE_FMT "\n", i > 1 ? "" : "\ninputs\n",
               SLICE_ARG(p->inputs.v[i].name),
               p->inputs.v[i].name.len < 18 ? (int)(19 - p->inputs.v[i].name.len) : 1, "",
               SLICE_ARG(p->inputs.v[i].about));
    for (size_t i = 0; i < p->options.n; i++) {
        const struct task_probe_option *o = &p->options.v[i];
        printf("%s  -D %-28.*s " SLICE_FMT, i ? "" : "\noptions\n", (int)o->name.len,
               (const char *)o->name.data, SLICE_ARG(o->help));
        if (o->is_required)
            printf(" (must be given)\n");
        else
            printf(" (default \"" SLICE_FMT "\")\n", SLICE_ARG(o->default_value));
    }
    printf("\nkeys " SLICE_FMT ", values " SLICE_FMT "%s" SLICE_FMT "\n", SLICE_ARG(p->key),
           SLICE_ARG(p->value), p->combine.len ? ", combined by " : "", SLICE_ARG(p->combine));
}
