/* SPDX-License-Identifier: Apache-2.0
 * hello: the first frame in each direction says who speaks, so that a wrong port, an old program or
 * another cluster is one clear sentence instead of garbage.
 *
 * The side that connected sends its hello first; the other answers with its own (FRAME_ANSWER), or
 * with an error answer (FRAME_ANSWER | FRAME_ERROR) that says why not, and closes. Both are
 * FRAME_HELLO frames with call 0. The user named in a hello is believed on loopback and trusted
 * networks only; on a unix socket the kernel's word (SO_PEERCRED) replaces it. */
#ifndef QUERN_WIRE_HELLO_H
#define QUERN_WIRE_HELLO_H

#include <sys/types.h>

#include "libcommon/wire/frame.h"

/* Low byte >= 9: a Hadoop server takes our fifth byte for its protocol version, and from 9 on it
 * answers with a sentence that hello_stranger recognises. */
#define FRAME_HELLO      0x5551U

#define WIRE_MAGIC       "quern"
#define WIRE_VERSION_MIN 1U
#define WIRE_VERSION_MAX 1U
#define HELLO_TEXT_MAX   255 /* bytes in each text field */

enum wire_role {
    WIRE_CLIENT = 1,
    WIRE_DATANODE,
    WIRE_NAMENODE,
    WIRE_JOBTRACKER,
    WIRE_WORKER,
    WIRE_TASK,
    WIRE_TOOL,
};
const char *wire_role_name(uint32_t role); /* "namenode"; "role 99" never: "unknown" */

/* What a process says of itself. Strings are borrowed and may be NULL (= empty). `cluster` may be
 * filled in once it is known: the identity is read at each connect. */
struct identity {
    enum wire_role role;
    const char *cluster; /* empty = any */
    const char *node;    /* node.name */
    const char *user;
    const char *boot; /* this boot of this machine */
    uint64_t netns;   /* which network namespace; 0 = unknown */
};

/* role and node as given; user from HADOOP_USER_NAME, else the OS user; boot and netns from the
 * kernel. The strings live in static storage of the process, filled once: call it before threads
 * start. node NULL = the host's name. */
void identity_init(struct identity *identity, enum wire_role role, const char *node);

/* Name of a uid, or its number as text. Returns out. May read the user database. */
char *identity_user_of(uid_t uid, char *out, size_t cap);

#define HELLO_FIELDS(F, S, L) \
    F(STR, magic)             \
    F(U32, version_min)       \
    F(U32, version_max)       \
    F(U32, role)              \
    F(STR, cluster)           \
    F(STR, node)              \
    F(STR, user)              \
    F(STR, boot)              \
    F(U64, netns)
MSG_STRUCT(hello, HELLO_FIELDS)

/* Append a hello frame. flags: 0 for the side that connected, FRAME_ANSWER for the other. */
int hello_put(struct buf *out, const struct identity *self, uint16_t flags);

/* Decode a frame that must be a hello and check it against ours. `roles` is a set of HELLO_ROLE()
 * bits, 0 = any. Texts in *ret borrow the frame. An error answer comes back as its own code and
 * text. ERR_PROTO, ERR_VERSION, ERR_FOREIGN, ERR_ACCESS (role); the message names `peer`. */
#define HELLO_ROLE(role) (1U << (role))
struct hello_want {
    const struct identity *self;
    uint32_t roles;
    const char *peer; /* for messages: an address */
};
int hello_check(const struct frame *frame, const struct hello_want *want, struct arena *arena,
                struct hello *ret, struct err *err);

/* The first bytes of a stream are no frame: do they look like something known (Hadoop RPC, HTTP,
 * TLS, SSH)? Fills err with "PEER speaks Hadoop's protocol, not quern's: ..." and returns
 * ERR_PROTO; 0 when nothing is recognised. */
int hello_stranger(struct slice in, const char *peer, struct err *err);

/* "cannot reach ADDRESS: connection refused: is the namenode running?". `roles` as in hello_want.
 */
int hello_unreachable(struct err *err, int code, const char *address, uint32_t roles);

#endif
