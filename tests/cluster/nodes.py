# SPDX-License-Identifier: Apache-2.0
"""nodes: a cluster whose machines are namespaces. Each node has its own network (one link to a bridge,
an address in 10.77.0.0/24) and its own mounts (it sees its own directory under the cluster's path, and
nobody else's), so a test can cut one off as a pulled cable would: packets vanish, nothing is reset.

    names    the namenode             jobs     the jobtracker
    node1..  datanode and worker      client   whoever asks; also any node, with on="node1"

A namespace lives as long as a process in it: one sleeper per node, and each of them, as each daemon,
dies with the test's process. So nothing stays behind, however a test ends."""
import ctypes
import fcntl
import os
import shutil
import signal
import struct
import subprocess
import tempfile

import pytest

from cluster import BUILD, QUERN, Cluster, wait_for

NET = "10.77.0."
TOOLS = ("unshare", "nsenter", "ip", "bridge", "mount")
LIBC = ctypes.CDLL(None)

# Time-outs of seconds instead of minutes: a test waits for them.
IMPATIENT = """
dfs.client.socket-timeout = 2s
dfs.heartbeat.interval = 100ms
dfs.namenode.heartbeat.recheck-interval = 500ms
dfs.namenode.stale.datanode.interval = 500ms
dfs.namenode.redundancy.interval.seconds = 100ms
dfs.namenode.redundancy.settle = 0
dfs.namenode.safemode.extension = 0
dfs.namenode.lease-soft-limit = 2s
jobtracker.worker.timeout = 2s
jobtracker.worker.reconnect = 1s
jobtracker.resume.grace = 3s
worker.heartbeat.interval = 200ms
worker.cores = 2
worker.memory = 2g
"""


def die_with_parent():
    LIBC.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def why_not():
    """None when this machine lets us make nodes, else the reason."""
    missing = [t for t in TOOLS if not shutil.which(t)]
    if missing:
        return "no " + ", ".join(missing)
    if os.geteuid() != 0:
        return "only root makes network and mount namespaces"
    probe = subprocess.run(["unshare", "-n", "-m", "sh", "-ec", "ip link add br0 type bridge; ip link add left0 type veth peer name right0;"
                            "ip link set dev left0 master br0; mount -t tmpfs none /tmp"], capture_output=True, text=True)
    return None if probe.returncode == 0 else "namespaces: " + probe.stderr.strip()


def need_nodes():
    reason = why_not()
    return pytest.mark.skipif(reason is not None, reason=str(reason))


