/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/proto/shuffle/messages.h"

MSG_DEFINE_SINCE(shuffle_fetch, SHUFFLE_FETCH_FIELDS, stage)

MSG_METHODS_DEFINE(SHUFFLE, SHUFFLE_METHODS)
