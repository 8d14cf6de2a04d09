/* SPDX-License-Identifier: Apache-2.0
 * last_words: what a process printed about itself before SIGABRT ended it, as one line: a C++
 * exception or a Rust panic that left its function, a failed assertion, a heap that is damaged.
 * Pure. */
#ifndef QUERN_WORKER_TASK_LAST_WORDS_H
#define QUERN_WORKER_TASK_LAST_WORDS_H

#include "libcommon/base/slice.h"

/* `log`: its end. False: it tells nothing of that kind. */
bool last_words(struct slice log, char *out, size_t cap);

#endif
