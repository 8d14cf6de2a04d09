/* SPDX-License-Identifier: Apache-2.0
 * fuzz_records: what `fs -text` shows of an Avro file or a SequenceFile that anybody may have made.
 */
#include "client/fs/avro.h"
#include "client/fs/seqfile.h"
#include "libcommon/base/mem.h"
#include "tests/fuzz/fuzz.h"

static const char schema[] =
    "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"s\",\"type\":\"string\"},"
    "{\"name\":\"d\",\"type\":\"double\"},{\"name\":\"m\",\"type\":{\"type\":\"map\",\"values\":"
    "\"bytes\"}},{\"name\":\"u\",\"type\":[\"null\",\"R\",{\"type\":\"array\",\"items\":\"long\"}]}"
    "]}";

static void add_text(struct buf *out, const char *text)
{
    size_t n = strlen(text);
    buf_append_varint(out, n << 1);
    buf_append(out, text, n);
}

static void seed_avro(struct rand *rand, struct buf *out)
{
    static const char sync[16];
    struct buf record = BUF_INIT;
    uint64_t d = rand_u64(rand);
    add_text(&record, "text");
    buf_append_u64(&record, d);
    buf_append(&record, "\x04\x02k\x02v\x02l\x00\x00", 9);
    buf_append(&record, "\x04\x06\x01\x02\x03\x00", 6);
    buf_append(out, "Obj\1\4", 5);
    add_text(out, "avro.schema");
    add_text(out, schema);
    add_text(out, "avro.codec");
    add_text(out, rand_chance(rand, 4) ? "deflate" : "null");
    buf_append_byte(out, 0);
    buf_append(out, sync, sizeof(sync));
    buf_append_byte(out, 2);
    buf_append_varint(out, record.len << 1);
    buf_append_slice(out, buf_slice(&record));
    buf_append(out, sync, sizeof(sync));
    buf_release(&record);
}

static void add_class(struct buf *out, const char *name)
{
    buf_append_byte(out, (uint8_t)(strlen("org.apache.hadoop.io.") + strlen(name)));
    buf_printf(out, "org.apache.hadoop.io.%s", name);
}

static void seed_sequence(struct rand *rand, struct buf *out)
{
    static const char *const kinds[] = {"LongWritable", "DoubleWritable"};
    buf_append(out, "SEQ\6", 4);
    add_class(out, "Text");
    add_class(out, kinds[rand_below(rand, 2)]);
    buf_append(out, "\0\0\0\0\0\0", 6);
    buf_append(out, "0123456789abcdef", 16);
    buf_append(out, "\0\0\0\x0c\0\0\0\4\3key", 12);
    buf_append(out, "\0\0\0\0\0\0\1\1", 8);
}

void fuzz_seed(struct rand *rand, struct buf *out)
{
    if (rand_chance(rand, 2))
        seed_avro(rand, out);
    else
        seed_sequence(rand, out);
}

static ssize_t feed(void *arg, void *to, size_t n)
{
    struct slice *in = arg;
    size_t some = n < in->len ? n : in->len;
    memcpy(to, in->data, some);
    *in = slice_of(in->data + some, in->len - some);
    return (ssize_t)some;
}

/* Enough is enough: records that take no bytes can be as many as a number says. */
static int count_bytes(void *arg, struct slice text)
{
    (void)arg;
    static uint64_t shown;
    shown += text.len;
    return shown % 4096 < text.len ? ERR_CANCELLED : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = slice_of(data, size);
    struct err err;
    const struct fs_records records = {&in, feed, count_bytes, "file", &err};
    if (fs_avro_is(in))
        (void)fs_avro_show(&records);
    else if (fs_seq_is(in))
        (void)fs_seq_show(&records);
    return 0;
}
