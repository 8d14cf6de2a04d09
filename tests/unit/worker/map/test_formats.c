/* SPDX-License-Identifier: Apache-2.0
 * Records that lines are not: CSV with line breaks in its fields, records behind their lengths,
 * whole files, packed records. However a file is cut, every record is in one piece, whole; and what
 * is malformed is told with its place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <unistd.h>

#include "libcommon/base/mem.h"
#include "libcommon/base/rand.h"
#include "libcommon/codec/packer.h"
#include "worker/map/lines.h"

#define LOOK ((uint64_t)1 << 18)
#define ROOM (((size_t)1 << 20) + 2 * LINES_READ)

static char path[] = "/tmp/quern-formats-XXXXXX";

static void write_file(struct slice data)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(data.data, 1, data.len, f), data.len);
    assert_int_equal(fclose(f), 0);
}

struct piece {
    enum qn_input_format format;
    uint64_t from, to, file_len;
    uint64_t look_max;
    size_t record_max;
    uint32_t record_size;
};

/* Appends all records of a piece, each in brackets; the code of the last call. */
static int read_piece(const struct piece *piece, struct buf *out, struct err *err)
{
    struct task_segment seg = {slice_str(path), piece->from, piece->to - piece->from,
                               piece->file_len};
    static uint8_t room[ROOM];
    size_t size = piece->record_max ? piece->record_max + 2 * LINES_READ : ROOM;
    struct lines lines;
    struct slice span = {0}, record = {0};
    uint64_t offset = 0;
    const struct lines_format format = {piece->format, piece->record_size, ','};
    int rc;
    lines_open(&lines, &(struct lines_conf){.files = files_local(),
                                            .segments = &seg,
                                            .count = 1,
                                            .buffer = room,
                                            .buffer_size = size,
                                            .memory = 4 * piece->record_max,
                                            .formats = &format,
                                            .look_max = piece->look_max ? piece->look_max : LOOK});
    while ((rc = lines_next(&lines, &span, &offset, err)) == 1) {
        bool is_start = offset == 0;
        if (!frame_is_for(piece->format)) {
            buf_printf(out, "[" SLICE_FMT "]", SLICE_ARG(span));
            continue;
        }
        for (; frame_next(&lines.frame, &span, is_start, &record); is_start = false) {
            buf_append_byte(out, '[');
            buf_append_slice(out, record);
            buf_append_byte(out, ']');
        }
    }
    lines_close(&lines);
    return rc;
}

static int read_whole(enum qn_input_format format, struct slice file, struct buf *out,
                      struct err *err)
{
    buf_clear(out);
    write_file(file);
    return read_piece(&(struct piece){.format = format, .to = file.len, .file_len = file.len}, out,
                      err);
}

/* --- CSV ------------------------------------------------------------------------------------- */

static void check_csv(const char *text, const char *records)
{
    struct buf out = BUF_INIT;
    struct err err = {0};
    if (read_whole(QN_CSV, slice_str(text), &out, &err) != 0)
        fail_msg("%s", err.msg);
    assert_string_equal(buf_cstr(&out), records);
    buf_release(&out);
}

static void records_of_csv_end_outside_quotes(void **state)
{
    (void)state;
    check_csv("a,b\nc,d\n", "[a,b][c,d]");
    check_csv("a,b\r\nc,d\r\n", "[a,b][c,d]");
    check_csv("a,\"b\nc\",d\n\"e\r\n\"\r\nf", "[a,\"b\nc\",d][\"e\r\n\"][f]");
    check_csv("\"a\"\"\n\"\"b\"\n\"\"\n", "[\"a\"\"\n\"\"b\"][\"\"]");
    check_csv("\n\n,\n", "[][][,]");
    check_csv("\"last\"", "[\"last\"]");
    check_csv("\xef\xbb\xbf\"a\nb\",c\nd\n", "[\"a\nb\",c][d]");
    check_csv("\xef\xbb\xbfplain\n", "[plain]");
    check_csv("", "");
}

static void check_bad(enum qn_input_format format, struct slice text, const char *why)
{
    struct buf out = BUF_INIT;
    struct err err = {0};
    assert_int_equal(read_whole(format, text, &out, &err), ERR_CORRUPT);
    if (!strstr(err.msg, why) || !strstr(err.msg, path))
        fail_msg("%s: %s", why, err.msg);
    buf_release(&out);
}

static void malformed_csv_is_told_with_its_place(void **state)
{
    (void)state;
    check_bad(QN_CSV, slice_str("ab\nc,\"never\nclosed\n"),
              "no quote closes the field that begins at offset 5");
    check_bad(QN_CSV, slice_str("a,b\"c\n"),
              "a quote inside a field that does not begin with one at offset 3");
    check_bad(QN_CSV, slice_str("\"a\"b\n"), "follows the closing quote at offset 2");
    check_bad(QN_CSV, slice_str("\"a\"\rb\n"), "follows the closing quote at offset 2");
}

