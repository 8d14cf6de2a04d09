/* SPDX-License-Identifier: Apache-2.0
 * count: directories, files and bytes below a path, and what quotas leave of them. */
#include <inttypes.h>
#include <strings.h>

#include "client/fs/commands.h"
#include "client/fs/format.h"

/* In the order of enum qn_storage_type. */
static const char *const storage_types[] = {"SSD", "DISK", "ARCHIVE", "PROVIDED", "NVDIMM"};

/* The i-th type that -t asks for, in the order and as often as typed (nothing or "all" = each);
 * NULL behind the last. Their names were checked. */
static const char *wanted_type(const struct fs_run *run, size_t i)
{
    const char *list = fs_value(run, "t");
    if (!list || !*list || strcasecmp(list, "all") == 0)
        return i < ARRAY_LEN(storage_types) ? storage_types[i] : NULL;
    for (; list && i > 0; i--)
        list = (list = strchr(list, ',')) ? list + 1 : NULL;
    size_t n = list ? strcspn(list, ",") : 0;
    for (size_t t = 0; t < ARRAY_LEN(storage_types); t++)
        if (n && strlen(storage_types[t]) == n && strncasecmp(list, storage_types[t], n) == 0)
            return storage_types[t];
    return n ? "RAM_DISK" : NULL;
}

static bool by_type(const struct fs_run *run)
{
    return fs_has(run, "t") && (fs_has(run, "q") || fs_has(run, "u"));
}

static void print_type_titles(const struct fs_run *run)
{
    const char *type;
    for (size_t i = 0; (type = wanted_type(run, i)); i++) {
        char quota[32], rem[32];
        snprintf(quota, sizeof(quota), "%s_QUOTA", type);
        snprintf(rem, sizeof(rem), "REM_%s_QUOTA", type);
        printf("%14s %18s ", quota, rem);
    }
}

static void print_header(struct fs_run *run)
{
    if (by_type(run)) {
        print_type_titles(run);
    } else {
        if (fs_has(run, "q") || fs_has(run, "u"))
            printf("%12s %15s %15s %15s ", "QUOTA", "REM_QUOTA", "SPACE_QUOTA", "REM_SPACE_QUOTA");
        if (!fs_has(run, "u"))
            printf("%12s %12s %18s ", "DIR_COUNT", "FILE_COUNT", "CONTENT_SIZE");
    }
    if (fs_has(run, "e"))
        printf("%20s ", "ERASURECODING_POLICY");
    if (fs_has(run, "s"))
        printf("%18s %24s %24s %28s ", "SNAPSHOT_LENGTH", "SNAPSHOT_FILE_COUNT",
               "SNAPSHOT_DIR_COUNT", "SNAPSHOT_SPACE_CONSUMED");
    puts("PATHNAME");
}

static bool is_type(const char *name, size_t n)
{
    for (size_t i = 0; i < ARRAY_LEN(storage_types); i++)
        if (strlen(storage_types[i]) == n && strncasecmp(storage_types[i], name, n) == 0)
            return true;
    return n == 0 || (n == 3 && strncasecmp(name, "all", n) == 0) ||
           (n == 8 && strncasecmp(name, "RAM_DISK", n) == 0);
}

static int count_begin(struct fs_run *run)
{
    const char *p = by_type(run) ? fs_value(run, "t") : NULL;
    for (size_t n; p && *p; p += n + (p[n] == ',')) {
        n = strcspn(p, ",");
        if (!is_type(p, n))
            return fs_bad_usage(run, "%.*s is no storage type", (int)n, p);
    }
    bool is_quota = fs_has(run, "q") || fs_has(run, "u");
    if (is_quota && fs_has(run, "x") && !fs_has(run, "-json"))
        puts("q or u option is given, the -x option is ignored.");
    if (fs_has(run, "v") && !fs_has(run, "-json"))
        print_header(run);
    return 0;
}

/* A quota and what is left of it, which may be less than nothing. */
static void print_quota(int64_t quota, uint64_t used, bool human, int width, int left_width)
{
    char limit[FS_SIZE_TEXT] = "none", left[FS_SIZE_TEXT] = "inf";
    if (quota >= 0) {
        int64_t rest = quota - (int64_t)used;
        fs_format_size((uint64_t)quota, human, limit);
        if (rest >= 0)
            fs_format_size((uint64_t)rest, human, left);
        else
            snprintf(left, sizeof(left), "%" PRId64, rest);
    }
    printf("%*s %*s ", width, limit, left_width, left);
}

