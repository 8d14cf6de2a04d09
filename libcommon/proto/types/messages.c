/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/proto/types/messages.h"

MSG_DEFINE(msg_block, MSG_BLOCK_FIELDS)
MSG_DEFINE(msg_node, MSG_NODE_FIELDS)
MSG_DEFINE(msg_located_block, MSG_LOCATED_BLOCK_FIELDS)
MSG_DEFINE_SINCE(msg_file, MSG_FILE_FIELDS, has_acl)
MSG_DEFINE(msg_pair, MSG_PAIR_FIELDS)
MSG_DEFINE(msg_counter, MSG_COUNTER_FIELDS)
MSG_DEFINE(msg_origin, MSG_ORIGIN_FIELDS)
MSG_DEFINE(msg_reconfig, MSG_RECONFIG_FIELDS)
MSG_DEFINE(msg_key_change, MSG_KEY_CHANGE_FIELDS)
MSG_DEFINE(msg_reconfigured, MSG_RECONFIGURED_FIELDS)
