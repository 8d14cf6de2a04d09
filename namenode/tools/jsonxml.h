/* SPDX-License-Identifier: Apache-2.0
 * jsonxml: one JSON value, as this program prints it, as XML elements: an object's members become
 * elements of their names, an array's its name's, repeated. What XML cannot hold is written as
 * Hadoop writes it: \0007; for the character 7, \005c; for a backslash. */
#ifndef QUERN_NAMENODE_TOOLS_JSONXML_H
#define QUERN_NAMENODE_TOOLS_JSONXML_H

#include "libcommon/base/buf.h"

struct jsonxml_style {
    bool upper;  /* names in capitals */
    unsigned in; /* steps of indentation */
};
/* `json` is an object: its members, a line each (those with members of their own take several).
 * ERR_CORRUPT when it is none. */
int jsonxml(struct slice json, const struct jsonxml_style *style, struct buf *out);
/* Text between tags. */
void jsonxml_text(struct slice text, struct buf *out);

#endif
