/* SPDX-License-Identifier: Apache-2.0
 * imageforms: an image in the forms that Hadoop's offline image viewer has: XML, Delimited (a line
 * of fields a name, with quotas, for spreadsheets) and FileDistribution (how many files are how
 * large). Chunks come in order, twice: the first time only what few inodes have is remembered
 * (quotas, access lists: a line needs them, and they stand behind all inodes), so that an image of
 * any size passes through little memory. */
#ifndef QUERN_NAMENODE_TOOLS_IMAGEFORMS_H
#define QUERN_NAMENODE_TOOLS_IMAGEFORMS_H

#include "libcommon/base/buf.h"
#include "namenode/journal/rows.h"
#include "namenode/journal/sections.h"

enum nn_imageform { NN_FORM_XML, NN_FORM_DELIMITED, NN_FORM_DISTRIBUTION };

struct nn_few {                /* of an inode that has any */
    uint64_t id, names, space; /* quotas + 1 */
    bool has_acl;
};

struct nn_imageforms {
    enum nn_imageform form;
    const char *delimiter;
    uint64_t max_size, step; /* FileDistribution */
    bool is_formatted;       /* sizes as "2 MB" */
    struct nn_rows rows;
    struct nn_printer *printer; /* for sections of which Hadoop knows nothing */
    struct buf path, json;
    size_t *ends; /* as in imagetext.h */
    uint64_t *ids;
    size_t levels, end_cap, id_cap;
    struct nn_few *few;
    size_t few_count, few_cap;
    uint16_t section; /* of the last chunk; 0 = none yet */
    uint64_t *sizes;
    size_t size_count;
    uint64_t files, directories, blocks, space, largest;
};

/* ERR_NOMEM, or ERR_INVAL for a distribution of too many steps. */
int nn_imageforms_init(struct nn_imageforms *forms, struct err *err);
void nn_imageforms_release(struct nn_imageforms *forms);
int nn_imageforms_look(struct nn_imageforms *forms, uint16_t section, struct slice chunk,
                       struct err *err);
void nn_imageforms_begin(struct nn_imageforms *forms, uint64_t image, struct buf *out);
int nn_imageforms_take(struct nn_imageforms *forms, uint16_t section, struct slice chunk,
                       struct buf *out, struct err *err);
void nn_imageforms_end(struct nn_imageforms *forms, struct buf *out);

#endif
