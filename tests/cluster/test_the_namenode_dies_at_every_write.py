# SPDX-License-Identifier: Apache-2.0
# Begins early: it takes long.
"""The namenode is killed at its first write, fsync or rename, at its second, and so on, or that operation
fails; a client that knows what it was answered goes on with the next one (names_crash.c says how).
QUERN_CRASH_STRIDE=1 tries every single one."""
import os
import subprocess

import pytest

from cluster import BUILD


def lives(act, dirs, stride):
    stride = os.environ.get("QUERN_CRASH_STRIDE", str(stride))
    run = subprocess.run([os.path.join(BUILD, "tests", "cluster", "names_crash"), "-act", act, "-dirs", str(dirs),
                          "-stride", stride], capture_output=True, text=True, timeout=900)
    assert run.returncode == 0, run.stdout + run.stderr
    words = run.stdout.split()
    return int(words[0]), int(words[2]), int(words[4])


def test_no_answered_change_is_lost_and_none_is_done_twice():
    tried, died, _ = lives("kill", 2, 13)
    assert died > 10 and died <= tried


def test_old_questions_get_old_answers_from_later_processes():
    """Though another client has put things where the first one's were: nothing is done twice."""
    run = subprocess.run([os.path.join(BUILD, "tests", "cluster", "names_crash"), "-act", "repeat"], capture_output=True, text=True, timeout=900)
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize("act", ["eio", "enospc"])
def test_a_failing_disk_ends_it_with_a_word_and_loses_nothing(act):
    _, died, by_itself = lives(act, 1, 31)
    assert died == by_itself > 2


@pytest.mark.parametrize("act", ["eio", "enospc"])
def test_a_failing_directory_of_two_does_not_end_it(act):
    tried, died, by_itself = lives(act, 2, 47)
    assert died == by_itself < tried


@pytest.mark.parametrize("act,stride", [("kill", 41), ("eio", 97)])
def test_files_are_written_appended_to_cut_and_joined_while_it_dies(act, stride):
    """Real datanodes and clients, which wait for its next process (blocks_crash.c)."""
    stride = os.environ.get("QUERN_CRASH_STRIDE", str(stride))
    run = subprocess.run([os.path.join(BUILD, "tests", "cluster", "blocks_crash"), "-victim", "namenode", "-act", act, "-stride", stride],
                         capture_output=True, text=True, timeout=900)
    assert run.returncode == 0, run.stdout + run.stderr
    tried, felt = int(run.stdout.split()[0]), int(run.stdout.split()[2])
    assert felt > tried / 2
