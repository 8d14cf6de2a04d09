/* SPDX-License-Identifier: Apache-2.0
 * publish: the names of what may become of an output that exists (enum cl2nn_publish_mode), as
 * people type them: -mode, and the setting job.output.mode. */
#ifndef QUERN_PROTO_CL_NN_PUBLISH_H
#define QUERN_PROTO_CL_NN_PUBLISH_H

#include "libcommon/proto/cl_nn/messages.h"

/* First line of the manifest of a job that replaced partitions: of the directories it has files in,
 * older manifests do not tell any more. */
#define CL2NN_MANIFEST_PARTITION "# replace-partition"
#define CL2NN_PUBLISH_MODES      "fail, replace, append or replace-partition"

/* Behind the path of an output that is not to be replaced: no job has made it, so that it may be a
 * slip of the hand, and dear to somebody. */
#define CL2NN_PUBLISH_FOREIGN                                                                 \
    " holds what no job has made (there is no _SUCCESS): it will not be replaced; remove it " \
    "yourself, or choose another OUTPUT"
#define CL2NN_PUBLISH_FILE " is a file, no directory: remove it yourself, or choose another OUTPUT"

/* Does an entry of that name in a directory tell that a job has made it? */
bool cl2nn_publish_is_mark(struct slice name);

/* ERR_INVAL: it is none. */
int cl2nn_publish_mode_of(const char *text, uint32_t *ret_mode);
const char *cl2nn_publish_mode_name(uint32_t mode);

#endif
