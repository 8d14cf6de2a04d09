/* SPDX-License-Identifier: Apache-2.0
 * fuzz_main: runs a fuzzer without libFuzzer: valid inputs, their mutations and noise, from a seed.
 *
 *     fuzz_x [--ms N] [--seed N] [--runs N]     default: 1500 ms, a new seed each time
 *     fuzz_x FILE...                            these inputs only
 *
 * Ends with "1 passed, 0 failed". When an input kills it, seed, number of the run and the input in
 * hex are printed first; the same --seed --runs gets there again. With clang the same files are
 * libFuzzer targets, guided by coverage: make fuzz CC=clang FLAVOUR=debug LIBFUZZER=1 */
#include <signal.h>
#include <unistd.h>

#include "libcommon/base/clock.h"
#include "libcommon/base/log.h"
#include "libcommon/base/str.h"
#include "tests/fuzz/fuzz.h"

#define INPUT_MAX 65536

static struct {
    const char *name;
    uint64_t seed, run;
    struct buf input;
} now;

/* ---- telling what killed us ---- */

void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

static void tell(void)
{
    fprintf(stderr, "%s: died at --seed %llu --runs %llu, input of %zu bytes:\n", now.name,
            (unsigned long long)now.seed, (unsigned long long)now.run, now.input.len);
    for (size_t i = 0; i < now.input.len && i < 4096; i++)
        fprintf(stderr, "%02x", now.input.data[i]);
    fprintf(stderr, "\n");
}

static void on_death(int signo)
{
    tell();
    signal(signo, SIG_DFL);
    raise(signo);
}

/* ---- mutations ---- */

static size_t place(struct rand *rand, size_t len)
{
    return len ? rand_below(rand, len) : 0;
}

static void cut(struct buf *buf, size_t at, size_t len)
{
    if (at + len > buf->len)
        len = buf->len - at;
    memmove(buf->data + at, buf->data + at + len, buf->len - at - len);
    buf->len -= len;
}

static void open_gap(struct buf *buf, size_t at, size_t len)
{
    if (!buf_reserve(buf, len))
        return;
    memmove(buf->data + at + len, buf->data + at, buf->len - at);
    buf->len += len;
}

static void overwrite(struct rand *rand, struct buf *buf)
{
    static const uint8_t edges[] = {0,    1,    0x7f, 0x80, 0xff, 0xdd, 0xdc, 0xc0,
                                    0x90, 0xdb, 0xc6, 0xdf, 0xcf, 0xd3, 0xcb, 0x9f};
    size_t at = place(rand, buf->len), len = 1 + rand_below(rand, 4);
    for (size_t i = at; i < at + len && i < buf->len; i++)
        buf->data[i] =
            rand_chance(rand, 2) ? edges[rand_below(rand, sizeof(edges))] : (uint8_t)rand_u64(rand);
}

static void mutate(struct rand *rand, struct buf *buf)
{
    size_t at = place(rand, buf->len), len = 1 + rand_below(rand, rand_chance(rand, 4) ? 64 : 4);
    switch (rand_below(rand, 6)) {
    case 0:
        if (buf->len)
            buf->data[at] ^= (uint8_t)(1U << rand_below(rand, 8));
        break;
    case 1:
        overwrite(rand, buf);
        break;
    case 2:
        cut(buf, at, len);
        break;
    case 3:
        buf->len = at; /* torn */
        break;
    case 4: /* noise inside */
        open_gap(buf, at, len);
        for (size_t i = at; i < at + len && i < buf->len; i++)
            buf->data[i] = (uint8_t)rand_u64(rand);
        break;
    default: /* a part twice */
        if (len > buf->len - at)
            len = buf->len - at;
        open_gap(buf, at, len);
        break;
    }
}

static void make_input(struct rand *rand)
{
    buf_clear(&now.input);
    if (rand_chance(rand, 50)) {
        for (size_t left = rand_below(rand, 64); left > 0; left--)
            buf_append_byte(&now.input, (uint8_t)rand_u64(rand));
        return;
    }
    fuzz_seed(rand, &now.input);
    while (rand_chance(rand, 4)) /* spliced with another */
        fuzz_seed(rand, &now.input);
    for (uint64_t left = rand_chance(rand, 8) ? 0 : 1 + rand_below(rand, 6); left > 0; left--)
        mutate(rand, &now.input);
    if (now.input.len > INPUT_MAX)
        now.input.len = INPUT_MAX;
}

/* In a block of its exact size, so that the sanitizer sees a read beyond it. */
static void run_input(void)
{
    size_t len = now.input.len;
    uint8_t *exact = malloc(len ? len : 1);
    if (!exact || buf_failed(&now.input))
        BUG("out of memory");
    if (len)
        memcpy(exact, now.input.data, len);
    LLVMFuzzerTestOneInput(exact, len);
    free(exact);
}

static void run_seeded(uint64_t ms, uint64_t runs)
{
    struct rand rand;
    uint64_t limit_ms = clock_mono_ms() + ms;
    rand_init(&rand, now.seed);
    for (now.run = 1; runs ? now.run <= runs : clock_mono_ms() < limit_ms; now.run++) {
        make_input(&rand);
        run_input();
    }
    printf("%s: %llu inputs, --seed %llu\n", now.name, (unsigned long long)now.run - 1,
           (unsigned long long)now.seed);
}

static void run_file(const char *path)
{
    FILE *file = fopen(path, "re");
    if (!file) {
        perror(path);
        exit(2);
    }
    buf_clear(&now.input);
    int c;
    while ((c = getc(file)) != EOF)
        buf_append_byte(&now.input, (uint8_t)c);
    fclose(file);
    run_input();
}

int main(int argc, char **argv)
{
    uint64_t ms = 1500, runs = 0;
    bool has_files = false;
    struct err err;
    const char *slash = strrchr(argv[0], '/');
    now.name = slash ? slash + 1 : argv[0];
    rand_secret(&now.seed, 4);
    log_set_level(LOG_ERROR_);
    if (__sanitizer_set_death_callback)
        __sanitizer_set_death_callback(tell);
    signal(SIGABRT, on_death);
    if (!__sanitizer_set_death_callback)
        signal(SIGSEGV, on_death);
    for (int i = 1; i < argc; i++) {
        uint64_t *number = strcmp(argv[i], "--ms") == 0     ? &ms
                           : strcmp(argv[i], "--seed") == 0 ? &now.seed
                           : strcmp(argv[i], "--runs") == 0 ? &runs
                                                            : NULL;
        if (!number) {
            run_file(argv[i]);
            has_files = true;
        } else if (++i >= argc || str_to_u64(argv[i], number) != 0) {
            err_set(&err, ERR_USAGE, "%s: %s wants a number", now.name, argv[i - 1]);
            fprintf(stderr, "%s\n", err.msg);
            return 2;
        }
    }
    if (!has_files)
        run_seeded(ms, runs);
    buf_release(&now.input);
    printf("1 passed, 0 failed\n");
    return 0;
}
