/* SPDX-License-Identifier: Apache-2.0 */
#include "client/fs/avro_schema.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#define DEPTH_MAX 200

static const char *const type_names[AVRO_TYPES] = {
    [AVRO_NULL] = "null",   [AVRO_BOOLEAN] = "boolean", [AVRO_INT] = "int",
    [AVRO_LONG] = "long",   [AVRO_FLOAT] = "float",     [AVRO_DOUBLE] = "double",
    [AVRO_BYTES] = "bytes", [AVRO_STRING] = "string",   [AVRO_RECORD] = "record",
    [AVRO_ENUM] = "enum",   [AVRO_FIXED] = "fixed",     [AVRO_ARRAY] = "array",
    [AVRO_MAP] = "map",     [AVRO_UNION] = "union",
};

/* A type with a name of its own, for those that say it again. */
struct named {
    struct named *next;
    struct avro_schema *schema;
};

struct parse {
    struct arena *arena;
    struct named *named;
    unsigned depth;
    struct err *err;
};

static int parse_any(struct parse *p, const json_t *json, const char *space,
                     const struct avro_schema **ret);

static int wrong(struct parse *p, const char *what)
{
    return err_set(p->err, ERR_CORRUPT, "its Avro schema is none: %s", what);
}

static int no_memory(struct parse *p)
{
    return err_set(p->err, ERR_NOMEM, "out of memory");
}

static const char *keep(struct parse *p, const char *a, const char *dot, const char *b)
{
    size_t size = strlen(a) + strlen(dot) + strlen(b) + 1;
    char *text = arena_alloc(p->arena, size);
    if (text)
        snprintf(text, size, "%s%s%s", a, dot, b);
    return text;
}

/* A name with its namespace: one that has dots has it already. */
static const char *full_name(struct parse *p, const char *name, const char *space)
{
    bool has_space = strchr(name, '.') || !*space;
    return has_space ? keep(p, name, "", "") : keep(p, space, ".", name);
}

static const struct avro_schema *find_named(const struct parse *p, const char *name)
{
    for (const struct named *n = p->named; n; n = n->next)
        if (strcmp(n->schema->name, name) == 0)
            return n->schema;
    return NULL;
}

static struct avro_schema *schema_new(struct parse *p, enum avro_type type, size_t count)
{
    struct avro_schema *schema = arena_calloc(p->arena, 1, sizeof(*schema));
    if (!schema)
        return NULL;
    schema->type = type;
    schema->name = type_names[type];
    schema->count = count;
    schema->parts = arena_calloc(p->arena, count ? count : 1, sizeof(*schema->parts));
    return schema->parts ? schema : NULL;
}

/* One of the simple types by its word, or one that was defined before. */
static int parse_word(struct parse *p, const char *word, const char *space,
                      const struct avro_schema **ret)
{
    for (int type = 0; type < AVRO_RECORD; type++) {
        if (strcmp(word, type_names[type]) != 0)
            continue;
        *ret = schema_new(p, (enum avro_type)type, 0);
        return *ret ? 0 : no_memory(p);
    }
    const char *name = full_name(p, word, space);
    if (!name)
        return no_memory(p);
    *ret = find_named(p, name);
    if (!*ret)
        *ret = find_named(p, word);
    return *ret ? 0 : wrong(p, "a type that nothing defines");
}

static int parse_union(struct parse *p, const json_t *json, const char *space,
                       const struct avro_schema **ret)
{
    struct avro_schema *schema = schema_new(p, AVRO_UNION, json_array_size(json));
    int rc = schema ? 0 : no_memory(p);
    for (size_t i = 0; rc == 0 && i < schema->count; i++)
        rc = parse_any(p, json_array_get(json, i), space, &schema->parts[i].schema);
    *ret = schema;
    return rc;
}

static int parse_items(struct parse *p, const json_t *json, enum avro_type type,
                       const struct avro_schema **ret, const char *space)
{
    struct avro_schema *schema = schema_new(p, type, 1);
    const char *strings = json_string_value(json_object_get(json, "avro.java.string"));
    if (!schema)
        return no_memory(p);
    schema->has_java_strings = strings && strcmp(strings, "String") == 0;
    *ret = schema;
    return parse_any(p, json_object_get(json, type == AVRO_MAP ? "values" : "items"), space,
                     &schema->parts[0].schema);
}

