/* SPDX-License-Identifier: Apache-2.0 */
#include "client/talk/jobtracker.h"

#include "libcommon/codec/digest.h"

#define CONNECT_MS  5000
#define PIECE_BYTES (4U << 20)

int jobtracker_open(const struct conf *conf, const struct identity *self, struct chan **ret,
                    struct err *err)
{
    struct conf_address address = conf_address(conf, "mapreduce.jobtracker.address");
    char text[300];
    snprintf(text, sizeof(text), strchr(address.host, ':') ? "[%s]:%u" : "%s:%u", address.host,
             address.port);
    struct chan_conf chan = {
        .address = text,
        .self = self,
        .role = WIRE_JOBTRACKER,
        .timeout_ms = CONNECT_MS,
    };
    return chan_open(&chan, ret, err);
}

int jobtracker_bring(struct chan *chan, struct slice bytes, char digest[72], struct err *err)
{
    uint8_t sum[DIGEST_SHA256_SIZE];
    struct cl2jt_blob ask = {.total = bytes.len};
    struct cl2jt_blob_state state;
    struct arena arena = ARENA_INIT;
    int rc = digest_of(DIGEST_SHA256, bytes, sum);
    if (rc != 0)
        return err_set(err, rc, "cannot take a digest");
    ask.digest = slice_str(digest_text(sum, sizeof(sum), digest));
    rc = jobtracker_ask(chan, BLOB, &ask, &arena, &state, err);
    while (rc == 0 && state.have < bytes.len) {
        uint64_t left = bytes.len - state.have;
        ask.offset = state.have;
        ask.bytes = slice_of(bytes.data + state.have, left < PIECE_BYTES ? left : PIECE_BYTES);
        rc = jobtracker_ask(chan, BLOB, &ask, &arena, &state, err);
        if (rc == ERR_STALE) { /* somebody else brings the same one: go on from where that is */
            ask.bytes = slice_of(NULL, 0);
            rc = jobtracker_ask(chan, BLOB, &ask, &arena, &state, err);
        }
    }
    arena_release(&arena);
    return rc;
}
