/* SPDX-License-Identifier: Apache-2.0
 * Where the bytes of a file are, for whoever plans work near them; and a file's checksum, which is
 * asked of those places. */
#include "client/lib/blocks.h"
#include "client/lib/checksum.h"
#include "client/lib/handle.h"
#include "libcommon/codec/digest.h"

/* All blocks of [offset, offset + length), page by page. */
static int locate_all(struct qn_fs *fs, const char *path, uint64_t offset, uint64_t length,
                      struct cl_blocks *ret, struct err *err)
{
    struct buf normal = BUF_INIT;
    struct arena arena = ARENA_INIT;
    uint64_t end = length > UINT64_MAX - offset ? UINT64_MAX : offset + length, file = 0;
    int rc = cl_path(fs, path, &normal, err);
    while (rc == 0 && offset < end) {
        struct cl2nn_located answer = {0};
        const struct cl2nn_locate ask = {.path = buf_slice(&normal),
                                         .offset = offset,
                                         .length = end - offset,
                                         .reader_node = slice_str(fs->node)};
        arena_reset(&arena);
        rc = cl_ask(fs, CL2NN_AT_LOCATE, &ask, &arena, &answer, err);
        if (rc == 0 && file && answer.file_id != file)
            rc = err_set(err, ERR_STALE, "%s was replaced meanwhile: ask again", path);
        file = answer.file_id;
        if (rc == 0)
            rc = cl_blocks_merge(ret, &answer.blocks);
        if (rc != 0 || answer.blocks.n == 0)
            break;
        const struct msg_located_block *last = &answer.blocks.v[answer.blocks.n - 1];
        uint64_t next = last->offset + last->block.len;
        if (next <= offset || next >= answer.file_len)
            break;
        offset = next;
    }
    if (rc == ERR_NOMEM || rc == ERR_PROTO)
        err_set(err, rc, "places of %s: %s", path, err_text(rc));
    arena_release(&arena);
    buf_release(&normal);
    return rc;
}

/* --- places ----------------------------------------------------------------------------------- */

/* One piece of memory: the blocks, then pointers to names, then the names. */
static int pack(const struct cl_blocks *from, struct qn_blocks *ret)
{
    size_t pointers = 0, bytes = 0;
    for (size_t i = 0; i < from->n; i++)
        pointers += from->v[i].node_count;
    for (size_t i = 0; i < from->nodes.n; i++)
        bytes += from->nodes.v[i]->name.len + 1;
    size_t head = from->n * sizeof(*ret->blocks);
    uint8_t *memory = mem_alloc(head + pointers * sizeof(char *) + bytes + 1);
    const char **known = mem_calloc(from->nodes.n + 1, sizeof(*known));
    if (!memory || !known) {
        mem_free(memory);
        mem_free(known);
        return ERR_NOMEM;
    }
    const char **slot = (const char **)(void *)(memory + head);
    char *text = (char *)(slot + pointers);
    for (size_t i = 0; i < from->nodes.n; i++) {
        struct slice name = from->nodes.v[i]->name;
        memcpy(text, name.data, name.len + 1); /* interned with a NUL */
        known[i] = text;
        text += name.len + 1;
    }
    *ret = (struct qn_blocks){from->n, (struct qn_block *)(void *)memory};
    for (size_t i = 0; i < from->n; i++) {
        const struct cl_block *block = &from->v[i];
        ret->blocks[i] = (struct qn_block){block->offset, block->len, block->node_count, slot};
        for (uint32_t n = 0; n < block->node_count; n++)
            for (size_t k = 0; k < from->nodes.n; k++)
                if (from->nodes.v[k] == block->nodes[n])
                    *slot++ = known[k];
    }
    mem_free(known);
    return 0;
}

int qn_locations(struct qn_fs *fs, const char *path, uint64_t offset, uint64_t length,
                 struct qn_blocks *ret, struct qn_error *error)
{
    struct err err;
    struct cl_blocks found = {0};
    int rc = cl_need(ret, "place for the answer", &err);
    if (rc == 0)
        rc = locate_all(fs, path, offset, length, &found, &err);
    if (rc == 0 && (rc = pack(&found, ret)) != 0)
        err_set(&err, rc, "%s", err_text(rc));
    cl_blocks_release(&found);
    return (int)cl_edge(rc, &err, error);
}

