"""Decide what a controller does next: plant blocks, wait, end with a result, or fail.

Each kind is one function from what is known (:class:`View`) to a verdict; none of them writes.
A controller is asked once when its needs are there, and again whenever all it has planted has
ended, well or not. ``memo`` is what it noted the last time, empty at first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from mainspring.ground.errors import BadInputError
from mainspring.pipelines import asking
from mainspring.pipelines.graph import Argument, leaves
from mainspring.pipelines.options import Retry, delay_s
from mainspring.pipelines.shaping import chosen, no_branch, tolerated
from mainspring.pipelines.verdicts import Again as Again
from mainspring.pipelines.verdicts import Broken as Broken
from mainspring.pipelines.verdicts import End as End
from mainspring.pipelines.verdicts import Fail as Fail
from mainspring.pipelines.verdicts import Lot as Lot
from mainspring.pipelines.verdicts import Plant as Plant
from mainspring.pipelines.verdicts import Sleep as Sleep
from mainspring.pipelines.verdicts import Verdict as Verdict
from mainspring.pipelines.verdicts import View as View
from mainspring.pipelines.verdicts import told_of as told_of

#: More items than that would fill the database with steps; work on frames within a step instead.
MOST_ITEMS = 100_000


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
        told = f"{len(failed)} of {count} items failed ({few} tolerated): "
        told += told_of([several[0] for several in failed.values()])
        return _again_or(view, Fail(error=told, types=next(iter(failed.values()))[0].types))
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


def _again_or(view: View, fail: Fail) -> Again | Fail:
    """Return that what broke is done again, if a rule of the shape says so; else the failure."""
    tried = dict(view.memo.get("tried", {}))
    rules = [msgspec.convert(one, Retry) for one in view.settings.get("retry", ())]
    fits = (n for n, one in enumerate(rules) if not one.on or set(one.on) & set(fail.types))
    number = next(fits, None)
    used = tried.get(f"{number}", 0) + 1
    if number is None or used > rules[number].most:
        # Who resumes it has all tries before him again.
        return msgspec.structs.replace(fail, memo={**view.memo, "tried": {}}) if tried else fail
    return Again(
        lots=sorted(view.broken),
        memo={**view.memo, "tried": {**tried, f"{number}": used}},
        why=f"tried again, {used} of {rules[number].most} times: {fail.error}",
        wait_s=delay_s(rules[number], used, view.chance),
    )


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
        return _again_or(view, Fail(error=told_of(first), types=first[0].types))
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


def _part(view: View) -> Verdict:
    at = view.settings["at"]
    return End(result=view.part(view.args["of"], at), why=f"part {at!r:.80} of it")


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


_KINDS: dict[str, Callable[[View], Verdict]] = {
    "map": _map,
    "parallel": _parallel,
    "when": _when,
    "choose": _choose,
    "part": _part,
    "iterate": _iterate,
    "catch": _catch,
    "approval": asking.approval,
    "event": asking.event,
    "callback": asking.callback,
    "wait": asking.wait,
}
