"""Say what came of a run that was followed to its end: failures first, and how to go on."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any

from mainspring.cli import displays, render, subruns
from mainspring.cli.following import PLAIN, Stopped, View, followed
from mainspring.cli.logs import printed
from mainspring.cli.remote import Local, Remote
from mainspring.cli.showing import failure, go_on
from mainspring.ground.errors import NotFoundError
from mainspring.pipelines import unsaid

if TYPE_CHECKING:
    from rich.console import Console

    from mainspring.cli.options import Everywhere

STOPPED = 130  #: the exit code after Ctrl-C
_TAIL = 12  #: lines that a broken step printed last
_MOST_BROKEN = 3  #: steps whose traceback is shown; a map may break a thousand times
_NAMED = 4  #: steps that are named with the time they took


def to_the_end(
    house: Local | Remote,
    name: str,
    options: Everywhere,
    view: View = PLAIN,
    *,
    ours: bool = True,
) -> int:
    """Follow a run to its end, or to where it waits, and tell what came of it.

    A run that is not ``ours`` is only looked at.

    Returns the exit code: 0 if it finished, or waits and may still finish, 130 if Ctrl-C stopped
    it, else 1.
    """
    stopped = False
    try:
        detail = followed(house, name, options, view, ours=ours)
    except Stopped as asked:
        detail, stopped = asked.detail, True
    detail = detail | {"judged": [_judged(house, one) for one in detail["versions"]]}
    if detail["run"]["status"] == "finished" and detail["run"]["pipeline"] is not None:
        with contextlib.suppress(NotFoundError):  # what it reused may be gone since
            detail["returned"] = house.call("runs.result", run=name)
    if view.json_lines:
        displays.write({"event": "end", **detail})
    elif options.json:
        render.answer(options, detail, lambda _: None)
    else:
        last = {one["step"]: _tail(house, one) for one in _broken(detail)}
        _draw(render.console(), detail, last, view)
    if stopped:
        return STOPPED
    return _code(detail)


def _code(detail: dict[str, Any]) -> int:
    status = detail["run"]["status"]
    return 0 if status == "finished" or (status == "running" and not _spoilt(detail)) else 1


def _spoilt(detail: dict[str, Any]) -> list[str]:
    """Return the steps for which a run cannot finish: failed, and planted by nobody who minds."""
    return [one["step"] for one in _failed(detail) if one["within"] is None]


def _failed(detail: dict[str, Any]) -> list[dict[str, Any]]:
    return [one for one in _every(detail) if one["state"] == "failed" and not one["handled"]]


def _every(detail: dict[str, Any]) -> list[dict[str, Any]]:
    return subruns.laid(detail["steps"], detail.get("below", []))


def _judged(house: Local | Remote, name: str) -> dict[str, Any]:
    """Return what the gate said of a version that the run made."""
    model, _, number = name.rpartition("/")
    gates = house.call("models.version", model=model, number=int(number))["gates"]
    return {"version": name, "gate": gates[0] if gates else None}


def _broken(detail: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the steps that broke the run; what failed by its items is not told twice."""
    return sorted(_failed(detail), key=lambda one: one["kind"] != "step")[:_MOST_BROKEN]


def _tail(house: Local | Remote, step: dict[str, Any]) -> list[str]:
    found = printed(house, step["run"], subruns.own_name(step["step"]))(limit=_TAIL)
    return [one["event"] for one in found][::-1]


def _draw(out: Console, detail: dict[str, Any], last: dict[str, list[str]], view: View) -> None:
    run = detail["run"]
    for step in _broken(detail):
        out.print(f"\n{render.plain(step['step'])} failed:\n{failure(step)}", soft_wrap=True)
        if lines := last[step["step"]]:
            out.print("It printed last:")
            for line in lines:
                out.print(render.plain(f"  {line}"), soft_wrap=True)
    failed = len(_failed(detail))
    if failed > _MOST_BROKEN:
        out.print(f"\n{failed:,} steps failed; see mainspring show {run['id']}")
    if run["status"] == "running" and (spoilt := _spoilt(detail)):
        told = f"it cannot finish any more: {', '.join(spoilt[:_NAMED])} failed"
        out.print(render.plain(f"{told}; end it with: mainspring cancel {run['id']}"))
    _reads(out, detail["steps"])
    if run["metrics"]:
        out.print(render.plain(f"metrics: {render.figures(run['metrics'], most=12)}"))
    _returned(out, detail.get("returned"))
    _versions(out, detail["judged"])
    _last(out, run, "" if view.quiet or sys.stdout.isatty() else _where_time_went(detail))


def _reads(out: Console, steps: list[dict[str, Any]]) -> None:
    """Warn of steps that read what they had not said, those of a map once."""
    told: dict[str, list[str]] = {}
    for one in steps:
        if one.get("reads"):
            told.setdefault(one["step"].partition("[")[0], one["reads"])
    for step, reads in list(told.items())[:_NAMED]:
        out.print(render.plain(f"warning: {step}{unsaid.words(reads)[1:]}"), soft_wrap=True)


def _returned(out: Console, found: dict[str, Any] | None) -> None:
    if found is not None and found["step"] is not None:
        out.print(render.plain(f"returned: {found['words']}"), soft_wrap=True)


def _versions(out: Console, judged: list[dict[str, Any]]) -> None:
    for version in judged:
        gate = version["gate"]
        verdict = "not judged yet" if gate is None else "passed" if gate["passed"] else "refused"
        out.print(f"version {version['version']}: gate {verdict}")
        for check in gate["checks"] if gate else []:
            if not check["passed"]:
                told = f"  {check['name']}: found {check['found']}, wanted {check['wanted']}"
                out.print(render.plain(told))


def _last(out: Console, run: dict[str, Any], times: str) -> None:
    if times:
        out.print(render.plain(times))
    if run["status"] == "running":
        out.print(f"run {run['id']} waits; see mainspring waiting {run['id']}")
        return
    if how := go_on(run):
        out.print(how, soft_wrap=True)
    took = render.took(run["started"], run["ended"])
    out.print(f"run {run['id']} {run['status']} in {took}", style=render.COLOURS[run["status"]])


def _where_time_went(detail: dict[str, Any]) -> str:
    """Return the steps that took longest, with how long, in one line; nothing if none ran."""
    ran = [one for one in _every(detail) if one["state"] == "done" and one["wall_s"] >= 0.01]
    ran.sort(key=lambda one: -one["wall_s"])
    if not ran:
        return ""
    named = [f"{one['step']} {one['wall_s']:.2f} s" for one in ran[:_NAMED]]
    rest = ran[_NAMED:]
    if rest:
        named.append(f"{len(rest):,} others {sum(one['wall_s'] for one in rest):.2f} s")
    return f"time: {', '.join(named)}"
