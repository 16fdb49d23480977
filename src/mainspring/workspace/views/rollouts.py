"""Gather what is shown of a rollout: who answers what, its rails, its evidence, what is next."""

from __future__ import annotations

from typing import Any

from mainspring.ground.monitors import LATENCY_EDGES_S, Pair
from mainspring.ground.objects import Record, Rollout, RolloutPolicy, Strategy
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.readiness import decisions
from mainspring.retraining import challenge, comparing, guardrails
from mainspring.scaling.serving import capture, endpoints, rollouts, tallies
from mainspring.workspace.handlers.rollouts import held, policy_and_loop
from mainspring.workspace.opening import Workspace
from mainspring.workspace.shifts import limit_of


class RailReport(Record, frozen=True, kw_only=True):
    """One guard rail: how much of what is ill, and how near its evidence is to the end."""

    name: str
    told: str
    bad: float  #: a count; of ``shifted`` the mean difference of scores
    of: int
    budget: float
    wealth: float
    needed: float


class SideReport(Record, frozen=True, kw_only=True):
    """How a version did beside the other on the same rows, as its processes counted."""

    version: int
    requests: int  #: it was to score
    failed: int
    not_finite: int
    rows: int  #: that both scored
    agreement: float | None  #: share of these with the same label
    difference: float | None  #: mean score difference, 0 to 1, about
    differences: list[int]  #: rows by twentieth of the score difference
    p50_ms: float | None
    p99_ms: float | None
    other_p50_ms: float | None  #: the other's, on the same rows
    other_p99_ms: float | None
    rails: list[RailReport]


class RolloutReport(Record, frozen=True, kw_only=True):
    """A rollout as it stands, or as it ended."""

    rollout: Rollout
    policy: RolloutPolicy
    words: str
    paused: bool  #: its loop is paused or frozen: the share stays
    sides: list[SideReport]
    tests: dict[str, Any]  #: of the labels: means, evidence and what is needed
    next: str  #: what must hold before the next step; empty if there is none
    decided: list[str]  #: the decisions on it, newest first, as ids


def report(ws: Workspace, endpoint: str, rollout: str | None = None) -> RolloutReport | None:
    """Return the rollout that runs on an endpoint, else its newest, else None; or the one named.

    Raises:
        NotFoundError: if there is no such endpoint or rollout.
    """

    def look(
        tx: Tx,
    ) -> tuple[Rollout, RolloutPolicy, bool, float | None, list[str]] | None:
        place = endpoints.get(tx, endpoint)
        if rollout is not None:
            found: Rollout | None = rollouts.get(tx, rollout)
        else:
            newest = rollouts.of_endpoint(tx, place.name, limit=1)
            found = rollouts.running(tx, endpoint) or (newest[0] if newest else None)
        if found is None:
            return None
        policy, spec = policy_and_loop(tx, found)
        made = decisions.list_decisions(tx, place.loop, limit=200)
        decided = [
            one.id
            for one in made
            if one.evidence.get("rollout") == found.id
            or (place.loop is not None and one.subject == f"{found.model}/{found.challenger}")
        ]
        return found, policy, held(tx, spec), limit_of(tx, found, policy), decided

    known = ws.read(Permission.READ, look)
    if known is None:
        return None
    found, policy, paused, limit, decided = known
    folder = ws.captures(endpoint)
    pairs = tallies.Follower(folder, found.id, found.started).total()
    at = capture.watermark(folder) or found.started
    return RolloutReport(
        rollout=found,
        policy=policy,
        words=_words(found, policy, paused=paused),
        paused=paused,
        sides=[_side(found, policy, v, pair, limit) for v, pair in sorted(pairs.items())],
        tests=_tests(found, policy),
        next=_next(found, policy, pairs, at) if found.state == "running" else "",
        decided=decided,
    )


def listed(ws: Workspace, endpoint: str | None = None, limit: int = 100) -> list[Rollout]:
    """Return rollouts, newest first, of one endpoint or of all."""

    def look(tx: Tx) -> list[Rollout]:
        if endpoint is None:
            return rollouts.newest(tx, limit)
        endpoints.get(tx, endpoint)
        return rollouts.of_endpoint(tx, endpoint, limit)

    return ws.read(Permission.READ, look)


