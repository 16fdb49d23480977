"""Make a baseline of a file alone: what a model's rows and scores were when it was trusted.

A model that lives elsewhere cannot be asked, so what is kept of it is what can be compared:
the signature of its inputs, their profile, the profile of its scores, its loss where labels
are known, and reference rows. It is kept as a package like that of a version of ours, without
the model in it, so that monitors need not know the difference.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from mainspring.ground.errors import BadInputError
from mainspring.ground.objects import Kind, Profile, Signature
from mainspring.monitoring.truth import targets
from mainspring.numerics.errors import NumericsError
from mainspring.numerics.profiles import profile_columns, profile_scores
from mainspring.numerics.scores import quality
from mainspring.scaling.models import target as classes
from mainspring.workspace.feeding import surrogate
from mainspring.workspace.feeding.naming import Columns, check_inputs, find
from mainspring.workspace.feeding.reading import LINE
from mainspring.workspace.feeding.shaping import as_series, described, scores_of, settled

Floats = npt.NDArray[np.float64]

REFERENCE_ROWS = 20_000


class Baseline:
    """What a file says of a model: signature, profile, reference rows, and what was assumed."""

    def __init__(
        self, signature: Signature, profile: Profile, reference: pl.DataFrame, said: list[str]
    ) -> None:
        self.signature = signature
        self.profile = profile
        self.reference = reference
        self.said = said


def of_frame(
    frame: pl.DataFrame,
    columns: Columns,
    *,
    kind: Kind | None = None,
    positive: str | None = None,
    name: str = "the baseline",
) -> Baseline:
    """Return the baseline that a table of rows makes.

    The kind is found from the labels, else from the predictions, else from the scores: all of
    them from 0 to 1 are probabilities. What each input is worth is learnt from a quick
    surrogate of the score; where there is no score, or it cannot be followed, every column
    counts as relevant.

    Raises:
        BadInputError: if there are no rows or no inputs, or a score cannot be one.
    """
    if frame.height == 0:
        raise BadInputError(f"{name} has no rows.", field="baseline")
    frame = frame.drop(LINE, strict=False)
    names = [one for one in frame.columns if one not in columns.named()]
    check_inputs(names)
    if not names:
        raise BadInputError(f"{name} has no input columns.", field="baseline")
    inputs = pl.DataFrame([settled(frame[one], None) for one in names])
    signature, said = _signature(frame, inputs, columns, kind, positive)
    lines = pl.Series(range(1, frame.height + 1), dtype=pl.Int64)
    scores = None
    if columns.score or columns.prediction:
        scores = scores_of(frame, lines, columns, signature, name)
    truth = _truth(frame, columns, signature)
    shares, told = surrogate.shares(inputs, scores)
    profile = Profile(
        rows=frame.height,
        columns=profile_columns({one: inputs[one] for one in names}, shares),
        score=None if scores is None else profile_scores(scores),
        metrics=_metrics(signature, scores, truth),
    )
    profile = _with_loss(profile)
    kept = inputs
    if scores is not None:
        kept = kept.with_columns(as_series(scores))
    if truth is not None:
        kept = kept.with_columns(truth.alias("_y"))
    if kept.height > REFERENCE_ROWS:
        kept = kept.sample(REFERENCE_ROWS, seed=0)
    return Baseline(signature, profile, kept, [*said, told])


def columns_in(frame: pl.DataFrame, given: Columns) -> tuple[Columns, list[str]]:
    """Return which column of a baseline is what, and what was guessed, by names and classes.

    Raises:
        BadInputError: if a column that was named is not there.
    """
    found, said = find(frame.columns, given)
    answers = found.label or found.prediction
    if given.score or answers is None or frame[answers].n_unique() > classes.MAX_CLASSES:
        return found, said
    there = [classes.class_name(v) for v in frame[answers].drop_nulls().unique().to_list()]
    # Only now it is known what columns of one probability a class would be called.
    return find(frame.columns, given, classes=sorted(there)) if len(there) > 2 else (found, said)


def _with_loss(profile: Profile) -> Profile:
    import msgspec

    return msgspec.structs.replace(profile, loss=profile.metrics.get("loss"))


def _signature(
    frame: pl.DataFrame,
    inputs: pl.DataFrame,
    columns: Columns,
    kind: Kind | None,
    positive: str | None,
) -> tuple[Signature, list[str]]:
    label = None if columns.label is None else frame[columns.label].drop_nulls()
    answers = None if columns.prediction is None else frame[columns.prediction].drop_nulls()
    told = [values for values in (label, answers) if values is not None and values.len()]
    said = []
    if kind is None:
        kind = _kind(frame, columns, told)
        said.append(f"the model is taken for {kind}")
    names: list[str] = []
    if kind != "regression":
        found = [classes.class_name(value) for one in told for value in one.unique().to_list()]
        names = sorted(set(found))
        names = _classes(kind, names, positive, columns)
    scale = 1.0
    if kind == "regression" and label is not None and label.len():
        numbers = label.cast(pl.Float64, strict=False).drop_nulls()
        low, high = numbers.quantile(0.25) or 0.0, numbers.quantile(0.75) or 0.0
        scale = float(high - low) or float(numbers.std() or 0.0) or 1.0  # type: ignore[arg-type]
    signature = Signature(
        columns=[described(inputs[one]) for one in inputs.columns],
        kind=kind,
        target=columns.label or "",
        classes=names,
        time=columns.time,
        scale=scale,
    )
    return signature, said


def _classes(kind: Kind, names: list[str], positive: str | None, columns: Columns) -> list[str]:
    if kind == "binary":
        if len(names) > 2:
            raise BadInputError(
                f"A binary model has two classes, found {', '.join(names[:10])}.", field="kind"
            )
        if positive is not None and positive not in names:
            names = [*(n for n in names if n != positive), positive]
        if len(names) < 2:
            # One class alone in the rows: the usual pair, if it is one of them.
            usual = next((p for p in (["0", "1"], ["false", "true"]) if set(names) <= set(p)), [])
            names = usual or (["other", *names] if names else ["false", "true"])
        if positive is not None:
            names = [*(n for n in names if n != positive), positive]
        return names
    wide = max(len(columns.score), len(names))
    if wide < 2:
        raise BadInputError(
            "The classes of a multiclass model are read from its labels or predictions.",
            field="kind",
            hint="Name their column with --label-column or --prediction-column.",
        )
    return names


def _kind(frame: pl.DataFrame, columns: Columns, told: list[pl.Series]) -> Kind:
    for values in told:
        if values.dtype.is_float() and not columns.score and values.is_between(0, 1).all():
            return "binary"
        found = classes.infer_kind(values)
        if found == "regression" or values.n_unique() > 1:
            return found
    if len(columns.score) > 1:
        return "multiclass"
    if columns.score:
        numbers = frame[columns.score[0]]
        if numbers.dtype == pl.List:
            return "multiclass"
        return "binary" if numbers.drop_nulls().is_between(0, 1).all() else "regression"
    return "binary" if told else "regression"


def _truth(frame: pl.DataFrame, columns: Columns, signature: Signature) -> pl.Series | None:
    if columns.label is None:
        return None
    label = frame[columns.label]
    if label.dtype == pl.Boolean:
        label = label.replace_strict({True: "true", False: "false"}, return_dtype=pl.String)
    if label.dtype.is_float() and signature.kind != "regression":
        label = label.cast(pl.Int64, strict=False)
    return targets(label.cast(pl.String), signature).cast(pl.Float64)


def _metrics(
    signature: Signature, scores: Floats | None, truth: pl.Series | None
) -> dict[str, float]:
    if scores is None or truth is None:
        return {}
    target = np.asarray(truth.fill_null(np.nan).to_numpy(), dtype=np.float64)
    sound = np.isfinite(target) & np.isfinite(scores).all(axis=1)
    if not sound.any():
        return {}
    try:
        return quality(signature.kind, scores[sound], target[sound], signature.scale)
    except NumericsError:  # one class alone: there is a loss, and no AUC
        from mainspring.numerics.scores import row_losses

        losses = row_losses(signature.kind, scores[sound], target[sound], signature.scale)
        return {"loss": float(losses.mean())}
