/* SPDX-License-Identifier: Apache-2.0
 * From argv to one command's exit code. */
#include "client/fs/fs.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <unistd.h>

#include "client/command.h"
#include "client/fs/commands.h"
#include "client/fs/glob.h"
#include "client/fs/later.h"
#include "client/help/asked.h"
#include "client/lib/uri.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/path.h"
#include "libcommon/base/str.h"
#include "libcommon/daemon/config.h"

#define EXIT_BAD_USAGE 255 /* Hadoop's -1 */
#define EXIT_SIGNAL    128 /* and the signal's number, as a shell tells it */
#define CLEANUP_S      3   /* after Ctrl-C: time to remove what was half copied */

struct fs_shell {
    struct config_args args;
    struct conf *conf; /* opened when the first volume is */
    struct fs_volume *volumes;
    struct fs_volume *local;
};

/* --- Ctrl-C ----------------------------------------------------------------------------------- */

static volatile sig_atomic_t interrupted; /* by which signal */

static void on_alarm(int signo)
{
    (void)signo;
    _exit(EXIT_SIGNAL + interrupted);
}

static void on_interrupt(int signo)
{
    interrupted = signo;
    alarm(CLEANUP_S);
}

static void catch_interrupt(void)
{
    static const int stops[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction sa = {.sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND}, old;
    for (size_t i = 0; i < ARRAY_LEN(stops); i++)
        if (sigaction(stops[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN) /* nohup */
            sigaction(stops[i], &sa, NULL);
    sa = (struct sigaction){.sa_handler = on_alarm};
    sigaction(SIGALRM, &sa, NULL);
}

bool fs_is_interrupted(void)
{
    return interrupted != 0;
}

/* --- messages --------------------------------------------------------------------------------- */

#define LINE_BYTES 20480 /* a path of 8,000 bytes may be told twice */

static void say(const char *name, const char *message)
{
    fflush(stdout); /* so that both streams read in the order things happened */
    fprintf(stderr, "%s: %.*s\n", name, (int)strcspn(message, "\n"), message);
}

int fs_fail(struct fs_run *run, const char *fmt, ...)
{
    char line[LINE_BYTES];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    fs_later_settle(run);
    run->errors++;
    say(run->name, line);
    return FS_STOP;
}

void fs_warn(struct fs_run *run, const char *fmt, ...)
{
    char line[LINE_BYTES];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    fs_later_settle(run);
    say(run->name, line);
}

int fs_fail_path(struct fs_run *run, const char *text, const char *why)
{
    return fs_fail(run, "`%s': %s", text, why);
}

int fs_fail_error(struct fs_run *run, const char *text, const struct qn_error *err)
{
    switch (err->code) {
    case ERR_USAGE: /* what cannot be a path stops the command */
        return fs_bad_usage(run, "%s", err->message);
    case ERR_NOTDIR:
        if (strstr(err->message, "(is not a directory)")) /* what lies above it */
            return fs_fail(run, "%s", err->message);
        return fs_fail_path(run, text, err_text(err->code));
    case ERR_NOENT:
    case ERR_EXIST:
    case ERR_ISDIR:
    case ERR_NOTEMPTY:
        return fs_fail_path(run, text, err_text(err->code));
    default:
        return fs_fail(run, "%s", err->message);
    }
}

/* The thing directly above it (a local one: the nearest) when that is no directory: to be freed. */
static char *file_above(const struct fs_item *item)
{
    struct slice dir = slice_str(item->path);
    while (dir.len > 1) {
        dir = path_parent(dir);
        char *path = slice_dup(dir);
        struct qn_stat stat;
        struct qn_error err;
        int rc = path ? item->volume->ops->stat(item->volume, path, &stat, &err) : ERR_NOMEM;
        bool is_file = rc == 0 && !stat.is_dir;
        if (rc == 0)
            item->volume->ops->stat_release(&stat);
        if (is_file)
            return path;
        mem_free(path);
        if ((rc != ERR_NOENT && rc != ERR_NOTDIR) || item->volume->qn)
            break;
    }
    return NULL;
}

int fs_fail_no_parent(struct fs_run *run, const struct fs_item *item, const char *missing,
                      const char *uri)
{
    char *file = file_above(item);
    if (file && item->volume->qn)
        fs_fail(run, "%s (is not a directory)", file);
    else if (file)
        fs_fail(run, "Destination exists and is not a directory: %s", file);
    else if (uri)
        fs_fail(run, "`%s': %s: `%s'", missing, err_text(ERR_NOENT), uri);
    else
        fs_fail_path(run, missing, err_text(ERR_NOENT));
    mem_free(file);
    return FS_STOP;
}

int fs_check_parent(struct fs_run *run, const struct fs_item *item)
{
    struct qn_error err;
    int rc = fs_item_parent_exists(item, &err);
    if (rc < 0)
        return fs_fail_error(run, item->text, &err);
    if (rc == 1)
        return 0;
    char *uri = fs_item_is_whole_uri(item) ? NULL : fs_item_uri(item);
    rc = fs_fail_no_parent(run, item, item->text, uri);
    mem_free(uri);
    return rc;
}

int fs_bad_usage(struct fs_run *run, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(run->usage_error, sizeof(run->usage_error), fmt, ap);
    va_end(ap);
    return FS_USAGE;
}

/* --- options and operands --------------------------------------------------------------------- */

bool fs_has(const struct fs_run *run, const char *option)
{
    return fs_value(run, option) != NULL;
}

const char *fs_value(const struct fs_run *run, const char *option)
{
    return fs_parsed_value(&run->command->syntax, &run->parsed, option);
}

char *fs_pop_operand(struct fs_run *run)
{
    BUG_ON(run->parsed.count == 0);
    return run->parsed.operands[--run->parsed.count];
}

char *fs_shift_operand(struct fs_run *run)
{
    BUG_ON(run->parsed.count == 0);
    run->parsed.count--;
    return *run->parsed.operands++;
}

/* --- volumes ---------------------------------------------------------------------------------- */

struct fs_volume *fs_volume_local(struct fs_shell *shell, struct qn_error *err)
{
    if (!shell->local)
        shell->local = fs_volume_local_new();
    if (!shell->local)
        fs_out_of_memory(err);
    return shell->local;
}

/* Hadoop takes any key, and old scripts set keys of other filesystems and of a JVM. Only under our
 * own name a key is refused that looks like one of ours misspelt. */
static int check_foreign(const struct conf *conf, const struct config_foreign *foreign,
                         struct err *err)
{
    for (size_t i = 0; i < foreign->count && !fs_is_hadoop(); i++) {
        const char *define = foreign->defines[i];
        char *key = slice_dup(slice_of(define, strcspn(define, "=")));
        const char *near = key ? conf_nearest(conf, key) : NULL;
        int rc = !key   ? err_set(err, ERR_NOMEM, "out of memory")
                 : near ? err_set(err, ERR_CONFIG, "-D: unknown key \"%s\" (did you mean %s?)", key,
                                  near)
                        : 0;
        mem_free(key);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static int open_conf(struct fs_shell *shell, struct qn_error *err)
{
    if (shell->conf)
        return 0;
    struct err why;
    struct config_foreign foreign = {0};
    int rc = config_open(&shell->args, &shell->conf, &foreign, &why);
    if (rc == 0 && (rc = check_foreign(shell->conf, &foreign, &why)) != 0) {
        conf_free(shell->conf);
        shell->conf = NULL;
    }
    mem_free(foreign.defines);
    if (rc != 0 && err) {
        err->code = rc;
        snprintf(err->message, sizeof(err->message), "%s", why.msg);
    }
    return rc;
}

static struct fs_volume *known_volume(const struct fs_shell *shell, struct slice authority)
{
    for (struct fs_volume *v = shell->volumes; v; v = v->next)
        if (slice_is(authority, v->authority))
            return v;
    return NULL;
}

/* Old scripts say hdfs://, and look for what they said in what they are told. */
static int call_hdfs(struct fs_volume *v)
{
    char *uri = str_printf("hdfs%s", v->uri + strcspn(v->uri, ":"));
    if (!uri)
        return ERR_NOMEM;
    mem_free(v->uri);
    v->uri = uri;
    return 0;
}

static struct fs_volume *connect_volume(struct fs_shell *shell, struct slice authority,
                                        bool is_hdfs, struct qn_error *err)
{
    struct fs_volume *v = known_volume(shell, authority);
    if (v)
        return v;
    char *uri = authority.len ? str_printf("quern://" SLICE_FMT, SLICE_ARG(authority)) : NULL;
    char *name = slice_dup(authority);
    if (!name || (authority.len && !uri))
        fs_out_of_memory(err);
    else
        v = fs_volume_quern_new(shell->conf, uri, err);
    mem_free(uri);
    if (v && is_hdfs && call_hdfs(v) != 0) {
        fs_volume_free(v);
        v = NULL;
        fs_out_of_memory(err);
    }
    if (!v) {
        mem_free(name);
        return NULL;
    }
    v->authority = name;
    v->next = shell->volumes;
    shell->volumes = v;
    return v;
}

struct fs_volume *fs_volume_for(struct fs_shell *shell, const char *text, struct qn_error *err)
{
    struct cl_uri uri;
    if (fs_item_check_text(text, err) != 0)
        return NULL;
    cl_uri_parse(slice_str(text), &uri);
    if (slice_is(uri.scheme, "file") && uri.authority.len) {
        err->code = ERR_USAGE;
        snprintf(err->message, sizeof(err->message), "Wrong FS: %s, expected: file:///", text);
        return NULL;
    }
    if (slice_is(uri.scheme, "file"))
        return fs_volume_local(shell, err);
    if (open_conf(shell, err) != 0)
        return NULL;
    if (uri.scheme.len == 0) { /* the configured filesystem, whatever it is */
        cl_uri_parse(slice_str(conf_str(shell->conf, "fs.defaultFS")), &uri);
        if (slice_is(uri.scheme, "file"))
            return fs_volume_local(shell, err);
        uri.authority = slice_of("", 0);
    }
    if (uri.scheme.len == 0 || cl_uri_is_ours(uri.scheme))
        return connect_volume(shell, uri.authority, slice_is(uri.scheme, "hdfs"), err);
    err->code = ERR_UNSUPPORTED;
    snprintf(err->message, sizeof(err->message), "No FileSystem for scheme \"" SLICE_FMT "\"",
             SLICE_ARG(uri.scheme));
    return NULL;
}

const struct conf *fs_conf(struct fs_run *run, struct qn_error *err)
{
    return open_conf(run->shell, err) == 0 ? run->shell->conf : NULL;
}

int fs_expand(struct fs_run *run, const char *text, struct fs_items *ret, struct qn_error *err)
{
    struct fs_volume *volume = fs_volume_for(run->shell, text, err);
    return volume ? fs_glob(volume, text, ret, err) : err->code;
}

/* --- one command ------------------------------------------------------------------------------ */

static int plain_item(struct fs_run *run, const char *text, struct fs_items *ret,
                      struct qn_error *err)
{
    bool is_local = run->command->flags & FS_LOCAL;
    struct fs_volume *volume =
        is_local ? fs_volume_local(run->shell, err) : fs_volume_for(run->shell, text, err);
    if (is_local && volume && !*text)
        volume = fs_item_check_text(text, err) == 0 ? volume : NULL;
    if (!volume)
        return err->code;
    struct fs_item *item = fs_items_add(ret);
    if (!item)
        return fs_out_of_memory(err);
    int rc =
        is_local ? fs_item_local(item, volume, text, err) : fs_item_init(item, volume, text, err);
    if (rc == 0 && !is_local)
        rc = fs_item_refresh(item, err);
    if (rc != 0) {
        fs_item_release(item);
        ret->n--;
    }
    return rc;
}

/* Operands to items. What a bad one has to say is said now, before any is worked on. */
static void expand_operands(struct fs_run *run, struct fs_items *items)
{
    for (uint32_t i = 0; i < run->parsed.count && !interrupted && !run->usage_error[0]; i++) {
        const char *text = run->parsed.operands[i];
        struct qn_error err;
        size_t before = items->n;
        int rc = run->command->flags & (FS_NO_GLOB | FS_LOCAL) ? plain_item(run, text, items, &err)
                                                               : fs_expand(run, text, items, &err);
        if (rc != 0)
            fs_fail_error(run, text, &err);
        else if (items->n == before && !run->ignore_missing)
            fs_fail_path(run, text, err_text(ERR_NOENT));
    }
}

static void run_items(struct fs_run *run)
{
    struct fs_items items = {0};
    expand_operands(run, &items);
    if (run->usage_error[0])
        fs_items_release(&items); /* nothing is done when one cannot be a path */
    else if (run->command->arguments)
        run->command->arguments(run, &items);
    else
        for (size_t i = 0; i < items.n && !interrupted; i++)
            fs_walk_operand(run, &items.v[i]);
    fs_items_release(&items);
}

static int run_command(struct fs_run *run)
{
    static char here[] = ".", *only_here[] = {here};
    if (run->parsed.count == 0 && (run->command->flags & FS_DEFAULT_HERE)) {
        run->parsed.operands = only_here;
        run->parsed.count = 1;
    }
    int rc = run->command->begin ? run->command->begin(run) : 0;
    if (rc == 0 && !(run->command->flags & FS_RAW))
        run_items(run);
    fs_later_release(run);
    if (run->command->end)
        run->command->end(run);
    if (rc == FS_USAGE)
        return EXIT_BAD_USAGE;
    if (interrupted) {
        say(run->name, "Interrupted");
        return EXIT_SIGNAL + interrupted;
    }
    if (fflush(stdout) != 0 || ferror(stdout))
        fs_fail(run, "Unable to write to output stream.");
    int failed = run->error_code ? run->error_code : 1;
    return run->errors ? failed : run->exit_code;
}

static int usage_exit(const char *word, const char *message, const struct fs_command *command)
{
    fflush(stdout);
    fprintf(stderr, "%s: %s\n", command == &fs_distcp ? "Invalid arguments" : word, message);
    if (command == &fs_distcp) {
        fprintf(stderr, "usage: distcp OPTIONS [source_path...] <target_path>\n  %s\n",
                command->usage);
        return EXIT_BAD_USAGE;
    }
    if (word[0] != '-' && fs_command_find(word))
        fprintf(stderr, "Did you mean -%s?  This command begins with a dash.\n", word);
    fs_print_general(stderr, false);
    if (command)
        fs_print_usage(stderr, command);
    return EXIT_BAD_USAGE;
}

/* A deprecated name has its option put in front of what was typed. */
static int parse_command(struct fs_run *run, int argc, char **argv, struct err *err)
{
    const struct fs_command *command = run->command;
    if (command->replacement)
        fs_warn(run, "DEPRECATED: Please use '%s' instead.", command->replacement);
    int rc = fs_parse(&command->syntax, argc, argv, &run->parsed, err);
    for (int i = 0; rc == 0 && command->implied && command->syntax.options[i].name; i++)
        if (strcmp(command->syntax.options[i].name, command->implied) == 0)
            run->parsed.value[i] = "";
    return rc;
}

/* -h where the command has no such option. Hadoop knows none of these, and its name stays with it.
 */
static bool wants_help(const struct fs_command *command, const char *word)
{
    if (fs_is_hadoop() || !help_is_asked(word))
        return false;
    for (const struct fs_option *o = command->syntax.options; o && o->name; o++)
        if (strcmp(o->name, word + 1) == 0)
            return false;
    return true;
}

/* `word` is how the command was typed, with its dash if it has one. */
static int run_one(struct fs_shell *shell, const struct fs_command *command, const char *word,
                   int argc, char **argv)
{
    struct fs_run run = {.shell = shell, .command = command, .name = command->name};
    struct err err;
    if (argc > 0 && wants_help(command, argv[0])) {
        fs_print_help(stdout, command);
        return 0;
    }
    if (parse_command(&run, argc, argv, &err) != 0)
        return usage_exit(word, err.msg, command);
    if (command->state_size && !(run.state = mem_calloc(1, command->state_size))) {
        say(run.name, err_text(ERR_NOMEM));
        return 1;
    }
    int code = run_command(&run);
    mem_free(run.state);
    if (run.usage_error[0])
        return usage_exit(word, run.usage_error, command);
    return code;
}

static int dispatch(struct fs_shell *shell, int argc, char **argv)
{
    const char *word = argv[0];
    const struct fs_command *command = word[0] == '-' ? fs_command_find(word + 1) : NULL;
    return command ? run_one(shell, command, word, argc - 1, argv + 1)
                   : usage_exit(word, "Unknown command", NULL);
}

/* Options of other programs of the family that come with a value and mean nothing here. */
static bool is_job_option(const char *word)
{
    return strcmp(word, "-files") == 0 || strcmp(word, "-libjars") == 0 ||
           strcmp(word, "-archives") == 0;
}

/* Index of the command behind the generic options, or an error. */
static int take_generic(struct config_args *args, int argc, char **argv, struct err *err)
{
    int i = 1;
    for (; i < argc; i++) {
        if (is_job_option(argv[i]) && i + 1 < argc) {
            i++;
            continue;
        }
        int rc = config_args_take(args, argc, argv, &i, err);
        if (rc < 0)
            return rc;
        if (rc == 0)
            break;
    }
    return i;
}

static void release(struct fs_shell *shell)
{
    while (shell->volumes) {
        struct fs_volume *next = shell->volumes->next;
        fs_volume_free(shell->volumes);
        shell->volumes = next;
    }
    fs_volume_free(shell->local);
    conf_free(shell->conf);
    config_args_release(&shell->args);
}

int cmd_fs(int argc, char **argv)
{
    struct err err;
    struct fs_shell shell = {.args = CONFIG_ARGS_INIT};
    catch_interrupt();
    int code = EXIT_BAD_USAGE;
    int at = take_generic(&shell.args, argc, argv, &err);
    if (at < 0)
        say(fs_program(), err.msg);
    else if (at >= argc || strcmp(argv[at], "-") == 0 || strcmp(argv[at], "--") == 0)
        fs_print_general(stderr, false);
    else if (strcmp(argv[at], "--help") == 0 ||
             (!fs_is_hadoop() && help_is_asked(argv[at]) && strcmp(argv[at], "-help") != 0))
        code = (fs_print_general(stdout, false), 0);
    else
        code = dispatch(&shell, argc - at, argv + at);
    release(&shell);
    return code;
}

int cmd_distcp(int argc, char **argv)
{
    struct err err;
    struct fs_shell shell = {.args = CONFIG_ARGS_INIT};
    catch_interrupt();
    int code = EXIT_BAD_USAGE;
    int at = take_generic(&shell.args, argc, argv, &err);
    bool wants_help = at > 0 && at < argc && help_is_asked(argv[at]);
    if (at < 0)
        say("distcp", err.msg);
    else if (wants_help)
        code = (fs_print_help(stdout, &fs_distcp), 0);
    else
        code = run_one(&shell, &fs_distcp, "distcp", argc - at, argv + at);
    release(&shell);
    return code;
}
