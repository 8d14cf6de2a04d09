/* SPDX-License-Identifier: Apache-2.0
 * avro_schema: what an Avro file says its records are, as a tree. Pure. */
#ifndef QUERN_FS_AVRO_SCHEMA_H
#define QUERN_FS_AVRO_SCHEMA_H

#include "libcommon/base/err.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/slice.h"

enum avro_type {
    AVRO_NULL,
    AVRO_BOOLEAN,
    AVRO_INT,
    AVRO_LONG,
    AVRO_FLOAT,
    AVRO_DOUBLE,
    AVRO_BYTES,
    AVRO_STRING,
    AVRO_RECORD,
    AVRO_ENUM,
    AVRO_FIXED,
    AVRO_ARRAY,
    AVRO_MAP,
    AVRO_UNION,
    AVRO_TYPES
};

struct avro_schema;
struct avro_part {
    const char *name;                 /* of a field, a symbol; else NULL */
    const struct avro_schema *schema; /* of a field, a branch, an item; else NULL */
};

struct avro_schema {
    enum avro_type type;
    const char *name; /* with its namespace; a type without one: "array" */
    size_t count;     /* fields, symbols, branches; 1 of what has items */
    struct avro_part *parts;
    uint64_t size;         /* of a fixed, in bytes */
    bool has_java_strings; /* keys of a map are hashed as Java's strings are */
};

/* From its JSON text. All of it lives in `arena`; a record may contain itself. ERR_CORRUPT or
 * ERR_NOMEM with err. */
int avro_schema_parse(struct slice json, struct arena *arena, const struct avro_schema **ret,
                      struct err *err);

#endif