/* A field: plain, or quoted with whatever in it. */
static void add_field(struct rand *rand, uint32_t longest, bool is_quoted, struct buf *out)
{
    static const char inside[] = "ab,\n\r\n,,x\n";
    uint32_t n = (uint32_t)rand_below(rand, longest);
    if (is_quoted)
        buf_append_byte(out, '"');
    for (uint32_t i = 0; i < n; i++) {
        if (!is_quoted)
            buf_append_byte(out, (uint8_t)('a' + rand_below(rand, 26)));
        else if (rand_chance(rand, 10))
            buf_append_str(out, "\"\"");
        else
            buf_append_byte(out, (uint8_t)inside[rand_below(rand, sizeof(inside) - 1)]);
    }
    if (is_quoted)
        buf_append_byte(out, '"');
}

static void some_csv(struct rand *rand, size_t len, uint32_t longest, uint32_t quoted,
                     struct buf *out)
{
    while (out->len < len) {
        add_field(rand, longest, rand_chance(rand, quoted), out);
        if (rand_chance(rand, 30))
            buf_append_str(out, rand_chance(rand, 50) ? "\n" : "\r\n");
        else
            buf_append_byte(out, ',');
    }
}

/* The pieces between the cuts, put together, are the file's records. */
static void check_cuts(struct slice file, const uint64_t *cuts, size_t count)
{
    struct buf whole = BUF_INIT, pieces = BUF_INIT;
    struct err err = {0};
    if (read_whole(QN_CSV, file, &whole, &err) != 0)
        fail_msg("%s", err.msg);
    struct piece piece = {.format = QN_CSV, .file_len = file.len};
    for (size_t i = 0; i <= count; i++) {
        piece.to = i < count ? cuts[i] : file.len;
        if (piece.to > piece.from && read_piece(&piece, &pieces, &err) != 0)
            fail_msg("%s", err.msg);
        piece.from = piece.to;
    }
    assert_true(slice_eq(buf_slice(&pieces), buf_slice(&whole)));
    buf_release(&pieces);
    buf_release(&whole);
}

static void csv_cut_at_every_place_has_every_record_once(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "a,\"b\nc\"\n\"\"\"\",\"\n\"\"\n\"\nx,y\n\"last\n\"",
        "\"\r\n\"\r\na\r\n\"\"\r\n\"\"\"\"\"\"\r\n",
        "\xef\xbb\xbf\"a\n\",b\nc\n",
        "\",\",\"\n\",\",\"\n\",\",\"\n\"\n", /* makes sense inside out */
        "1,2\n3,4\n5,6\n",
    };
    for (size_t t = 0; t < ARRAY_LEN(texts); t++) {
        struct slice file = slice_str(texts[t]);
        for (uint64_t a = 1; a < file.len; a++)
            for (uint64_t b = a; b < file.len; b++)
                check_cuts(file, (uint64_t[]){a, b}, 2);
    }
}

static void random_csv_cut_at_random(void **state)
{
    (void)state;
    struct rand rand;
    rand_init(&rand, 21);
    for (int round = 0; round < 8; round++) {
        struct buf file = BUF_INIT;
        uint32_t longest = round % 4 == 0 ? 300000 : 12;
        some_csv(&rand, 600000, longest, round % 3 ? 40 : 0, &file);
        uint64_t cuts[6], from = 1;
        for (int i = 0; i < 6; i++)
            from = cuts[i] = from + rand_below(&rand, file.len - from);
        check_cuts(buf_slice(&file), cuts, 6);
        check_cuts(buf_slice(&file), (uint64_t[]){65535, 65536, 65537, LINES_READ, LINES_READ + 1},
                   5);
        buf_release(&file);
    }
}

/* Columns of nothing but separators and line breaks can be read inside out for ever: then the
 * quotes before a border are counted. */
static void csv_that_makes_sense_inside_out_is_cut_all_the_same(void **state)
{
    (void)state;
    struct buf file = BUF_INIT;
    while (file.len < 3 * LOOK)
        buf_append_str(&file, "\",\",\"\n\",\",\"\n");
    check_cuts(buf_slice(&file), (uint64_t[]){LOOK / 2 + 1, LOOK / 2 + 2, LOOK / 2 + 5}, 3);
    buf_release(&file);
}

