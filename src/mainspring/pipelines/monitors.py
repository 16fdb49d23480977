"""Declare a function of the project as a monitor, and call it on one window's rows.

It takes the rows, or the rows that have their labels, and gives back numbers or findings.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, overload

import msgspec

from mainspring.ground.durations import seconds
from mainspring.ground.errors import BadInputError, ProjectError
from mainspring.ground.objects import CustomMonitor, Finding, LoopSpec
from mainspring.pipelines.declare import check_function

F = TypeVar("F", bound=Callable[..., Any])

ROWS, LABELLED = "rows", "labelled"
MOST_FIGURES = 200
_TIMEOUT = "_mainspring_monitor_timeout_s"
_declared: dict[str, Callable[..., Any]] = {}  # target -> function, for the digest of its code


@overload
def monitor(function: F, /) -> F: ...
@overload
def monitor(*, timeout: str | float = 60) -> Callable[[F], F]: ...
def monitor(function: F | None = None, /, *, timeout: str | float = 60) -> F | Callable[[F], F]:
    """Mark a function as a monitor of your own, for ``ms.Monitor(custom=[...])``.

    Its parameter is called ``rows``: a polars frame of the window's captured rows, with
    ``_id``, ``_time``, ``_version``, ``_score`` and the raw columns. Or it is called
    ``labelled``: then it runs once labels are mature, on the rows that have one, with ``_y``.
    It returns a number, numbers by name, an ``ms.Finding`` or several; None says nothing.
    It runs in a process of its own and is ended after ``timeout``.

    Raises:
        ProjectError: if it is no plain function, or has other parameters.

    >>> @monitor(timeout="10s")
    ... def night_share(rows):
    ...     return float(rows["night"].mean())
    """

    def mark(wanted: F) -> F:
        check_function(wanted, "monitor")
        _parameter(wanted)
        setattr(wanted, _TIMEOUT, seconds(timeout, "timeout"))
        return wanted

    return mark if function is None else mark(function)


def custom_of(function: Callable[..., Any]) -> CustomMonitor:
    """Return how a monitor of a project is stored.

    Raises:
        ProjectError: if the function is not one that another process can find and call.
    """
    from mainspring.pipelines.graph import target_of

    check_function(function, "monitor")
    target = target_of(function)
    _declared[target] = function
    return CustomMonitor(
        target=target,
        timeout_s=float(getattr(function, _TIMEOUT, 60.0)),
        on="inputs" if _parameter(function) == ROWS else "labels",
    )


def with_code(spec: LoopSpec) -> LoopSpec:
    """Return a loop whose own monitors know the digest of their code."""
    from mainspring.pipelines.code import code_digest

    if not spec.monitor.custom:
        return spec
    known = [
        msgspec.structs.replace(one, code=code_digest(_declared[one.target])[0])
        if one.target in _declared
        else one
        for one in spec.monitor.custom
    ]
    policy = msgspec.structs.replace(spec.monitor, custom=known)
    return msgspec.structs.replace(spec, monitor=policy)


def findings_of(name: str, answer: Any) -> list[Finding]:
    """Return what a monitor's answer says, as findings about ``name``.

    >>> [(one.subject, one.value) for one in findings_of("nights", {"share": 0.25, "rows": 8})]
    [('nights/share', 0.25), ('nights/rows', 8.0)]

    Raises:
        BadInputError: if the answer is something else, or holds too many figures.
    """
    if answer is None:
        return []
    if isinstance(answer, Finding) or _is_number(answer):
        parts: list[tuple[str, Any]] = [(name, answer)]
    elif isinstance(answer, Mapping):
        parts = [(f"{name}/{key}", value) for key, value in answer.items()]
    elif isinstance(answer, list | tuple) and all(isinstance(one, Finding) for one in answer):
        parts = [(f"{name}/{one.subject}", one) for one in answer]
    else:
        raise _no_answer(name, answer)
    if len(parts) > MOST_FIGURES:
        raise BadInputError(
            f"{name} gives {len(parts):,} figures, at most {MOST_FIGURES} are kept.", field=name
        )
    return [_finding(name, subject, value) for subject, value in parts]


def _finding(name: str, subject: str, value: Any) -> Finding:
    if isinstance(value, Finding):
        return msgspec.structs.replace(value, monitor="custom", subject=subject)
    if not _is_number(value):
        raise _no_answer(name, value)
    number = float(value)
    if not math.isfinite(number):
        why = f"It gave {number}, which is no figure."
        return Finding(
            monitor="custom", subject=subject, value=None, verdict="not judged", why=why
        )
    return Finding(monitor="custom", subject=subject, value=number)


def _is_number(value: Any) -> bool:
    # Numpy's numbers are none of Python's, but say what they are.
    return (
        not isinstance(value, str)
        and hasattr(value, "__float__")
        and not hasattr(value, "__len__")
    )


def _no_answer(name: str, answer: Any) -> BadInputError:
    return BadInputError(
        f"{name} gives a {type(answer).__name__}; a monitor gives a number, numbers by name,"
        " an ms.Finding or a list of them, or None.",
        field=name,
    )


def _parameter(function: Callable[..., Any]) -> str:
    names = list(inspect.signature(function).parameters)
    if names not in ([ROWS], [LABELLED]):
        raise ProjectError(
            f"Monitor {function.__name__} takes {', '.join(names) or 'nothing'}; it takes one"
            f" parameter, {ROWS!r} or {LABELLED!r}.",
            hint="def my_monitor(rows): ...",
        )
    return names[0]
