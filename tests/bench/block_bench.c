/* SPDX-License-Identifier: Apache-2.0
 * block_bench: bytes a second through one datanode, and what its process pays for them.
 *
 *   block_bench [-dir DIR] [-mb 1024] [-block 128] [-packet 64] [-direct 256] [-runs 3]
 *               [-small 500] [-only NAME]
 *
 * A datanode without a namenode runs in a process of its own, its blocks in a fresh directory below
 * DIR (default: here; choose a real disk); this process is the client. Sizes in MiB, packets and
 * -direct (smallest run written past the page cache, 0 = never) in KiB. Phases:
 *
 *   local write   through a memory ring          durable: acknowledged after fsync
 *   tcp write     packets over loopback          durable likewise
 *   tcp read      packets over loopback          verified twice
 *   local read    passed descriptors, pread      verified here
 *   small write   blocks of 4 KiB, one after the other, durable
 *
 * Reads find the page cache as the phases before left it: with -direct 0 warm, else read once to
 * warm it (shown as "cold"), then again. */
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "datanode/serve/blocks.h"
#include "libcommon/base/buf.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/rand.h"
#include "libcommon/base/str.h"
#include "libcommon/codec/chunksum.h"
#include "libcommon/event/sock.h"
#include "libcommon/store/fsutil.h"
#include "libcommon/wire/chan.h"

#define WINDOW     (8U << 20)
#define FOREVER    SOCK_FOREVER
#define READ_BYTES (256U << 10)

struct options {
    const char *dir, *only;
    uint64_t bytes, block_bytes, packet_bytes;
    uint32_t direct_min;
    unsigned runs, small;
};

static uint8_t *source; /* WINDOW bytes to write, over and over */
static char *base, *unix_path;
static char tcp_address[SOCK_TEXT_MAX];
static uint64_t next_block = 1;

static void die(const char *what, int code)
{
    fprintf(stderr, "block_bench: %s: %s\n", what, err_text(code));
    exit(1);
}

/* ---- the datanode ---- */

static void serve_forever(const struct options *o, int ready_fd)
{
    struct err err = {0};
    static struct identity self = {.role = WIRE_DATANODE, .cluster = "bench", .node = "dn"};
    const char *paths[1] = {base};
    struct loop *loop = loop_new(&err);
    struct workq *work = workq_new(loop, "disk", 2, &err);
    struct dn_storage *storage = NULL;
    struct dn_serve *serve = NULL;
    struct dn_storage_conf storage_conf = {
        .disk = disk_real(), .volumes = {.paths = paths, .count = 1}, .disk_work = work};
    int rc = dn_storage_open(&storage_conf, &storage, &err);
    if (rc == 0)
        rc = dn_volumes_join(storage->volumes, "bench", "bench", 1000, &err);
    struct dn_serve_conf conf = {.loop = loop,
                                 .storage = storage,
                                 .disk_work = work,
                                 .self = &self,
                                 .node = "dn",
                                 .tcp_address = "127.0.0.1:0",
                                 .unix_address = unix_path,
                                 .threads_max = 64,
                                 .ring_bytes = WINDOW,
                                 .piece_bytes = 512U << 10,
                                 .direct_min = o->direct_min,
                                 .timeout_ms = 60000};
    if (rc == 0)
        rc = dn_serve_open(&conf, &serve, &err);
    if (rc != 0) {
        fprintf(stderr, "block_bench: %s\n", err.msg);
        _exit(1);
    }
    dn_serve_registered(serve);
    snprintf(tcp_address, sizeof(tcp_address), "127.0.0.1:%u", dn_serve_port(serve));
    if (write(ready_fd, tcp_address, sizeof(tcp_address)) != sizeof(tcp_address))
        _exit(1);
    loop_run(loop);
    _exit(0);
}

static pid_t start_datanode(const struct options *o)
{
    int fds[2];
    if (pipe(fds) != 0)
        die("pipe", ERR_IO);
    pid_t pid = fork();
    if (pid == 0)
        serve_forever(o, fds[1]);
    if (pid < 0 || read(fds[0], tcp_address, sizeof(tcp_address)) != sizeof(tcp_address))
        die("the datanode did not start", ERR_FAILED);
    close(fds[0]);
    close(fds[1]);
    return pid;
}

static double cpu_seconds(pid_t pid)
{
    char path[64], text[1024] = "";
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    FILE *f = fopen(path, "re");
    if (!f)
        return 0;
    size_t n = fread(text, 1, sizeof(text) - 1, f);
    fclose(f);
    text[n] = 0;
    unsigned long user = 0, sys = 0;
    const char *p = strrchr(text, ')');
    if (p)
        sscanf(p + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &sys);
    return (double)(user + sys) / (double)sysconf(_SC_CLK_TCK);
}

