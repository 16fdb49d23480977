"""Backtests: how a rule, or a changed policy, would have done on the windows that are kept."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from mainspring.ground.permissions import Permission
from mainspring.ground.rules import AlarmRule, Missing
from mainspring.monitoring.backtest import Backtest
from mainspring.web.api.alarms import Count, RuleName, SeriesName, Text
from mainspring.web.api.fields import EndpointName, Limit, Name, Request
from mainspring.web.api.operations import operation
from mainspring.workspace.backtests.judging_again import Rejudged
from mainspring.workspace.opening import Workspace

Share = Annotated[float, Meta(gt=0, le=1)]


class OfRule(Request, frozen=True, kw_only=True):
    """A rule that is kept, by its name."""

    name: RuleName
    limit: Limit = 1000


class TryRule(Request, frozen=True, kw_only=True):
    """A rule that need not be kept: a line or band over a series, or other rules joined."""

    endpoint: EndpointName
    series: SeriesName | None = None
    above: float | None = None
    below: float | None = None
    band: float | None = None
    season: Count = 1
    history: Count = 60
    when: Text = ""
    at_least: Count = 1
    of: Count = 1
    missing: Missing = "insufficient"
    limit: Limit = 1000


class OfEndpoint(Request, frozen=True, kw_only=True):
    """Which endpoint, and how many of its newest windows."""

    endpoint: EndpointName
    limit: Limit = 1000


class Rejudge(Request, frozen=True, kw_only=True):
    """Which windows are judged once more, and what is changed in the policy."""

    endpoint: EndpointName
    windows: Annotated[list[Name], Meta(min_length=1, max_length=50)]
    alpha: Share | None = None
    material: Share | None = None
    material_score: Share | None = None
    relevant: Share | None = None
    min_rows: Annotated[int, Meta(ge=1, le=10**9)] | None = None


class TryPolicy(Request, frozen=True, kw_only=True):
    """What is changed in the policy; ``rejudged`` are windows that were judged by it already."""

    endpoint: EndpointName
    alpha: Share | None = None
    material: Share | None = None
    material_score: Share | None = None
    relevant: Share | None = None
    min_rows: Annotated[int, Meta(ge=1, le=10**9)] | None = None
    limit: Limit = 1000
    rejudged: list[Rejudged] | None = None


@operation("backtests.rule", "GET", "/api/v1/backtests/rules/{name}", Permission.READ)
def of_rule(ws: Workspace, request: OfRule) -> Backtest:
    """Say how a rule that is kept would have done on the windows that are."""
    from mainspring.workspace.backtests import judging_again

    return judging_again.kept_rule(ws, request.name, request.limit)


@operation(
    "backtests.line",
    "POST",
    "/api/v1/backtests/rules",
    Permission.READ,
    example={"endpoint": "flights", "series": "drift:temp", "above": 0.1},
)
def try_rule(ws: Workspace, request: TryRule) -> Backtest:
    """Say how a rule would have done, before it is made."""
    from mainspring.workspace.backtests import judging_again

    given = msgspec.structs.asdict(request)
    limit = given.pop("limit")
    given["series"] = given["series"] or ""
    return judging_again.of_rule(ws, AlarmRule(name="tried", **given), limit)


@operation("backtests.windows", "GET", "/api/v1/backtests/windows/{endpoint}", Permission.READ)
def windows(ws: Workspace, request: OfEndpoint) -> list[str]:
    """List the windows of an endpoint that are kept, oldest first."""
    from mainspring.workspace.backtests import judging_again

    return judging_again.window_names(ws, request.endpoint, request.limit)


@operation("backtests.rejudge", "POST", "/api/v1/backtests/rejudge", Permission.READ)
def rejudge(ws: Workspace, request: Rejudge) -> list[Rejudged]:
    """Judge some windows once more by a changed policy; nothing is kept of it."""
    from mainspring.workspace.backtests import judging_again

    given = _changes(request)
    return judging_again.rejudge(ws, request.endpoint, given, request.windows)


@operation(
    "backtests.policy",
    "POST",
    "/api/v1/backtests/policy",
    Permission.READ,
    example={"endpoint": "flights", "alpha": 0.01},
)
def try_policy(ws: Workspace, request: TryPolicy) -> Backtest:
    """Say how the monitors of an endpoint would have done by a changed policy."""
    from mainspring.workspace.backtests import judging_again

    given = _changes(request)
    if request.rejudged is not None:
        return judging_again.summed(ws, request.endpoint, given, request.rejudged)
    return judging_again.of_policy(ws, request.endpoint, given, request.limit)


def _changes(request: Rejudge | TryPolicy) -> dict[str, float]:
    names = ("alpha", "material", "material_score", "relevant", "min_rows")
    return {name: getattr(request, name) for name in names if getattr(request, name) is not None}
