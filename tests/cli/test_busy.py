"""What takes long and cannot say how far it is: seen on a terminal, and nowhere else."""

from __future__ import annotations

import io

import pytest

from mainspring.cli.busy import busy
from mainspring.cli.options import Everywhere


class Seen(io.StringIO):
    """What is written to somebody, who may be a terminal."""

    def __init__(self, *, terminal: bool) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


@pytest.mark.parametrize(
    ("terminal", "json", "shown"),
    [(True, False, True), (True, True, False), (False, False, False)],
)
def test_a_terminal_sees_what_is_done_and_a_pipe_or_program_does_not(
    monkeypatch: pytest.MonkeyPatch, terminal: bool, json: bool, shown: bool
) -> None:
    seen = Seen(terminal=terminal)
    monkeypatch.setattr("sys.stderr", seen)
    monkeypatch.setenv("TERM", "xterm")
    with busy(Everywhere(json=json), "building the environments"):
        pass
    assert ("building the environments" in seen.getvalue()) == shown
    assert bool(seen.getvalue()) == shown
