"""What a loop hears of rules, and what it does not."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from homes import LOOP, NOW, settle, work_as_engine

from mainspring.ground.objects import DAY_S, Finding, Window
from mainspring.ground.permissions import Permission
from mainspring.ground.rules import AlarmRule
from mainspring.monitoring import alarms, groups, windows
from mainspring.readiness import decisions
from mainspring.workspace import acts
from mainspring.workspace.alarming import verbs
from mainspring.workspace.opening import Workspace


def keep(ws: Workspace, place: int, *found: tuple[str, float], version: int = 1) -> None:
    start = NOW + place * DAY_S
    one = Window(
        id=f"tide:{place}", endpoint="tide", start=start, end=start + DAY_S, rows=9,
        version=version,
        found=[Finding(monitor="drift", subject=s, value=v, verdict="alarm") for s, v in found],
    )  # fmt: skip
    work_as_engine(ws, lambda tx: windows.save(tx, one))
    settle(ws, scanning=True)


def decided(ws: Workspace) -> list[str]:
    found = ws.read(Permission.READ, lambda tx: decisions.list_decisions(tx, loop="tide"))
    return [one.reason for one in found]


def test_a_rule_asks_for_a_new_version_only_if_it_says_so(
    served: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # where the loop's project would be looked for
    verbs.put_rule(served, AlarmRule(name="told", endpoint="tide", series="drift:a", above=0.1))
    keep(served, 0, ("a", 0.4))
    before = decided(served)
    assert not any("rule:" in reason for reason in before)
    verbs.put_rule(
        served,
        AlarmRule(name="asks", endpoint="tide", series="drift:b", above=0.1, then="retrain"),
    )
    keep(served, 1, ("a", 0.4), ("b", 0.4))
    new = [reason for reason in decided(served) if reason not in before]
    assert any("rule:asks asked" in reason and "drift:b" in reason for reason in new)
    open_ = served.read(Permission.READ, alarms.open_alarms)
    assert [(one.kind, one.subject) for one in open_] == [("rule", "told"), ("rule", "asks")]


def test_a_policy_names_sources_and_a_new_version_is_a_cause(served: Workspace) -> None:
    monitor = msgspec.structs.replace(LOOP.monitor, sources={"sensors": ["a"], "shop": ["b"]})
    acts.declare(served, msgspec.structs.replace(LOOP, monitor=monitor))
    keep(served, 0)
    keep(served, 1, ("a", 0.4), ("b", 0.4))
    keep(served, 2, ("a", 0.4), ("b", 0.4), ("c", 0.4), version=2)
    found = served.read(Permission.READ, groups.listed)
    assert {one.cause for one in found} == {"source:sensors", "source:shop", "version:2"}
    assert "tide: 1 alarm, since version 2 serves: drift c" in [one.headline for one in found]