def _side(
    found: Rollout, policy: RolloutPolicy, version: int, pair: Pair, limit: float | None
) -> SideReport:
    standing = guardrails.rails(policy, pair, None if found.purpose == "watch" else limit)
    needed = guardrails.needed(found, policy, standing)
    apart = sum((place + 0.5) / 20 * rows for place, rows in pair.shifts.items())
    return SideReport(
        version=version,
        requests=pair.tried,
        failed=pair.failed,
        not_finite=pair.odd,
        rows=pair.rows,
        agreement=pair.agreed / pair.rows if pair.rows else None,
        difference=apart / pair.rows if pair.rows else None,
        differences=[pair.shifts.get(place, 0) for place in range(20)],
        p50_ms=_quantile(pair.mine, 0.5),
        p99_ms=_quantile(pair.mine, 0.99),
        other_p50_ms=_quantile(pair.theirs, 0.5),
        other_p99_ms=_quantile(pair.theirs, 0.99),
        rails=[
            RailReport(
                name=one.name,
                told=one.told,
                bad=one.bad,
                of=one.of,
                budget=one.budget,
                wealth=min(one.wealth, 1e300),
                needed=needed,
            )
            for one in standing
        ],
    )


def _quantile(latencies: dict[int, int], share: float) -> float | None:
    """Return a latency that ``share`` did not exceed, in ms, within 30 %."""
    wanted, seen = share * sum(latencies.values()), 0
    for bucket, count in sorted(latencies.items()):
        seen += count
        if seen >= wanted:
            return round(LATENCY_EDGES_S[min(bucket, len(LATENCY_EDGES_S) - 1)] * 1000, 3)
    return None


def _tests(found: Rollout, policy: RolloutPolicy) -> dict[str, Any]:
    if found.arms:
        return comparing.figures(found, policy)
    standing = challenge.standing(found, policy)._asdict()
    told = {key: min(value, 1e300) for key, value in standing.items()}
    return told | {"needed": 1 / policy.alpha, "harm_needed": 1 / policy.harm_alpha}


def _words(found: Rollout, policy: RolloutPolicy, *, paused: bool) -> str:
    other, champion = found.challenger, found.champion
    if found.state != "running":
        return f"Version {other} beside champion {champion}: {found.state.replace('_', ' ')}."
    if found.purpose == "watch":
        return (
            f"Version {other} before it scores beside champion {champion} in the shadow, and comes"
            " back by itself should that one break."
        )
    if found.arms:
        whole = sum(arm.weight for arm in found.arms)
        parts = [f"version {arm.version} {arm.weight / whole:.1%}" for arm in found.arms]
        return f"Each row is answered by one of: {', '.join(parts)}."
    if found.strategy is Strategy.SHADOW:
        return f"Version {other} scores every row beside champion {champion} and answers nobody."
    if found.strategy is Strategy.BLUE_GREEN and found.share >= 1.0:
        return f"Version {other} answers every row; champion {champion} stands by."
    told = f"Version {other} answers {found.share:.1%} of the rows beside champion {champion}."
    if policy.steps:
        told += f" That is step {found.step + 1} of {len(policy.steps)}."
    return told + (" The loop is held: the share stays." if paused else "")


def _next(found: Rollout, policy: RolloutPolicy, pairs: dict[int, Pair], at: float) -> str:
    if found.purpose == "watch" or found.step >= len(policy.steps) - 1:
        return ""
    here, after = policy.steps[found.step], policy.steps[found.step + 1]
    since = found.started if found.stepped is None else found.stepped
    pair = pairs.get(found.challenger)
    rows = (pair.rows if pair is not None else 0) - found.step_rows
    waits = []
    if at - since < here.min_period_s:
        waits.append(f"{here.min_period_s - (at - since):,.0f} s")
    if rows < here.rows:
        waits.append(f"{here.rows - rows:,} rows")
    if found.rows < here.labels:
        waits.append(f"{here.labels - found.rows:,} labels")
    left = f"in {' and '.join(waits)}" if waits else "at the next look"
    return f"{after.share:.1%} of the rows {left}."
