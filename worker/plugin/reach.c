/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/plugin/reach.h"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>

/* In order, for bsearch. */
static const char *const harmless[] = {
    "_ITM_deregisterTMCloneTable",
    "_ITM_registerTMCloneTable",
    "__assert_fail",
    "__ctype_b_loc",
    "__ctype_tolower_loc",
    "__ctype_toupper_loc",
    "__cxa_finalize",
    "__errno_location",
    "__fprintf_chk",
    "__gmon_start__",
    "__isoc23_strtol",
    "__isoc23_strtoll",
    "__isoc23_strtoul",
    "__isoc23_strtoull",
    "__memcpy_chk",
    "__memmove_chk",
    "__memset_chk",
    "__printf_chk",
    "__snprintf_chk",
    "__sprintf_chk",
    "__stack_chk_fail",
    "__strcat_chk",
    "__strcpy_chk",
    "__strncpy_chk",
    "__vsnprintf_chk",
    "abort",
    "aligned_alloc",
    "asprintf",
    "atof",
    "atoi",
    "atol",
    "atoll",
    "bsearch",
    "calloc",
    "ceil",
    "cos",
    "exp",
    "exp2",
    "fabs",
    "floor",
    "fmod",
    "fprintf",
    "fputc",
    "fputs",
    "free",
    "fwrite",
    "getenv",
    "isalnum",
    "isalpha",
    "isdigit",
    "islower",
    "isspace",
    "isupper",
    "log",
    "log10",
    "log1p",
    "log2",
    "malloc",
    "memchr",
    "memcmp",
    "memcpy",
    "memmem",
    "memmove",
    "memrchr",
    "memset",
    "pow",
    "printf",
    "putchar",
    "puts",
    "qsort",
    "realloc",
    "reallocarray",
    "round",
    "sin",
    "snprintf",
    "sprintf",
    "sqrt",
    "stderr",
    "stdout",
    "stpcpy",
    "strcasecmp",
    "strcat",
    "strchr",
    "strcmp",
    "strcpy",
    "strcspn",
    "strdup",
    "strerror",
    "strlen",
    "strncasecmp",
    "strncmp",
    "strncpy",
    "strndup",
    "strnlen",
    "strpbrk",
    "strrchr",
    "strspn",
    "strstr",
    "strtod",
    "strtof",
    "strtol",
    "strtoll",
    "strtoul",
    "strtoull",
    "tan",
    "tolower",
    "toupper",
    "vsnprintf",
};
/* So many beginnings of names: whatever version they are. */
static const char *const libraries[] = {"libc.so.", "libm.so.", "libgcc_s.so.", "ld-linux"};

/* What the dynamic section of a loaded object says. */
struct object {
    const ElfW(Sym) * symbols;
    const char *strings;
    const uint32_t *gnu_hash;
};

static int compare(const void *key, const void *row)
{
    return strcmp(key, *(const char *const *)row);
}

static bool is_harmless(const char *name)
{
    return bsearch(name, harmless, sizeof(harmless) / sizeof(*harmless), sizeof(*harmless),
                   compare) != NULL;
}

static bool is_known_library(const char *name)
{
    for (size_t i = 0; i < sizeof(libraries) / sizeof(*libraries); i++)
        if (strncmp(name, libraries[i], strlen(libraries[i])) == 0)
            return true;
    return false;
}

/* Where the loader has not put addresses in place of offsets, they are below the object's own. */
static const void *address_of(const struct link_map *map, ElfW(Addr) value)
{
    return (const void *)(value < map->l_addr ? value + map->l_addr : value);
}

static void find_tables(const struct link_map *map, struct object *ret)
{
    *ret = (struct object){0};
    for (const ElfW(Dyn) *d = map->l_ld; d->d_tag != DT_NULL; d++) {
        if (d->d_tag == DT_SYMTAB)
            ret->symbols = address_of(map, d->d_un.d_ptr);
        else if (d->d_tag == DT_STRTAB)
            ret->strings = address_of(map, d->d_un.d_ptr);
        else if (d->d_tag == DT_GNU_HASH)
            ret->gnu_hash = address_of(map, d->d_un.d_ptr);
    }
}

static bool needs_known_libraries(const struct link_map *map, const struct object *object)
{
    for (const ElfW(Dyn) *d = map->l_ld; d->d_tag != DT_NULL; d++)
        if (d->d_tag == DT_NEEDED && !is_known_library(object->strings + d->d_un.d_val))
            return false;
    return true;
}

/* Symbols that are defined elsewhere come before the first that this table can find. */
static bool imports_harmless(const struct object *object)
{
    uint32_t first = object->gnu_hash[1];
    for (uint32_t i = 1; i < first; i++) {
        const ElfW(Sym) *symbol = &object->symbols[i];
        if (symbol->st_shndx == SHN_UNDEF && !is_harmless(object->strings + symbol->st_name))
            return false;
    }
    return true;
}

bool reach_is_memory(void *handle)
{
    struct link_map *map = NULL;
    struct object object;
    if (dlinfo(handle, RTLD_DI_LINKMAP, &map) != 0 || !map)
        return false;
    find_tables(map, &object);
    return object.symbols && object.strings && object.gnu_hash &&
           needs_known_libraries(map, &object) && imports_harmless(&object);
}
