/* SPDX-License-Identifier: Apache-2.0 */
#include "client/fs/find_expr.h"

#include <ctype.h>

#include "libcommon/base/path.h"

static const struct {
    const char *word;
    enum fs_find_kind kind;
    bool has_pattern;
} primaries[] = {
    {"-name", FS_FIND_NAME, true},
    {"-iname", FS_FIND_INAME, true},
    {"-print", FS_FIND_PRINT, false},
    {"-print0", FS_FIND_PRINT0, false},
};

static int find_primary(const char *word)
{
    for (size_t i = 0; i < ARRAY_LEN(primaries); i++)
        if (strcmp(word, primaries[i].word) == 0)
            return (int)i;
    return -1;
}

static int add_step(struct fs_find_expr *expr, enum fs_find_kind kind, const char *pattern,
                    struct err *err)
{
    if (expr->count + 1 >= FS_FIND_STEPS_MAX) /* one is kept for the -print at the end */
        return err_set(err, ERR_USAGE, "Expression is too long");
    struct fs_find_step *step = &expr->steps[expr->count++];
    step->kind = kind;
    if (!pattern)
        return 0;
    if (fs_glob_expand(pattern, &step->patterns) != 0)
        return err_set(err, ERR_USAGE, "Illegal file pattern: %s", pattern);
    for (size_t i = 0; i < step->patterns.n; i++)
        if (path_glob_check(slice_str(step->patterns.v[i])) != 0)
            return err_set(err, ERR_USAGE, "Illegal file pattern: %s", pattern);
    return 0;
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
        if (primaries[p].has_pattern && i + 1 == count)
            return err_set(err, ERR_USAGE, "%s needs a pattern", words[i]);
        const char *pattern = primaries[p].has_pattern ? words[++i] : NULL;
        int rc = add_step(ret, primaries[p].kind, pattern, err);
        if (rc != 0)
            return rc;
        has_action = has_action || !pattern;
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

static bool matches(const struct fs_find_step *step, struct slice name)
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

size_t fs_find_apply(const struct fs_find_expr *expr, struct slice name,
                     int ret_ends[FS_FIND_STEPS_MAX])
{
    size_t n = 0;
    for (size_t i = 0; i < expr->count; i++) {
        const struct fs_find_step *step = &expr->steps[i];
        bool is_test = step->kind == FS_FIND_NAME || step->kind == FS_FIND_INAME;
        if (is_test && !matches(step, name))
            break;
        if (!is_test)
            ret_ends[n++] = step->kind == FS_FIND_PRINT ? '\n' : '\0';
    }
    return n;
}
