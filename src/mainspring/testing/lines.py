"""A pytest plugin that notes which lines of the project ran: ``-p mainspring.testing.lines``.

It says so in a file per process in the folder ``MAINSPRING_LINES``, as JSON: file to lines.
``MAINSPRING_LINES_OF`` is the project's folder; no other file is looked at, so that it costs
little. Where another tracer (a debugger, coverage.py) is at work it leaves that one alone.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any

_ran: dict[str, set[int]] = {}
_root = ""


def pytest_configure(config: Any) -> None:  # noqa: ARG001  pytest's own shape
    """Begin to note, before any test file is imported."""
    global _root
    _root = os.environ.get("MAINSPRING_LINES_OF", "")
    if not _root or sys.gettrace() is not None:
        return
    threading.settrace(_call)
    sys.settrace(_call)


def pytest_unconfigure(config: Any) -> None:  # noqa: ARG001  pytest's own shape
    """Stop, and write down what ran."""
    if sys.gettrace() is not _call:
        return
    sys.settrace(None)
    threading.settrace(None)  # type: ignore[arg-type]  # None is how it is undone
    folder = os.environ.get("MAINSPRING_LINES")
    if folder:
        found = {file: sorted(lines) for file, lines in _ran.items()}
        Path(folder, f"{os.getpid()}.json").write_text(json.dumps(found), "utf-8")


def _call(frame: FrameType, event: str, arg: Any) -> Any:  # noqa: ARG001  sys.settrace's shape
    file = frame.f_code.co_filename
    if not file.startswith(_root):
        return None
    lines = _ran.setdefault(file, set())

    def line(inner: FrameType, what: str, _: Any) -> Any:
        if what == "line":
            lines.add(inner.f_lineno)
        return line

    return line
