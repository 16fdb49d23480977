"""Decide what a controller does next: plant blocks, wait, end with a result, or fail.

Each kind is one function from what is known (:class:`View`) to a verdict; none of them writes.
A controller is asked once when its needs are there, and again whenever all it has planted has
ended, well or not. ``memo`` is what it noted the last time, empty at first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from mainspring.ground.errors import BadInputError
from mainspring.pipelines.graph import Argument, Block, leaves
from mainspring.pipelines.shaping import chosen, no_branch, tolerated

#: More items than that would fill the database with steps; work on frames within a step instead.
MOST_ITEMS = 100_000
_SHOWN = 3  #: failures that a message names


class Broken(msgspec.Struct, frozen=True, kw_only=True):
    """A step that a controller planted and that failed, or was skipped, with nobody to mind."""

    step: str
    error: str
    types: list[str] = []  #: what was raised and its bases, by name
    skipped: bool = False  #: it was not run, for another failed or was stopped


class View(Protocol):
    """What a controller knows when it is asked."""

    name: str
    settings: Mapping[str, Any]
    args: Mapping[str, Argument]
    blocks: Mapping[str, Block]
    memo: Mapping[str, Any]
    broken: Mapping[int, Sequence[Broken]]  #: by the number of the planted block
    now: float

    def value(self, argument: Argument) -> Any:
        """Return plain data; refuses what is none."""
        ...

    def items(self, argument: Argument) -> list[Argument]:
        """Return the items of a list, each as an argument; refuses what is no list."""
        ...

    def news(self) -> Mapping[str, Any] | None:
        """Return what came for a wait; None if it was asked for and has not come."""
        ...


class Lot(msgspec.Struct, frozen=True, kw_only=True):
    """A block as it is planted once."""

    number: int
    block: Block
    untaken: str = ""  #: why its steps are skipped; empty: they are to be run


class Plant(msgspec.Struct, frozen=True, kw_only=True):
    """Plant blocks, and ask again once their steps have ended."""

    lots: list[Lot]
    memo: dict[str, Any]
    why: str = ""
    limit: int | None = None  #: so many of the lots at once
    stops: int | None = None  #: more failed lots than that stop the others
    handled: list[int] = []  #: lots whose failures are dealt with


class Sleep(msgspec.Struct, frozen=True, kw_only=True):
    """Wait for news, or until a time; then ask again."""

    until: float | None
    memo: dict[str, Any]
    why: str


class End(msgspec.Struct, frozen=True, kw_only=True):
    """End well: with one argument's value, or with a list of several (None: a failed one)."""

    result: Argument = msgspec.field(default_factory=lambda: {"value": None})
    parts: list[Argument | None] | None = None
    report: list[dict[str, Any]] | None = None  #: what failed of the parts: a dict holds both
    why: str = ""
    handled: list[int] = []


class Fail(msgspec.Struct, frozen=True, kw_only=True):
    """Fail for good."""

    error: str
    types: list[str] = []
    memo: dict[str, Any] | None = None


Verdict = Plant | Sleep | End | Fail


def decide(kind: str, view: View) -> Verdict:
    """Return what a controller of this kind does next.

    Raises:
        BadInputError: if what it was given cannot be worked with.
    """
    return _KINDS[kind](view)


def _map(view: View) -> Verdict:
    block, settings = view.blocks["each"], view.settings
    if not view.memo:
        items = view.items(view.args["over"])
        if len(items) > MOST_ITEMS:
            raise BadInputError(
                f"{view.name} goes over {len(items):,} items; at most {MOST_ITEMS:,} can be.",
                field="over",
                hint="Let each item be a batch, such as a list of a thousand.",
            )
        lots = [
            Lot(number=n, block=block.filled(_item_name(view, n), {"item": item}))
            for n, item in enumerate(items)
        ]
        if not lots:
            report: list[dict[str, Any]] | None = [] if settings.get("report") else None
            return End(parts=[], report=report, why="over an empty list")
        told = f"over {len(lots):,} items"
        stops = settings.get("rest") == "stop"
        return Plant(
            lots=lots,
            memo={"items": len(lots)},
            why=told,
            limit=settings["limit"],
            stops=tolerated(settings["tolerate"], len(lots)) if stops else None,
        )
    count = int(view.memo["items"])
    failed = _failed(view.broken)
    allowed = tolerated(settings["tolerate"], count)
    if len(failed) > allowed:
        few = f"{allowed:,}" if allowed < count else "all"
        return Fail(
            error=f"{len(failed)} of {count} items failed ({few} tolerated): "
            + told_of([several[0] for several in failed.values()]),
            types=next(iter(failed.values()))[0].types,
        )
    whole = any("param" in leaf for _, leaf in leaves(block.results))
    items = view.items(view.args["over"]) if whole else [{"value": None}] * count
    parts = [
        None if n in failed else block.results_of(_item_name(view, n), {"item": item})["result"]
        for n, item in enumerate(items)
    ]
    told = f"over {count:,} items"
    if failed:
        told += f"; failed and tolerated: {told_of([one[0] for one in failed.values()])}"
    report = _report(failed) if settings.get("report") else None
    return End(parts=parts, why=told, handled=list(failed), report=report)


