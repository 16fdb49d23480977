"""A home with a small model of ours in it, and rows for it to score."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
from sklearn.linear_model import LogisticRegression

from mainspring.ground.objects import Version
from mainspring.ground.permissions import Permission
from mainspring.readiness import registry
from mainspring.scaling.models import package
from mainspring.scaling.models.model import Model
from mainspring.workspace.opening import Workspace

INPUTS = ["income", "debts", "sex"]


def loans(rows: int, seed: int, shift: float = 0.0, *, several: bool = False) -> pl.DataFrame:
    """Return rows with their truth: ``paid`` or, of several, what became of the loan."""
    rng = np.random.default_rng(seed)
    income, sex = rng.normal(shift, 1, rows), rng.choice(["f", "m"], rows)
    debts = rng.integers(0, 9, rows)
    better = 2 * income - (debts - 4) / 4 + rng.normal(0, 0.3, rows)
    if several:
        truth = np.where(better < -1, "lost", np.where(better < 1, "late", "paid"))
    else:
        truth = better > 0
    return pl.DataFrame(
        {
            "nr": [f"L{seed}-{n}" for n in range(rows)],
            "income": income,
            "debts": debts,
            "sex": sex,
            "paid": truth,
        }
    )


def add_version(ws: Workspace, model: str = "loans", *, several: bool = False) -> str:
    """Train a model, register it, and return how it is called."""
    rows = loans(600, 1, several=several)
    kind = "multiclass" if several else "binary"
    features = {"man": "cast(sex = 'm' as double)", "income": "income", "debts": "debts"}
    made = Model(LogisticRegression(), "paid", kind, columns=INPUTS, features=features)
    fitted = made.fit(rows.head(400), holdout=rows.tail(200))
    version = Version(
        model=model,
        number=0,
        run=None,
        package=package.write(fitted, ws.objects),
        signature=fitted.signature,
        card=None,
        metrics=fitted.metrics,
        created=ws.clock.now(),
        by="owner",
    )
    found = ws.write(Permission.ADMIN, lambda tx: registry.register(tx, version))
    return f"{model}/{found.number}"


def add_version_in(home: Path) -> str:
    """Do it in a home that is opened for it alone."""
    from mainspring.ground.settings import Settings
    from mainspring.workspace.opening import open_workspace

    ws = open_workspace(Settings(root=str(home.parent), home=str(home)))
    try:
        return add_version(ws)
    finally:
        ws.close()