static void print_types(const struct fs_run *run, const struct qn_summary *sum)
{
    const char *type;
    for (size_t i = 0; (type = wanted_type(run, i)); i++) {
        size_t t = 0;
        while (t < ARRAY_LEN(storage_types) && strcmp(storage_types[t], type) != 0)
            t++;
        bool has_quota = t < ARRAY_LEN(storage_types);
        print_quota(has_quota ? sum->type_quotas[t] : -1, has_quota ? sum->type_space[t] : 0,
                    fs_has(run, "h"), 14, 18);
    }
}

static void print_json(const struct fs_item *item, const struct qn_summary *sum)
{
    struct buf out = BUF_INIT;
    buf_append_str(&out, "{\"path\":");
    fs_append_json(&out, item->text);
    buf_printf(&out,
               ",\"directories\":%" PRIu64 ",\"files\":%" PRIu64 ",\"size\":%" PRIu64
               ",\"space\":%" PRIu64 ",\"quota\":%" PRId64 ",\"spaceQuota\":%" PRId64 "}\n",
               sum->dirs, sum->files, sum->length, sum->space, sum->quota, sum->space_quota);
    fwrite(out.data, 1, out.len, stdout);
    buf_release(&out);
}

static void print_counts(const struct qn_summary *sum, bool human)
{
    char dirs[FS_SIZE_TEXT], files[FS_SIZE_TEXT], length[FS_SIZE_TEXT];
    printf("%12s %12s %18s ", fs_format_size(sum->dirs, human, dirs),
           fs_format_size(sum->files, human, files), fs_format_size(sum->length, human, length));
}

static void print_columns(const struct fs_run *run, bool is_dir, const struct qn_summary *sum)
{
    bool human = fs_has(run, "h");
    if (by_type(run)) {
        print_types(run, sum);
    } else {
        if (fs_has(run, "q") || fs_has(run, "u")) {
            print_quota(sum->quota, sum->dirs + sum->files, human, 12, 15);
            print_quota(sum->space_quota, sum->space, human, 15, 15);
        }
        if (!fs_has(run, "u"))
            print_counts(sum, human);
    }
    if (fs_has(run, "e"))
        printf("%20s ", is_dir ? "EC:" : "Replicated"); /* a directory has no policy of its own */
    if (fs_has(run, "s"))
        printf("%18d %24d %24d %28d ", 0, 0, 0, 0);
}

static int count_path(struct fs_run *run, struct fs_item *item)
{
    struct qn_error err;
    struct qn_summary sum;
    if (item->volume->ops->summary(item->volume, item->path, &sum, &err) != 0)
        return fs_fail_error(run, item->text, &err);
    if (fs_has(run, "-json")) {
        print_json(item, &sum);
        return 0;
    }
    print_columns(run, item->stat.is_dir, &sum);
    puts(item->text);
    return 0;
}

static const struct fs_option options[] = {
    {"q", NULL, NULL},     {"h", NULL, NULL},  {"v", NULL, NULL}, {"t", "<storage type>", NULL},
    {"u", NULL, NULL},     {"x", NULL, NULL},  {"e", NULL, NULL}, {"s", NULL, NULL},
    {"-json", NULL, NULL}, {NULL, NULL, NULL},
};

const struct fs_command fs_count = {
    .name = "count",
    .usage = "[-q] [-h] [-v] [-t [<storage type>]] [-u] [-x] [-e] [-s] <path> ...",
    .help = "Count the number of directories, files and bytes under the paths\n"
            "that match the specified file pattern.  The output columns are:\n"
            "DIR_COUNT FILE_COUNT CONTENT_SIZE PATHNAME\n"
            "or, with the -q option:\n"
            "QUOTA REM_QUOTA SPACE_QUOTA REM_SPACE_QUOTA\n"
            "      DIR_COUNT FILE_COUNT CONTENT_SIZE PATHNAME\n"
            "The -h option shows file sizes in human readable format.\n"
            "The -v option displays a header line.\n"
            "The -x option excludes snapshots from being calculated. \n"
            "The -t option displays quota by storage types.\n"
            "It should be used with -q or -u option, otherwise it will be ignored.\n"
            "If a comma-separated list of storage types is given after the -t option, \n"
            "it displays the quota and usage for the specified types. \n"
            "Otherwise, it displays the quota and usage for all the storage \n"
            "types that support quota. The list of possible storage types(case insensitive):\n"
            "ram_disk, ssd, disk, archive and nvdimm.\n"
            "It can also pass the value '', 'all' or 'ALL' to specify all the storage types.\n"
            "The -u option shows the quota and \n"
            "the usage against the quota without the detailed content summary.The -e option shows "
            "the erasure coding policy.The -s option shows snapshot counts.\n"
            "  --json  One JSON object per line instead of columns.\n",
    .syntax = {options, 1, FS_NO_LIMIT, false},
    .begin = count_begin,
    .path = count_path,
};
