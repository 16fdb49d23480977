"""A pytest plugin that notes which lines of steps are run: ``-p mainspring.pipelines.lines``.

It says so in a file per process in the folder ``MAINSPRING_LINES``, as JSON: step to lines. Only
while a step is called is anything traced, so that what the tests import costs nothing more; and
where another tracer (a debugger, coverage.py) is at work, that one is left alone.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from mainspring.pipelines.declare import TRACER, Step
from mainspring.pipelines.graph import target_of
from mainspring.pipelines.programs.program import Program

_ran: dict[str, set[int]] = {}
_plain = Step.__call__


def pytest_configure(config: Any) -> None:  # noqa: ARG001  pytest's own shape
    """Begin to note, before any test file is imported."""
    if os.environ.get("MAINSPRING_LINES"):
        Step.__call__ = _watched  # type: ignore[method-assign]


def pytest_unconfigure(config: Any) -> None:  # noqa: ARG001  pytest's own shape
    """Stop, and write down what ran."""
    if Step.__call__ is not _watched:
        return
    Step.__call__ = _plain  # type: ignore[method-assign]
    found = {step: sorted(lines) for step, lines in _ran.items()}
    file = Path(os.environ["MAINSPRING_LINES"], f"{os.getpid()}.json")
    file.write_text(json.dumps(found), "utf-8")


def _watched(self: Step[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call a step as ever, and note its lines; within a traced pipeline it is only wired."""
    outer = sys.gettrace()
    ours = getattr(outer, "__module__", None) == __name__
    program = isinstance(self, Program)  # its lines are no lines of Python's
    if program or TRACER.get() is not None or not (outer is None or ours):
        return _plain(self, *args, **kwargs)
    sys.settrace(_Noted(self.function.__code__, _ran.setdefault(_name(self), set())).call)
    try:
        return _plain(self, *args, **kwargs)
    finally:
        sys.settrace(outer)


def _name(step: Step[..., Any]) -> str:
    """Return the step's target, or its bare name where no other process could find it."""
    local = "<locals>" in step.function.__qualname__
    return step.name if local else target_of(step.function)


class _Noted:
    """The lines of one function, and of what is defined within it."""

    def __init__(self, code: CodeType, lines: set[int]) -> None:
        self._lines = lines
        self._codes = set(_within(code))

    def call(self, frame: FrameType, event: str, arg: Any) -> Any:  # noqa: ARG002  settrace's
        """Follow a frame that belongs to the step; leave every other alone."""
        return self._line if frame.f_code in self._codes else None

    def _line(self, frame: FrameType, event: str, arg: Any) -> Any:  # noqa: ARG002  settrace's
        if event == "line":
            self._lines.add(frame.f_lineno)
        return self._line


def _within(code: CodeType) -> list[CodeType]:
    inner = [one for one in code.co_consts if isinstance(one, CodeType)]
    return [code, *(found for one in inner for found in _within(one))]
