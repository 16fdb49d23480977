"""What a process prints is its own from its first word on, however late it is looked at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from mainspring.cli.outputs import Outputs
from mainspring.workspace.logs import asking
from mainspring.workspace.logs.lines import Query


def said(home: Path) -> list[tuple[int, str]]:
    """Return who printed what, the oldest first."""
    found: list[dict[str, Any]] = [
        msgspec.to_builtins(line) for line in asking.find(home, Query(process="web"))
    ]
    return [(line["pid"], line["event"]) for line in reversed(found)]


def started(home: Path, outputs: Outputs, pid: int, *lines: str) -> None:
    """Start a process that has printed before anybody comes to look."""
    outputs.prepare("web")
    with (home / "logs" / "web.log").open("a") as raw:
        raw.writelines(f"{line}\n" for line in lines)
    outputs.follow("web", pid)


def test_what_a_process_prints_before_it_is_looked_at_is_taken_as_its_own(tmp_path: Path) -> None:
    for folder in ("logs", "run"):
        (tmp_path / folder).mkdir()
    outputs = Outputs(tmp_path)
    started(tmp_path, outputs, 1, "first")
    outputs.drain()
    with (tmp_path / "logs" / "web.log").open("a") as raw:
        raw.write("last\n")  # and it ends
    started(tmp_path, outputs, 2, "second")
    outputs.drain()
    assert said(tmp_path) == [(1, "first"), (1, "last"), (2, "second")]


def test_what_an_older_release_left_is_not_taken(tmp_path: Path) -> None:
    for folder in ("logs", "run"):
        (tmp_path / folder).mkdir()
    (tmp_path / "logs" / "web.log").write_text("of long ago\n")
    outputs = Outputs(tmp_path)
    started(tmp_path, outputs, 1, "now")
    outputs.drain()
    assert said(tmp_path) == [(1, "now")]
