"""What a child process does for a training set: ask the project's source, look at the rows."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl

from mainspring.ground.errors import BadInputError, ProjectError
from mainspring.ground.objects import Signature
from mainspring.ground.ports import Objects
from mainspring.ground.training import window
from mainspring.retraining import leaks, windows
from mainspring.retraining.assemble import bare
from mainspring.workspace import profiling


def is_function(source: str) -> bool:
    """Return whether a source names a function of the project, and not a file.

    >>> is_function("project:rows"), is_function("data/rows.csv")
    (True, False)
    """
    module, colon, name = source.partition(":")
    return bool(colon) and all(part.isidentifier() for part in (*module.split("."), name))


def source(payload: dict[str, Any], objects: Objects) -> dict[str, Any]:
    """Return the rows of the user's source between two event times, kept as Parquet.

    Raises:
        ProjectError: if the function raises, or returns no table.
        BadInputError: if the file cannot be read.
    """
    named, root = payload["source"], Path(payload["root"])
    if is_function(named):
        frame = _called(named, root, float(payload["since"]), float(payload["until"]))
    else:
        from mainspring.workspace.tables import read

        frame = read(root / named, "source")
    return {"rows": kept(frame, objects), "height": frame.height}


def examined(payload: dict[str, Any], objects: Objects) -> dict[str, Any]:
    """Look for leaks, try the windows, and keep the rows that are to be trained on.

    ``training`` and ``fresh`` are the frames of ``assemble.split``; ``pairs`` rows that both a
    source and the captures hold. What comes back are digests and plain records.
    """
    training, fresh = frame(payload["training"], objects), frame(payload["fresh"], objects)
    signature = msgspec.convert(payload["signature"], Signature)
    pairs = frame(payload["pairs"], objects) if payload.get("pairs") else None
    found = leaks.look(training, fresh, signature, pairs)
    before = training.height
    if any(one.kind == "twins" for one in found):
        columns = [c.name for c in signature.columns if c.name in training.columns]
        training = training.filter(~leaks.twins(training, fresh, [*columns, signature.target]))
    choice = windows.choose(training, fresh, signature, payload["features"], payload["windows"])
    chosen = window(choice.name)
    counts = windows.weights(training, chosen)
    inside = counts > 0
    rows, counts = training.filter(pl.Series(inside)), counts[inside]
    told: dict[str, Any] = {"weights": None, "thinned": None}
    if chosen.half_life_s is not None:
        told["weights"] = kept(pl.DataFrame({"weight": counts}), objects)
        told["thinned"] = kept(bare(windows.thinned(rows, counts, payload["training"])), objects)
    plain = bare(rows)
    profile = objects.put(profiling.encode(profiling.profile(plain)))
    return {
        **told,
        **_spans(rows, fresh),
        "leaks": msgspec.to_builtins(found),
        "choice": msgspec.to_builtins(choice),
        "training": kept(plain, objects),
        "rows": plain.height,
        "twins": before - training.height,
        "profile": profile,
        "columns": [{"name": n, "type": str(k)} for n, k in plain.schema.items()],
    }


def kept(rows: pl.DataFrame, objects: Objects) -> str:
    """Keep a frame as Parquet and return its digest; the same rows give the same one."""
    buffer = io.BytesIO()
    rows.write_parquet(buffer, compression="zstd")
    return objects.put(buffer.getvalue())


def frame(digest: str, objects: Objects) -> pl.DataFrame:
    """Return rows that were kept as Parquet."""
    return pl.read_parquet(io.BytesIO(objects.get(digest)))


def _called(named: str, root: Path, since: float, until: float) -> pl.DataFrame:
    from mainspring.experiments.tabular import frame_of
    from mainspring.pipelines import project

    module, name = project.split_target(named)
    function = project.attribute(project.import_module(root, module), name)
    if not callable(function):
        raise ProjectError(f"The source {named} is no function.", field="source")
    with project.users_errors(f"The source {named} failed"):
        answer = function(since, until)
    try:
        return frame_of(answer, "source")
    except BadInputError as error:
        raise ProjectError(f"The source {named} returned no table: {error.message}") from error


def _spans(rows: pl.DataFrame, fresh: pl.DataFrame) -> dict[str, Any]:
    """Return from when to when rows are, and how many were captured."""
    times = rows["_time"].to_numpy().astype(np.float64)
    dated = times[np.isfinite(times)]
    captured = rows["_version"].is_not_null().sum() if "_version" in rows.columns else 0
    new = fresh["_time"].to_numpy().astype(np.float64)
    return {
        "start": float(dated.min()) if dated.size else None,
        "end": float(dated.max()) if dated.size else None,
        "fresh_start": float(new.min()),
        "fresh_end": float(new.max()),
        "by_source": {"captured": int(captured), "source": rows.height - int(captured)},
    }
