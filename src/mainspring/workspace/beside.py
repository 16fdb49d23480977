"""Do for monitors what needs a model's package or a process of its own."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from mainspring.ground.objects import CustomMonitor, LoopSpec
from mainspring.ground.ports import Outcome
from mainspring.monitoring.sight import Paths
from mainspring.scaling.models import package
from mainspring.scaling.models.features import compile_features
from mainspring.scaling.models.model import typed
from mainspring.workspace import calling
from mainspring.workspace.evidence import Models

if TYPE_CHECKING:
    from mainspring.workspace.opening import Workspace


def both_paths(
    ws: Workspace, models: Models, digest: str, rows: pl.DataFrame, estimator: bool
) -> Paths:
    """Return features of raw rows by the path of training and that of serving.

    With ``estimator`` the fitted estimator scores them as well, in a child process.

    Raises:
        BadInputError: if the model does not take these rows.
    """
    signature = package.signature(digest, ws.objects)
    features = compile_features(package.features(digest, ws.objects), signature.columns)
    trained = features.apply(typed(rows, signature.columns))
    served = models.features(digest, rows)
    if not estimator:
        return Paths(trained=trained, served=served)
    with _on_disk(ws, rows.select([column.name for column in signature.columns])) as path:
        told = calling.child(ws, "estimator", {"package": digest, "rows": str(path)})
    scores = np.asarray(told["scores"], dtype=np.float64).reshape(rows.height, -1)
    return Paths(trained=trained, served=served, scores=scores)


def run_custom(
    ws: Workspace, spec: LoopSpec, custom: CustomMonitor, rows: pl.DataFrame
) -> Outcome:
    """Run one of the project's own monitors on rows, in a process of its own."""
    with _on_disk(ws, rows) as path:
        payload = {"root": spec.root, "target": custom.target, "rows": str(path)}
        return calling.call(
            ws, "monitor", payload, root=spec.root or None, timeout_s=custom.timeout_s
        )


@contextmanager
def _on_disk(ws: Workspace, rows: pl.DataFrame) -> Iterator[Path]:
    """Give rows as a file to a child: not an object, for nobody asks for it again."""
    run = ws.home / "run"
    run.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="window-", dir=run) as folder:
        path = Path(folder) / "rows.parquet"
        rows.write_parquet(path)
        yield path
