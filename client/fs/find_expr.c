/* SPDX-License-Identifier: Apache-2.0 */
#include "client/fs/find_expr.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

#include "libcommon/base/path.h"

static const struct {
    const char *word;
    enum fs_find_kind kind;
    bool has_word;
} primaries[] = {
    {"-name", FS_FIND_NAME, true},    {"-iname", FS_FIND_INAME, true},
    {"-type", FS_FIND_TYPE, true},    {"-size", FS_FIND_SIZE, true},
    {"-mtime", FS_FIND_MTIME, true},  {"-mmin", FS_FIND_MMIN, true},
    {"-user", FS_FIND_USER, true},    {"-group", FS_FIND_GROUP, true},
    {"-print", FS_FIND_PRINT, false}, {"-print0", FS_FIND_PRINT0, false},
    {"--json", FS_FIND_JSON, false},
};

static int find_primary(const char *word)
{
    for (size_t i = 0; i < ARRAY_LEN(primaries); i++)
        if (strcmp(word, primaries[i].word) == 0)
            return (int)i;
    return -1;
}

static int parse_patterns(const char *word, struct fs_find_step *step, struct err *err)
{
    if (fs_glob_expand(word, &step->patterns) != 0)
        return err_set(err, ERR_USAGE, "Illegal file pattern: %s", word);
    for (size_t i = 0; i < step->patterns.n; i++)
        if (path_glob_check(slice_str(step->patterns.v[i])) != 0)
            return err_set(err, ERR_USAGE, "Illegal file pattern: %s", word);
    return 0;
}

/* "+5", "-10k", "3": as the find of every Unix has it, but a bare size is bytes. */
static int parse_number(const char *word, struct fs_find_step *step, struct err *err)
{
    static const char units[] = "kMGTP";
    bool is_size = step->kind == FS_FIND_SIZE;
    const char *p = word + (*word == '+' || *word == '-');
    char *end = NULL;
    step->sign = *word == '+' ? 1 : *word == '-' ? -1 : 0;
    step->unit = is_size ? 1 : step->kind == FS_FIND_MMIN ? 60 * 1000 : 86400 * 1000;
    errno = 0;
    step->number = isdigit((unsigned char)*p) ? strtoull(p, &end, 10) : 0;
    const char *unit = end && *end && is_size ? strchr(units, *end == 'm'   ? 'M'
                                                              : *end == 'g' ? 'G'
                                                                            : *end)
                                              : NULL;
    if (unit)
        step->unit = 1ULL << 10 * (unit - units + 1);
    if (unit || (end && is_size && *end == 'c'))
        end++;
    if (!end || *end || errno != 0)
        return err_set(err, ERR_USAGE, "%s is no %s", word,
                       is_size ? "size: [+-]N[ckMGTP]" : "number: [+-]N");
    return 0;
}

static int parse_word(const char *word, struct fs_find_step *step, struct err *err)
{
    switch (step->kind) {
    case FS_FIND_NAME:
    case FS_FIND_INAME:
        return parse_patterns(word, step, err);
    case FS_FIND_TYPE:
        if (strcmp(word, "f") != 0 && strcmp(word, "d") != 0)
            return err_set(err, ERR_USAGE, "-type is f or d, not %s", word);
        return 0;
    case FS_FIND_SIZE:
    case FS_FIND_MTIME:
    case FS_FIND_MMIN:
        return parse_number(word, step, err);
    default:
        return 0;
    }
}

static int add_step(struct fs_find_expr *expr, enum fs_find_kind kind, const char *word,
                    struct err *err)
{
    if (expr->count + 1 >= FS_FIND_STEPS_MAX) /* one is kept for the -print at the end */
        return err_set(err, ERR_USAGE, "Expression is too long");
    struct fs_find_step *step = &expr->steps[expr->count++];
    step->kind = kind;
    step->word = word;
    return word ? parse_word(word, step, err) : 0;
}

