/* SPDX-License-Identifier: Apache-2.0
 * fuzz_ranges: a sample of keys, of any bytes: refused with a word, or every key has its reducer
 * and the order holds over them. */
#include "tests/fuzz/fuzz.h"
#include "worker/map/ranges.h"

void fuzz_seed(struct rand *rand, struct buf *out)
{
    uint8_t key[4] = {0};
    ranges_begin_sample(out);
    for (uint64_t n = rand_below(rand, 20); n > 0; n--) {
        key[0] = (uint8_t)(key[0] + rand_below(rand, 3));
        ranges_add_to_sample(out, slice_of(key, 1 + rand_below(rand, 3)));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena = ARENA_INIT;
    struct ranges ranges;
    struct err err = {0};
    uint32_t reducers = 1 + (size > 0 ? data[size - 1] % 50U : 0);
    if (ranges_open(&ranges, slice_of(data, size), reducers, &arena, &err) == 0) {
        BUG_ON(ranges.count >= reducers);
        for (uint32_t i = 0; i < ranges.count; i++)
            BUG_ON(ranges_pick(&ranges, ranges.starts[i]) <= i);
        BUG_ON(ranges_pick(&ranges, slice_of(data, size)) > ranges.count);
    } else {
        BUG_ON(!err.msg[0]);
    }
    arena_release(&arena);
    return 0;
}
