# SPDX-License-Identifier: Apache-2.0
"""Strangers at every port and every local socket: noise, counts and sizes that are lies, halves of
frames, one byte at a time, thousands of idle connections, floods that nobody reads the answers of. Each
daemon lives on in the same process, answers others meanwhile, keeps its memory bounded, gives
descriptors back, and does not fill its log. In a sanitized build every step is watched, too."""
import array
import json
import os
import random
import re
import resource
import socket
import struct
import time

import pytest

from cluster import ROOT, Cluster, wait_for

RPC = {"namenode": "dfs.namenode.rpc-address", "jobtracker": "mapreduce.jobtracker.address",
       "datanode1": "dfs.datanode.address", "worker1": "worker.address"}
HTTP = {"namenode": "dfs.namenode.http-address", "jobtracker": "mapreduce.jobtracker.http.address",
        "datanode1": "dfs.datanode.http.address", "worker1": "worker.http.address"}
DAEMONS = list(RPC)
ROLES = range(1, 8)
HELLO, HEADER = 0x5551, struct.Struct("<IHHQI")
MEMORY = 150 << 20  # more than this nobody may grow by; a sanitizer's own share is in it


@pytest.fixture(scope="module")
def cluster():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    with Cluster(datanodes=1, workers=1, env={"ASAN_OPTIONS": "quarantine_size_mb=1:malloc_context_size=8"}) as c:
        c.fs("-put", "-", "/precious", input=b"kept\n" * 1000)
        yield c
        check_sanitizers(c)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def check_sanitizers(c):
    c.down()
    for name in os.listdir(c.dir + "/log"):
        text = open(f"{c.dir}/log/{name}", errors="replace").read()
        found = re.search(r".*(AddressSanitizer|LeakSanitizer|runtime error).*", text)
        assert not found, f"{name}: {text[found.start():found.start() + 3000]}"


def address(c, keys, daemon):
    host, port = c.run("console", daemon, "config", keys[daemon]).stdout.decode().strip().split(":")
    return host, int(port)


def sockets(c):
    """Local sockets: the consoles, block data, map outputs."""
    found = [os.path.join(base, n) for base, _, names in os.walk(c.dir) for n in names]
    return [p for p in found if os.path.exists(p) and (os.stat(p).st_mode & 0o170000) == 0o140000]


def connect(where):
    s = socket.socket(socket.AF_UNIX if isinstance(where, str) else socket.AF_INET)
    s.settimeout(10)
    s.connect(where)
    return s


def send(where, data, end=True):
    """Send it, hear what comes until the other side hangs up or has nothing to say."""
    with connect(where) as s:
        try:
            s.sendall(data)
            if end:
                s.shutdown(socket.SHUT_WR)
            s.settimeout(0.3)
            while s.recv(65536):
                pass
        except OSError:
            pass


def frame(type, body, call=1, flags=0):
    return HEADER.pack(HEADER.size + len(body), type, flags, call, 1000) + body


def packed(value):
    if isinstance(value, int):
        return b"\xcf" + struct.pack(">Q", value)
    if isinstance(value, str):
        return b"\xdb" + struct.pack(">I", len(value)) + value.encode()
    return bytes([0x90 + len(value)]) + b"".join(map(packed, value))


def hello(role, user="mallory"):
    return frame(HELLO, packed(["quern", 1, 1, role, "", "stranger", user, "", 0]))


def acquainted(where, role):
    """A connection whose hello was taken, or None: this port does not speak with that role."""
    s = connect(where)
    s.settimeout(2)
    s.sendall(hello(role))
    try:
        head = s.recv(4096)
        if len(head) >= HEADER.size and HEADER.unpack(head[:HEADER.size])[2] == 1:
            return s
    except OSError:
        pass
    s.close()
    return None


def methods():
    """Every method number there is, as docs/protocol.md has them."""
    return sorted({int(n, 16) for n in re.findall(r"\| (0x0[0-9a-f]{3}) \|", open(ROOT + "/docs/protocol.md").read())})


BODIES = [b"", b"\x90", b"\xdd\xff\xff\xff\xff", b"\x91\xdb\xff\xff\xff\xff", b"\x91\xc6\xff\xff\xff\xff" + bytes(100), b"\x91" * 20000,
          b"\xdc\xff\xff" + b"\xcf" + b"\xff" * 8, b"\x9f" + b"\xdd\x7f\xff\xff\xff" * 15, b"\xdf\xff\xff\xff\xff", b"\xc1" * 50,
          b"\x9f" + b"\xcf" + b"\xff" * 8 * 15, packed(["x" * 60000] * 9), packed([2**64 - 1] * 12), packed([[], [], [], [], [], []]),
          packed([["", 2**63], "/" * 5000, "a/../../..", 2**64 - 1, 0o7777777, "", 2**31])]