void qn_blocks_release(struct qn_blocks *blocks)
{
    if (!blocks)
        return;
    mem_free(blocks->blocks);
    *blocks = (struct qn_blocks){0};
}

/* --- checksum --------------------------------------------------------------------------------- */

static void put_big_endian(uint8_t *out, uint64_t v, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        out[i] = (uint8_t)(v >> (8 * (bytes - 1 - i)));
}

int cl_checksum_combine(const uint8_t *md5s, size_t count, uint64_t block_size,
                        struct cl_checksum *ret)
{
    size_t used = count * DIGEST_MD5_SIZE, padded = 32;
    while (padded < used)
        padded *= 2;
    uint8_t *bytes = mem_calloc(1, padded);
    if (!bytes)
        return ERR_NOMEM;
    if (used)
        memcpy(bytes, md5s, used);
    *ret = (struct cl_checksum){.bytes_per_crc = count ? 512 : 0,
                                .crcs_per_block = count > 1 ? (block_size + 511) / 512 : 0};
    put_big_endian(ret->bytes, ret->bytes_per_crc, 4);
    put_big_endian(ret->bytes + 4, ret->crcs_per_block, 8);
    int rc = digest_of(DIGEST_MD5, slice_of(bytes, padded), ret->bytes + 12);
    mem_free(bytes);
    return rc;
}

char *cl_checksum_name(const struct cl_checksum *sum, char *out, size_t cap)
{
    snprintf(out, cap, "MD5-of-%lluMD5-of-%uCRC32%s", (unsigned long long)sum->crcs_per_block,
             sum->bytes_per_crc, sum->bytes_per_crc ? "C" : "");
    return out;
}

static int ask_md5(struct qn_fs *fs, const struct cl_block *block, uint8_t *ret_md5,
                   struct err *err)
{
    int rc = err_set(err, ERR_NONODE, "block blk_%llu has no datanode that lives",
                     (unsigned long long)block->id);
    for (uint32_t i = 0; rc != 0 && i < block->node_count; i++) {
        char address[512];
        struct arena arena = ARENA_INIT;
        struct cl_peer *peer = NULL;
        struct data_checksum answer = {0};
        const struct msg_block ask = {.id = block->id, .gs = block->gs, .len = block->len};
        rc = cl_peer_get(&fs->peers, cl_node_address(block->nodes[i], address, sizeof(address)),
                         &peer, err);
        if (rc == 0)
            rc = cl_peer_ask(peer, DATA_AT_CHECKSUM, &ask, &arena, &answer, err);
        if (rc == 0 && answer.md5.len != DIGEST_MD5_SIZE)
            rc = err_set(err, ERR_PROTO, "%s: a checksum of %zu bytes", address, answer.md5.len);
        if (rc == 0)
            memcpy(ret_md5, answer.md5.data, DIGEST_MD5_SIZE);
        if (peer)
            cl_peer_put(peer);
        arena_release(&arena);
    }
    return rc;
}

int cl_file_checksum(struct qn_fs *fs, const char *path, struct cl_checksum *ret,
                     struct qn_error *error)
{
    struct err err;
    struct cl_blocks found = {0};
    int rc = locate_all(fs, path, 0, UINT64_MAX, &found, &err);
    uint8_t *md5s = mem_calloc(found.n + 1, DIGEST_MD5_SIZE);
    if (rc == 0 && !md5s)
        rc = err_set(&err, ERR_NOMEM, "%s", err_text(ERR_NOMEM));
    for (size_t i = 0; rc == 0 && i < found.n; i++)
        rc = ask_md5(fs, &found.v[i], md5s + i * DIGEST_MD5_SIZE, &err);
    if (rc == 0) {
        uint64_t block_size = found.n ? found.v[0].len : 0;
        rc = cl_checksum_combine(md5s, found.n, block_size, ret);
        if (rc != 0)
            err_set(&err, rc, "%s", err_text(rc));
    }
    mem_free(md5s);
    cl_blocks_release(&found);
    return (int)cl_edge(rc, &err, error);
}
