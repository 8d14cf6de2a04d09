/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/proto/shuffle/messages.h"

MSG_DEFINE(shuffle_fetch, SHUFFLE_FETCH_FIELDS)

MSG_METHODS_DEFINE(SHUFFLE, SHUFFLE_METHODS)
