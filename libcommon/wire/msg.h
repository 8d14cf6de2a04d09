/* SPDX-License-Identifier: Apache-2.0
 * msg: messages declared once. A list of fields becomes the C struct, its encoder, decoder, printer
 * and fuzz seed; conversations under libcommon/proto hold nothing but such lists.
 *
 *     #define CL2NN_MKDIR_FIELDS(F, S, L) \
 *         F(STR, path)                    \
 *         F(U32, mode)                    \
 *         S(msg_block, block)             \
 *         L(msg_node, nodes)
 *     MSG_STRUCT(cl2nn_mkdir, CL2NN_MKDIR_FIELDS)      in messages.h
 *     MSG_DEFINE(cl2nn_mkdir, CL2NN_MKDIR_FIELDS)      in messages.c
 *
 * gives `struct cl2nn_mkdir { struct slice path; uint32_t mode; ... struct msg_node_list nodes; }`
 * and `const struct msg_desc cl2nn_mkdir_desc`.
 *
 * Encoding: a positional msgpack array, structs and lists nested. Fields are only ever added at the
 * end: a decoder ignores trailing fields it does not know. A field that is not there is refused, so
 * that nobody's mistake is taken for a zero; but for those that were added after a message was
 * first spoken: MSG_DEFINE_SINCE names the first of them, and they are zero when an older sender
 * did not send them. Decoded slices borrow the frame's bytes; lists live in the arena given. */
#ifndef QUERN_WIRE_MSG_H
#define QUERN_WIRE_MSG_H

#include "libcommon/base/buf.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/rand.h"
#include "libcommon/base/slice.h"

struct msg_u64s {
    const uint64_t *v;
    size_t n;
};
struct msg_strs {
    const struct slice *v;
    size_t n;
};

enum msg_kind {
    MSG_KIND_U64,
    MSG_KIND_U32,
    MSG_KIND_I64,
    MSG_KIND_F64,
    MSG_KIND_BOOL,
    MSG_KIND_STR,    /* text or any bytes a person may see: msgpack str */
    MSG_KIND_BYTES,  /* msgpack bin */
    MSG_KIND_U64S,   /* struct msg_u64s */
    MSG_KIND_STRS,   /* struct msg_strs */
    MSG_KIND_STRUCT, /* a message inside */
    MSG_KIND_LIST,   /* struct NAME_list { struct NAME *v; size_t n; } */
};

#define MSG_CTYPE_U64   uint64_t
#define MSG_CTYPE_U32   uint32_t
#define MSG_CTYPE_I64   int64_t
#define MSG_CTYPE_F64   double
#define MSG_CTYPE_BOOL  bool
#define MSG_CTYPE_STR   struct slice
#define MSG_CTYPE_BYTES struct slice
#define MSG_CTYPE_U64S  struct msg_u64s
#define MSG_CTYPE_STRS  struct msg_strs

struct msg_field {
    const char *name;
    enum msg_kind kind;
    uint32_t offset;
    const struct msg_desc *sub; /* STRUCT and LIST */
};

struct msg_desc {
    const char *name;
    uint32_t size; /* of the C struct */
    uint32_t field_count;
    uint32_t needed; /* fields that begin before this offset must be there */
    const struct msg_field *(*fields)(void); /* field_count rows */
};

#define MSG_DECLARE_F(kind, field) MSG_CTYPE_##kind field;
#define MSG_DECLARE_S(type, field) struct type field;
#define MSG_DECLARE_L(type, field) struct type##_list field;
#define MSG_STRUCT(type, FIELDS)                            \
    struct type {                                           \
        FIELDS(MSG_DECLARE_F, MSG_DECLARE_S, MSG_DECLARE_L) \
    };                                                      \
    struct type##_list {                                    \
        struct type *v;                                     \
        size_t n;                                           \
    };                                                      \
    extern const struct msg_desc type##_desc;

/* The rows live in a function, because there a local typedef can give `offsetof` the struct's name
 * without every field having to repeat it. */
