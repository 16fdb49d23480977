"""Alarm rules from Python: ``ms.AlarmRule``, ``ms.watch``, ``ms.backtest``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mainspring.ground.durations import seconds
from mainspring.ground.errors import BadInputError
from mainspring.ground.rules import AlarmRule as Rule
from mainspring.ground.settings import load
from mainspring.monitoring import rules
from mainspring.monitoring.backtest import Backtest
from mainspring.workspace.alarming import verbs
from mainspring.workspace.backtests import judging_again

if TYPE_CHECKING:
    from mainspring.workspace.opening import Workspace


def AlarmRule(  # noqa: N802
    name: str,
    *,
    endpoint: str,
    series: str = "",
    above: float | None = None,
    below: float | None = None,
    band: float | None = None,
    season: int = 1,
    history: int = 60,
    when: str = "",
    at_least: int = 1,
    of: int | None = None,
    missing: Literal["ignore", "breaching", "not_breaching", "insufficient"] = "insufficient",
    suppressed_by: Sequence[str] = (),
    cooldown: str | float = 0,
    then: Literal["page", "retrain"] = "page",
    channels: Sequence[str] = (),
    note: str = "",
) -> Rule:
    """Say what people want to be told of: a line or a band over a series, or other rules joined.

    A series is ``MONITOR:SUBJECT`` or ``MONITOR/FIGURE:SUBJECT``, such as ``drift:temp`` or
    ``performance/low:auc``. A window breaches ``above`` or ``below`` a line, or outside a
    ``band`` of so many robust standard deviations, learnt from the ``history`` before it by the
    phase of its ``season``. ``at_least`` of the newest ``of`` windows must breach; without
    ``of`` all of them, in a row. ``when`` joins other rules: ``"(hot or wet) and not planned"``.

    >>> AlarmRule("hot", endpoint="flights", series="drift:temp", above=0.1, at_least=3).of
    3

    Raises:
        BadInputError: naming what cannot be.
    """
    rule = Rule(
        name=name,
        endpoint=endpoint,
        series=series,
        above=above,
        below=below,
        band=band,
        season=season,
        history=history,
        when=when,
        at_least=at_least,
        of=at_least if of is None else of,
        missing=missing,
        suppressed_by=list(suppressed_by),
        cooldown_s=seconds(cooldown, "cooldown"),
        then=then,
        channels=list(channels),
        note=note,
    )
    rules.check(rule)
    return rule


def watch(rule: Rule, *, reason: str = "", home: str | Path | None = None) -> int:
    """Put a rule in force, or change it, and return the number of its version.

    Raises:
        BadInputError: naming what cannot be, such as a rule that it asks about and is not there.
    """
    with closing(_home(home)) as ws:
        return verbs.put_rule(ws, rule, reason)[1]


def backtest(
    what: Rule | str,
    *,
    alpha: float | None = None,
    material: float | None = None,
    relevant: float | None = None,
    min_rows: int | None = None,
    limit: int = 1000,
    home: str | Path | None = None,
) -> Backtest:
    """Say how something would have done on the windows that are kept, before it is on.

    ``what`` is a rule, in force or not; or an endpoint's name, whose windows are then judged
    once more by its policy with the given lines changed.

    Raises:
        BadInputError: if nothing is changed, or something cannot be.
        NotFoundError: if there is no such endpoint.
    """
    given = {"alpha": alpha, "material": material, "relevant": relevant, "min_rows": min_rows}
    changes = {name: value for name, value in given.items() if value is not None}
    with closing(_home(home)) as ws:
        if isinstance(what, str):
            return judging_again.of_policy(ws, what, changes, limit)
        if changes:
            raise BadInputError("A rule has no policy of its own to change.", field="alpha")
        return judging_again.of_rule(ws, what, limit)


def _home(home: str | Path | None) -> Workspace:
    from mainspring.workspace.opening import open_workspace

    return open_workspace(load({"home": None if home is None else os.fspath(home)}))
