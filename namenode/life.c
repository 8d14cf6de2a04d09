/* SPDX-License-Identifier: Apache-2.0
 * life: the namenode as a daemon: what its descriptor (main.c) points to. */
#include "namenode/life.h"

#include <inttypes.h>
#include <unistd.h>

#include "libcommon/base/clock.h"
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"
#include "namenode/journal/recover.h"
#include "namenode/journal/salvage.h"
#include "namenode/talk/bootstrap.h"

#define STATE_MS 250
#define NAME_DIR "dfs.namenode.name.dir"

/* ---- start ---- */

/* What the pages show of it without asking. */
static void show_state(void *arg)
{
    struct namenode *nn = arg;
    if (!nn->is_stopping)
        daemon_set_state(nn->daemon,
                         nn_safemode_is_on(&nn->blocks.safemode) ? "safe mode" : "serving");
}

int namenode_start(struct daemon *d, void **ret_state, struct err *err)
{
    struct namenode *nn = mem_calloc(1, sizeof(*nn));
    if (!nn)
        return err_set(err, ERR_NOMEM, "out of memory");
    nn->daemon = d;
    nn->conf = daemon_conf(d);
    nn->loop = daemon_loop(d);
    nn->node_name = daemon_node_name(d);
    int rc = namenode_open(nn, err);
    if (rc == 0 && loop_every(nn->loop, &nn->state_timer, STATE_MS, show_state, nn) != 0)
        rc = err_set(err, ERR_NOMEM, "out of memory");
    if (rc != 0) {
        namenode_release(nn);
        return rc;
    }
    *ret_state = nn;
    return DAEMON_SERVING;
}

static void on_dirs_set(void *arg, const struct err *err)
{
    struct namenode *nn = arg;
    if (err)
        daemon_reload_refuse(nn->daemon, NAME_DIR, err->msg);
    daemon_reload_done(nn->daemon);
}

static void set_dirs(struct namenode *nn)
{
    struct conf_list dirs = conf_list(nn->conf, NAME_DIR);
    struct err err = {0};
    daemon_reload_hold(nn->daemon);
    if (nn_journal_set_dirs(nn->journal, (const char *const *)dirs.items, dirs.count, on_dirs_set,
                            nn, &err) != 0)
        on_dirs_set(nn, &err);
}

int namenode_reload(void *state, struct err *err)
{
    struct namenode *nn = state;
    set_dirs(nn);
    int rc = nn_audit_reopen(&nn->audit, err);
    if (rc == 0)
        rc = racks_reload(nn->racks, err);
    return rc == 0 ? namenode_refresh_nodes(nn, err) : rc;
}

/* ---- stop ---- */

/* Everything appended is durable, and whoever waited for it has his answer. */
static void on_journal_stopped(void *arg)
{
    struct namenode *nn = arg;
    nn_datanodes_free(nn->datanodes);
    nn->datanodes = NULL;
    rpc_server_close(nn->server);
    rpc_server_close(nn->local_server);
    nn->server = nn->local_server = NULL;
    daemon_stopped(nn->daemon);
}

void namenode_stop(void *state)
{
    struct namenode *nn = state;
    nn->is_stopping = true;
    nn_recovery_stop(&nn->recovery);
    nn_clients_release(&nn->clients);
    nn_journal_stop(nn->journal, on_journal_stopped, nn);
}

/* ---- format ---- */

int namenode_format(struct daemon *d, struct err *err)
{
    const struct conf *conf = daemon_conf(d);
    struct conf_list dirs = conf_list(conf, "dfs.namenode.name.dir");
    char user[256];
    struct nn_journal_format format = {
        .disk = disk_real(),
        .dirs = (const char *const *)dirs.items,
        .dir_count = dirs.count,
        .cluster_id = daemon_flag(d, "clusterid"),
        .force = daemon_flag(d, "force") != NULL,
        .superuser = user,
        .supergroup = conf_str(conf, "dfs.permissions.superusergroup"),
    };
    int rc = namenode_user(user, sizeof(user), err);
    if (rc == 0)
        rc = nn_journal_format(&format, err);
    for (size_t i = 0; rc == 0 && i < dirs.count; i++)
        log_info("nn", "Storage directory %s has been successfully formatted.", dirs.items[i]);
    return rc;
}

/* ---- bootstrap ---- */

int namenode_bootstrap(struct daemon *d, struct err *err)
{
    struct conf_list dirs = conf_list(daemon_conf(d), NAME_DIR);
    uint64_t last = 0;
    const struct nn_bootstrap wish = {.disk = disk_real(),
                                      .dirs = (const char *const *)dirs.items,
                                      .dir_count = dirs.count,
                                      .address = daemon_flag(d, "bootstrap"),
                                      .force = daemon_flag(d, "force") != NULL};
    return nn_bootstrap_run(&wish, &last, err);
}

/* ---- recover ---- */

/* True: go on. */
static bool asks_and_is_told(bool is_forced)
{
    char line[64];
    for (;;) {
        printf("\nEnter 'c' to continue from what is kept, with all that was there set aside,\n"
               "Enter 'q' to quit without changing anything. (c/q)\n");
        fflush(stdout);
        if (is_forced) {
            printf("automatically choosing c\n");
            return true;
        }
        if (!fgets(line, sizeof(line), stdin))
            return false;
        if (strcasecmp(line, "c\n") == 0 || strcasecmp(line, "q\n") == 0)
            return line[0] == 'c' || line[0] == 'C';
        printf("I'm sorry, I cannot understand your response.\n");
    }
}

static int salvage(struct nn_salvage *s, bool is_forced, struct err *err)
{
    char who[64];
    int rc = nn_salvage_plan(s, err);
    const char *lines = buf_cstr(&s->report);
    if (lines)
        fputs(lines, stdout);
    if (rc != 0 || s->is_whole)
        return rc;
    if (!asks_and_is_told(is_forced))
        return err_set(err, ERR_CLOSED, "quit: nothing was changed");
    snprintf(who, sizeof(who), "uid %u%s", (unsigned)getuid(), is_forced ? " with -force" : "");
    uint64_t now_ms = clock_wall_ms();
    rc = nn_salvage_do(s, who, now_ms, err);
    if (rc == 0)
        printf("done: the next start goes on from record %" PRIu64 "; what was there is in "
               "recovered-%" PRIu64 " in each directory\n",
               s->last, now_ms);
    return rc;
}

int namenode_recover(struct daemon *d, struct err *err)
{
    struct conf_list dirs = conf_list(daemon_conf(d), "dfs.namenode.name.dir");
    struct buf report = BUF_INIT;
    struct nn_salvage *s = mem_calloc(1, sizeof(*s));
    if (!s)
        return err_set(err, ERR_NOMEM, "out of memory");
    *s = (struct nn_salvage){
        .disk = disk_real(), .paths = (const char *const *)dirs.items, .count = dirs.count};
    nn_recover_report(s->disk, s->paths, s->count, &report);
    int rc = buf_cstr(&report) ? 0 : err_set(err, ERR_NOMEM, "out of memory");
    if (rc == 0)
        fputs((const char *)report.data, stdout);
    if (rc == 0)
        rc = salvage(s, daemon_flag(d, "force") != NULL, err);
    if (fflush(stdout) != 0 && rc == 0)
        rc = err_set(err, ERR_IO, "cannot write to standard output");
    nn_salvage_release(s);
    mem_free(s);
    buf_release(&report);
    return rc;
}