class Nodes(Cluster):
    """datanodes: how many nodes with a datanode and a worker. conf: further lines for all. tmpfs:
    {"node1": "24m"} gives that node's directory a filesystem of this size; disks: the same, as ext4 on a disk
    that can lose power, go read-only, or stand on something full."""

    def __init__(self, datanodes=3, conf="", tmpfs=None, replication=None, env=None, disks=None):
        self.dir = tempfile.mkdtemp(prefix="quern-nodes-", dir=os.environ.get("TMPDIR", "/tmp"))
        self.workers = ["node%d" % (i + 1) for i in range(datanodes)]
        self.names = ["names", "jobs", "client"] + self.workers
        self.conf, self.tmpfs, self.replication = conf, tmpfs or {}, replication or min(3, datanodes)
        self.disks = disks or {}
        self.env = dict(os.environ, QUERN_CONF=os.path.join(self.dir, "quern.conf"))
        self.env.pop("QUERN_FAULT", None)
        self.daemon_env = env or {}
        self.sleepers, self.daemons = {}, {}

    # --- the network ---
    def make(self):
        self.switch = self.sleeper()
        self.sh(self.switch, "ip link add br0 type bridge && ip link set dev br0 up && ip link set dev lo up")
        for i, name in enumerate(self.names):
            pid = self.sleepers[name] = self.sleeper()
            self.sh(self.switch, f"ip link add dev {name}0 type veth peer name eth0 netns {pid.pid} && ip link set dev {name}0 master br0 up")
            self.sh(pid, f"ip link set dev lo up && ip addr add {self.address(name)}/24 dev eth0 && ip link set dev eth0 up")
            own = os.path.join(self.dir, name)
            os.mkdir(own)
            if name in self.tmpfs:
                self.sh(pid, f"mount -t tmpfs -o size={self.tmpfs[name]} none {own}")
            if name in self.disks:
                self.sh(pid, f"truncate -s {self.disks[name]} {own}.disk && mkfs.ext4 -q -E lazy_itable_init=0 {own}.disk && mount -o loop,errors=remount-ro {own}.disk {own}")
            self.sh(pid, f"mount --bind {own} {self.dir}")
            self.write(name, "quern.conf", self.common(name))
            self.sh(pid, f"sync -f {self.dir}")

    def sleeper(self):
        sleeper = subprocess.Popen(["unshare", "-n", "-m", "sleep", "100000"], preexec_fn=die_with_parent)
        ours = os.stat("/proc/self/ns/mnt").st_ino
        wait_for(lambda: os.stat(f"/proc/{sleeper.pid}/ns/mnt").st_ino != ours and
                 open(f"/proc/{sleeper.pid}/comm").read() == "sleep\n", every=0.005)
        return sleeper

    def sh(self, where, script):
        subprocess.run(self.into(where) + ["sh", "-ec", script], check=True, capture_output=True, text=True)

    def into(self, where):
        sleeper = self.sleepers[where] if isinstance(where, str) else where
        return ["nsenter", "-t", str(sleeper.pid), "-n", "-m", "--"]

    def address(self, name):
        fixed = {"names": 1, "jobs": 2, "client": 3}
        return NET + str(fixed[name] if name in fixed else 10 + int(name[4:]))

    def cut(self, name):
        """From now on nothing that `name` sends arrives anywhere, and nothing arrives there."""
        self.sh(self.switch, f"bridge link set dev {name}0 state 0")

    def join(self, name):
        self.sh(self.switch, f"bridge link set dev {name}0 state 3")

    def cut_between(self, a, b):
        """These two no longer hear each other; everybody else hears both."""
        for one, other in ((a, b), (b, a)):
            self.sh(one, f"ip neigh replace {self.address(other)} lladdr 02:00:00:00:00:99 dev eth0 nud permanent")

    def join_between(self, a, b):
        """They may be joined already."""
        for one, other in ((a, b), (b, a)):
            self.sh(one, f"ip neigh flush to {self.address(other)} nud permanent dev eth0")

    # --- disks ---
    def root(self, name):
        """The node's directory, seen from outside its namespaces."""
        return f"/proc/{self.sleepers[name].pid}/root{self.dir}"

    def cut_power(self, names):
        """All at once: what these disks were not told to keep is gone, and nothing more gets there. Then their daemons die."""
        tops = [os.open(self.root(name), os.O_RDONLY) for name in names]
        for top in tops:
            fcntl.ioctl(top, 0x8004587D, struct.pack("I", 2))  # FS_IOC_SHUTDOWN, without flushing the log
        for daemon in [d for d in self.daemons if self.node_of(d) in names and self.pid(d)]:
            self.kill(daemon)
        for top in tops:
            os.close(top)

    def give_power(self, names):
        for name in names:
            own = os.path.join(self.dir, name)
            self.sh(name, f"umount {self.dir} && umount {own} && mount -o loop,errors=remount-ro {own}.disk {own} && mount --bind {own} {self.dir}")
        for daemon in [d for d in self.daemons if self.node_of(d) in names]:
            self.start_daemon(daemon, wait=False)

    # --- files, as the node sees them ---
    def write(self, name, file, text):
        subprocess.run(self.into(name) + ["sh", "-c", f"cat > {self.dir}/{file}"], input=text.encode(), check=True)

    def read(self, name, file):
        run = subprocess.run(self.into(name) + ["cat", os.path.join(self.dir, file)], capture_output=True)
        return run.stdout.decode(errors="replace")

    def common(self, name):
        set_here = {line.split("=")[0].strip() for line in self.conf.splitlines()}
        impatient = "\n".join(line for line in IMPATIENT.splitlines() if line.split("=")[0].strip() not in set_here)
        nn, jt, own = self.address("names"), self.address("jobs"), self.address(name)
        return (f"fs.defaultFS = quern://{nn}:8020\n"
                f"dfs.namenode.rpc-address = {nn}:8020\ndfs.namenode.http-address = {nn}:9870\n"
                f"mapreduce.jobtracker.address = {jt}:8021\nmapreduce.jobtracker.http.address = {jt}:8088\n"
                f"dfs.datanode.address = {own}:9866\ndfs.datanode.http.address = {own}:9864\n"
                f"worker.address = {own}:8040\nworker.http.address = {own}:8042\n"
                f"dfs.namenode.name.dir = {self.dir}/name\ndfs.datanode.data.dir = {self.dir}/data\n"
                f"jobtracker.dir = {self.dir}/jobs\nworker.local.dir = {self.dir}/work\n"
                f"dfs.domain.socket.path = {self.dir}/data.sock\n"
                f"dfs.replication = {self.replication}\ndfs.namenode.resource.du.reserved = 0\n"
                f"node.name = {name}\ntrust = network\n{impatient}\n{self.conf}\n")

    # --- life ---
    def up(self):
        self.make()
        self.on("names", os.path.join(BUILD, "quern-namenode"), "-format")
        for daemon in self.all_daemons():
            self.start_daemon(daemon)
        wait_for(lambda: b"Live datanodes (%d)" % len(self.workers) in self.run("admin", "-report", check=False).stdout)

    def all_daemons(self):
        return ["namenode", "jobtracker"] + ["datanode" + n[4:] for n in self.workers] + ["worker" + n[4:] for n in self.workers]

    def node_of(self, daemon):
        return {"namenode": "names", "jobtracker": "jobs"}.get(daemon) or "node" + daemon.lstrip("adeknortw")

    def start_daemon(self, daemon, env=None, wait=True):
        program = daemon.rstrip("0123456789")
        ready, told = os.pipe()
        run = subprocess.Popen(self.into(self.node_of(daemon)) + [os.path.join(BUILD, "quern-" + program), "-foreground", "-ready-fd", str(told),
                               "-log-file", os.path.join(self.dir, program + ".log"), "-D", "admin.socket=" + self.console(daemon)], pass_fds=[told], preexec_fn=die_with_parent,
                               env=dict(self.env, **dict(self.daemon_env.get(daemon, {}), **(env or {}))),
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(told)
        self.daemons[daemon] = run
        with os.fdopen(ready) as words:
            answer = words.readline() if wait else "ok"
        assert answer.startswith("ok"), f"{daemon}: {answer}"

    def console(self, daemon):
        return os.path.join(self.dir, daemon.rstrip("0123456789") + ".sock")

    def pid(self, daemon):
        run = self.daemons.get(daemon)
        return run.pid if run and run.poll() is None else None

    def kill(self, daemon, sig=signal.SIGKILL):
        self.daemons[daemon].send_signal(sig)
        if sig in (signal.SIGKILL, signal.SIGTERM):
            self.daemons[daemon].wait(120)

    def destroy(self):
        for run in list(self.daemons.values()) + list(self.sleepers.values()) + [getattr(self, "switch", None)]:
            if run:
                run.kill()
                run.wait()
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        try:
            self.up()
        except BaseException:
            self.dump_logs()
            self.destroy()
            raise
        return self

    # --- asking ---
    def on(self, where, *words, check=True, **kw):
        run = subprocess.run(self.into(where) + list(words), env=self.env, capture_output=True, timeout=120, **kw)
        assert not check or run.returncode == 0, f"{words}: {run.stdout}{run.stderr}"
        return run

    def run(self, *args, on="client", input=None, check=True, timeout=120, env=None):
        run = subprocess.run(self.into(on) + [QUERN] + list(args), env=dict(self.env, **(env or {})), input=input,
                             capture_output=True, timeout=timeout)
        if check and run.returncode != 0:
            raise AssertionError(f"quern {' '.join(args)}: exit {run.returncode}\n{run.stdout.decode(errors='replace')}"
                                 f"{run.stderr.decode(errors='replace')}")
        return run

    def start(self, *args, on="client", env=None, stdin=None):
        return self.popen([QUERN] + list(args), on=on, env=env, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def popen(self, words, on="client", env=None, **kw):
        return subprocess.Popen(self.into(on) + words, env=dict(self.env, **(env or {})), preexec_fn=die_with_parent, **kw)
