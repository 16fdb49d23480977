"""Backtest: ask history how a rule or a changed policy would have done, before it is on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from mainspring.cli import render
from mainspring.cli.alarms import (
    Above,
    AtLeast,
    Band,
    Below,
    History,
    MissingAs,
    Of,
    Season,
    Series,
    When,
)
from mainspring.cli.options import HERE, Everywhere
from mainspring.cli.remote import Local, Remote, asking
from mainspring.ground.errors import BadInputError

if TYPE_CHECKING:
    from rich.console import Console

_AT_ONCE = 5  #: windows judged again in one question, so that the bar moves
Policy = Annotated[float | None, Parameter(help="The monitors' own, changed.")]


def backtest(
    endpoint: Annotated[str, Parameter(help="The endpoint whose windows are asked.")],
    /,
    *,
    rule: Annotated[str | None, Parameter(help="A rule that is kept.")] = None,
    series: Series = None,
    above: Above = None,
    below: Below = None,
    band: Band = None,
    season: Season = None,
    history: History = None,
    when: When = None,
    for_: AtLeast = None,
    of: Of = None,
    missing: MissingAs = None,
    alpha: Policy = None,
    material: Policy = None,
    relevant: Policy = None,
    min_rows: Annotated[int | None, Parameter(help="The monitors' own, changed.")] = None,
    limit: Annotated[int, Parameter(help="Newest windows at most.")] = 1000,
    options: Everywhere = HERE,
) -> None:
    """Say how often a rule or a changed policy would have fired, when, and whether rightly."""
    line = {"series": series, "above": above, "below": below, "band": band, "season": season}
    line |= {"history": history, "when": when, "at_least": for_, "missing": missing}
    line["of"] = of if of is not None else for_
    policy = {"alpha": alpha, "material": material, "relevant": relevant, "min_rows": min_rows}
    kind = _kind(rule, line, policy)
    with asking(options) as house:
        if kind == "rule":
            found = house.call("backtests.rule", name=rule, limit=limit)
        elif kind == "line":
            found = house.call("backtests.line", endpoint=endpoint, limit=limit, **line)
        else:
            found = _by_policy(house, endpoint, policy, limit, quiet=options.json)
    render.answer(options, found, lambda out: _draw(out, found))


def _kind(
    rule: str | None, line: dict[str, Any], policy: dict[str, Any]
) -> Literal["rule", "line", "policy"]:
    asked = [rule is not None, any(v is not None for v in line.values())]
    asked.append(any(v is not None for v in policy.values()))
    if sum(asked) != 1:
        raise BadInputError(
            "One thing is tried at a time: --rule, a line (--series, --when), or a policy.",
            field="rule",
            hint="Such as --series drift:temp --above 0.1, or --alpha 0.01.",
        )
    return "rule" if asked[0] else "line" if asked[1] else "policy"


def _by_policy(
    house: Local | Remote, endpoint: str, policy: dict[str, Any], limit: int, *, quiet: bool
) -> Any:
    """Judge windows again, a few at a time, under a bar."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    names = house.call("backtests.windows", endpoint=endpoint, limit=limit)
    found: list[Any] = []
    with Progress(
        TextColumn("windows judged again"),
        BarColumn(),
        MofNCompleteColumn(),
        console=render.console(stderr=True),
        transient=True,
        disable=quiet,
    ) as bar:
        task = bar.add_task("", total=len(names))
        for start in range(0, len(names), _AT_ONCE):
            some = names[start : start + _AT_ONCE]
            found += house.call("backtests.rejudge", endpoint=endpoint, windows=some, **policy)
            bar.advance(task, len(some))
    return house.call("backtests.policy", endpoint=endpoint, rejudged=found, **policy)


def _draw(out: Console, found: dict[str, Any]) -> None:
    rows = [
        (
            one["subject"],
            render.when(one["since"]),
            render.when(one["until"]) or "still",
            one["windows"],
            one["harm"],
            "yes" if one["raised"] else "no",
            one["reason"],
        )
        for one in found["firings"]
    ]
    columns = ("WHAT", "SINCE (UTC)", "UNTIL (UTC)", "WINDOWS>", "LABELS SAY", "RAISED", "REASON")
    render.table(out, columns, rows, "It would never have fired.")
    out.print(
        f"\n{len(found['firings'])} times in {found['windows']} windows, in ALARM in"
        f" {found['alarming']}, without data in {found['unknown']}. Labels know"
        f" {found['labelled']} windows: {found['harmful']} firings were harmful,"
        f" {found['harmless']} harmless, {found['missed']} harmful windows missed."
        f"\nReally raised in that time: {found['really']} alarms; {found['both']} of these"
        " firings among them."
    )
