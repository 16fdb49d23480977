"""What stands in the source and does nothing: steps, params, keys, branches, habits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mainspring.debt.facts import ParamFacts, SourceFacts, World
from mainspring.debt.findings import DebtFinding, Severity, finding

#: kind of a spot -> (kind of debt, severity, what was seen, what to do)
_SAID: dict[str, tuple[str, Severity, str, str]] = {
    "step": ("unused_step", "medium", "No pipeline and no function takes the step {name}.",
             "Take it out, or into a pipeline."),
    "param": ("unused_param", "medium", "{name} is declared and never read.",
              "Take it out. If it is there for the order alone, begin its name with an"
              " underscore."),
    "constant": ("unused_config", "low", "Nothing reads {name}.", "Take it out."),
    "key": ("unused_config", "low", "Nothing asks for the key {name}.", "Take it out."),
    "branch": ("dead_branch", "medium", "The branch of {name} is never taken: what it hangs on"
               " never changes.", "Take the branch out."),
}  # fmt: skip


def unused(world: World) -> Iterator[DebtFinding]:
    """Find what is declared in the source and never used."""
    for source in world.sources:
        for one in source.unused:
            kind, severity, seen, todo = _SAID[one["kind"]]
            lines = int(one.get("lines", 1))
            yield finding(
                kind,
                severity,
                "project",
                f"{one['file']}:{one['line']}",
                key=(source.root, str(one["kind"]), str(one["file"]), str(one["name"])),
                found=seen.format(name=one["name"]),
                cost=f"{lines} line{'s' if lines > 1 else ''} that somebody reads, tests and"
                " believes to matter.",
                todo=todo,
                evidence={"name": one["name"], "lines": lines},
            )


def habits(world: World) -> Iterator[DebtFinding]:
    """Find habits in steps by which they give other results than they should."""
    for source in world.sources:
        for one in source.habits:
            yield finding(
                "step_habit",
                "low" if one["rule"] == "untyped" else "medium",
                "project",
                f"{one['file']}:{one['line']}",
                key=(source.root, str(one["rule"]), str(one["file"]), str(one["message"])),
                found=str(one["message"]),
                cost="What goes in and out cannot be checked."
                if one["rule"] == "untyped"
                else "A run made again gives something else, and nobody sees why.",
                todo=str(one["hint"]),
                evidence={"rule": one["rule"]},
            )


def experiments(world: World) -> Iterator[DebtFinding]:
    """Find params that never vary, and branches on them that the last runs never took."""
    for source in world.sources:
        for branch in source.branches:
            seen = _seen(world, str(branch["function"]), str(branch["param"]))
            if seen is not None and seen.runs >= world.limits.runs:
                yield from _never_taken(source, branch, seen)
    for one in world.params:
        if one.runs >= world.limits.runs and len(one.values) == 1:
            yield finding(
                "fixed_param",
                "low",
                f"pipeline:{one.pipeline}",
                f"param {one.param}",
                found=f"{one.param} was {one.values[0]!r} in each of the last {one.runs} runs.",
                cost="A choice that nobody makes, and that everybody has to understand.",
                todo="Try other values (mainspring tune), or make it a constant.",
                evidence={"runs": one.runs, "value": one.values[0]},
            )


def _seen(world: World, function: str, param: str) -> ParamFacts | None:
    """Return what a param was: of the pipeline itself, or of one that hands it to a step."""
    named = [one for one in world.params if one.param == param]
    own = [one for one in named if one.function == function]
    # A step's param has the name of the pipeline's where it is handed on; of several none counts.
    return own[0] if own else named[0] if len(named) == 1 else None


def _never_taken(
    source: SourceFacts, branch: dict[str, Any], seen: ParamFacts
) -> Iterator[DebtFinding]:
    taken = {_holds(branch["op"], value, branch["value"]) for value in seen.values}
    if len(taken) != 1 or None in taken:
        return
    (always,) = taken
    lines = int(branch["otherwise"] if always else branch["lines"])
    if not lines:
        return
    side = f"else of if {branch['test']}" if always else f"if {branch['test']}"
    values = ", ".join(repr(value) for value in seen.values[:5])
    yield finding(
        "dead_branch",
        "medium",
        "project",
        f"{branch['file']}:{branch['line']}",
        key=(source.root, str(branch["file"]), str(branch["function"]), side),
        found=f"{branch['function']}: `{side}` was not taken in the last {seen.runs} runs:"
        f" {seen.param} was {values}.",
        cost=f"{lines} line{'s' if lines > 1 else ''} of an experiment that is over, untested"
        " by any run.",
        todo="Take the branch out, or run the experiment.",
        evidence={"runs": seen.runs, "values": seen.values[:20], "lines": lines},
    )


def _holds(op: str, seen: Any, wanted: Any) -> bool | None:
    """Return whether a test holds for a value that was seen; None if it cannot be told."""
    if op == "truth":
        return bool(seen)
    if op == "not":
        return not seen
    if op in ("==", "!="):
        return bool(seen == wanted) == (op == "==")
    if isinstance(wanted, list | str | dict):
        if isinstance(wanted, str) and not isinstance(seen, str):
            return None
        return bool(seen in wanted) == (op == "in")
    return None
