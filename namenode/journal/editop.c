/* SPDX-License-Identifier: Apache-2.0 */
#include "namenode/journal/editop.h"

#include "namenode/journal/apply.h"
#include "namenode/journal/state.h"

#define OP_DEFINE_ALL(D)                             \
    D(op_mkdir, OP_MKDIR_FIELDS)                     \
    D(op_create, OP_CREATE_FIELDS)                   \
    D(op_add_block, OP_ADD_BLOCK_FIELDS)             \
    D(op_abandon_block, OP_ABANDON_BLOCK_FIELDS)     \
    D(op_stamp, OP_STAMP_FIELDS)                     \
    D(op_pipeline, OP_PIPELINE_FIELDS)               \
    D(op_flush, OP_FLUSH_FIELDS)                     \
    D(op_commit, OP_COMMIT_FIELDS)                   \
    D(op_close, OP_CLOSE_FIELDS)                     \
    D(op_recover, OP_RECOVER_FIELDS)                 \
    D(op_rename, OP_RENAME_FIELDS)                   \
    D(op_delete, OP_DELETE_FIELDS)                   \
    D(op_set_times, OP_SET_TIMES_FIELDS)             \
    D(op_set_replication, OP_SET_REPLICATION_FIELDS) \
    D(op_set_mode, OP_SET_MODE_FIELDS)               \
    D(op_set_owner, OP_SET_OWNER_FIELDS)             \
    D(op_winner, OP_WINNER_FIELDS)                   \
    D(op_append, OP_APPEND_FIELDS)                   \
    D(op_truncate, OP_TRUNCATE_FIELDS)               \
    D(op_concat, OP_CONCAT_FIELDS)                   \
    D(op_switch, OP_SWITCH_FIELDS)                   \
    D(op_prepare, OP_PREPARE_FIELDS)                 \
    D(op_datanode, OP_DATANODE_FIELDS)               \
    D(op_set_quota, OP_SET_QUOTA_FIELDS)             \
    D(op_set_xattr, OP_SET_XATTR_FIELDS)             \
    D(op_remove_xattr, OP_REMOVE_XATTR_FIELDS)       \
    D(op_acl_entry, OP_ACL_ENTRY_FIELDS)             \
    D(op_set_acl, OP_SET_ACL_FIELDS)
OP_DEFINE_ALL(MSG_DEFINE)
MSG_DEFINE_SINCE(op_publish, OP_PUBLISH_FIELDS, keeps)

static const struct nn_op_row rows[NN_OP_MAX + 1] = {
#define NN_OP_ROW(number, NAME, type) [number] = {number, #NAME, &type##_desc, nn_apply_##NAME},
    NN_OPS(NN_OP_ROW)
#undef NN_OP_ROW
};

const struct nn_op_row *nn_op_find(uint16_t number)
{
    return number <= NN_OP_MAX && rows[number].name ? &rows[number] : NULL;
}

const char *nn_op_name(uint16_t number)
{
    const struct nn_op_row *row = nn_op_find(number);
    return row ? row->name : "?";
}

/* Every operation begins like this. */
struct op_head {
    struct msg_origin origin;
    uint64_t at_ms;
};
#define NN_OP_BEGINS(number, NAME, type)                                                \
    _Static_assert(offsetof(struct type, origin) == 0 &&                                \
                       offsetof(struct type, at_ms) == offsetof(struct op_head, at_ms), \
                   #type " does not begin with OP_HEAD");
NN_OPS(NN_OP_BEGINS)
#undef NN_OP_BEGINS

int nn_op_apply(struct nn_state *state, const struct nn_op_row *row, const void *op,
                uint64_t ret_answer[2])
{
    const struct op_head *head = op;
    struct nn_answer answer = {.client = head->origin.client,
                               .seq = head->origin.seq,
                               .at_ms = head->at_ms,
                               .op = row->number};
    int rc = row->apply(state, op, answer.values);
    if (rc == 0 && answer.seq != 0)
        rc = nn_answers_add(&state->answers, &answer);
    memcpy(ret_answer, answer.values, sizeof(answer.values));
    return rc;
}

static int decode(uint16_t number, struct slice payload, struct arena *scratch, void **ret_op,
                  struct err *err)
{
    const struct nn_op_row *row = nn_op_find(number);
    if (!row)
        return err_set(err, ERR_VERSION, "operation %u is not known: written by a newer quern?",
                       number);
    arena_reset(scratch);
    *ret_op = arena_calloc(scratch, 1, row->desc->size);
    if (!*ret_op)
        return err_set(err, ERR_NOMEM, "out of memory");
    int rc = msg_decode(row->desc, payload, scratch, *ret_op, err);
    return rc == 0 ? 0 : err_wrap(err, "operation %s", row->name);
}

/* What a text field must be, by its name. Checks have seen to it before the record was written; in
 * a replay nobody has. */
static bool is_sound(const char *field, struct slice text)
{
    static const char *const paths[] = {"path", "from", "to", "out", "temporary"};
    for (size_t i = 0; i < ARRAY_LEN(paths); i++)
        if (strcmp(field, paths[i]) == 0)
            return path_is_normal(text);
    return text.len == 0 || !memchr(text.data, 0, text.len); /* words are kept as C strings */
}

static bool has_sound_texts(const struct nn_op_row *row, const void *op)
{
    const struct msg_field *fields = row->desc->fields();
    for (uint32_t i = 0; i < row->desc->field_count; i++) {
        struct slice text;
        if (fields[i].kind != MSG_KIND_STR)
            continue;
        memcpy(&text, (const uint8_t *)op + fields[i].offset, sizeof(text));
        if (!is_sound(fields[i].name, text))
            return false;
    }
    return true;
}

int nn_op_replay(struct nn_state *state, uint16_t number, struct slice payload,
                 struct arena *scratch, struct err *err)
{
    void *op = NULL;
    int rc = decode(number, payload, scratch, &op, err);
    if (rc != 0)
        return rc;
    uint64_t answer[2];
    rc = has_sound_texts(nn_op_find(number), op)
             ? nn_op_apply(state, nn_op_find(number), op, answer)
             : ERR_CORRUPT;
    if (rc == ERR_CORRUPT)
        return err_set(err, rc, "operation %s does not fit the state it meets", nn_op_name(number));
    return rc == 0 ? 0 : err_set(err, rc, "operation %s: %s", nn_op_name(number), err_text(rc));
}

int nn_op_print(uint16_t number, struct slice payload, struct arena *scratch, struct buf *out,
                struct err *err)
{
    void *op = NULL;
    int rc = decode(number, payload, scratch, &op, err);
    if (rc != 0)
        return rc;
    buf_printf(out, "{\"op\":\"%s\",\"fields\":", nn_op_name(number));
    msg_print(nn_op_find(number)->desc, op, out);
    buf_append_byte(out, '}');
    return 0;
}
