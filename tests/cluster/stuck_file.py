# SPDX-License-Identifier: Apache-2.0
"""stuck_file: a mount upon one file: it can be opened, has the length it had, and what is read of it never comes,
as from a disk that hangs. The kernel's own FUSE protocol, as much as that takes; needs root and /dev/fuse."""
import ctypes
import os
import struct
import threading

GETATTR, OPEN, READ, STATFS, RELEASE, INIT, INTERRUPT = 3, 14, 15, 17, 18, 26, 36
LIBC = ctypes.CDLL(None, use_errno=True)


def why_not():
    if os.geteuid() != 0:
        return "only root mounts"
    return None if os.access("/dev/fuse", os.R_OK | os.W_OK) else "no /dev/fuse"


class StuckFile:
    """asked: reads that wait. let_go() answers them with EIO; close() takes the mount away."""

    def __init__(self, path):
        self.path, self.stat, self.waiting, self.lock = path, os.stat(path), [], threading.Lock()
        self.fd = os.open("/dev/fuse", os.O_RDWR)
        options = f"fd={self.fd},rootmode=100644,user_id=0,group_id=0,allow_other"
        if LIBC.mount(b"stuck", path.encode(), b"fuse", 0, options.encode()) != 0:
            os.close(self.fd)
            raise OSError(ctypes.get_errno(), f"mount on {path}")
        self.server = threading.Thread(target=self.serve, daemon=True)
        self.server.start()

    @property
    def asked(self):
        with self.lock:
            return len(self.waiting)

    def attributes(self):
        s = self.stat
        return struct.pack("<QQQQQQIIIIIIIIII", 1, s.st_size, (s.st_size + 511) // 512, 0, 0, 0, 0, 0, 0, s.st_mode, 1, s.st_uid, s.st_gid, 0, 4096, 0)

    def serve(self):
        while True:
            try:
                request = os.read(self.fd, 1 << 17)
            except OSError:
                return  # it was taken away
            _, what, unique = struct.unpack_from("<IIQ", request)
            if what == READ:
                with self.lock:
                    self.waiting.append(unique)
            elif what != INTERRUPT:
                self.answer(unique, *self.reply_to(what))

    def reply_to(self, what):
        if what == INIT:
            return 0, struct.pack("<IIIIHHIIHHI28x", 7, 31, 0, 0, 12, 9, 4096, 1, 1, 0, 0)
        if what == GETATTR:
            return 0, struct.pack("<QII", 1, 0, 0) + self.attributes()
        if what == OPEN:
            return 0, struct.pack("<QII", 1, 0, 0)
        if what == STATFS:
            return 0, struct.pack("<QQQQQIIII24x", 1, 0, 0, 1, 0, 4096, 255, 4096, 0)
        return (0, b"") if what == RELEASE else (-38, b"")

    def answer(self, unique, error, body):
        try:
            os.write(self.fd, struct.pack("<IiQ", 16 + len(body), error, unique) + body)
        except OSError:
            pass  # whoever asked is gone

    def let_go(self):
        with self.lock:
            waiting, self.waiting = self.waiting, []
        for unique in waiting:
            self.answer(unique, -5, b"")

    def close(self):
        self.let_go()
        LIBC.umount2(self.path.encode(), 1 | 2)  # MNT_FORCE, which fails whatever still waits; MNT_DETACH
        os.close(self.fd)
