"""A prediction at the end of a chain from a version of data, beside as many runs as asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from mainspring.experiments import datasets, runs
from mainspring.experiments.datasets import Dataset, Use
from mainspring.ground.objects import CheckResult, Column, Run, RunStatus, Signature, Version
from mainspring.ground.permissions import Permission, service
from mainspring.ground.ports import Tx
from mainspring.pipelines.tables import steps
from mainspring.readiness import gate, registry
from mainspring.scaling.serving import endpoints
from mainspring.scaling.serving.recorder import CaptureWriter
from mainspring.scaling.serving.segments import Batch
from mainspring.workspace.data import adding
from mainspring.workspace.opening import Workspace

DAY = 86_400.0
AT = 19_675 * DAY  # 14 Nov 2023, 00:00
FRAME, CLEAN, MODEL = "f" * 64, "e" * 64, "ab" * 32
#: Hours before AT at which a row was answered: four on one day, three on the day before.
HOURS = (1, 2, 3, 4, 25, 26, 27)


def furnish(ws: Workspace, wide: int = 0) -> list[str]:
    """Write it and return the ids of the predictions, the newest first.

    Each of ``wide`` runs read the same data, and made a version that serves nothing.
    """
    file = Path(ws.settings.root) / "flights.csv"
    file.write_text("x\n1\n")
    digest = adding.add(ws, file, name="flights").digest
    ws.store.write(service("engine"), Permission.WORK, lambda tx: _chain(tx, digest, wide))
    writer = CaptureWriter(ws.captures("arrivals"))
    batch = Batch(
        first=writer.reserve(len(HOURS)), received=AT, times=AT - 3600.0 * np.array(HOURS),
        columns={"x": np.ones(len(HOURS))}, types={"x": "float"},
        versions=np.ones(len(HOURS), dtype=int), scores=np.full((len(HOURS), 1), 0.5),
        other_versions=None, other_scores=None,
    )  # fmt: skip
    assert writer.append(batch)
    writer.close()
    from mainspring.scaling.serving import capture

    return list(capture.read(ws.captures("arrivals")).sort("_time", descending=True)["_id"])


def _chain(tx: Tx, digest: str, wide: int) -> None:
    _run(tx, "run_a", digest)
    took = msgspec.json.encode({"rows": FRAME}).decode()
    cleaned = msgspec.json.encode({"rows": CLEAN}).decode()
    rows = [
        _step("run_a", "load", 0, output=FRAME, output_type="frame"),
        _step("run_a", "clean", 1, inputs=took, output=CLEAN, output_type="frame"),
        _step("run_a", "fit", 2, inputs=cleaned, output=MODEL, output_type="model"),
    ]
    _version(tx, "delays", "run_a", MODEL)
    for number in range(wide):
        name = f"run_{number:04}"
        _run(tx, name, digest)
        rows.append(_step(name, "fit", 0, output=f"{number:064}", output_type="model"))
        _version(tx, "rough", name, f"{number:064}")
    tx.run(steps.insert(), rows)
    check = CheckResult(name="auc", passed=True, found="0.8", wanted="0.7")
    gate.store_result(tx, gate.result("delays", 1, [check], AT, "test"))
    registry.promote(tx, "delays", 1, reason="First.", at=AT)
    endpoints.ensure(tx, "arrivals", "delays", at=AT)


def _run(tx: Tx, name: str, digest: str) -> None:
    runs.create(
        tx, Run(id=name, experiment="e", name="train", status=RunStatus.FINISHED, started=AT,
                ended=AT + 5, pipeline="p:train"),
    )  # fmt: skip
    told = Dataset(name="flights", digest=digest, source_type="local",
                   source='{"uri": "/data/flights.parquet"}')  # fmt: skip
    datasets.log(tx, name, [Use(dataset=told, context="training")], AT)


def _step(run: str, name: str, position: int, **more: Any) -> dict[str, Any]:
    return {"run": run, "step": name, "position": position, "pipeline": "p:train",
            "target": "p:s", "args": "{}", "options": "{}", "needs": "[]", "code": "c",
            "code_parts": "{}", "env": "e", "fresh": False, "state": "done", "inputs": "{}",
            **more}  # fmt: skip


def _version(tx: Tx, name: str, run: str, package: str) -> None:
    version = Version(
        model=name, number=0, run=run, package=package, card=None, metrics={},
        signature=Signature(columns=[Column(name="x", type="float")], kind="binary", target="y"),
        created=AT, by="t", command=f"{name}-{run}",
    )  # fmt: skip
    registry.register(tx, version)
