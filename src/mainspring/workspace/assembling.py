"""Gather what a retraining learns from, as it was known at a moment, and write down what it is.

Captures, labels and the user's own source meet here: what came later than the moment is left out,
the newest labelled rows are kept for the gate, and what is left is looked at in a process of its
own. The record of it becomes an artifact of the run, a dataset by name, and evidence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import numpy as np
import polars as pl

from mainspring.experiments import artifacts, datasets
from mainspring.ground.errors import ConflictError
from mainspring.ground.identity import canonical
from mainspring.ground.killpoints import here
from mainspring.ground.objects import DAY_S, Column, LoopSpec, Signature, Version
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.ground.training import ALL, DEFAULT
from mainspring.monitoring import labels
from mainspring.retraining import feedback, sourcing
from mainspring.retraining.assemble import seconds, split
from mainspring.retraining.feedback import Feedback
from mainspring.retraining.training_set import TrainingSet
from mainspring.scaling.models import package
from mainspring.scaling.models.features import type_of
from mainspring.scaling.models.target import classes_of
from mainspring.scaling.serving import capture
from mainspring.workspace import calling
from mainspring.workspace.evidence import LabelShelf, labels_known
from mainspring.workspace.training_sets import frame, kept

if TYPE_CHECKING:
    from mainspring.engine.tasks import Lease
    from mainspring.workspace.opening import Workspace

#: Where a run keeps the record of its training set, and the profile of its rows.
PATH, PROFILES = "mainspring/training_set.json", "mainspring/profiles"


class Gathered(NamedTuple):
    """Rows to learn from and to judge by, and what has to be told of them."""

    training: pl.DataFrame  #: with ``_time``, ``_id`` and ``_version``
    fresh: pl.DataFrame
    signature: Signature
    pairs: pl.DataFrame
    asked: pl.DataFrame  #: all captured rows of the span, labelled or not
    labelled: pl.Series  #: ids of those with a label
    moment: float  #: event time; nothing that came later is in it
    label_batch: int
    labels_later: int
    left_out: dict[str, int]


class Assembled(NamedTuple):
    """A training set that is kept, and what stands in for weights where none are taken."""

    record: TrainingSet
    thinned: str | None
    columns: list[dict[str, str]]


def gather(
    ws: Workspace,
    shelf: LabelShelf,
    spec: LoopSpec,
    champion: Version | None,
    at: float,
    *,
    learnt: pl.DataFrame | None = None,
    lease: Lease | None = None,
) -> Gathered | None:
    """Return the rows as they were known at ``at``; None where there are too few.

    ``learnt`` are rows learnt from before, for a loop without a source: captured rows are taken
    from where they end.
    """
    policy = spec.retraining
    if at <= 0:  # a loop whose rows tell the time has none yet: what there is now is known now
        at = ws.clock.now()
    rows, left_out = _of_source(ws, spec, at, lease)
    signature = _signature(spec, champion, rows)
    if signature is None:
        return None
    since = 0.0 if policy.history_s is None else at - policy.history_s - policy.holdout_s
    captured = capture.read(ws.captures(spec.endpoint), since, float(np.nextafter(at, np.inf)))

    def known(tx: Tx) -> tuple[pl.DataFrame, int]:
        later = labels.came_after(tx, spec.endpoint, at)
        return labels_known(shelf, tx, spec.endpoint, at), later

    told, later = ws.read(Permission.WORK, known)
    joined = labels.join(captured, told, signature)
    base, pairs = learnt, pl.DataFrame()
    if rows is not None:
        joined, base, pairs = sourcing.join(captured, joined, rows, policy.rows, signature)
    elif learnt is not None and signature.time is not None and signature.time in learnt.columns:
        joined = joined.filter(pl.col("_time") > seconds(learnt[signature.time]).max())
    found = split(joined, base, policy, at, signature)
    if found is None:
        return None
    return Gathered(
        training=found[0],
        fresh=found[1],
        signature=signature,
        pairs=pairs,
        asked=captured,
        labelled=joined["_id"].cast(pl.String) if joined.height else pl.Series(dtype=pl.String),
        moment=at,
        label_batch=int(told["_batch"].max() or 0),  # type: ignore[arg-type]
        labels_later=later,
        left_out=left_out,
    )


def assembled(
    ws: Workspace,
    spec: LoopSpec,
    champion: Version | None,
    found: Gathered,
    lease: Lease | None,
) -> Assembled:
    """Look at gathered rows in a process of its own, choose the window, keep the rows."""
    policy = spec.retraining.rows
    names = policy.windows or (DEFAULT if policy.source else (ALL,))
    fresh = kept(found.fresh, ws.objects)
    here("rows.kept")
    seen = calling.child(
        ws,
        "training_set",
        {
            "training": kept(found.training, ws.objects),
            "fresh": fresh,
            "pairs": kept(found.pairs, ws.objects) if found.pairs.height else None,
            "signature": msgspec.to_builtins(found.signature),
            "features": _features(ws, champion, found.training),
            "windows": list(names),
        },
        lease,
        root=spec.root,
    )
    here("rows.examined")
    told = {
        "loop": spec.name,
        "moment": found.moment,
        "digest": seen["training"],
        "fresh": fresh,
        "rows": seen["rows"],
        "fresh_rows": found.fresh.height,
        "rows_by_source": seen["by_source"],
        "label_batch": found.label_batch,
        "labels_later": found.labels_later,
        "left_out": found.left_out,
        "twins_dropped": seen["twins"],
        "window": seen["choice"],
        "weights": seen["weights"],
        "leaks": seen["leaks"],
        "feedback": msgspec.to_builtins(_feedback(spec, found, seen)),
        "profile": seen["profile"],
    }
    told |= {key: seen[key] for key in ("start", "end", "fresh_start", "fresh_end")}
    return Assembled(msgspec.convert(told, TrainingSet), seen["thinned"], seen["columns"])


def refuse(spec: LoopSpec, record: TrainingSet) -> None:
    """Refuse to train on what leaks for sure, where the policy says so.

    Raises:
        ConflictError: naming the leaks.
    """
    if spec.retraining.rows.refuse_leaks and record.sure_leaks:
        told = " ".join(one.found for one in record.sure_leaks)
        raise ConflictError(
            f"The training set leaks: {told}",
            field="rows",
            hint="Take the column out of the model, or say leaks='report' if it is honest.",
        )


def keep_record(ws: Workspace, record: TrainingSet) -> str:
    """Keep the record of a training set as an object and return its digest."""
    return ws.objects.put(canonical(record))


def read_record(ws: Workspace, digest: str) -> TrainingSet:
    """Return the record of a training set."""
    return msgspec.json.decode(ws.objects.get(digest), type=TrainingSet)


def note(tx: Tx, ws: Workspace, run: str, model: str, found: Assembled, digest: str) -> None:
    """Note with a run what it learns from: the record, the profile, and datasets by name."""
    record, now = found.record, ws.clock.now()
    artifacts.put(tx, run, PATH, digest, ws.objects.size(digest), now)
    if record.profile is not None:
        size = ws.objects.size(record.profile)
        artifacts.put(tx, run, f"{PROFILES}/{record.digest}.json", record.profile, size, now)
    uses = [
        _use(f"{model}-training", record.digest, "training", run, found.columns, record.rows),
        _use(f"{model}-fresh", record.fresh, "evaluation", run, [], record.fresh_rows),
    ]
    datasets.log(tx, run, uses, now)


# ---------------------------------------------------------------- parts


def _of_source(
    ws: Workspace, spec: LoopSpec, at: float, lease: Lease | None
) -> tuple[pl.DataFrame | None, dict[str, int]]:
    """Return the rows of the user's source as known at a moment, and what was left out."""
    policy = spec.retraining
    if policy.rows.source is None:
        return None, {}
    since = 0.0 if policy.history_s is None else at - policy.history_s - policy.holdout_s
    asked = {"root": spec.root, "source": policy.rows.source, "since": since, "until": at}
    answer = calling.child(ws, "source", asked, lease, root=spec.root)
    whole = frame(answer["rows"], ws.objects)
    found = sourcing.known(whole, policy.rows, spec.target, spec.time, at)
    return found.rows, found.left_out


