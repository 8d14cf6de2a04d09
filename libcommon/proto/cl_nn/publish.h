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

/* ERR_INVAL: it is none. */
int cl2nn_publish_mode_of(const char *text, uint32_t *ret_mode);
const char *cl2nn_publish_mode_name(uint32_t mode);

#endif
