"""The tab key in bash, zsh and fish themselves, each with the script that we print for it."""

from __future__ import annotations

import os
import pty
import select
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

PROJECT = """
import mainspring as ms

@ms.pipeline
def flights(rows: int, *, trees: int = 3): ...

@ms.pipeline
def fleets(): ...
"""
WAIT_S = 120.0
BASH = """
source completion
COMP_LINE={line} COMP_POINT={point}
_mainspring
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.fixture
def place(say: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project's folder, in which ``mainspring`` is a command."""
    (tmp_path / "project.py").write_text(PROJECT)
    (tmp_path / "mainspring.toml").write_text("")
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin/mainspring"
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m mainspring "$@"\n')
    command.chmod(0o700)
    monkeypatch.setenv("PATH", f"{command.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def spoken(place: Path, *command: str) -> list[str]:
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=WAIT_S)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("mainspring run f", ["flights", "fleets"]),
        ("mainspring run --url=http://127.0.0.1:1 fl", ["flights", "fleets"]),
        ("MAINSPRING_SEED=1 mainspring run flights -p t", ["trees="]),
        ("mainspring runs --home=ho", [""]),
    ],
)
def test_bash(say: Callable[..., Any], place: Path, line: str, found: list[str]) -> None:
    (place / "completion").write_text(say("completion", "bash").out)
    script = BASH.format(line=shlex.quote(line), point=len(line))
    assert spoken(place, "bash", "--norc", "-c", script) == found


def test_fish(say: Callable[..., Any], place: Path) -> None:
    (place / "completion").write_text(say("completion", "fish").out)
    (place / "flat.csv").touch()
    asked = "source completion; complete -C 'mainspring run fl'; echo =;"
    asked += (
        " complete -C 'mainspring run flights -p '; echo =; complete -C 'mainspring data add f'"
    )
    said = spoken(place, "fish", "--no-config", "-c", asked)
    assert said == ["fleets", "flights", "=", "rows=", "trees=", "=", "flat.csv"]


def test_zsh(say: Callable[..., Any], place: Path) -> None:
    (place / "completion").write_text(say("completion", "zsh").out)
    far, near = pty.openpty()
    command = ["zsh", "-f", "-i"]
    shell = subprocess.Popen(
        command,
        cwd=place,
        env={**os.environ, "TERM": "dumb"},
        stdin=near,
        stdout=near,
        stderr=near,
        start_new_session=True,
    )
    os.close(near)
    try:
        os.write(far, b"PS1='ready> '; unsetopt beep; autoload -U compinit; compinit -u -D\n")
        os.write(far, b"source completion; echo so''urced\n")
        read(far, "sourced")
        for typed, shown in (("mainspring run fli", "ghts "), ("-p t", "rees=")):
            os.write(far, f"{typed}\t".encode())
            read(far, shown)
    finally:
        shell.kill()
        shell.wait()
        os.close(far)


def read(far: int, wanted: str) -> None:
    """Read what a terminal shows until it shows something."""
    seen, end = "", time.monotonic() + WAIT_S
    while wanted not in seen:
        left = end - time.monotonic()
        assert left > 0, seen
        if select.select([far], [], [], left)[0]:
            seen += os.read(far, 4096).decode("utf-8", "replace")
