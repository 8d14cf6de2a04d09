/* SPDX-License-Identifier: Apache-2.0
 * admin: what only administrators ask the namenode; part of the conversation cl_nn (messages.h,
 * where the numbers are). Each needs a superuser; who is none gets ERR_ACCESS, "Access denied for
 * user U. Superuser privilege is required for operation OP". */
#ifndef QUERN_PROTO_CL_NN_ADMIN_H
#define QUERN_PROTO_CL_NN_ADMIN_H

#include "libcommon/wire/msg.h"

/* An image now. With a window: only when the last one is older than that, or lacks more records. */
#define CL2NN_SAVE_FIELDS(F, S, L)     \
    F(U64, window_ms) /* 0 = always */ \
    F(U64, records)
MSG_STRUCT(cl2nn_save, CL2NN_SAVE_FIELDS)

/* A new segment of the journal begins with this record. */
#define CL2NN_ROLLED_FIELDS(F, S, L) F(U64, first_index)
MSG_STRUCT(cl2nn_rolled, CL2NN_ROLLED_FIELDS)

/* Write the block side's lists into this file beside the namenode's log. */
#define CL2NN_METASAVE_FIELDS(F, S, L) F(STR, name) /* a plain name */
MSG_STRUCT(cl2nn_metasave, CL2NN_METASAVE_FIELDS)

/* Copies leave each datanode at most at this rate, until it is started anew; 0 = as fast as it
 * goes. */
#define CL2NN_BANDWIDTH_FIELDS(F, S, L) F(U64, bytes_per_s)
MSG_STRUCT(cl2nn_bandwidth, CL2NN_BANDWIDTH_FIELDS)

#endif