#define MSG_ROW_F(kind, field) {#field, MSG_KIND_##kind, (uint32_t)offsetof(msg_this, field), NULL},
#define MSG_ROW_S(type, field) \
    {#field, MSG_KIND_STRUCT, (uint32_t)offsetof(msg_this, field), &type##_desc},
#define MSG_ROW_L(type, field) \
    {#field, MSG_KIND_LIST, (uint32_t)offsetof(msg_this, field), &type##_desc},
#define MSG_COUNT(kind, field)   +1
#define MSG_DEFINE(type, FIELDS) MSG_DEFINE_NEEDING(type, FIELDS, sizeof(struct type))
#define MSG_DEFINE_SINCE(type, FIELDS, first_new) \
    MSG_DEFINE_NEEDING(type, FIELDS, offsetof(struct type, first_new))
#define MSG_DEFINE_NEEDING(type, FIELDS, bytes)                                           \
    static const struct msg_field *type##_fields(void)                                    \
    {                                                                                     \
        typedef struct type msg_this;                                                     \
        static const struct msg_field rows[] = {FIELDS(MSG_ROW_F, MSG_ROW_S, MSG_ROW_L)}; \
        return rows;                                                                      \
    }                                                                                     \
    const struct msg_desc type##_desc = {#type, (uint32_t)sizeof(struct type),            \
                                         0 FIELDS(MSG_COUNT, MSG_COUNT, MSG_COUNT),       \
                                         (uint32_t)(bytes), type##_fields};               \
    static const struct msg_desc *const type##_listed                                     \
        __attribute__((used, section("quern_msgs"))) = &type##_desc;

/* All messages defined in this program, as far as the linker took their files: fuzzers walk them
 * from
 * __start_quern_msgs to __stop_quern_msgs, the linker's names for the section's ends. */
extern const struct msg_desc *const __start_quern_msgs[], *const __stop_quern_msgs[];

/* What needs no field at all: an empty request or answer. */
struct msg_void {
    char nothing;
};
extern const struct msg_desc msg_void_desc;

/* Nesting and list sizes a decoder accepts; a list can never claim more items than bytes left. */
#define MSG_DEPTH_MAX 16

void msg_encode(const struct msg_desc *desc, const void *msg, struct buf *out);
/* Fills *ret_msg (desc->size bytes). 0, ERR_PROTO (says what and where in err) or ERR_NOMEM. */
int msg_decode(const struct msg_desc *desc, struct slice in, struct arena *arena, void *ret_msg,
               struct err *err);
/* {"path":"/a","mode":493,...}: one line of JSON for logs, dumps and people. */
void msg_print(const struct msg_desc *desc, const void *msg, struct buf *out);
/* The same, and a newline, on a stream. 0, or ERR_NOMEM and nothing was written. */
int msg_print_line(const struct msg_desc *desc, const void *msg, FILE *out);
/* A random valid message (lists short), encoded: where fuzzers start. */
void msg_seed(const struct msg_desc *desc, struct rand *rand, struct buf *out);

/* One request of a conversation: a row of its method table. */
enum msg_method_flag {
    MSG_READS = 1,    /* changes nothing: may be asked again freely */
    MSG_RECORDED = 2, /* carries (client, seq); the answer to a repeat is the first answer */
    MSG_ONEWAY = 4,   /* no answer is sent */
};
struct msg_method {
    uint16_t type;
    uint16_t flags;   /* enum msg_method_flag */
    const char *name; /* CL2NN_MKDIR: in logs, the protocol page and the source alike */
    const struct msg_desc *ask;
    const struct msg_desc *answer; /* &msg_void_desc when there is nothing to say */
};

/* A conversation's methods are one list too:
 *
 *     #define CL2NN_METHODS(M, P) M(P, 0x0101, CREATE, MSG_RECORDED, cl2nn_create, cl2nn_created)
 * ... MSG_METHODS(CL2NN, CL2NN_METHODS)            in messages.h MSG_METHODS_DEFINE(CL2NN,
 * CL2NN_METHODS)     in messages.c
 *
 * gives CL2NN_CREATE = 0x0101, the index CL2NN_AT_CREATE, CL2NN_METHOD_COUNT and the table
 * CL2NN_methods[], so that &CL2NN_methods[CL2NN_AT_CREATE] is the row. */
#define MSG_METHOD_TYPE(P, type, NAME, flags, ask, answer) P##_##NAME = type,
#define MSG_METHOD_AT(P, type, NAME, flags, ask, answer)   P##_AT_##NAME,
#define MSG_METHOD_ROW(P, type, NAME, flags, ask, answer) \
    {type, flags, #P "_" #NAME, &ask##_desc, &answer##_desc},
#define MSG_METHODS(PREFIX, METHODS)                               \
    enum { METHODS(MSG_METHOD_TYPE, PREFIX) };                     \
    enum { METHODS(MSG_METHOD_AT, PREFIX) PREFIX##_METHOD_COUNT }; \
    extern const struct msg_method PREFIX##_methods[PREFIX##_METHOD_COUNT];
#define MSG_METHODS_DEFINE(PREFIX, METHODS)                             \
    const struct msg_method PREFIX##_methods[PREFIX##_METHOD_COUNT] = { \
        METHODS(MSG_METHOD_ROW, PREFIX)};

#endif
