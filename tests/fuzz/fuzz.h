/* SPDX-License-Identifier: Apache-2.0
 * fuzz: what a fuzzer is made of. tests/fuzz/fuzz_<decoder>.c defines these; either fuzz_main.c
 * (any compiler, mutations of its own, for `make fuzz`) or libFuzzer calls them. */
#ifndef QUERN_FUZZ_H
#define QUERN_FUZZ_H

#include "libcommon/base/buf.h"
#include "libcommon/base/rand.h"

/* Decode; a crash, a sanitizer's complaint or a BUG is the finding. Returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A valid input to begin with, appended to an empty buf. Each call may give another. */
void fuzz_seed(struct rand *rand, struct buf *out);

#endif