def _signature(
    spec: LoopSpec, champion: Version | None, rows: pl.DataFrame | None
) -> Signature | None:
    """Return what the rows are: as the champion says, or as the source's columns say."""
    if champion is not None:
        found = champion.signature
        missing = found.time is None and spec.time is not None
        return msgspec.structs.replace(found, time=spec.time) if missing else found
    if rows is None or not rows.height:
        return None
    policy = spec.retraining.rows
    aside = {spec.target, spec.time, policy.source_id, policy.known_at}
    words = {name: type_of(kind) for name, kind in rows.schema.items() if name not in aside}
    columns = [Column(name=name, type=word) for name, word in words.items() if word is not None]
    return Signature(
        columns=columns,
        kind=spec.kind,
        target=spec.target,
        classes=classes_of(rows[spec.target], spec.kind, spec.positive),
        time=spec.time,
    )


def _features(
    ws: Workspace, champion: Version | None, training: pl.DataFrame
) -> dict[str, str] | None:
    """Return the champion's features, where these rows have the columns for them."""
    if champion is None or not package.holds_model(champion.package, ws.objects):
        return None
    if any(column.name not in training.columns for column in champion.signature.columns):
        return None
    return package.features(champion.package, ws.objects)


def _feedback(spec: LoopSpec, found: Gathered, seen: dict[str, Any]) -> Feedback:
    """Return which part of the training rows the model's own decisions shaped."""
    delay = spec.monitor.label_delay_s
    newest = float(found.fresh["_time"].max() or 0.0)  # type: ignore[arg-type]
    policy = spec.retraining.rows
    return feedback.look(
        seen["rows"],
        seen["by_source"]["captured"],
        found.asked,
        found.labelled,
        newest - min(delay, DAY_S * 365),
        decision=policy.decision,
        at_random=policy.random_share,
    )


def _use(
    name: str, digest: str, context: str, run: str, columns: list[dict[str, str]], rows: int
) -> datasets.Use:
    return datasets.Use(
        dataset=datasets.Dataset(
            name=name,
            digest=digest,
            source_type="mainspring",
            source=canonical({"run": run, "artifact": PATH}).decode(),
            schema=canonical({"columns": columns}).decode(),
            profile=canonical({"rows": rows}).decode(),
        ),
        context=context,
    )