static int parse_fields(struct parse *p, const json_t *fields, const char *space,
                        struct avro_schema *schema)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < schema->count; i++) {
        const json_t *field = json_array_get(fields, i);
        const char *name = json_string_value(json_object_get(field, "name"));
        if (!name)
            return wrong(p, "a field without a name");
        schema->parts[i].name = keep(p, name, "", "");
        if (!schema->parts[i].name)
            return no_memory(p);
        rc = parse_any(p, json_object_get(field, "type"), space, &schema->parts[i].schema);
    }
    return rc;
}

static int parse_symbols(struct parse *p, const json_t *symbols, struct avro_schema *schema)
{
    for (size_t i = 0; i < schema->count; i++) {
        const char *symbol = json_string_value(json_array_get(symbols, i));
        if (!symbol)
            return wrong(p, "a symbol that is no string");
        schema->parts[i].name = keep(p, symbol, "", "");
        if (!schema->parts[i].name)
            return no_memory(p);
    }
    return 0;
}

/* The namespace that holds inside a type of this full name. */
static const char *space_of(struct parse *p, const char *name)
{
    const char *dot = strrchr(name, '.');
    return slice_text(slice_of(name, dot ? (size_t)(dot - name) : 0), p->arena);
}

static int define(struct parse *p, struct avro_schema *schema, const json_t *json,
                  const char *space)
{
    const char *name = json_string_value(json_object_get(json, "name"));
    const char *own = json_string_value(json_object_get(json, "namespace"));
    struct named *named = arena_calloc(p->arena, 1, sizeof(*named));
    if (!name)
        return wrong(p, "a type without a name");
    schema->name = full_name(p, name, own ? own : space);
    if (!schema->name || !named)
        return no_memory(p);
    named->schema = schema;
    named->next = p->named;
    p->named = named;
    return 0;
}

static int parse_named(struct parse *p, const json_t *json, enum avro_type type, const char *space,
                       const struct avro_schema **ret)
{
    const json_t *list = json_object_get(json, type == AVRO_RECORD ? "fields" : "symbols");
    const json_int_t size = json_integer_value(json_object_get(json, "size"));
    struct avro_schema *schema = schema_new(p, type, json_array_size(list));
    int rc = schema ? define(p, schema, json, space) : no_memory(p);
    if (rc != 0)
        return rc;
    *ret = schema;
    if (type == AVRO_FIXED) {
        schema->size = (uint64_t)size;
        return size < 0 ? wrong(p, "a size below zero") : 0;
    }
    if (type == AVRO_ENUM)
        return parse_symbols(p, list, schema);
    const char *inside = space_of(p, schema->name);
    return inside ? parse_fields(p, list, inside, schema) : no_memory(p);
}

static int parse_object(struct parse *p, const json_t *json, const char *space,
                        const struct avro_schema **ret)
{
    const json_t *type = json_object_get(json, "type");
    const char *word = json_string_value(type);
    if (!word)
        return parse_any(p, type, space, ret);
    if (strcmp(word, "record") == 0 || strcmp(word, "error") == 0)
        return parse_named(p, json, AVRO_RECORD, space, ret);
    if (strcmp(word, "enum") == 0 || strcmp(word, "fixed") == 0)
        return parse_named(p, json, *word == 'e' ? AVRO_ENUM : AVRO_FIXED, space, ret);
    if (strcmp(word, "array") == 0 || strcmp(word, "map") == 0)
        return parse_items(p, json, *word == 'a' ? AVRO_ARRAY : AVRO_MAP, ret, space);
    return parse_word(p, word, space, ret);
}

static int parse_any(struct parse *p, const json_t *json, const char *space,
                     const struct avro_schema **ret)
{
    int rc = 0;
    if (p->depth >= DEPTH_MAX)
        return wrong(p, "too deep");
    p->depth++;
    if (json_is_string(json))
        rc = parse_word(p, json_string_value(json), space, ret);
    else if (json_is_array(json))
        rc = parse_union(p, json, space, ret);
    else if (json_is_object(json))
        rc = parse_object(p, json, space, ret);
    else
        rc = wrong(p, "something without a type");
    p->depth--;
    return rc;
}

int avro_schema_parse(struct slice text, struct arena *arena, const struct avro_schema **ret,
                      struct err *err)
{
    struct parse p = {.arena = arena, .err = err};
    json_error_t why;
    json_t *json =
        json_loadb((const char *)text.data, text.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, &why);
    if (!json)
        return wrong(&p, why.text);
    const struct avro_schema *schema = NULL;
    int rc = parse_any(&p, json, "", &schema);
    json_decref(json);
    if (rc == 0)
        *ret = schema;
    return rc;
}