/* Longer than is looked for: the part before the border tells, so that nothing is read wrong. */
static void a_quoted_field_too_long_to_be_seen_is_no_silent_loss(void **state)
{
    (void)state;
    struct buf file = BUF_INIT, out = BUF_INIT;
    struct err err = {0};
    buf_append_str(&file, "a,\"");
    for (int i = 0; i < 40000; i++)
        buf_append_str(&file, "text text\n");
    buf_append_str(&file, "\"\nb,c\n");
    write_file(buf_slice(&file));
    struct piece piece = {.format = QN_CSV, .to = 1000, .file_len = file.len, .look_max = 100000};
    assert_int_equal(read_piece(&piece, &out, &err), ERR_CORRUPT);
    assert_non_null(strstr(err.msg, "longer than job.csv.quoted.max"));
    piece.look_max = 1000000;
    assert_int_equal(read_piece(&piece, &out, &err), 0);
    piece.from = 1000;
    piece.to = file.len;
    buf_clear(&out);
    assert_int_equal(read_piece(&piece, &out, &err), 0);
    assert_string_equal(buf_cstr(&out), "[b,c]");
    buf_release(&out);
    buf_release(&file);
}

/* What is wrong is found by somebody, wherever the cuts are. */
static void malformed_csv_fails_however_it_is_cut(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "a,\"b\nc,d\ne,f\ng,h\n",
        "a,b\nc\"d\n\"e\nf\",g\nh\n",
        "\"a\nb\"c\n\"d\",e\nf\n",
    };
    for (size_t t = 0; t < ARRAY_LEN(texts); t++) {
        struct slice file = slice_str(texts[t]);
        write_file(file);
        for (uint64_t cut = 1; cut < file.len; cut++) {
            struct buf out = BUF_INIT;
            struct err err = {0};
            struct piece first = {.format = QN_CSV, .to = cut, .file_len = file.len};
            struct piece second = {
                .format = QN_CSV, .from = cut, .to = file.len, .file_len = file.len};
            bool failed = read_piece(&first, &out, &err) != 0;
            failed = read_piece(&second, &out, &err) != 0 || failed;
            assert_true(failed);
            buf_release(&out);
        }
    }
}

static void a_record_of_csv_too_long_is_told_with_its_place(void **state)
{
    (void)state;
    struct buf file = BUF_INIT, out = BUF_INIT;
    struct err err = {0};
    buf_append_str(&file, "a\n\"");
    memset(buf_reserve(&file, 3 << 20), '\n', 3 << 20);
    file.len += 3 << 20;
    struct piece piece = {.format = QN_CSV, .record_max = 1 << 20};
    write_file(buf_slice(&file));
    piece.to = piece.file_len = file.len;
    assert_int_equal(read_piece(&piece, &out, &err), ERR_CORRUPT);
    assert_non_null(strstr(err.msg, "no quote closes a field of the record at offset 2"));
    buf_append_str(&file, "\"\nb\n");
    write_file(buf_slice(&file));
    piece.to = piece.file_len = file.len;
    assert_int_equal(read_piece(&piece, &out, &err), ERR_TOOBIG);
    assert_non_null(strstr(err.msg, "the record at offset 2 has 3.0 M"));
    buf_release(&out);
    buf_release(&file);
}

/* --- others ---------------------------------------------------------------------------------- */

static void add_prefixed(struct buf *out, struct slice record)
{
    buf_append_u32(out, (uint32_t)record.len);
    buf_append_slice(out, record);
}

static void records_behind_their_lengths_come_one_by_one(void **state)
{
    (void)state;
    struct buf file = BUF_INIT, out = BUF_INIT, want = BUF_INIT;
    struct err err = {0};
    struct rand rand;
    rand_init(&rand, 22);
    for (int i = 0; i < 3000; i++) {
        uint8_t bytes[600];
        size_t n = rand_below(&rand, sizeof(bytes));
        for (size_t k = 0; k < n; k++)
            bytes[k] = (uint8_t)rand_u64(&rand);
        add_prefixed(&file, slice_of(bytes, n));
        buf_append_byte(&want, '[');
        buf_append_slice(&want, slice_of(bytes, n));
        buf_append_byte(&want, ']');
    }
    assert_int_equal(read_whole(QN_PREFIXED, buf_slice(&file), &out, &err), 0);
    assert_true(slice_eq(buf_slice(&out), buf_slice(&want)));
    buf_release(&file);
    buf_release(&out);
    buf_release(&want);
}

static void a_length_that_leads_beyond_the_file_is_told_with_its_place(void **state)
{
    (void)state;
    check_bad(QN_PREFIXED, slice_of("\2\0\0\0ab\3\0\0\0cd", 12),
              "the file ends inside the record whose length stands at offset 6");
    check_bad(QN_PREFIXED, slice_of("\2\0\0\0ab\3\0", 8), "stands at offset 6");
    check_bad(QN_PREFIXED, slice_str("just some text\n"), "stands at offset 0");
}

