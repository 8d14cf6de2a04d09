/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/base/doing.h"

_Thread_local struct doing doing_now;
