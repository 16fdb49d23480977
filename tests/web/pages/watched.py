"""A home whose endpoints are watched: judged windows, kept rows, a baseline, every monitor's word.

``loans`` drifts in one column from its fifth window on, loses quality there, treats one facet
otherwise, and has two windows whose labels are not mature; its columns have hostile names.
``calm`` does not drift. ``empty`` has never been asked.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import polars as pl

from mainspring.engine import reactor
from mainspring.ground import identity
from mainspring.ground.objects import (
    DAY_S,
    Alarm,
    Column,
    Finding,
    LoopSpec,
    Profile,
    Signature,
    Version,
    Window,
)
from mainspring.ground.permissions import Permission, service
from mainspring.ground.ports import Tx
from mainspring.monitoring import alarms, windows
from mainspring.monitoring.judge import judge_inputs
from mainspring.numerics.profiles import profile_columns, profile_scores
from mainspring.readiness import gate, registry
from mainspring.scaling.models.package import FORMAT, Manifest
from mainspring.scaling.serving import endpoints
from mainspring.scaling.serving.segments import Batch, Span, encode, sealed_name
from mainspring.workspace.alarming import evaluating
from mainspring.workspace.opening import Workspace

START = 1_767_571_200.0  # Monday, 5 January 2026
WINDOW = DAY_S
WINDOWS = 10
MOVES_AT = 5  # the window from which on loans drifts
ROWS = 700
EVIL = "<img src=x onerror=window.owned=1>\"'{{ 7*7 }}"
NUMBERS = ["amount", "age", EVIL]


def furnish(ws: Workspace) -> None:
    """Write the whole of it into an empty home."""
    for name in ("calm", "loans"):
        _endpoint(ws, name)
    ws.store.write(
        service("engine"),
        Permission.WORK,
        lambda tx: endpoints.ensure(tx, "empty", "loans", at=START),
    )


def _rows(seed: int, rows: int, moved: float) -> pl.DataFrame:
    draw = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "amount": np.exp(draw.normal(6 + moved, 0.8, rows)),
            "age": draw.integers(18, 80, rows).astype(float),
            EVIL: draw.normal(0, 1, rows),
            "region": draw.choice(["north", "south", "</td><b>east"], rows, p=[0.5, 0.4, 0.1]),
        }
    )


def _scores(frame: pl.DataFrame) -> np.ndarray[Any, np.dtype[np.float64]]:
    return 1 / (1 + np.exp(-(np.log(frame["amount"].to_numpy()) - 6)))


def _signature() -> Signature:
    columns = [Column(name=name, type="float") for name in NUMBERS]
    columns.append(Column(name="region", type="str"))
    return Signature(columns=columns, kind="binary", target="late", classes=["no", "yes"])


def _baseline() -> Profile:
    frame = _rows(99, 5000, 0.0)
    shares = {"amount": 0.6, "age": 0.2, EVIL: 0.1, "region": 0.1}
    columns = profile_columns({name: frame[name] for name in frame.columns}, shares)
    score = profile_scores(_scores(frame))
    return Profile(rows=5000, columns=columns, score=score, loss=0.14, metrics={"auc": 0.8})


def _package(ws: Workspace, baseline: Profile) -> str:
    """Keep what the pages read of a version's package: its profile."""
    files = {"profile.json": ws.objects.put(identity.canonical(baseline))}
    return ws.objects.put(identity.canonical(Manifest(format=FORMAT, files=files)))


def _endpoint(ws: Workspace, name: str) -> None:
    baseline = _baseline()
    package = _package(ws, baseline)
    judged = [_window(ws, name, number, baseline) for number in range(WINDOWS)]

    def work(tx: Tx) -> None:
        version = Version(
            model=name, number=1, run=None, package=package, signature=_signature(), card=None,
            metrics={"auc": 0.8}, created=START, by="engine", cause="first",
            trained_until=START - 20 * DAY_S,
        )  # fmt: skip
        registry.register(tx, version)
        gate.store_result(tx, gate.result(name, 1, [], START, "engine"))
        registry.promote(tx, name, 1, reason="The first version.", at=START)
        endpoints.ensure(tx, name, name, at=START, loop=name)
        spec = LoopSpec(
            name=name, model=name, pipeline="project:train", endpoint=name, target="late",
            kind="binary",
        )  # fmt: skip
        reactor.declare(tx, spec, at=START)
        for window, raised in judged:
            windows.save(tx, window)
            for one in raised:
                alarms.raise_(tx, one)
        if name == "loans":
            _told_alarms(tx, judged[-3][0])
        waiting = [(place, window.id) for place, (window, _) in enumerate(judged)]
        looked = evaluating.look(tx, name, waiting)
        evaluating.put(tx, name, waiting, looked, START + WINDOWS * WINDOW)

    ws.store.write(service("engine"), Permission.WORK, work)


def _told_alarms(tx: Tx, window: Window) -> None:
    for kind, subject, reason in (
        ("performance", "loss", "Mean loss 0.1902 on 640 labelled rows; 0.1500 is tolerated."),
        ("bias", "region = south", f"2 of 9 figures lie outside of what is allowed. {EVIL}"),
    ):
        alarms.raise_(
            tx,
            Alarm(
                id=alarms.alarm_id("loans", kind, subject, window.id),
                endpoint="loans",
                kind=kind,  # type: ignore[arg-type]
                subject=subject,
                reason=reason,
                raised=window.end,
                window=window.id,
            ),
        )


