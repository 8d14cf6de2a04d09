/* SPDX-License-Identifier: Apache-2.0
 * path: names of files in the filesystem. A normal path is absolute, has no empty, "." or ".."
 * component and no slash at the end (but "/" itself). A name may hold any byte but '/' and NUL. */
#ifndef QUERN_BASE_PATH_H
#define QUERN_BASE_PATH_H

#include "libcommon/base/buf.h"

#define PATH_MAX_BYTES 8000
#define PATH_MAX_DEPTH 1000
#define NAME_MAX_BYTES 255

/* Is it normal, and within the limits above? Only then can it be the path of something. */
bool path_is_normal(struct slice path);
/* Is it normal, however long? */
bool path_is_formed(struct slice path);

/* Append the normal form of `path` to `out`; a relative path starts at `base` (absolute). ".."
 * climbs, and stays at "/" there. ERR_INVAL for a NUL byte or an empty path. It may be longer than
 * any path that is: that is for those to say who look it up, or make it. */
int path_normalise(struct slice base, struct slice path, struct buf *out);

/* Last component ("" for "/") and what is before it ("/" for "/a"). Of a normal path. */
struct slice path_name(struct slice path);
struct slice path_parent(struct slice path);

/* Walk: *rest starts as the path; true with the next component until there is none. */
bool path_next(struct slice *rest, struct slice *ret_name);

/* Is `path` equal to or below `dir`? Both normal. */
bool path_is_under(struct slice path, struct slice dir);

/* Glob of one component: * ? [abc] [a-z] [!a] [^a] and \ escapes; ? and sets take UTF-8 characters.
 * Braces are expanded before, by the client. ERR_INVAL for a broken pattern is path_glob_check's
 * affair. */
bool path_glob_match(struct slice pattern, struct slice name);
int path_glob_check(struct slice pattern);

#endif
