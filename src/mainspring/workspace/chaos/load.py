"""A process that writes rows and labels, and says on its output what was acknowledged.

``python -m mainspring.workspace.chaos.load HOME ROOT SEED`` goes on until it is killed.
Each line is one acknowledgement: ``rows N`` or ``labels N``, with the numbers of this process.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import numpy as np
import polars as pl

from mainspring.engine import reactor
from mainspring.ground.objects import LoopSpec, MonitorPolicy, RetrainingPolicy, Version
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.ground.settings import Settings
from mainspring.readiness import gate, registry
from mainspring.scaling.models import package
from mainspring.scaling.serving import endpoints
from mainspring.scaling.serving.recorder import CaptureWriter
from mainspring.scaling.serving.segments import Batch
from mainspring.workspace import acts
from mainspring.workspace.opening import Workspace, open_workspace

NAME = "chaos"  #: the model, the loop and the endpoint that the load is written for
ROWS = 50  #: a batch
#: Rows of one window, so that a few batches close one.
WINDOW = 200


def furnish(ws: Workspace) -> None:
    """Make a small model with a champion and a watched endpoint, for the load to be written to."""
    from sklearn.linear_model import LogisticRegression

    from mainspring.scaling.models.model import Model

    rng = np.random.default_rng(0)
    rows = pl.DataFrame({"x": rng.normal(size=500), "y": rng.integers(0, 2, 500)})
    fitted = Model(LogisticRegression(), target="y").fit(rows)
    digest, now = package.write(fitted, ws.objects), ws.clock.now()
    version = Version(
        model=NAME,
        number=0,
        run=None,
        package=digest,
        signature=fitted.signature,
        card=None,
        metrics={},
        created=now,
        by=ws.who.name,
    )
    spec = LoopSpec(
        name=NAME,
        model=NAME,
        pipeline="none:none",
        endpoint=NAME,
        target="y",
        kind="binary",
        monitor=MonitorPolicy(window_rows=WINDOW, min_rows=50, label_delay_s=0.0),
        retraining=RetrainingPolicy(on_drift="note", on_performance="note", check_every_s=None),
        fed=True,
        root=ws.settings.root,
    )

    def work(tx: Tx) -> None:
        number = registry.register(tx, version).number
        gate.store_result(tx, gate.result(NAME, number, [], now, "chaos"))
        registry.promote(tx, NAME, number, reason="So that there is traffic.", at=now)
        endpoints.ensure(tx, NAME, NAME, at=now, loop=NAME, kind="fed")
        reactor.declare(tx, spec, now, champion=number)

    ws.write(Permission.ADMIN, work)


def main(arguments: list[str]) -> int:
    """Write until killed."""
    home, root, seed = arguments
    ws = open_workspace(Settings(home=home, root=root))
    writer = CaptureWriter(ws.captures(NAME))
    rng = np.random.default_rng(int(seed))
    while True:
        ids = _rows(ws, writer, rng)
        acts.add_labels(ws, NAME, ids, rng.integers(0, 2, len(ids)).tolist())
        _say("labels", len(ids))
        time.sleep(0.02)


def _rows(ws: Workspace, writer: CaptureWriter, rng: Any) -> list[str]:
    first, now = writer.reserve(ROWS), ws.clock.now()
    batch = Batch(
        first=first,
        received=now,
        times=np.full(ROWS, now) + np.arange(ROWS) * 1e-6,
        columns={"x": rng.normal(size=ROWS)},
        types={"x": "float"},
        versions=np.ones(ROWS, dtype=np.int64),
        scores=rng.random((ROWS, 1)),
    )
    if writer.append(batch) and writer.flush(30.0):
        _say("rows", ROWS)
    return writer.ids(first, ROWS)


def _say(what: str, count: int) -> None:
    sys.stdout.write(f"{what} {count}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
