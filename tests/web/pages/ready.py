"""What the pages of readiness and debt show, written beside the told story of flights.

Version 5 is champion, its gate names what shows it; version 4 was refused and let in past its
gate; the model goes away; replays, a score that rose, and two scans of debt are kept. Names and
sentences are hostile wherever a script or a caller could have chosen them.
"""

from __future__ import annotations

import msgspec
from pages_records import LOOP, NOW, START

from mainspring.debt import consumers, ledger
from mainspring.debt.findings import DebtFinding, finding
from mainspring.debt.scan import standing
from mainspring.debt.score.table import TESTS
from mainspring.ground.gates import CheckResult
from mainspring.ground.objects import DAY_S, Decision, Deprecation, Evidence
from mainspring.ground.ports import Tx
from mainspring.readiness import decisions, evidence, gate

EVIL = "<img src=x onerror=window.owned=1>\"'{{ 7*7 }}"
LOAD = "ev_load"


def furnish(tx: Tx) -> None:
    """Write all of it into a home that has the story."""
    _gates(tx)
    given = decisions.override(tx, LOOP, 4, f"The demo goes on. {EVIL}", START)
    decisions.record(
        tx,
        Decision(
            id="decision_override", at=NOW, made=NOW, kind="override", subject=f"{LOOP}/4",
            reason=given.reason, by=given.by, loop=LOOP,
        ),
    )  # fmt: skip
    _evidence(tx)
    _replays(tx)
    _scores(tx)
    _debt(tx)


def _evidence(tx: Tx) -> None:
    for number in range(3):
        _keep(
            tx,
            LOAD if number == 0 else f"ev_load_{number}",
            "load",
            f"{LOOP}/5",
            f"p95 {number + 4}.2 ms at 40 requests a second. {EVIL}",
            passed=True,
            code="c0de" * 16,
            detail={
                "p95_ms": 4.2,
                EVIL: EVIL,
                "steps": [{"rate": 10, "p95": 3.9}, {"rate": 40, "p95": 4.2, "note": EVIL}],
                "nested": {"of": {EVIL: [1, 2]}},
            },
            opens=[
                "run:run_005", "gate:g", "alarm:gone", "artifact:" + "ab" * 32,
                "//elsewhere.example/x", "/\\elsewhere.example", "javascript:alert(1)", EVIL,
            ],
        )  # fmt: skip


def _gates(tx: Tx) -> None:
    checks = [
        CheckResult(
            name="load",
            passed=True,
            found="p95 4.2 ms",
            wanted="at most 20 ms",
            evidence={"p95_ms": 4.2, "of": EVIL},
            opens=[f"evidence:{LOAD}", "run:run_005"],
        ),
        CheckResult(name=EVIL, passed=True, found=EVIL, wanted=EVIL, opens=[EVIL]),
    ]
    gate.store_result(tx, gate.result(LOOP, 5, checks, NOW, "engine"))
    refused = [msgspec.structs.replace(checks[0], passed=False, found="p95 96 ms")]
    gate.store_result(tx, gate.result(LOOP, 4, refused, NOW, "engine"))


def _replays(tx: Tx) -> None:
    contenders = [
        {"policy": name, "mean": mean, "retrainings": n, "promotions": n, "gain": gain,
         "gain_low": gain - 0.002, "gain_high": gain + 0.002}
        for name, mean, n, gain in (
            ("static", 0.70, 0, 0.0), ("every-period", 0.764, 30, 0.0121),
            ("declared", 0.761, 6, 0.0117), (EVIL, None, 2, 0.001),
        )
    ]  # fmt: skip
    told = "The loop would have lost 0.0117 less a row than a model never trained again."
    detail = {"loop": LOOP, "metric": "auc", "higher_is_better": True, "policies": contenders}
    _keep(tx, "ev_simulation", "simulation", f"model:{LOOP}", told, detail=detail)
    ages = [
        {"periods": n, "days": 7.0 * n, "rise": 0.002 * n, "low": 0.001 * n, "high": 0.003 * n,
         "n": 20 - n}
        for n in range(10)
    ]  # fmt: skip
    aged = "At 63 days a model loses 0.0180 a row more than a young one."
    detail = {"loop": LOOP, "ages": ages, "tolerance": 0.01}
    _keep(tx, "ev_staleness", "staleness", f"model:{LOOP}", aged, detail=detail)
    _keep(tx, "ev_other", "staleness", f"model:{LOOP}", "Another loop's.", detail={"loop": "x"})


def _scores(tx: Tx) -> None:
    for place, done in enumerate((4, 9, 16)):
        points = {one.number: float(n < done) for n, one in enumerate(TESTS)}
        sums: dict[str, float] = {}
        for name, value in points.items():
            sums[name.split()[0]] = sums.get(name.split()[0], 0.0) + value
        detail = {"score": float(place), "sums": sums, "points": points}
        _keep(tx, f"ev_score_{place}", "score", f"model:{LOOP}", "A score.", detail=detail)


def findings() -> list[DebtFinding]:
    """Return what both scans found."""
    return [
        finding("no_owner", "high", LOOP, "card", found="No owner.", cost="Calls.", todo="Name."),
        finding(
            "untested_step", "low", "project", f"{EVIL}:17", found=EVIL, cost=EVIL, todo=EVIL,
            evidence={EVIL: EVIL}, opens=["run:run_005", EVIL],
        ),
        finding(
            "stale_alias", "medium", f"{LOOP}/5", "champion", found="Nobody moves it.",
            cost="Age.", todo="Look at it.",
        ),
    ]  # fmt: skip


def _debt(tx: Tx) -> None:
    found, now = findings(), tx.now()
    ledger.record(tx, standing(found, {}, now), ["The project was not there."], "", now)
    until = now + 90 * DAY_S
    ledger.accept(tx, found[2].id, until, f"The new feed comes in spring. {EVIL}", now)
    ledger.record(tx, standing(found, ledger.accepted(tx), now), [], "", now + 60)
    gone = Deprecation(
        subject=f"model:{LOOP}",
        since=now,
        until=now + 30 * DAY_S,
        reason=f"It goes. {EVIL}",
        by="",
    )
    consumers.deprecate(tx, gone)


def _keep(
    tx: Tx,
    name: str,
    kind: str,
    subject: str,
    found: str,
    *,
    passed: bool | None = None,
    code: str = "",
    detail: dict[str, object] | None = None,
    opens: list[str] | None = None,
) -> None:
    evidence.record(
        tx,
        Evidence(
            id=name, kind=kind, subject=subject, passed=passed, found=found, at=tx.now(),
            by="engine", code=code, detail=detail or {}, opens=opens or [],
        ),
    )  # fmt: skip
