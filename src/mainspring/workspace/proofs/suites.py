"""Run the project's own tests, and keep what came of them with the digest of the code they ran on.

1. The digests of all steps and pipelines are taken, in a process of its own.
2. pytest runs in another, from sources: compiled files of the project are removed first.
3. The files are read again: code that changed meanwhile was not what was tested.
4. What came of it is sent to the home or server, which reads it and keeps it as evidence.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

import msgspec

from mainspring.ground import extras
from mainspring.ground.errors import BadInputError, ProjectError
from mainspring.ground.identity import new_id
from mainspring.ground.objects import Evidence
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.pipelines.whole import Whole, same_files
from mainspring.readiness import evidence, suites
from mainspring.workspace.opening import Workspace


class Ran(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a run of the tests, before anybody judged it."""

    junit: str
    exit_code: int
    changed: bool  #: the code was not the same before and after
    whole: Whole  #: the code before
    lines: dict[str, tuple[int, int]]  #: step -> lines that ran, lines that can run


def run(root: Path, words: Sequence[str], modules: Sequence[str], out: TextIO | int | None) -> Ran:
    """Run pytest in the project's folder and return what it said; its output goes to ``out``.

    ``words`` are handed to pytest: paths, ``-k``, and so on.

    Raises:
        MissingExtraError: if pytest is not installed.
        ProjectError: if the project cannot be imported, or pytest wrote no report.
    """
    extras.need("pytest", extra="test", purpose="Running the project's tests")
    with tempfile.TemporaryDirectory(prefix="mainspring-tests-") as place:
        before = _whole(root, modules, Path(place))
        report, lines = Path(place) / "junit.xml", Path(place) / "lines"
        lines.mkdir()
        for file in before.files:
            # A .pyc is trusted by a time stamp in whole seconds, so it may be of an older state.
            Path(importlib.util.cache_from_source(file)).unlink(missing_ok=True)
        own = {"PYTHONDONTWRITEBYTECODE": "1", "MAINSPRING_LINES": str(lines)}
        command = [sys.executable, "-m", "pytest", "-p", "mainspring.pipelines.lines", *words]
        command += [f"--junitxml={report}", "-o", "junit_logging=no"]
        done = subprocess.run(command, cwd=root, env=os.environ | own, stdout=out, check=False)  # noqa: S603
        if not report.is_file():
            raise ProjectError(
                f"pytest ended with exit code {done.returncode} and wrote no report.",
                hint="Run it by hand to see why: python -m pytest",
            )
        return Ran(
            junit=report.read_text("utf-8", "replace"),
            exit_code=done.returncode,
            changed=not same_files(before),
            whole=before,
            lines=_ran(before, lines),
        )


def keep(
    ws: Workspace,
    *,
    junit: str,
    exit_code: int,
    changed: bool,
    pipelines: Mapping[str, str],
    steps: Mapping[str, str],
    lines: Mapping[str, tuple[int, int]],
    environment: str,
) -> list[Evidence]:
    """Read a report and keep it as evidence on every pipeline it holds for; return that.

    Raises:
        BadInputError: if the report is no JUnit XML, or there is no pipeline.
        TooLargeError: if the report is beyond its budget.
    """
    if not pipelines:
        raise BadInputError(
            "The project declares no pipeline, so there is no code a version could bear.",
            field="pipelines",
            hint="Mark a function with @ms.pipeline, or name its module: --module MODULE",
        )
    data = junit.encode()
    suite = suites.read(data)
    passed, told = suites.verdict(suite, exit_code, changed, lines)
    digest = ws.objects.put(data)
    share = suites.share(lines)
    detail: dict[str, Any] = {
        **msgspec.to_builtins(suite),
        "exit_code": exit_code,
        "steps": dict(steps),
        "lines": {name: list(pair) for name, pair in lines.items()},
        "share": share,
        "environment": environment,
    }
    made = [
        Evidence(
            id=new_id("ev"),
            kind="tests",
            subject=f"pipeline:{target}",
            passed=passed,
            found=told,
            at=ws.clock.now(),
            by=ws.who.name,
            code=code,
            detail=detail,
            opens=[f"artifact:{digest}"],
        )
        for target, code in pipelines.items()
    ]

    def work(tx: Tx) -> None:
        for one in made:
            evidence.record(tx, one)

    ws.write(Permission.RUN, work)
    return made


def _whole(root: Path, modules: Sequence[str], place: Path) -> Whole:
    """Return the project's code as it is now, read in a process of its own."""
    file = place / "whole.json"
    command = [sys.executable, "-m", "mainspring.pipelines.whole", str(root), str(file), *modules]
    done = subprocess.run(command, cwd=root, capture_output=True, check=False)  # noqa: S603
    if done.returncode or not file.is_file():
        last = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or ["no word"]
        raise ProjectError(f"The project in {root} cannot be read: {last[0]}")
    told = json.loads(file.read_bytes())
    file.unlink()
    if "error" in told:
        raise ProjectError(told["error"], hint=told["hint"])
    return msgspec.convert(told["whole"], Whole)


def _ran(whole: Whole, folder: Path) -> dict[str, tuple[int, int]]:
    """Return how many lines of each step ran; nothing where no process said so."""
    files = list(folder.glob("*.json"))
    if not files:
        return {}
    ran: dict[str, set[int]] = {}
    for file in files:
        for step, lines in json.loads(file.read_text("utf-8")).items():
            ran.setdefault(step, set()).update(lines)
    return {
        step: (len(ran.get(step, set()).intersection(lines)), len(lines))
        for step, lines in sorted(whole.lines.items())
    }
