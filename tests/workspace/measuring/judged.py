"""Register small versions and judge them by hand, through the real measuring."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import polars as pl
from homes import NOW, settle, work_as_engine
from sklearn.linear_model import LinearRegression, LogisticRegression

from mainspring.ground.objects import DAY_S, CheckResult, Evidence, Gate, Version
from mainspring.ground.permissions import Permission
from mainspring.readiness import evidence, gate, registry
from mainspring.scaling.models import package
from mainspring.scaling.models.model import Model
from mainspring.workspace import registering
from mainspring.workspace.opening import Workspace


def world(rows: int, seed: int, start: float = NOW - 40 * DAY_S) -> pl.DataFrame:
    """Return rows of forty days: y follows a and b, in every town alike."""
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(2, rows))
    chance = 1 / (1 + np.exp(-(2.0 * a + b)))
    return pl.DataFrame(
        {
            "a": a,
            "b": b,
            "town": np.array(["north", "south", "west"])[np.arange(rows) % 3],
            "sex": np.array(["f", "m"])[np.arange(rows) // 2 % 2],
            "y": (rng.random(rows) < chance).astype(int),
            "z": a + 2 * b + rng.normal(0, 0.3, rows),
            "t": start + np.sort(rng.random(rows)) * 40 * DAY_S,
        }
    )


class House:
    """Short words: register a model, judge it on fresh rows, read what was found."""

    def __init__(self, ws: Workspace) -> None:
        self.ws = ws

    def keep(self, frame: pl.DataFrame) -> str:
        out = io.BytesIO()
        frame.write_parquet(out)
        return self.ws.objects.put(out.getvalue())

    def register(
        self,
        rows: pl.DataFrame,
        estimator: Any = None,
        target: str = "y",
        kept: pl.DataFrame | None = None,
        kind: str | None = None,
        **given: Any,
    ) -> int:
        """Register a version that learnt from rows; ``kept`` is what is kept of them."""
        kind = kind or ("regression" if target == "z" else "binary")
        usual = LinearRegression() if kind == "regression" else LogisticRegression()
        asked = {"columns": ["a", "b"], "time": "t"} | given
        fitted = Model(estimator or usual, target, kind, **asked).fit(  # type: ignore[arg-type]
            rows.head(rows.height * 4 // 5), holdout=rows.tail(rows.height // 5)
        )
        digest = package.write(fitted, self.ws.objects)
        version = Version(
            model="tide",
            number=0,
            run=None,
            package=digest,
            signature=fitted.signature,
            card=None,
            metrics=fitted.metrics,
            created=NOW,
            by="test",
            data={"train.rows": self.keep(rows if kept is None else kept)},
            trained_until=float(rows["t"].max()),
            command=f"made-{digest[:12]}",
        )
        return work_as_engine(self.ws, lambda tx: registry.register(tx, version)).number

    def promote(self, number: int) -> None:
        def work(tx: Any) -> None:
            found = [CheckResult(name="auc", passed=True, found="0.8", wanted="0.7")]
            gate.store_result(tx, gate.result("tide", number, found, NOW, "engine"))
            registry.promote(tx, "tide", number, reason="First.", at=NOW)

        work_as_engine(self.ws, work)

    def judge(
        self, number: int, rows: pl.DataFrame, policy: Gate, target: str = "y"
    ) -> dict[str, CheckResult]:
        """Return what every check of a gate by hand found, by name."""
        told = registering.judge(self.ws, "tide", number, rows.to_dicts(), target, policy, None)
        settle(self.ws)
        ended = registering.judging(self.ws, told)
        assert ended.result is not None, ended.error
        (newest, *_) = self.ws.read(Permission.READ, lambda tx: gate.results(tx, "tide", number))
        return {check.name: check for check in newest.checks}

    def evidence(self, number: int, kind: str) -> Evidence | None:
        subject = f"tide/{number}"
        return self.ws.read(Permission.READ, lambda tx: evidence.newest(tx, kind, subject))


def failed(checks: dict[str, CheckResult]) -> list[str]:
    """Return the names of the checks that refused."""
    return [name for name, check in checks.items() if not check.passed]