class Watch:
    """Of one daemon: what must be as before when the strangers have gone."""

    def __init__(self, c, daemon, log=300_000):
        self.c, self.daemon, self.pid = c, daemon, c.pid(daemon)
        self.log_bytes = log
        self.fds, self.memory, self.logged = self.count_fds(), self.rss(), self.log()

    def count_fds(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def rss(self):
        return int(open(f"/proc/{self.pid}/statm").read().split()[1]) * 4096

    def log(self):
        return os.path.getsize(f"{self.c.dir}/log/{self.daemon}.log")

    def serves(self):
        """the daemon answers others"""
        if self.daemon == "worker1":
            return b" live " in self.c.run("job", "-workers").stdout and self.alive()
        if self.daemon == "jobtracker":
            return self.c.run("job", "-list", "--json", timeout=120).returncode == 0
        return self.c.fs("-cat", "/precious", timeout=120).stdout == b"kept\n" * 1000

    def alive(self):
        return json.loads(self.c.run("console", self.daemon, "info", timeout=120).stdout)["pid"] == self.pid

    def check(self):
        assert self.c.pid(self.daemon) == self.pid, f"{self.daemon} died"
        assert self.serves() and self.alive()
        wait_for(lambda: self.count_fds() <= self.fds + 4)
        grown = self.rss() - self.memory
        assert grown < MEMORY, f"{self.daemon} has grown by {grown >> 20} MB"
        written = self.log() - self.logged
        assert written < self.log_bytes, f"{written} bytes of log"


@pytest.mark.parametrize("daemon", DAEMONS)
def test_noise(cluster, daemon):
    rnd, watch = random.Random(1), Watch(cluster, daemon)
    for where in (address(cluster, RPC, daemon), address(cluster, HTTP, daemon)):
        for data in (bytes(70000), b"\xff" * 70000, rnd.randbytes(300_000), b"A" * 200_000, b"\n" * 5000, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
                     b"hrpc\x09\x00\x00", b"SSH-2.0-x\r\n", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b""):
            send(where, data)
        for _ in range(40):
            send(where, rnd.randbytes(rnd.randrange(1, 60)))
    watch.check()


@pytest.mark.parametrize("daemon", DAEMONS)
def test_a_hello_that_lies_or_ends_early(cluster, daemon):
    where, watch = address(cluster, RPC, daemon), Watch(cluster, daemon)
    whole = hello(1)
    for length in (0, 1, 19, 20, 21, 4096, 4097, 16 << 20, 0x7FFFFFFF, 0xFFFFFFFF):
        send(where, struct.pack("<I", length) + whole[4:])
    for n in range(0, len(whole), 3):
        send(where, whole[:n])
    for body in BODIES:
        send(where, frame(HELLO, body))
    for role in (0, 99, 2**32, 2**64 - 1):
        send(where, frame(HELLO, packed(["quern", 1, 1, role, "", "n", "u", "", 0])))
    for user in ("", "u" * 300, "a\nb", "root\0x"):
        send(where, hello(1, user))
    watch.check()


@pytest.mark.parametrize("daemon", DAEMONS)
def test_messages_that_lie_after_a_good_hello(cluster, daemon):
    where, watch = address(cluster, RPC, daemon), Watch(cluster, daemon, log=2_000_000)
    spoken = 0
    for role in ROLES:
        for method in methods():
            s = acquainted(where, role)
            if not s:
                break
            spoken += 1
            try:
                for i, body in enumerate(BODIES):
                    s.sendall(frame(method, body, call=i + 2))
                s.sendall(HEADER.pack(16 << 20, method, 0, 99, 0) + bytes(1000))  # and no more of it
            except OSError:
                pass
            s.close()
    assert spoken > 40
    watch.check()


@pytest.mark.parametrize("daemon", DAEMONS)
def test_answers_to_questions_that_nobody_asked(cluster, daemon):
    where, watch = address(cluster, RPC, daemon), Watch(cluster, daemon)
    for flags in (1, 2, 3, 4, 7, 0xFFFF):
        for role in ROLES:
            s = acquainted(where, role)
            if s:
                s.sendall(b"".join(frame(0x0101, b"\x90", call, flags) for call in (0, 1, 2**64 - 1)))
                s.close()
    watch.check()


def test_a_sender_of_one_byte_at_a_time_delays_nobody(cluster):
    slow = [(connect(address(cluster, RPC, d)), hello(1)) for d in DAEMONS]
    slow += [(connect(address(cluster, HTTP, d)), b"GET /status.json HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n") for d in DAEMONS]
    watches = [Watch(cluster, d) for d in DAEMONS]
    for i in range(40):
        for s, data in slow:
            s.send(data[i:i + 1])
        if i % 20 == 10:
            begin = time.monotonic()
            assert all(w.serves() for w in watches)
            assert time.monotonic() - begin < 10
    for s, data in slow:
        s.sendall(data[40:])
        assert s.recv(1000)
        s.close()
    for w in watches:
        w.check()


@pytest.mark.parametrize("daemon", DAEMONS)
def test_two_thousand_idle_connections(cluster, daemon):
    watch = Watch(cluster, daemon)
    idle = []
    for keys, n in ((RPC, 1000), (HTTP, 1000)):
        where = address(cluster, keys, daemon)
        idle += [connect(where) for _ in range(n)]
    assert watch.serves() and watch.alive()
    grown = watch.rss() - watch.memory
    assert grown < MEMORY, f"{grown >> 20} MB for 2000 connections"
    for s in idle:
        s.close()
    watch.check()


@pytest.mark.parametrize("daemon", ["namenode", "jobtracker", "datanode1"])
def test_a_flood_whose_answers_nobody_reads(cluster, daemon):
    """One that asks and asks and never listens is not read from any more; others are served."""
    where, watch = address(cluster, RPC, daemon), Watch(cluster, daemon)
    method = {"namenode": 0x0114, "jobtracker": 0x0401, "datanode1": 0x0305}[daemon]
    flood = b"".join(frame(method, packed(["/precious"]), call) for call in range(2, 3000))
    conns = [s for s in (acquainted(where, 1) for _ in range(4)) if s]
    for s in conns:
        s.settimeout(0.5)
        try:
            for _ in range(30):
                s.sendall(flood)
        except OSError:
            pass
    assert watch.serves() and watch.alive()
    for s in conns:
        s.close()
    watch.check()


@pytest.mark.parametrize("daemon", DAEMONS)
def test_http_nonsense(cluster, daemon):
    where, watch = address(cluster, HTTP, daemon), Watch(cluster, daemon)
    for text in ("GET / HTTP/1.1\r\n" + "X: " + "y" * 2_000_000 + "\r\n\r\n", "GET /" + "a" * 1_000_000 + " HTTP/1.1\r\n\r\n",
                 "GET / HTTP/1.1\r\n" + "A: b\r\n" * 100_000 + "\r\n", "GET / HTTP/99.99\r\n\r\n", "BREW / HTTP/1.1\r\n\r\n", "GET\r\n\r\n",
                 "POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n", "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
                 "POST /status.json HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000000000\r\n\r\n" + "z" * 100_000,
                 "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nx",
                 "GET /../../../../etc/passwd HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", "GET /%2e%2e/%00/%ff?%zz=%&&&= HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
                 "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 2000, "GET /metrics HTTP/1.1\r\nHost: " + "h" * 5000 + "\r\n\r\n"):
        send(where, text.encode())
        send(where, text.encode()[:len(text) // 2])
    with connect(where) as s:
        s.sendall(b"GET /../../../../etc/passwd HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        assert b"root:" not in s.recv(65536)
    watch.check()


def test_local_sockets(cluster):
    paths = sockets(cluster)
    assert len(paths) >= 6, paths  # four consoles, block data, map outputs
    watches, rnd = [Watch(cluster, d) for d in DAEMONS], random.Random(2)
    for path in paths:
        for data in (b"", bytes(5000), b"\xff" * 5000, rnd.randbytes(100_000), b"help\n" * 3000, b"x" * 300_000, hello(1)[:30], hello(6)):
            send(path, data)
        for role in () if path.endswith(".sock") and "/run/" in path else ROLES:  # consoles speak in lines
            for method in (0x0301, 0x0302, 0x0303, 0x0304, 0x0601, 0x0602):
                s = acquainted(path, role)
                if not s:
                    break
                try:
                    for i, body in enumerate(BODIES):
                        s.sendall(frame(method, body, call=i + 2))
                except OSError:
                    pass
                s.close()
        for _ in range(20):
            send_descriptors(path)
    for w in watches:
        w.check()


def send_descriptors(path):
    """Descriptors nobody asked for."""
    files = [os.open("/dev/null", os.O_RDONLY) for _ in range(20)]
    with connect(path) as s:
        try:
            s.sendmsg([hello(1)], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", files))])
            s.sendmsg([b"noise"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", files))])
        except OSError:
            pass
    for fd in files:
        os.close(fd)
