"""Versions that no pipeline made: judge them by hand, trust them, guard their aliases."""

from __future__ import annotations

import time
from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from mainspring.cli import render
from mainspring.cli.following import POLL_S
from mainspring.cli.measures import MEASURES, Measures
from mainspring.cli.models import ModelName, Reason, VersionRef, reference
from mainspring.cli.options import HERE, Everywhere
from mainspring.cli.pipelines import pair
from mainspring.cli.remote import Local, Remote, asking, call
from mainspring.ground.errors import BadInputError, StepFailedError

if TYPE_CHECKING:
    from rich.console import Console

_OVER = ("done", "failed", "skipped", "cancelled")
Latency = Annotated[float | None, Parameter(help="95th percentile for one row. [default: 100]")]
Tolerance = Annotated[
    float | None,
    Parameter(help="How much worse than the champion it may be, in mean loss. [default: 0]"),
]
Bounds = Annotated[
    list[str] | None, Parameter(negative=(), help="A bound of the gate, such as auc=0.7.")
]


def judge(
    version: VersionRef,
    /,
    *,
    rows: Annotated[str, Parameter(help="Labelled rows it did not learn from: CSV or Parquet.")],
    target: Annotated[str, Parameter(help="The column of the rows that it predicts.")],
    at_least: Bounds = None,
    at_most: Bounds = None,
    max_latency_ms: Latency = None,
    tolerance: Tolerance = None,
    measures: Measures = MEASURES,
    purpose: Annotated[str | None, Parameter(help="For its card: what it is for.")] = None,
    owner: Annotated[str | None, Parameter(help="For its card: who answers for it.")] = None,
    limitations: Annotated[
        str | None, Parameter(help="For its card: where not to use it.")
    ] = None,
    options: Everywhere = HERE,
) -> int:
    """Put a version through the gate by hand. Exit code 1 if the gate refuses it.

    Bounds that are given become the gate of the model; without any, its gate stands. A version
    that an MLflow client registered is made ready to be served on the way.
    """
    import msgspec

    from mainspring.cli.serving import read_rows
    from mainspring.readiness.declaring import Gate

    model, number = reference(version)
    told = {"purpose": purpose, "owner": owner, "limitations": limitations}
    card = {key: text or "" for key, text in told.items()} if any(told.values()) else None
    given = (bounds(at_least, at_most, max_latency_ms, tolerance) or {}) | measures.words()
    gate = msgspec.to_builtins(Gate(**given, needs_card=card is not None)) if given else None
    asked = {"model": model, "number": number, "rows": read_rows(rows), "target": target}
    with asking(options) as house:
        task = house.call("models.judge", **asked, gate=gate, card=card)["task"]
        found = ended(house, task, options)
        detail = house.call("models.version", model=model, number=number)
    if found["passed"] is None:
        raise StepFailedError(f"{version} could not be judged: {found['reason']}")

    gate = detail["gates"][0]
    render.answer(options, found | {"gate": gate}, lambda out: draw_gate(out, gate, found))
    return 0 if gate["passed"] else 1


def draw_gate(out: Console, gate: dict[str, Any], found: dict[str, Any]) -> None:
    """Print a gate that was run: a line a check, what came to mind, and how it ended."""
    for check in gate["checks"]:
        mark = "ok " if check["passed"] else "bad"
        told = f"{mark} {check['name']}: {check['found']}, wanted {check['wanted']}"
        out.print(render.plain(told))
    for note in found["notes"]:
        out.print(render.plain(f"note: {note}"))
    out.print(render.plain(found["reason"]))


def bounds(
    at_least: list[str] | None,
    at_most: list[str] | None,
    max_latency_ms: float | None,
    tolerance: float | None,
) -> dict[str, Any] | None:
    """Return the gate that options describe; None if none of them was given."""
    given = {
        "at_least": _bounds(at_least) or None,
        "at_most": _bounds(at_most) or None,
        "max_latency_ms": max_latency_ms,
        "tolerance": tolerance,
    }
    found = {key: value for key, value in given.items() if value is not None}
    return found or None


def trust(version: VersionRef, /, *, reason: Reason, options: Everywhere = HERE) -> None:
    """Let the pickled code of a version run, once, when it is made ready to be served."""
    model, number = reference(version)
    done = call(options, "models.trust", model=model, number=number, reason=reason)
    render.said(options, done, f"Package {done['package'][:12]} of {model}/{number} is trusted.")


def register(
    source: Annotated[str, Parameter(help="A logged model: its id, RUN/NAME, or RUN alone.")],
    model: ModelName,
    /,
    *,
    options: Everywhere = HERE,
) -> None:
    """Register a model that a run logged as the next version of a model.

    RUN is a run's id, or its first characters; alone it means the model called 'model'.
    """
    from mainspring.cli.runs import full_id

    with asking(options) as house:
        if not source.startswith("m-"):
            run, _, name = source.partition("/")
            source = f"{full_id(house, run)}/{name or 'model'}"
        made = house.call("models.register", model=model, source=source)
    version = f"{made['model']}/{made['number']}"
    render.said(
        options,
        made,
        f"{version} is registered.",
        f"Before it may serve: mainspring judge {version} --rows ROWS --target COLUMN",
    )


def guard(
    model: ModelName,
    /,
    *,
    aliases: Annotated[str, Parameter(help="All of them, such as champion,production.")],
    options: Everywhere = HERE,
) -> None:
    """Say which aliases of a model ask for a passed gate. The champion alias always does."""
    named = [name.strip() for name in aliases.split(",") if name.strip()]
    done = call(options, "models.guard", model=model, aliases=named)
    render.said(options, done, f"{model} guards {', '.join(done['aliases'])}.")


def ended(house: Local | Remote, task: str, options: Everywhere) -> dict[str, Any]:
    """Return how a gate ended, doing the work here where the home is ours."""
    if isinstance(house, Local):
        from mainspring.workspace import engines

        out = render.console(stderr=True)
        shown = out.status("judging") if out.is_terminal and not options.json else nullcontext()
        with shown:
            engines.settle(house.workspace, task)
    while True:
        found: dict[str, Any] = house.call("models.judging", task=task)
        if found["state"] in _OVER:
            return found
        time.sleep(POLL_S)


def _bounds(several: list[str] | None) -> dict[str, float]:
    found = {}
    for text in several or []:
        name, value = pair(text)
        try:
            found[name] = float(value)
        except ValueError:
            raise BadInputError(
                f"A bound is written metric=number, found {text!r}.", field="at_least"
            ) from None
    return found
