"""Put rules and changed policies to the windows that are kept, before they are switched on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.ground.errors import BadInputError
from mainspring.ground.objects import Alarm, LoopSpec, MonitorPolicy, Record, Window
from mainspring.ground.permissions import Permission
from mainspring.ground.rules import AlarmRule
from mainspring.monitoring import alarms, backtest, judge, rulebook, rules, windows
from mainspring.monitoring.backtest import Backtest
from mainspring.scaling.serving import capture, endpoints
from mainspring.workspace.feeding.declared import spec_of
from mainspring.workspace.handlers.standing import Stands, own_rows

if TYPE_CHECKING:
    from mainspring.ground.ports import Tx
    from mainspring.workspace.opening import Workspace

MOST = 10_000
#: What of a policy can be tried on captures.
CHANGEABLE = ("alpha", "material", "material_score", "relevant", "min_rows")


class Rejudged(Record, frozen=True, kw_only=True):
    """What changed monitors would have been alarmed about in one window."""

    window: str
    end: float
    subjects: dict[str, str]  #: drift:temp -> why
    why: str = ""  #: why it could not be judged again, if so


def of_rule(ws: Workspace, rule: AlarmRule, limit: int = 1000) -> Backtest:
    """Return how a rule would have done on the newest windows of its endpoint.

    The rule need not be kept; one that asks about other rules finds those that are.

    Raises:
        BadInputError: if the rule cannot be.
        NotFoundError: if there is no such endpoint.
    """
    rules.check(rule)

    def work(tx: Tx) -> Backtest:
        endpoints.get(tx, rule.endpoint)
        line = windows.list_windows(tx, rule.endpoint, limit=limit)[::-1]
        raised = alarms.list_alarms(tx, rule.endpoint, limit=MOST)
        return backtest.of_rule(rule, line, raised, rulebook.every(tx))

    return ws.read(Permission.READ, work)


def kept_rule(ws: Workspace, name: str, limit: int = 1000) -> Backtest:
    """Return how a rule that is kept would have done on all windows that are.

    Raises:
        NotFoundError: if there is none.
    """
    return of_rule(ws, ws.read(Permission.READ, lambda tx: rulebook.get(tx, name)), limit)


def rejudge(
    ws: Workspace,
    endpoint: str,
    changes: Mapping[str, Any],
    names: Sequence[str],
) -> list[Rejudged]:
    """Judge kept windows once more, on their captured rows, by a changed policy.

    ``changes`` are fields of :class:`MonitorPolicy` out of :data:`CHANGEABLE`; ``names`` are
    the windows, oldest first. Nothing is kept of it.

    Raises:
        BadInputError: if a change cannot be.
        NotFoundError: if there is no such endpoint, or nobody watches it.
    """
    spec = ws.read(Permission.READ, lambda tx: spec_of(tx, endpoint))
    policy = changed(spec.monitor, changes)
    stands = Stands(ws)
    return [_again(ws, spec, policy, stands, name) for name in names]


def changed(policy: MonitorPolicy, changes: Mapping[str, Any]) -> MonitorPolicy:
    """Return a policy with some of its lines moved.

    Raises:
        BadInputError: naming the change that cannot be.
    """
    for field, value in changes.items():
        if field not in CHANGEABLE:
            raise BadInputError(
                f"{field[:40]!r} cannot be tried on captures.",
                field=field,
                hint=f"What can: {', '.join(CHANGEABLE)}.",
            )
        if field != "min_rows" and not 0 < value <= 1:
            raise BadInputError(
                f"{field} must be above 0 and at most 1, found {value}.", field=field
            )
    if not changes:
        raise BadInputError(
            "Nothing is changed: what is to be tried?",
            field="alpha",
            hint="Name a rule, a line over a series, or a policy's --alpha or --material.",
        )
    return msgspec.structs.replace(policy, **changes)


def window_names(ws: Workspace, endpoint: str, limit: int = 1000) -> list[str]:
    """Return the newest windows of an endpoint, oldest first.

    Raises:
        NotFoundError: if there is no such endpoint.
    """

    def work(tx: Tx) -> list[str]:
        endpoints.get(tx, endpoint)
        return [one.id for one in windows.list_windows(tx, endpoint, limit=limit)][::-1]

    return ws.read(Permission.READ, work)


def of_policy(
    ws: Workspace,
    endpoint: str,
    changes: Mapping[str, Any],
    limit: int = 1000,
    on_window: Callable[[int, int], None] | None = None,
) -> Backtest:
    """Return how the monitors of an endpoint would have done by a changed policy.

    ``on_window`` is told how many windows of how many are judged again.

    Raises:
        BadInputError: if a change cannot be.
        NotFoundError: if there is no such endpoint, or nobody watches it.
    """
    names = window_names(ws, endpoint, limit)
    found: list[Rejudged] = []
    for count, name in enumerate(names, start=1):
        found += rejudge(ws, endpoint, changes, [name])
        if on_window is not None:
            on_window(count, len(names))
    return summed(ws, endpoint, changes, found)


def summed(
    ws: Workspace, endpoint: str, changes: Mapping[str, Any], found: Sequence[Rejudged]
) -> Backtest:
    """Return what windows that were judged again come to."""
    known = {one.window: one for one in found if not one.why}

    def work(tx: Tx) -> tuple[list[Window], list[Alarm]]:
        line = windows.list_windows(tx, endpoint, limit=MOST)[::-1]
        raised = alarms.list_alarms(tx, endpoint, limit=MOST)
        ours = [one for one in raised if one.kind in ("drift", "score_drift", "quality", "joint")]
        return [one for one in line if one.id in known], ours

    line, raised = ws.read(Permission.READ, work)
    what = ", ".join(f"{key} {value:g}" for key, value in sorted(changes.items()))
    verdicts = {name: list(one.subjects) for name, one in known.items()}
    reasons = {
        (name, subject): why
        for name, one in known.items()
        for subject, why in one.subjects.items()
    }
    return backtest.of_verdicts(what, endpoint, line, verdicts, raised, reasons)


def _again(
    ws: Workspace, spec: LoopSpec, policy: MonitorPolicy, stands: Stands, name: str
) -> Rejudged:
    def look(tx: Tx) -> tuple[Window, Any]:
        window = windows.get(tx, name)
        return window, stands.of(tx, spec, window.version, window.start)

    window, standing = ws.read(Permission.READ, look)
    if standing is None:
        return Rejudged(window=name, end=window.end, subjects={}, why="Nobody answered in it.")
    frame = capture.read(ws.captures(spec.endpoint), window.start, window.end)
    if frame.height == 0:
        why = "Its rows are no longer kept."
        return Rejudged(window=name, end=window.end, subjects={}, why=why)
    own = ws.read(Permission.READ, lambda tx: own_rows(tx, spec, frame, standing))
    _, raised = judge.judge_inputs(
        own,
        standing.baseline,
        standing.signature,
        policy,
        (window.start, window.end),
        spec.endpoint,
        standing.version,
        earlier=standing.earlier,
        reference=stands.reference(standing),
        score=stands.score(standing),
    )
    raised = rules.repeated(raised, standing.earlier, policy)
    return Rejudged(
        window=name,
        end=window.end,
        subjects={f"{one.kind}:{one.subject}": one.reason for one in raised},
    )
