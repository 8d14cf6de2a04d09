/* SPDX-License-Identifier: Apache-2.0 */
#include "namenode/namespace/xattr.h"

#include <strings.h>

#include "libcommon/base/mem.h"

static const char *const spaces[NN_XATTR_SPACES] = {"user", "trusted", "security", "system", "raw"};

const char *nn_xattr_space_name(enum nn_xattr_space space)
{
    return space < NN_XATTR_SPACES ? spaces[space] : "?";
}

int nn_xattr_parse(struct slice full, enum nn_xattr_space *ret_space, struct slice *ret_name,
                   struct err *err)
{
    const uint8_t *dot = full.len ? memchr(full.data, '.', full.len) : NULL;
    size_t before = dot ? (size_t)(dot - full.data) : 0;
    if (dot && before >= 3 && before + 1 == full.len)
        return err_set(err, ERR_INVAL, "XAttr name cannot be empty.");
    for (unsigned i = 0; dot && i < NN_XATTR_SPACES; i++) {
        if (strlen(spaces[i]) != before ||
            strncasecmp(spaces[i], (const char *)full.data, before) != 0)
            continue;
        *ret_space = (enum nn_xattr_space)i;
        *ret_name = slice_of(dot + 1, full.len - before - 1);
        if (!memchr(ret_name->data, 0, ret_name->len))
            return 0;
    }
    return err_set(err, ERR_INVAL,
                   "An XAttr name must be prefixed with user/trusted/security/system/raw, followed "
                   "by a '.'");
}

const struct nn_xattr *nn_xattr_all(const struct nn_tree *tree, uint32_t slot, size_t *ret_count)
{
    const struct nn_extra *extra = nn_extra_find(&tree->store, slot);
    *ret_count = extra ? extra->xattr_count : 0;
    return extra ? extra->xattrs : NULL;
}

/* Where it is, or would be. */
static size_t place_of(const struct nn_xattr *all, size_t count, uint8_t space, struct slice name,
                       bool *ret_found)
{
    size_t i = 0;
    int order = 1;
    for (; i < count; i++) {
        order = (int)all[i].space - (int)space;
        if (order == 0)
            order = slice_cmp(nn_xattr_name(&all[i]), name);
        if (order >= 0)
            break;
    }
    *ret_found = i < count && order == 0;
    return i;
}

const struct nn_xattr *nn_xattr_find(const struct nn_tree *tree, uint32_t slot,
                                     enum nn_xattr_space space, struct slice name)
{
    size_t count = 0;
    bool found = false;
    const struct nn_xattr *all = nn_xattr_all(tree, slot, &count);
    size_t at = place_of(all, count, (uint8_t)space, name, &found);
    return found ? &all[at] : NULL;
}

static int fill(struct nn_xattr *x, uint8_t space, struct slice name, struct slice value)
{
    *x = (struct nn_xattr){.bytes = mem_alloc(name.len + value.len + 1),
                           .name_len = (uint16_t)name.len,
                           .value_len = (uint16_t)value.len,
                           .space = space};
    if (!x->bytes)
        return ERR_NOMEM;
    memcpy(x->bytes, name.data, name.len);
    if (value.len)
        memcpy(x->bytes + name.len, value.data, value.len);
    return 0;
}

static int insert(struct nn_extra *extra, size_t at, const struct nn_xattr *fresh)
{
    struct nn_xattr *grown =
        mem_realloc_array(extra->xattrs, extra->xattr_count + 1, sizeof(*grown));
    if (!grown)
        return ERR_NOMEM;
    memmove(grown + at + 1, grown + at, (extra->xattr_count - at) * sizeof(*grown));
    grown[at] = *fresh;
    extra->xattrs = grown;
    extra->xattr_count++;
    return 0;
}

int nn_xattr_set(struct nn_tree *tree, uint32_t slot, enum nn_xattr_space space, struct slice name,
                 struct slice value)
{
    struct nn_extra *extra = NULL;
    struct nn_xattr fresh = {0};
    bool found = false;
    int rc = nn_extra_need(&tree->store, slot, &extra);
    if (rc == 0)
        rc = fill(&fresh, (uint8_t)space, name, value);
    if (rc != 0)
        return rc;
    size_t at = place_of(extra->xattrs, extra->xattr_count, (uint8_t)space, name, &found);
    if (found) {
        mem_free(extra->xattrs[at].bytes);
        extra->xattrs[at] = fresh;
    } else if ((rc = insert(extra, at, &fresh)) != 0) {
        mem_free(fresh.bytes);
        nn_extra_trim(&tree->store, extra);
    }
    return rc;
}

bool nn_xattr_remove(struct nn_tree *tree, uint32_t slot, enum nn_xattr_space space,
                     struct slice name)
{
    struct nn_extra *extra = nn_extra_find(&tree->store, slot);
    bool found = false;
    if (!extra)
        return false;
    size_t at = place_of(extra->xattrs, extra->xattr_count, (uint8_t)space, name, &found);
    if (!found)
        return false;
    mem_free(extra->xattrs[at].bytes);
    extra->xattr_count--;
    memmove(extra->xattrs + at, extra->xattrs + at + 1,
            (extra->xattr_count - at) * sizeof(*extra->xattrs));
    nn_extra_trim(&tree->store, extra);
    return true;
}
