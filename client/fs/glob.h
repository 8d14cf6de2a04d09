/* SPDX-License-Identifier: Apache-2.0
 * glob: from a word on the command line to the items it means.
 *
 * * ? [abc] [a-z] [!a] [^a] {a,b} and \ escapes; braces may nest and hold slashes; * and ? match
 * names that begin with '.' or '_' too. Results are in byte order, each once. A word without any of
 * these is one item, whether it exists or not. Broken patterns: "Illegal file pattern: ...". */
#ifndef QUERN_FS_GLOB_H
#define QUERN_FS_GLOB_H

#include "client/fs/item.h"

/* Append what `text` means on `volume`. 0 (nothing appended = a pattern that matches nothing) or
 * the failure. Items found by listing or asking have their stat. */
int fs_glob(struct fs_volume *volume, const char *text, struct fs_items *ret, struct qn_error *err);

/* Does the path of `text` hold a wildcard or brace (an escaped one does not count)? Pure. */
bool fs_glob_is_pattern(const char *text);

/* Write out the braces: "/a{b,c}" gives "/ab" and "/ac", in this order. Escapes stay. Pure. The
 * array and its words are the caller's (fs_glob_free_words). ERR_INVAL: a brace without its other
 * half; ERR_LIMIT: more than 10,000 words; ERR_NOMEM. */
struct fs_words {
    char **v;
    size_t n, cap;
};
int fs_glob_expand(const char *pattern, struct fs_words *ret);
void fs_glob_free_words(struct fs_words *words);

/* The text without its escapes. mem_free it; NULL when memory is out. */
char *fs_glob_unescape(const char *text);

#endif
