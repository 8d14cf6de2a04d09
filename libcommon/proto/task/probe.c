/* SPDX-License-Identifier: Apache-2.0 */
#include "libcommon/proto/task/probe.h"

MSG_DEFINE(task_probe_option, TASK_PROBE_OPTION_FIELDS)
MSG_DEFINE(task_probe, TASK_PROBE_FIELDS)