/* ---- the client ---- */

struct link {
    int fd;
    uint64_t call;
    struct buf in;
    struct arena arena;
};

static void link_open(struct link *l, const char *address)
{
    static const struct identity self = {.role = WIRE_CLIENT, .cluster = "bench", .node = "x"};
    struct chan *chan = NULL;
    struct err err = {0};
    struct chan_conf conf = {.address = address, .self = &self};
    memset(l, 0, sizeof(*l));
    if (chan_open(&conf, &chan, &err) != 0 || chan_steal_fd(chan, &l->fd) != 0)
        die(err.msg, err.code);
}

static void link_close(struct link *l)
{
    close(l->fd);
    buf_release(&l->in);
    arena_release(&l->arena);
}

static void link_ask(struct link *l, unsigned at, const void *ask, void *ret)
{
    const struct msg_method *method = &DATA_methods[at];
    struct buf out = BUF_INIT;
    struct frame frame = {.type = method->type, .call = ++l->call};
    struct err err = {0};
    size_t need = FRAME_HEADER_BYTES;
    (void)frame_put(&out, &frame, method->ask, ask);
    int rc = sock_send_all(l->fd, out.data, out.len, FOREVER);
    buf_release(&out);
    buf_clear(&l->in);
    arena_reset(&l->arena);
    while (rc == 0 &&
           frame_parse(buf_slice(&l->in), FRAME_MAX_BYTES, &frame, &need, &err) == ERR_RETRY) {
        size_t more = need - l->in.len;
        rc = sock_recv_exact(l->fd, buf_reserve(&l->in, more), more, FOREVER);
        l->in.len += more;
    }
    if (rc == 0)
        rc = msg_decode(method->answer, frame.body, &l->arena, ret, &err);
    if (rc != 0 || (frame.flags & FRAME_ERROR))
        die(method->name, rc ? rc : ERR_FAILED);
}

struct stream {
    struct link link;
    uint8_t *ring; /* local */
    int memfd;
    uint64_t sent, acked; /* packets */
    uint64_t in_flight_max;
};

static void take_acks(struct stream *s, bool wait)
{
    uint8_t bytes[PACKET_ACK_BYTES];
    struct packet_ack ack;
    struct pollfd p = {.fd = s->link.fd, .events = POLLIN};
    while (s->acked < s->sent && (wait || poll(&p, 1, 0) > 0)) {
        int rc = sock_recv_exact(s->link.fd, bytes, sizeof(bytes), FOREVER);
        if (rc == 0)
            rc = packet_ack_decode(bytes, &ack);
        if (rc != 0 || ack.status[0] != 0)
            die("ack", rc ? rc : ack.status[0]);
        s->acked++;
        wait = wait && s->acked + s->in_flight_max <= s->sent;
    }
}

static void send_packet(struct stream *s, uint64_t off, size_t len, bool is_last)
{
    static uint8_t sums[PACKET_SUMS_MAX * 4];
    uint8_t header[PACKET_HEADER_BYTES];
    struct packet_header h = {.seq = s->sent,
                              .offset = off,
                              .data_len = (uint32_t)len,
                              .flags = is_last ? PACKET_LAST : 0};
    const uint8_t *data = source + off % WINDOW;
    if (s->sent - s->acked >= s->in_flight_max)
        take_acks(s, true);
    if (s->ring) {
        h.flags |= PACKET_RING;
        memcpy(s->ring + off % WINDOW, data, len);
    } else {
        chunksum_compute(slice_of(data, len), 512, sums);
        h.sums = (uint16_t)chunksum_count(len, 512);
    }
    packet_header_encode(&h, header);
    struct iovec iov[3] = {
        {header, sizeof(header)}, {sums, h.sums * 4U}, {(void *)(uintptr_t)data, len}};
    int rc = sock_writev_all(s->link.fd, iov, s->ring ? 1 : 3, FOREVER);
    if (rc != 0)
        die("send", rc);
    s->sent++;
    if (s->sent % 8 == 0)
        take_acks(s, false);
}

static void write_block(struct stream *s, const struct options *o, uint64_t len)
{
    struct data_writing answer = {0};
    struct data_write ask = {.block = {.id = next_block++, .gs = 1},
                             .block_size = o->block_bytes,
                             .ring_bytes = s->ring ? WINDOW : 0};
    link_ask(&s->link, s->ring ? DATA_AT_LOCAL_WRITE : DATA_AT_WRITE, &ask, &answer);
    if (answer.bad_node.len)
        die("write", (int)answer.code);
    uint8_t byte = 'M';
    if (s->ring && sock_send_fds(s->link.fd, slice_of(&byte, 1), &s->memfd, 1, FOREVER) != 0)
        die("ring", ERR_IO);
    s->sent = s->acked = 0;
    s->in_flight_max = WINDOW / o->packet_bytes - 1;
    for (uint64_t off = 0; off < len; off += o->packet_bytes) {
        size_t n = len - off < o->packet_bytes ? (size_t)(len - off) : (size_t)o->packet_bytes;
        send_packet(s, off, n, off + n == len);
    }
    s->in_flight_max = 1;
    take_acks(s, true);
}

