"""Runs: list them, show one, say why."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from mainspring.cli import listing, render, showing, subruns, whynot
from mainspring.cli.options import HERE, Everywhere
from mainspring.cli.remote import Local, Remote, asking
from mainspring.ground.errors import BadInputError, NotFoundError
from mainspring.ground.nearest import nearest
from mainspring.pipelines import unsaid

if TYPE_CHECKING:
    pass

_AT_ONCE = 1000  #: runs of one question
_SHORTEST = 4  #: characters by which a run is named


def runs(
    filter: Annotated[  # noqa: A002  as it is called everywhere
        str | None,
        Parameter(help="What must hold, such as: metrics.auc > 0.9 and params.C != '1'"),
    ] = None,
    /,
    *,
    experiment: str | None = None,
    status: Literal[
        "running", "waiting", "interrupted", "finished", "failed", "crashed", "cancelled"
    ]
    | None = None,
    order: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,
    columns: str | None = None,
    deleted: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
    count: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
    limit: int = 20,
    cursor: str | None = None,
    csv: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
    options: Everywhere = HERE,
) -> None:
    """List the runs that meet a filter, newest first or as ordered.

    Parameters
    ----------
    experiment
        Only those of one experiment.
    status
        Only those that are so far. Running are all that have not ended: some of them are
        waiting, or interrupted, for nobody drives them any more.
    order
        By what, parted by commas, a minus in front for falling: -metrics.auc,started
    columns
        What to show of each, parted by commas: params.C,metrics.auc
    deleted
        Deleted runs alone.
    count
        Say how many there are, exactly up to 10,000.
    limit
        How many at most.
    cursor
        Where the page before ended.
    csv
        Print comma-separated values, every one as it is kept.
    """
    if limit < 1:
        raise BadInputError(f"limit must be 1 or more, found {limit}.", field="limit")
    asked = {
        "filter": filter,
        "experiment": experiment,
        "status": status,
        "order": order,
        "columns": columns,
        "deleted": deleted or None,
    }
    with asking(options) as house:
        page = _pages(house, asked, limit, cursor, count=count)
    if csv and not options.json:
        listing.as_csv(sys.stdout, page["runs"], columns)
        return
    narrowed = any((filter, experiment, status, deleted, cursor))
    render.answer(options, page, lambda out: listing.draw(out, page, columns, narrowed=narrowed))


def _pages(
    house: Local | Remote, asked: dict[str, Any], limit: int, cursor: str | None, *, count: bool
) -> dict[str, Any]:
    """Return so many runs, asked for a thousand at a time."""
    found: dict[str, Any] = house.call(
        "runs.list", **asked, limit=min(limit, _AT_ONCE), cursor=cursor, count=count or None
    )
    while found["cursor"] is not None and len(found["runs"]) < limit:
        rest = min(limit - len(found["runs"]), _AT_ONCE)
        more = house.call("runs.list", **asked, limit=rest, cursor=found["cursor"])
        found["runs"] += more["runs"]
        found["cursor"] = more["cursor"]
    return found


def show(
    run: Annotated[str, Parameter(help="The run's id, or its first characters.")],
    /,
    *,
    options: Everywhere = HERE,
) -> None:
    """Show one run: what it was made of, params, metrics, files, children, steps."""
    with asking(options) as house:
        about = house.call("runs.about", run=full_id(house, run))
    render.answer(options, about, lambda out: showing.draw(out, about))


def why(
    what: Annotated[
        str,
        Parameter(
            help="A run, a version (MODEL@champion, MODEL/7), 'champion', alarm:ID,"
            " prediction:ID, another kind:id, or 'not'."
        ),
    ],
    step: Annotated[
        str | None,
        Parameter(help="One step of the run; after 'not': a version (MODEL/8) or a loop."),
    ] = None,
    /,
    *,
    since: Annotated[
        str | None, Parameter(help="After 'not LOOP': a date, or how long back, such as 30d.")
    ] = None,
    options: Everywhere = HERE,
) -> None:
    """Say why a step ran, a version serves, an alarm was raised, a prediction is what it is.

    After ``not``: why a version is not champion, or why a loop trained nothing since.
    """
    with asking(options) as house:
        if what == "not":
            whynot.tell(house, step, since, options)
            return
        if what.startswith(("alarm:", "alarm_")):
            behind = house.call("alarms.why", id=what.removeprefix("alarm:"))
            render.said(options, behind, *behind["lines"])
            return
        if what.startswith("prediction:"):
            story = house.call("predictions.why", id=what.removeprefix("prediction:"))
            render.said(options, story, *story["lines"])
            return
        kind, _, name = what.partition(":")
        if kind == "step" and "/" in name:
            name, _, step = name.partition("/")
        if kind in ("run", "step", "version", "alias") and name:
            what = name
        if what == "champion":
            what = _only_champion(house)
        if "@" in what or "/" in what:
            found = house.call("models.why", ref=what)
            lines = [*found["lines"], *(f"not known: {m}" for m in found["missing"])]
            render.said(options, found, *lines)
            return
        run = full_id(house, what)
        if step is not None and "/" in step:
            run, step = subruns.found(house, run, step)
        told = house.call("runs.why", run=run, step=step)
        began = house.call("runs.cause", run=run)["lines"] if step is None else []
        steps = house.call("runs.get", run=run)["steps"]
    chosen = [s for s in steps if step in (None, s["step"])]
    lines = [
        f"{s['step']}: {s['state']}. {s['why']}{unsaid.words(s.get('reads', []))}" for s in chosen
    ]
    render.said(options, told, *began, *lines)


def is_full(run: str) -> bool:
    """Return whether this is the whole id of a run, by its looks."""
    return len(run) == 30 and run.startswith("run_")


def full_id(house: Local | Remote, run: str, *, deleted: bool = False) -> str:
    """Return the id of the newest run that begins with the given characters; ``last`` is it.

    With ``deleted`` it is looked for among the deleted ones.

    Raises:
        NotFoundError: if there is none.
    """
    if is_full(run):
        return run
    asked: dict[str, Any] = {"deleted": True} if deleted else {}
    if run != "last":
        if len(run) < _SHORTEST:
            raise _absent(house, run, asked)
        quoted = run.replace("'", "''")
        asked["filter"] = f"id like '{quoted}%'"
    page: dict[str, Any] = {"cursor": None}
    while True:
        page = house.call("runs.list", **asked, columns="id", limit=50, cursor=page["cursor"])
        for one in page["runs"]:
            if one["id"].startswith(run):  # in a pattern _ stands for any letter
                return str(one["id"])
            # The newest that somebody began, and not one that a step of it did.
            if run == "last" and not (one["cause"] or "").startswith("step:"):
                return _of_somebody(house, one)
        if page["cursor"] is None:
            raise _absent(house, run, {"deleted": True} if deleted else {})


def _of_somebody(house: Local | Remote, run: dict[str, Any]) -> str:
    """Return the run, or that of the pipeline whose step began it with ``ms.run``."""
    while run["parent"] is not None:
        try:
            above = house.call("runs.get", run=run["parent"])["run"]
        except NotFoundError:  # it was taken out
            break
        if above["pipeline"] is None:
            break
        run = above
    return str(run["id"])


def _absent(house: Local | Remote, run: str, asked: dict[str, Any]) -> NotFoundError:
    """Return that there is no such run, with the one that was meant, or how to see them."""
    newest = house.call("runs.list", **asked, columns="id", limit=_AT_ONCE)["runs"]
    named = next((one for one in newest if run in (one["name"], one["experiment"])), None)
    guess = named["id"] if named else nearest(run, [one["id"] for one in newest])
    hint = "See them with: mainspring runs"
    if run == "last":
        return NotFoundError("There is no run yet.", field="run", hint=hint)
    if named:
        hint = f"The newest run of {run} is {guess}."
    elif guess:
        hint = f"Did you mean {guess!r}? {hint}"
    elif len(run) < _SHORTEST:
        hint = f"A run is named by at least {_SHORTEST} characters of its id. {hint}"
    return NotFoundError(f"There is no run {run[:80]!r}.", field="run", hint=hint)


def _only_champion(house: Local | Remote) -> str:
    serving = [m["name"] for m in house.call("models.list") if m["champion"] is not None]
    if len(serving) == 1:
        return f"{serving[0]}@champion"
    if not serving:
        raise NotFoundError("No model has a champion yet.", hint="See them: mainspring models")
    raise NotFoundError(
        f"{len(serving)} models have a champion: {', '.join(serving)}.",
        hint=f"Name one: mainspring why {serving[0]}@champion",
    )