int fs_find_parse(char *const *words, size_t count, struct fs_find_expr *ret, struct err *err)
{
    bool has_action = false;
    *ret = (struct fs_find_expr){0};
    for (size_t i = 0; i < count; i++) {
        if (strcmp(words[i], "-a") == 0 || strcmp(words[i], "-and") == 0) {
            if (i == 0 || i + 1 == count || find_primary(words[i + 1]) < 0)
                return err_set(err, ERR_USAGE, "%s needs an expression on both sides", words[i]);
            continue;
        }
        int p = find_primary(words[i]);
        if (p < 0)
            return err_set(err, ERR_INVAL, "Unexpected argument: %s", words[i]);
        if (primaries[p].has_word && i + 1 == count)
            return err_set(err, ERR_USAGE, "%s needs a %s", words[i],
                           primaries[p].kind <= FS_FIND_INAME ? "pattern" : "word behind it");
        const char *word = primaries[p].has_word ? words[++i] : NULL;
        int rc = add_step(ret, primaries[p].kind, word, err);
        if (rc != 0)
            return rc;
        has_action = has_action || !word;
    }
    if (!has_action)
        ret->steps[ret->count++].kind = FS_FIND_PRINT;
    return 0;
}

void fs_find_release(struct fs_find_expr *expr)
{
    for (size_t i = 0; i < expr->count; i++)
        fs_glob_free_words(&expr->steps[i].patterns);
    expr->count = 0;
}

static struct slice lower(struct slice s, uint8_t out[NAME_MAX_BYTES])
{
    size_t n = s.len < NAME_MAX_BYTES ? s.len : NAME_MAX_BYTES;
    for (size_t i = 0; i < n; i++)
        out[i] = (uint8_t)tolower(s.data[i]);
    return slice_of(out, n);
}

static bool is_named(const struct fs_find_step *step, struct slice name)
{
    uint8_t a[NAME_MAX_BYTES], b[NAME_MAX_BYTES];
    bool fold = step->kind == FS_FIND_INAME;
    struct slice word = fold ? lower(name, b) : name;
    for (size_t i = 0; i < step->patterns.n; i++) {
        struct slice pattern = slice_str(step->patterns.v[i]);
        if (path_glob_match(fold ? lower(pattern, a) : pattern, word))
            return true;
    }
    return false;
}

static bool compares(const struct fs_find_step *step, uint64_t value)
{
    return step->sign < 0   ? value < step->number
           : step->sign > 0 ? value > step->number
                            : value == step->number;
}

static bool matches(const struct fs_find_step *step, const struct fs_find_entry *entry)
{
    const struct qn_stat *stat = entry->stat;
    uint64_t age = entry->now_ms > stat->mtime_ms ? entry->now_ms - stat->mtime_ms : 0;
    switch (step->kind) {
    case FS_FIND_NAME:
    case FS_FIND_INAME:
        return is_named(step, entry->name);
    case FS_FIND_TYPE:
        return stat->is_dir == (*step->word == 'd');
    case FS_FIND_SIZE:
        return compares(step, stat->length / step->unit + (stat->length % step->unit != 0));
    case FS_FIND_MTIME:
    case FS_FIND_MMIN:
        return compares(step, age / step->unit);
    case FS_FIND_USER:
        return strcmp(stat->owner, step->word) == 0;
    case FS_FIND_GROUP:
        return strcmp(stat->group, step->word) == 0;
    default:
        return true;
    }
}

size_t fs_find_apply(const struct fs_find_expr *expr, const struct fs_find_entry *entry,
                     int ret_ends[FS_FIND_STEPS_MAX])
{
    size_t n = 0;
    for (size_t i = 0; i < expr->count && matches(&expr->steps[i], entry); i++)
        if (expr->steps[i].kind >= FS_FIND_PRINT)
            ret_ends[n++] = expr->steps[i].kind == FS_FIND_PRINT  ? '\n'
                            : expr->steps[i].kind == FS_FIND_JSON ? FS_FIND_AS_JSON
                                                                  : '\0';
    return n;
}