static void stream_open(struct stream *s, bool is_local)
{
    memset(s, 0, sizeof(*s));
    link_open(&s->link, is_local ? unix_path : tcp_address);
    if (!is_local)
        return;
    s->memfd = memfd_create("ring", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (s->memfd < 0 || ftruncate(s->memfd, WINDOW) != 0 ||
        fcntl(s->memfd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) != 0)
        die("memfd", ERR_IO);
    s->ring = mmap(NULL, WINDOW, PROT_READ | PROT_WRITE, MAP_SHARED, s->memfd, 0);
    memset(s->ring, 1, WINDOW);
}

static void stream_close(struct stream *s)
{
    link_close(&s->link);
    if (s->ring) {
        munmap(s->ring, WINDOW);
        close(s->memfd);
    }
}

/* ---- phases ---- */

static uint64_t write_all(const struct options *o, bool is_local)
{
    struct stream s;
    uint64_t done = 0;
    stream_open(&s, is_local);
    for (; done < o->bytes; done += o->block_bytes)
        write_block(&s, o, o->block_bytes);
    stream_close(&s);
    return done;
}

static uint64_t small_writes(const struct options *o)
{
    struct stream s;
    stream_open(&s, true);
    for (unsigned i = 0; i < o->small; i++)
        write_block(&s, o, 4096);
    stream_close(&s);
    return o->small;
}

static uint64_t read_over_tcp(uint64_t first, uint64_t last)
{
    struct link l;
    uint64_t bytes = 0;
    uint8_t *data = mem_alloc(PACKET_DATA_MAX), *sums = mem_alloc(PACKET_SUMS_MAX * 4);
    link_open(&l, tcp_address);
    for (uint64_t id = first; id <= last; id++) {
        struct data_reading answer = {0};
        struct data_read ask = {.block = {.id = id}, .length = UINT64_MAX};
        struct packet_header h = {0};
        link_ask(&l, DATA_AT_READ, &ask, &answer);
        while (!(h.flags & PACKET_LAST)) {
            uint8_t header[PACKET_HEADER_BYTES];
            int rc = sock_recv_exact(l.fd, header, sizeof(header), FOREVER);
            if (rc == 0)
                rc = packet_header_decode(header, &h);
            if (rc == 0)
                rc = sock_recv_exact(l.fd, sums, h.sums * 4U, FOREVER);
            if (rc == 0)
                rc = sock_recv_exact(l.fd, data, h.data_len, FOREVER);
            if (rc != 0 || (h.flags & PACKET_FAILED))
                die("read", rc ? rc : ERR_FAILED);
            if (chunksum_verify(slice_of(data, h.data_len), 512, slice_of(sums, h.sums * 4U)) !=
                CHUNKSUM_GOOD)
                die("read", ERR_CHECKSUM);
            bytes += h.data_len;
        }
    }
    mem_free(data);
    mem_free(sums);
    link_close(&l);
    return bytes;
}

static uint64_t read_passed(int fds[2], uint64_t len, uint32_t sums_off, uint8_t *data)
{
    uint8_t *sums = data + READ_BYTES;
    for (uint64_t off = 0; off < len; off += READ_BYTES) {
        size_t n = len - off < READ_BYTES ? (size_t)(len - off) : READ_BYTES;
        size_t count = chunksum_count(n, 512);
        if (pread(fds[0], data, n, (off_t)off) != (ssize_t)n ||
            pread(fds[1], sums, count * 4, (off_t)(sums_off + off / 128)) != (ssize_t)count * 4)
            die("read", ERR_IO);
        if (chunksum_verify(slice_of(data, n), 512, slice_of(sums, count * 4)) != CHUNKSUM_GOOD)
            die("read", ERR_CHECKSUM);
    }
    return len;
}

static uint64_t read_locally(uint64_t first, uint64_t last)
{
    struct link l;
    uint64_t bytes = 0;
    uint8_t *data = mem_alloc(READ_BYTES + READ_BYTES / 128), byte;
    link_open(&l, unix_path);
    for (uint64_t id = first; id <= last; id++) {
        struct data_local_reading answer = {0};
        struct data_local_read ask = {.block = {.id = id}};
        struct sock_fds got;
        link_ask(&l, DATA_AT_LOCAL_READ, &ask, &answer);
        if (sock_recv_fds(l.fd, &byte, 1, &got, FOREVER) != 0 || got.count != 2)
            die("descriptors", ERR_IO);
        bytes += read_passed(got.fd, answer.block.len, answer.sums_off, data);
        close(got.fd[0]);
        close(got.fd[1]);
    }
    mem_free(data);
    link_close(&l);
    return bytes;
}

struct phase {
    const char *name;
    uint64_t start_us;
    double cpu, own;
    pid_t pid;
};

static double own_cpu(void)
{
    struct rusage r;
    getrusage(RUSAGE_SELF, &r);
    return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) +
           (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6;
}

static struct phase begin(const char *name, pid_t pid)
{
    return (struct phase){name, clock_mono_us(), cpu_seconds(pid), own_cpu(), pid};
}

static void end(const struct phase *p, uint64_t bytes)
{
    double took = (double)(clock_mono_us() - p->start_us) / 1e6, gb = (double)bytes / 1e9;
    printf("%-18s %8.0f MB/s   datanode %5.2f, client %5.2f cpu s/GB\n", p->name,
           (double)bytes / 1e6 / took, (cpu_seconds(p->pid) - p->cpu) / gb,
           (own_cpu() - p->own) / gb);
    fflush(stdout);
}

static bool wants(const struct options *o, const char *name)
{
    return !o->only || strstr(name, o->only);
}

static void run(const struct options *o, pid_t pid)
{
    struct phase p;
    uint64_t first = next_block;
    p = begin("local write", pid);
    uint64_t bytes = write_all(o, true);
    end(&p, bytes);
    uint64_t last = next_block - 1;
    if (wants(o, "tcp write")) {
        p = begin("tcp write", pid);
        bytes = write_all(o, false);
        end(&p, bytes);
    }
    if (wants(o, "tcp read"))
        for (int warm = 0; warm < 2; warm++) {
            p = begin(warm ? "tcp read" : "tcp read (cold)", pid);
            bytes = read_over_tcp(first, last);
            end(&p, bytes);
        }
    if (wants(o, "local read")) {
        p = begin("local read", pid);
        bytes = read_locally(first, last);
        end(&p, bytes);
    }
    if (wants(o, "small write") && o->small > 0) {
        uint64_t start = clock_mono_us();
        uint64_t count = small_writes(o);
        printf("%-18s %8.0f blocks/s\n", "small write",
               (double)count * 1e6 / (double)(clock_mono_us() - start));
    }
}

static uint64_t number(const char *text)
{
    uint64_t n = 0;
    if (!text || str_to_u64(text, &n) != 0)
        die("a number is missing", ERR_USAGE);
    return n;
}

static void take_options(struct options *o, int argc, char **argv)
{
    for (int i = 1; i < argc; i += 2) {
        const char *name = argv[i] + (argv[i][0] == '-'), *value = argv[i + 1];
        if (strcmp(name, "dir") == 0)
            o->dir = value;
        else if (strcmp(name, "only") == 0)
            o->only = value;
        else if (strcmp(name, "mb") == 0)
            o->bytes = number(value) << 20;
        else if (strcmp(name, "block") == 0)
            o->block_bytes = number(value) << 20;
        else if (strcmp(name, "packet") == 0)
            o->packet_bytes = number(value) << 10;
        else if (strcmp(name, "direct") == 0)
            o->direct_min = (uint32_t)(number(value) << 10);
        else if (strcmp(name, "runs") == 0)
            o->runs = (unsigned)number(value);
        else if (strcmp(name, "small") == 0)
            o->small = (unsigned)number(value);
        else
            die(name, ERR_USAGE);
    }
}

int main(int argc, char **argv)
{
    struct options o = {.dir = ".",
                        .bytes = 1ULL << 30,
                        .block_bytes = 128U << 20,
                        .packet_bytes = 64U << 10,
                        .direct_min = 256U << 10,
                        .runs = 3,
                        .small = 500};
    struct rand rand;
    take_options(&o, argc, argv);
    log_set_level(LOG_WARN_);
    base = str_printf("%s/block_bench-XXXXXX", o.dir);
    if (!mkdtemp(base))
        die("temporary directory", ERR_IO);
    unix_path = str_printf("/tmp/block_bench-%d.sock", (int)getpid());
    source = mem_alloc(WINDOW);
    rand_init(&rand, 1);
    for (size_t i = 0; i < WINDOW; i += 8)
        put_u64(source + i, rand_u64(&rand));
    for (unsigned i = 0; i < o.runs; i++) {
        pid_t pid = start_datanode(&o);
        run(&o, pid);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        unlink(unix_path);
        (void)fsutil_remove_tree(disk_real(), base, NULL);
    }
    mem_free(source);
    mem_free(unix_path);
    mem_free(base);
    return 0;
}