static void a_whole_file_is_one_record_also_when_it_is_empty(void **state)
{
    (void)state;
    struct buf out = BUF_INIT, file = BUF_INIT;
    struct err err = {0};
    assert_int_equal(read_whole(QN_WHOLE_FILES, slice_str("a\nb\n"), &out, &err), 0);
    assert_string_equal(buf_cstr(&out), "[a\nb\n]");
    assert_int_equal(read_whole(QN_WHOLE_FILES, slice_str(""), &out, &err), 0);
    assert_string_equal(buf_cstr(&out), "[]");
    memset(buf_reserve(&file, 3 << 20), 'x', 3 << 20);
    file.len = 3 << 20;
    write_file(buf_slice(&file));
    struct piece piece = {
        .format = QN_WHOLE_FILES, .to = file.len, .file_len = file.len, .record_max = 1 << 20};
    assert_int_equal(read_piece(&piece, &out, &err), ERR_TOOBIG);
    assert_non_null(strstr(err.msg, "the file at offset 0 has 3 M"));
    buf_release(&out);
    buf_release(&file);
}

static int to_buf(void *arg, const void *data, size_t len)
{
    buf_append(arg, data, len);
    return 0;
}

static void pack(struct slice text, struct buf *out)
{
    struct packer *packer = NULL;
    assert_int_equal(packer_open(PACKER_ZSTD, 0, to_buf, out, &packer), 0);
    assert_int_equal(packer_put(packer, text), 0);
    assert_int_equal(packer_end(packer), 0);
    packer_close(packer);
}

static void packed_files_have_the_same_records(void **state)
{
    (void)state;
    struct buf text = BUF_INIT, packed = BUF_INIT, plain = BUF_INIT, out = BUF_INIT;
    struct err err = {0};
    struct rand rand;
    rand_init(&rand, 23);
    some_csv(&rand, 700000, 50, 40, &text);
    buf_append_byte(&text, '\n');
    assert_int_equal(read_whole(QN_CSV, buf_slice(&text), &plain, &err), 0);
    pack(buf_slice(&text), &packed);
    assert_int_equal(read_whole(QN_CSV, buf_slice(&packed), &out, &err), 0);
    assert_true(slice_eq(buf_slice(&out), buf_slice(&plain)));
    assert_int_equal(read_whole(QN_WHOLE_FILES, buf_slice(&packed), &out, &err), 0);
    assert_int_equal(out.len, text.len + 2);
    buf_release(&text);
    buf_release(&packed);
    buf_release(&plain);
    buf_release(&out);
}

static void packed_records_of_a_fixed_size_must_be_whole_too(void **state)
{
    (void)state;
    struct buf packed = BUF_INIT, out = BUF_INIT;
    struct err err = {0};
    pack(slice_str("aaabbbcccd"), &packed);
    write_file(buf_slice(&packed));
    struct piece piece = {
        .format = QN_RECORDS, .record_size = 3, .to = packed.len, .file_len = packed.len};
    assert_int_equal(read_piece(&piece, &out, &err), ERR_CORRUPT);
    assert_non_null(strstr(err.msg, "its text has 10 bytes, which is no whole number of records"));
    assert_string_equal(buf_cstr(&out), "[aaabbbccc]");
    buf_release(&packed);
    buf_release(&out);
}

static int make_path(void **state)
{
    (void)state;
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int drop_path(void **state)
{
    (void)state;
    return unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_of_csv_end_outside_quotes),
        cmocka_unit_test(malformed_csv_is_told_with_its_place),
        cmocka_unit_test(csv_cut_at_every_place_has_every_record_once),
        cmocka_unit_test(random_csv_cut_at_random),
        cmocka_unit_test(csv_that_makes_sense_inside_out_is_cut_all_the_same),
        cmocka_unit_test(a_quoted_field_too_long_to_be_seen_is_no_silent_loss),
        cmocka_unit_test(malformed_csv_fails_however_it_is_cut),
        cmocka_unit_test(a_record_of_csv_too_long_is_told_with_its_place),
        cmocka_unit_test(records_behind_their_lengths_come_one_by_one),
        cmocka_unit_test(a_length_that_leads_beyond_the_file_is_told_with_its_place),
        cmocka_unit_test(a_whole_file_is_one_record_also_when_it_is_empty),
        cmocka_unit_test(packed_files_have_the_same_records),
        cmocka_unit_test(packed_records_of_a_fixed_size_must_be_whole_too),
    };
    return cmocka_run_group_tests(tests, make_path, drop_path);
}