def _failed(broken: Mapping[int, Sequence[Broken]]) -> dict[int, Sequence[Broken]]:
    """Return the lots in which something failed, without those that were only stopped."""
    return {n: several for n, several in broken.items() if not several[0].skipped}


def _report(failed: Mapping[int, Sequence[Broken]]) -> list[dict[str, Any]]:
    return [
        {
            "item": n,
            "step": several[0].step,
            "type": _type_of(several[0]),
            "message": several[0].error,
        }
        for n, several in sorted(failed.items())
    ]


def _type_of(one: Broken) -> str:
    return one.types[0] if one.types else "Error"


def _parallel(view: View) -> Verdict:
    if not view.memo:
        lots = [Lot(number=int(n), block=block) for n, block in view.blocks.items()]
        stops = 0 if view.settings["rest"] == "stop" else None
        told = f"{len(lots)} branches"
        return Plant(lots=lots, memo={"branches": len(lots)}, why=told, stops=stops)
    failed = _failed(view.broken)
    if failed:
        first = [several[0] for several in failed.values()]
        return Fail(error=told_of(first), types=first[0].types)
    return End(parts=[block.results["result"] for block in view.blocks.values()])


def _choose(view: View) -> Verdict:
    cases = view.settings["cases"]
    value = view.value(view.args["value"])
    number = chosen(value, cases)
    taken = "default" if number is None else f"{number}"
    if taken not in view.blocks:
        raise BadInputError(
            no_branch(view.name, value, cases),
            field="value",
            hint="Give ms.choose a default, or a branch for it.",
        )
    told = f"the value is {value!r:.80}"
    if not view.memo:
        lots = [
            Lot(number=n, block=block, untaken="" if one == taken else f"skipped: {told}")
            for n, (one, block) in enumerate(view.blocks.items())
        ]
        return Plant(lots=lots, memo={"taken": taken}, why=told)
    broken = view.broken.get(list(view.blocks).index(taken))
    if broken:
        return Fail(error=told_of(broken), types=broken[0].types)
    return End(result=view.blocks[taken].results["result"], why=told)


def _item_name(view: View, number: int) -> Callable[[str], str]:
    own = f"{view.name}[{number}]"
    return (lambda _: own) if view.settings["bare"] else (lambda step: f"{own}.{step}")


def _when(view: View) -> Verdict:
    holds = view.value(view.args["condition"])
    if not isinstance(holds, bool):
        raise BadInputError(
            f"The condition of {view.name} must be True or False, found {holds!r:.80}.",
            field="condition",
            hint="Let a step compare and return a bool.",
        )
    taken = "then" if holds else "otherwise"
    told = f"the condition is {holds}"
    if not view.memo:
        lots = [
            Lot(
                number=n,
                block=view.blocks[one],
                untaken="" if one == taken else f"skipped: {told}",
            )
            for n, one in enumerate(("then", "otherwise"))
            if one in view.blocks
        ]
        return Plant(lots=lots, memo={"taken": taken}, why=told)
    if taken not in view.blocks:
        return End(why=told)
    broken = view.broken.get(("then", "otherwise").index(taken))
    if broken:
        return Fail(error=told_of(broken), types=broken[0].types)
    return End(result=view.blocks[taken].results["result"], why=told)


def _iterate(view: View) -> Verdict:
    block, most = view.blocks["round"], int(view.settings["most"])

    def planted(number: int, state: Argument) -> Plant:
        lot = Lot(number=number, block=block.filled(name_in(number), {"state": state}))
        memo = {"round": number, "state": state}
        return Plant(lots=[lot], memo=memo, why=f"round {number + 1} of at most {most}")

    def name_in(number: int) -> Callable[[str], str]:
        return lambda step: f"{view.name}[{number}].{step}"

    if not view.memo:
        return planted(0, view.args["start"])
    number = int(view.memo["round"])
    broken = view.broken.get(number)
    if broken:
        return Fail(error=f"round {number + 1}: {told_of(broken)}", types=broken[0].types)
    results = block.results_of(name_in(number), {"state": view.memo["state"]})
    holds = view.value(results["until"])
    if not isinstance(holds, bool):
        raise BadInputError(
            f"The condition of {view.name} must be True or False, found {holds!r:.80}.",
            field="until",
        )
    if holds:
        return End(result=results["result"], why=f"its condition held after {number + 1} rounds")
    if number + 1 < most:
        return planted(number + 1, results["result"])
    if view.settings["at_most"] == "accept":
        return End(result=results["result"], why=f"ended after its {most} rounds, as declared")
    return Fail(error=f"The condition of {view.name} did not hold within {most} rounds.")


