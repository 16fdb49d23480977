"""A process dies at the point it was told to, and never otherwise."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from mainspring.ground.killpoints import KillSwitch

WALK = """
from mainspring.ground.killpoints import KillSwitch
switch = KillSwitch({wanted!r})
for name in ("claim", "finish", "claim", "finish"):
    print(name, flush=True)
    switch.here(name)
"""


@pytest.mark.parametrize(
    ("wanted", "passed"), [("1", 1), ("3", 3), ("finish:2", 4), ("claim:2", 3)]
)
def test_the_process_dies_at_the_chosen_point(wanted: str, passed: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WALK.format(wanted=wanted)], capture_output=True, text=True
    )
    assert done.returncode == -signal.SIGKILL
    assert len(done.stdout.split()) == passed


@pytest.mark.parametrize("wanted", [None, "", "5", "claim:3", "other:1"])
def test_it_lives_when_nothing_or_no_point_was_chosen(wanted: str | None) -> None:
    switch = KillSwitch(wanted)
    for name in ("claim", "finish", "claim", "finish"):
        switch.here(name)