def _window(
    ws: Workspace, name: str, number: int, baseline: Profile
) -> tuple[Window, list[Alarm]]:
    moved = 1.0 if name == "loans" and number >= MOVES_AT else 0.0
    start = START + number * WINDOW
    frame = _rows(1000 * len(name) + number, ROWS, moved)
    times = np.linspace(start, start + WINDOW - 1, ROWS)
    _keep(ws, name, number, frame, times)
    seen = frame.with_columns(
        pl.Series("_time", times),
        pl.Series("_version", [1] * ROWS),
        pl.Series("_score", _scores(frame)),
    )
    span = (start, start + WINDOW)
    policy = LoopSpec(
        name=name, model=name, pipeline="p:t", endpoint=name, target="late", kind="binary"
    ).monitor
    window, raised = judge_inputs(seen, baseline, _signature(), policy, span, name, 1)
    performance = None if number >= WINDOWS - 2 else _performance(number, moved)
    found = [*window.found, *_found(number, moved)]
    return (
        msgspec.structs.replace(
            window, performance=performance, found=found, labelled=640 if performance else 0
        ),
        raised,
    )


def _keep(ws: Workspace, name: str, number: int, frame: pl.DataFrame, times: Any) -> None:
    folder = ws.captures(name)
    folder.mkdir(parents=True, exist_ok=True)
    columns: dict[str, Any] = {one: frame[one].to_numpy() for one in NUMBERS}
    columns["region"] = frame["region"].to_list()
    batch = Batch(
        first=number * ROWS,
        received=float(times[-1]),
        times=times,
        columns=columns,
        types={**dict.fromkeys(NUMBERS, "float"), "region": "str"},
        versions=np.ones(ROWS, dtype=np.int64),
        scores=_scores(frame).reshape(-1, 1),
    )
    span = Span(float(times[0]), float(times[-1]), ROWS)
    (folder / sealed_name(f"s{number:04d}", span)).write_bytes(encode([batch], "boot"))


def _interval(value: float, half: float) -> dict[str, Any]:
    return {"estimate": value, "low": value - half, "high": value + half, "n": 640}


def _performance(number: int, moved: float) -> dict[str, Any]:
    loss = 0.14 + 0.05 * moved + 0.001 * (number % 3)
    own = {
        "rows": 640,
        "loss": _interval(loss, 0.008),
        "metrics": {"auc": _interval(0.9 - loss, 0.02), "accuracy": _interval(0.95 - loss, 0.02)},
    }
    return {
        **own,
        "version": 1,
        "coverage": _interval(0.914, 0.02),
        "mature_at": START + (number + 4) * WINDOW,
        "baseline_loss": 0.14,
        "line": 0.15,
        "lower_bound": loss - 0.01,
        "verdict": "alarm" if moved else "quiet",
        "why": f"Mean loss {loss:.4f} on 640 labelled rows (91.4 % of the window).",
        "undefined": {},
        "by_version": {"1": own},
    }


def _found(number: int, moved: float) -> list[Finding]:
    """Return what the other monitors would say, in the shapes that they use."""
    guess = 0.142 + 0.03 * moved
    found = [
        Finding(
            monitor="estimate", subject="loss", value=guess, low=guess - 0.02, high=guess + 0.02,
            baseline=0.14, line=0.15, rows=ROWS, verdict="notice" if moved else "quiet",
            why="It was +0.0120 off in 5 labelled windows.", detail={"past_error": 0.012},
        ),
        Finding(
            monitor="joint", subject=f"amount ~ {EVIL}", value=-0.4 * moved, baseline=0.3,
            rows=ROWS, verdict="notice" if moved else "quiet", why="They move together otherwise.",
        ),
    ]  # fmt: skip
    for metric, value in (("DPPL", 0.04 + 0.15 * moved), ("DI", 0.9 - 0.2 * moved)):
        allowed = [0.8, 1.25] if metric == "DI" else [-0.1, 0.1]
        found.append(
            Finding(
                monitor="bias", subject=f"region = south/{metric}", value=value,
                low=value - 0.03, high=value + 0.03, baseline=0.03, rows=ROWS,
                verdict="notice" if moved else "quiet", why=f"What {metric} says.",
                detail={"metric": metric, "allowed": allowed},
            )
        )  # fmt: skip
    found.append(
        Finding(
            monitor="bias", subject="region = south", value=2.0 * moved, line=1.0, rows=ROWS,
            verdict="alarm" if moved else "quiet",
            why=f"{2 * int(moved)} of 2 figures lie outside of what is allowed.",
        )
    )  # fmt: skip
    if number >= WINDOWS - 2:
        return found
    bins = [[64, 0.05 + 0.1 * n, 0.05 + 0.1 * n + 0.06 * moved] for n in range(10)]
    return [
        *found,
        Finding(
            monitor="calibration", subject="ece", value=0.02 + 0.06 * moved, baseline=0.02,
            rows=640, verdict="notice" if moved else "quiet", why="Said and came are apart.",
            detail={"bins": bins, "expected": 0.02},
        ),
        Finding(
            monitor="slice", subject=f"region = {EVIL}", value=0.16 + 0.1 * moved, low=0.14,
            high=0.3, baseline=0.15, rows=90, verdict="alarm" if moved else "quiet",
            why="Mean loss on 90 rows.", detail={"of_all": 0.15, "share": 0.14},
        ),
    ]  # fmt: skip
