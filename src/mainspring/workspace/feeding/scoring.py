"""Score a file with a version of ours, and watch the scored rows like traffic."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from mainspring.ground.errors import BadInputError
from mainspring.ground.objects import Signature, Version
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.readiness import registry
from mainspring.scaling.models import load
from mainspring.scaling.serving import endpoints
from mainspring.workspace.feeding import reading, taking
from mainspring.workspace.feeding.naming import Columns
from mainspring.workspace.feeding.shaping import settled
from mainspring.workspace.opening import Workspace

SCORE, VERSION = "score", "model_version"


def score_file(
    ws: Workspace,
    reference: str,
    file: Path,
    out: Path,
    *,
    endpoint: str | None = None,
    tell: reading.Progress | None = None,
) -> dict[str, Any]:
    """Write the rows of a file with the scores of a version beside them; return what was done.

    ``out`` ends with .csv or .parquet and appears whole or not at all. It has the columns of the
    file, ``score`` (several classes: ``score_CLASS``) and ``model_version``. With ``endpoint``
    the scored rows are fed to that monitor as one batch, named by their content.

    Raises:
        NotFoundError: if there is no such version or monitor.
        BadInputError: naming the row that the version cannot score.
    """
    version, model = _version(ws, reference, endpoint)
    if out.suffix.lower() not in (".csv", ".parquet"):
        raise BadInputError(f"{out} ends neither with .csv nor with .parquet.", field="out")
    served = load.load(version.package, ws.objects)
    names = _score_names(version.signature)
    parts = []
    for part in reading.parts(file, tell=tell):
        rows = part.drop(reading.LINE)
        taken = {*names, VERSION} & set(rows.columns)
        if taken:
            raise BadInputError(f"{file} has a column {min(taken)!r} already.", field=min(taken))
        typed = pl.DataFrame(
            [
                settled(rows[column.name], column.type)
                for column in version.signature.columns
                if column.name in rows.columns
            ]
        )
        scores = np.asarray(served.score(typed), dtype=np.float64)
        scores = scores.reshape(rows.height, -1)
        parts.append(
            rows.with_columns(
                *(pl.Series(name, scores[:, at]) for at, name in enumerate(names)),
                pl.Series(VERSION, [str(version.number)] * rows.height),
            )
        )
    if not parts:
        raise BadInputError(f"{file} has no rows.", field="file")
    scored = pl.concat(parts, how="diagonal_relaxed")
    _put(scored, out)
    found: dict[str, Any] = {
        "rows": scored.height,
        "version": f"{model}/{version.number}",
        "out": str(out),
    }
    if endpoint is not None:
        columns = Columns(score=names, version=VERSION)
        fed = taking.feed(ws, endpoint, out, columns=columns)
        found |= {"endpoint": endpoint, "batch": fed.batch, "again": fed.again}
    return found


def _version(ws: Workspace, reference: str, endpoint: str | None) -> tuple[Version, str]:
    def work(tx: Tx) -> Version:
        found = registry.resolve(tx, reference)
        if endpoint is not None:
            place = endpoints.get(tx, endpoint)
            if place.model != found.model:
                raise BadInputError(
                    f"{endpoint} watches {place.model}, not {found.model}.",
                    field="endpoint",
                    hint="Make it a monitor: mainspring monitor create NAME --baseline"
                    f" {found.model}/{found.number}",
                )
        return found

    found = ws.read(Permission.READ, work)
    return found, found.model


def _score_names(signature: Signature) -> list[str]:
    if signature.kind == "multiclass":
        return [f"{SCORE}_{name}" for name in signature.classes]
    return [SCORE]


def _put(rows: pl.DataFrame, out: Path) -> None:
    part = out.with_name(f".{out.name}.{os.getpid()}.part")
    try:
        if out.suffix.lower() == ".csv":
            rows.write_csv(part)
        else:
            rows.write_parquet(part)
        part.replace(out)
    except OSError as error:
        raise BadInputError(f"{out} cannot be written: {error}.", field="out") from error
    finally:
        part.unlink(missing_ok=True)