def _catch(view: View) -> Verdict:
    body, fallback = view.blocks["body"], view.blocks["fallback"]
    if not view.memo:
        return Plant(lots=[Lot(number=0, block=body)], memo={"part": "body"}, why="its body runs")
    if view.memo["part"] == "body":
        broken = view.broken.get(0)
        if not broken:
            return End(result=body.results["result"], why="nothing of its body failed")
        first, on = broken[0], view.settings["on"]
        if on and not set(on).intersection(first.types):
            return Fail(error=told_of(broken), types=first.types)
        error = {"type": _type_of(first), "message": first.error, "step": first.step}
        block = fallback.filled(lambda step: step, {"error": {"value": error}})
        return Plant(
            lots=[Lot(number=1, block=block)],
            memo={"part": "fallback", "error": error},
            why=f"caught from {first.step}: {first.error}",
            handled=[0],
        )
    error = dict(view.memo["error"])
    broken = view.broken.get(1)
    if broken:
        return Fail(error=f"the fallback failed as well: {told_of(broken)}", types=broken[0].types)
    results = fallback.results_of(lambda step: step, {"error": {"value": error}})
    told = f"caught from {error['step']}: {error['message']}"
    return End(result=results["result"], why=told)


def _approval(view: View) -> Verdict:
    asked = _asked(view, f"waits for an approval: {view.settings['message'] or view.name}")
    if asked is not None:
        return asked
    news = view.news()
    if news is None or news.get("expired"):
        return _refused(view, view.settings["on_expiry"], "nobody approved it in time")
    told = f"by {news['by']}: {news['reason']}"
    if news["approved"]:
        return End(result={"value": True}, why=f"approved {told}")
    return _refused(view, view.settings["on_rejection"], f"rejected {told}")


def _refused(view: View, as_declared: str, told: str) -> Verdict:
    if as_declared == "continue":
        return End(result={"value": False}, why=told)
    return Fail(error=told, types=["NotApproved"], memo={**view.memo, "over": True})


def _event(view: View) -> Verdict:
    asked = _asked(view, f"waits for the event {view.settings['name']}")
    if asked is not None:
        return asked
    news = view.news()
    if news is None or news.get("expired"):
        told = "the event did not come in time"
        if view.settings["on_expiry"] == "continue":
            return End(why=told)
        return Fail(error=told, types=["EventExpired"], memo={**view.memo, "over": True})
    if "error" in news:
        told = f"{news['by']} signalled: {news['error']}"
        types = [news["type"], "EventFailed", "Exception"]
        return Fail(error=told, types=types, memo={**view.memo, "over": True})
    return End(result={"value": news["value"]}, why=f"signalled by {news['by']}")


def _wait(view: View) -> Verdict:
    settings = view.settings
    until = settings["until"] if "until" in settings else view.now + settings["seconds"]
    if not view.memo and until > view.now:
        return Sleep(until=until, memo={"asked": 1}, why="waits for a time")
    return End(result=view.args["after"], why="the time has come")


def _asked(view: View, why: str) -> Sleep | None:
    """Return that it asks, if it has not, or if what it got is over and it is to ask anew."""
    if view.memo and not view.memo.get("over"):
        return None
    expires = view.settings["expires_s"]
    return Sleep(
        until=None if expires is None else view.now + expires,
        memo={"asked": int(view.memo.get("asked", 0)) + 1},
        why=why,
    )


def told_of(broken: Sequence[Broken]) -> str:
    """Return in words what failed, the first few by name."""
    told = [_of(one) for one in broken[:_SHOWN]]
    more = len(broken) - _SHOWN
    return "; ".join(told) + (f"; and {more} more" if more > 0 else "")


def _of(one: Broken) -> str:
    """Return why a step failed: a controller's error begins with the step in it that did."""
    inner = one.error.startswith((f"{one.step}.", f"{one.step}["))
    return one.error if inner else f"{one.step}: {one.error}"


_KINDS: dict[str, Callable[[View], Verdict]] = {
    "map": _map,
    "parallel": _parallel,
    "when": _when,
    "choose": _choose,
    "iterate": _iterate,
    "catch": _catch,
    "approval": _approval,
    "event": _event,
    "wait": _wait,
}
