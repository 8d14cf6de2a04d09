/* SPDX-License-Identifier: Apache-2.0
 * symbol: an address in a plugin as its author knows it: "clean.c:41 in parse_line". By addr2line,
 * where the machine has it and the plugin has debug information; else as it was told. */
#ifndef QUERN_WORKER_RUNNER_SYMBOL_H
#define QUERN_WORKER_RUNNER_SYMBOL_H

#include <stddef.h>

/* `place` is progress_page.crashed_at: "PATH+0x1139 (name)". Starts a process, waits for it two
 * seconds at most. `out` always holds something printable. */
void symbol_place(const char *place, char *out, size_t cap);

#endif
