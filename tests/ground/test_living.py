"""A process knows by its mark that another is dead, and never says so of one that may live."""

from __future__ import annotations

import os
import subprocess
import sys

from mainspring.ground import living

TELL = "from mainspring.ground import living; print(living.mark(), flush=True); input()"


def test_a_process_is_alive_until_it_is_killed_and_dead_before_it_is_taken_in() -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", TELL], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with child:
        assert child.stdout is not None
        mark = child.stdout.readline().strip()
        assert not living.is_dead(f"engine:worker:{mark}")
        child.kill()
        # Dead, and not yet taken in by its parent: a zombie works on nothing.
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert living.is_dead(f"engine:worker:{mark}")
        child.wait()
        assert living.is_dead(f"engine:worker:{mark}")


def test_a_number_that_was_given_out_again_is_another_process() -> None:
    process, _, place = living.mark().partition("@")
    number, _, begun = process.partition(".")

    assert not living.is_dead(f"w:{number}.{begun}@{place}")
    assert living.is_dead(f"w:{number}.{int(begun) + 1}@{place}")


def test_nothing_is_said_of_other_machines_and_of_what_is_no_mark() -> None:
    number = living.mark().partition("@")[0]

    for other in ("a", "", "engine:1", f"w:{number}@other", "w:x.1@y", f"w:{number}", "w:@"):
        assert not living.is_dead(other), other
