"""Debt: what is owed, how it goes, what may stand for a time, what each feature is worth."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from cyclopts import Parameter

from mainspring.cli import render
from mainspring.cli.options import HERE, Everywhere
from mainspring.cli.remote import asking, call
from mainspring.ground.errors import BadInputError

if TYPE_CHECKING:
    from rich.console import Console

_BARS = "▁▂▃▄▅▆▇█"


def debt(
    *,
    model: Annotated[str | None, Parameter(help="Only what belongs to this model.")] = None,
    kind: Annotated[
        str | None, Parameter(help="Only of this kind, such as no_owner; not written down.")
    ] = None,
    budget: Annotated[
        str | None,
        Parameter(
            help="Exit with 1 above it: a weight (low 1, medium 3, high 9), or KIND=NUMBER."
        ),
    ] = None,
    markdown: Annotated[
        Path | None, Parameter(help="Write it as Markdown here, for a pull request.")
    ] = None,
    options: Everywhere = HERE,
) -> int:
    """Look for debt, and write down what was found. Exit code 1 over the budget, 2 for bad use.

    Each finding says what and where, how it is known, what it costs and what to do. Its id is
    the same in every scan: let it stand for a time with debt accept.
    """
    with asking(options, create=True) as house, render_wait(options):
        told = house.call("debt.scan", model=model, kind=kind, budget=budget)
    if markdown is not None:
        from mainspring.workspace.owed import scanning

        text = scanning.markdown(msgspec.convert(told, scanning.Scan))
        markdown.parent.mkdir(parents=True, exist_ok=True)
        markdown.write_text(text, "utf-8")
    render.answer(options, told, lambda out: _draw(out, told))
    return 1 if told["broken"] else 0


def render_wait(options: Everywhere) -> Any:
    """Return a context in which people see that something is being done; programs do not."""
    import contextlib

    from mainspring.cli.render import console

    out = console(stderr=True)
    if options.json or not out.is_terminal:
        return contextlib.nullcontext()
    return out.status("looking ...")


def _draw(out: Console, told: dict[str, Any]) -> None:
    fresh = set(told["fresh"])
    for one in told["owed"]:
        found = one["finding"]
        new = "  new" if found["id"] in fresh else ""
        head = f"{found['severity']:<7}{found['kind']}  {found['subject']}  {found['where']}"
        out.print(render.plain(f"{head}  {found['id']}{new}"), style=_STYLES[one["state"]])
        for word, text in (
            ("", found["found"]),
            ("costs: ", found["cost"]),
            ("do: ", found["todo"]),
            ("", _note(one)),
        ):
            if text:
                out.print(render.plain(f"       {word}{text}"))
    for one in told["figures"]:
        share = "" if one["outside"] is None else f", {one['outside']:.0%} outside of steps"
        size = f"{one['lines']:,} lines of code" if one["lines"] else f"{one['edges']} edges,"
        row = "" if one["lines"] else f" {one['depth']} in a row"
        said = f"{one['name']}: {one['steps']} steps, {size}{row}{share}"
        out.print(render.plain(said), style="dim")
    for one in told["unseen"]:
        out.print(render.plain(f"not looked at: {one}"), style="dim")
    if told["paid"]:
        out.print(f"paid since the last scan: {len(told['paid'])}")
    kinds = ", ".join(f"{n} {kind}" for kind, n in told["counts"].items())
    said = f"{told['open']} open, weight {told['weight']}" if told["open"] else "Nothing is owed"
    kept = f"; {told['accepted']} accepted" if told["accepted"] else ""
    out.print(f"{said}{f' ({kinds})' if kinds else ''}{kept}.")
    for one in told["broken"]:
        out.print(render.plain(one), style="red")


_STYLES = {"open": "bold", "expired": "bold yellow", "accepted": "dim"}


def _note(one: dict[str, Any]) -> str:
    said = one["accepted"]
    if said is None:
        return ""
    word = "accepted until" if one["state"] == "accepted" else "its acceptance ended"
    return f"{word} {render.when(said['until'])} UTC, by {said['by']}: {said['reason']}"


def trend(
    *,
    model: Annotated[str | None, Parameter(help="Scans of this model alone.")] = None,
    limit: Annotated[int, Parameter(help="How many of the last scans.")] = 30,
    options: Everywhere = HERE,
) -> None:
    """Show how debt went, scan by scan, with a line of its weight."""
    rows = call(options, "debt.trend", model=model, limit=limit)

    def draw(out: Console) -> None:
        cells = []
        before: set[str] | None = None
        for one in rows:
            ids = set(one["ids"])
            new = "" if before is None else len(ids - before)
            paid = "" if before is None else len(before - ids)
            before = ids
            cells.append(
                (render.when(one["at"]), one["open"], one["accepted"], one["weight"], new, paid)
            )
        heads = ("WHEN (UTC)", "OPEN>", "ACCEPTED>", "WEIGHT>", "NEW>", "PAID>")
        render.table(out, heads, cells, "Nobody has looked yet: mainspring debt")
        if len(rows) > 1:
            out.print(f"weight  {spark([one['weight'] for one in rows])}")

    render.answer(options, rows, draw)


def spark(values: list[float]) -> str:
    """Return a line of bars, one a value, from 0 to the highest.

    >>> spark([0, 2, 8])
    '▁▃█'
    """
    most = max(values, default=0.0)
    top = len(_BARS) - 1
    return "".join(_BARS[round(value / most * top) if most > 0 else 0] for value in values)


def accept(
    finding: Annotated[str, Parameter(help="The finding's id, from mainspring debt.")],
    /,
    *,
    until: Annotated[
        str, Parameter(help="The last day, such as 2027-01-31; then it counts again.")
    ],
    reason: Annotated[str, Parameter(help="Why: it is what others will read.")],
    options: Everywhere = HERE,
) -> None:
    """Let a finding stand until a date. It is shown all the same, and does not count."""
    done = call(options, "debt.accept", finding=finding, until=day(until), reason=reason)
    when = render.when(done["until"])
    render.said(options, done, f"{finding} may stand until {when} UTC; then it counts again.")


def day(text: str, field: str = "until") -> float:
    """Return the end of a day in UTC seconds, or the moment of a date with a time.

    Raises:
        BadInputError: if it is neither.

    >>> day("1970-01-01"), day("1970-01-01T06:00")
    (86400.0, 21600.0)
    """
    try:
        if len(text.strip()) == 10:
            after = date.fromisoformat(text.strip()) + timedelta(days=1)
            return datetime(after.year, after.month, after.day, tzinfo=UTC).timestamp()
        found = datetime.fromisoformat(text.strip())
    except (ValueError, OverflowError) as error:
        raise BadInputError(
            f"{field} must be a day, found {text[:80]!r}.",
            field=field,
            hint="Such as 2027-01-31: the whole day, in UTC.",
        ) from error
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def ablate(
    version: Annotated[str, Parameter(help="MODEL/NUMBER or MODEL@ALIAS.")],
    /,
    *,
    sure: Annotated[
        bool,
        Parameter(
            help="Exit with 1 only for features that surely do not help, not for those of which"
            " the rows cannot tell.",
            negative=(),
        ),
    ] = False,
    options: Everywhere = HERE,
) -> int:
    """Measure what each feature of a version is worth, by leaving it out.

    Exit code 1 if a feature is not shown to help. Cheap challengers are trained without each
    feature on the rows the version keeps; intervals hold for all features at once.
    """
    with asking(options) as house, render_wait(options):
        told = house.call("debt.ablate", ref=version)
    from mainspring.debt.ablation import Ablation

    found = msgspec.convert(told, Ablation)
    useless = found.without_gain(sure=sure)
    document = told | {"passed": found.passed, "without_gain": useless, "found": found.sentence}
    render.answer(options, document, lambda out: _draw_ablation(out, told, found.sentence))
    return 1 if useless else 0


def _draw_ablation(out: Console, told: dict[str, Any], sentence: str) -> None:
    rows = [
        (
            one["name"],
            f"{one['gain']:+.5f}",
            f"[{one['low']:+.5f}, {one['high']:+.5f}]",
            "" if one["share"] is None else f"{one['share']:.1%}",
            "" if one["relied"] is None else f"{one['relied']:+.5f} ({one['relied_low']:+.5f})",
            f"{one['cost']['missing']:.1%}",
            f"{one['cost']['bytes']:.3g}",
            "" if one["cost"]["micros"] is None else f"{one['cost']['micros']:.2g}",
            one["worth"],
        )
        for one in told["features"]
    ]
    heads = ["FEATURE", "GAIN>", "INTERVAL", "SHARE>", "SHUFFLED (LOW)>"]
    heads += ["MISSING>", "BYTES>", "US>", "WORTH"]
    if rows:
        render.table(out, heads, rows)
    for one in told["groups"]:
        kept = f"; keep {one['keep']}" if one["keep"] else ""
        out.print(
            render.plain(
                f"{', '.join(one['names'])} together ({one['why']}): {one['gain']:+.5f}"
                f" [{one['low']:+.5f}, {one['high']:+.5f}]{kept}"
            )
        )
    out.print(render.plain(sentence))
