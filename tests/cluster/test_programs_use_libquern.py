# SPDX-License-Identifier: Apache-2.0
"""The library as a stranger meets it: installed headers, pkg-config, one example, only qn_ names."""
import os
import subprocess

import pytest

from cluster import BUILD, ROOT, Cluster


@pytest.fixture(scope="module")
def cluster():
    with Cluster(datanodes=3, workers=1) as c:
        yield c


def test_only_qn_names_are_visible():
    names = subprocess.run(["nm", "-D", "--defined-only", os.path.join(BUILD, "libquern.so")], capture_output=True, text=True, check=True)
    exported = [line.split()[-1] for line in names.stdout.splitlines()]
    assert "qn_open" in exported
    assert not [n for n in exported if not n.startswith("qn_")]


def test_the_header_is_all_a_cplusplus_program_needs(tmp_path):
    source = tmp_path / "a.cc"
    source.write_text("#include <quern/fs.h>\nint main() { qn_error e{}; return qn_fs_open(\"x://\", nullptr, &e) != nullptr; }\n")
    subprocess.run(["c++", "-std=c++20", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-I", os.path.join(ROOT, "include"), "-c", str(source),
                    "-o", str(tmp_path / "a.o")], check=True)


def test_the_header_is_all_a_c_program_needs(tmp_path):
    for std in ("c99", "c11", "c17"):
        subprocess.run(["cc", f"-std={std}", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only", "-x", "c",
                        os.path.join(ROOT, "include/quern/fs.h")], check=True)


def test_it_has_a_soname():
    headers = subprocess.run(["readelf", "-d", os.path.join(BUILD, "libquern.so")], capture_output=True, text=True, check=True).stdout
    assert "[libquern.so.0]" in headers


@pytest.mark.parametrize("words", [["misuse"], ["threads", "12"]], ids=["used as nobody should", "used by twelve threads at once"])
def test_a_handle_can_take_it(cluster, words):
    run = subprocess.run([os.path.join(BUILD, "tests/cluster/library_use"), *words], env=cluster.env, capture_output=True, text=True, timeout=120)
    assert (run.returncode, run.stdout) == (0, "0 wrong\n"), run.stderr


@pytest.mark.parametrize("node", ["elsewhere", "node1"])
def test_streams_keep_hadoops_contract(cluster, node):
    """Open, seek, create, flush, append and concat as the filesystem specification has them, and views (library_contract.c)."""
    run = subprocess.run([os.path.join(BUILD, "tests/cluster/library_contract"), node], env=cluster.env, capture_output=True, text=True, timeout=120)
    assert (run.returncode, run.stdout) == (0, "0 wrong\n"), run.stderr


def test_the_example_writes_reads_lists_and_removes(cluster):
    run = subprocess.run([os.path.join(BUILD, "docs", "examples", "fs")], env=cluster.env, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    assert "read back: hello, cluster\n" in run.stdout
    assert "bytes 0 to 15 on node" in run.stdout


def test_an_installed_library_is_found_by_pkg_config(cluster, tmp_path):
    flavour = os.path.basename(BUILD)
    subprocess.run(["make", "-s", "install-client", f"FLAVOUR={flavour}", f"DESTDIR={tmp_path}", "PREFIX=/usr"], cwd=ROOT, check=True,
                   capture_output=True)
    env = dict(cluster.env, PKG_CONFIG_PATH=str(tmp_path / "usr/lib/pkgconfig"), PKG_CONFIG_SYSROOT_DIR=str(tmp_path))
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", "quern"], env=env, capture_output=True, text=True, check=True).stdout.split()
    sanitize = ["-fsanitize=address,undefined"] if flavour == "debug" else []
    program = str(tmp_path / "fs")
    subprocess.run(["cc", os.path.join(ROOT, "docs/examples/fs.c"), "-o", program, *flags, *sanitize], check=True)
    run = subprocess.run([program], env=dict(env, LD_LIBRARY_PATH=str(tmp_path / "usr/lib")), capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr


def test_what_answers_there_is_told(tmp_path):
    """A wrong address is one clear line."""
    run = subprocess.run([os.path.join(BUILD, "docs", "examples", "fs"), "quern://127.0.0.1:1"], capture_output=True, text=True, timeout=120,
                         env=dict(os.environ, QUERN_CONF="/dev/null"))
    assert run.returncode == 1
    assert "cannot reach 127.0.0.1:1: connection refused: is the namenode running?" in run.stderr
