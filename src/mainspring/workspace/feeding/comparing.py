"""Judge one table against another, or against a version's baseline: one window, one verdict."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec
import polars as pl

from mainspring.ground.errors import BadInputError
from mainspring.ground.objects import (
    Alarm,
    Finding,
    Kind,
    MonitorPolicy,
    Profile,
    Record,
    Signature,
    Window,
)
from mainspring.monitoring import findings, judge, labels
from mainspring.monitoring.sight import Sight
from mainspring.monitoring.truth import written
from mainspring.workspace.feeding import baselines, reading
from mainspring.workspace.feeding.naming import Columns, find
from mainspring.workspace.feeding.shaping import Shaper

Rows = pl.DataFrame | Path
NAME = "comparison"


class Against(Record, frozen=True, kw_only=True):
    """What rows are compared with."""

    signature: Signature
    profile: Profile
    reference: pl.DataFrame | None = None
    columns: Columns = Columns()
    said: list[str] = []


class Comparison(Record, frozen=True, kw_only=True):
    """The verdict of one window: alarm if any monitor is sure of something that matters.

    ``window`` holds all that was found, ``alarms`` what is alarming and why, ``notices`` what
    is certain and matters little, ``said`` what was guessed on the way.
    """

    verdict: Literal["quiet", "alarm"]
    alarms: list[Alarm]
    notices: list[Finding]
    window: Window
    rows: int
    baseline_rows: int
    labelled: int
    columns: Columns
    said: list[str]

    @property
    def quiet(self) -> bool:
        """Return whether nothing is alarming."""
        return self.verdict == "quiet"


def against(
    baseline: Rows, columns: Columns, *, kind: Kind | None = None, positive: str | None = None
) -> Against:
    """Return what a table makes as a baseline.

    Raises:
        BadInputError: naming what is wrong with it.
    """
    name = baseline.name if isinstance(baseline, Path) else "the baseline"
    frame = reading.whole(baseline) if isinstance(baseline, Path) else baseline
    used, said = baselines.columns_in(frame, _there(frame.columns, columns))
    made = baselines.of_frame(frame, used, kind=kind, positive=positive, name=name)
    return Against(
        signature=made.signature,
        profile=made.profile,
        reference=made.reference,
        columns=used,
        said=[*said, *made.said],
    )


def compare(
    current: Rows, base: Against, policy: MonitorPolicy, columns: Columns | None = None
) -> Comparison:
    """Return how rows differ from a baseline, judged as one window of traffic would be.

    Where both have labels and scores, the performance is judged too.

    Raises:
        BadInputError: naming the row that cannot be read.
    """
    name = current.name if isinstance(current, Path) else "the current rows"
    frame = reading.whole(current) if isinstance(current, Path) else current
    if frame.height == 0:
        raise BadInputError(f"{name} has no rows.", field="current")
    wanted = _there(frame.columns, columns or Columns())
    used, _ = find(
        frame.columns,
        wanted,
        inputs=[column.name for column in base.signature.columns],
        target=base.signature.target,
        classes=base.signature.classes,
    )
    shaper = Shaper(
        name=name,
        columns=used,
        signature=base.signature,
        received=math.inf,
        version=1,
        batch="row",
        scored=False,
        at=None if used.time else 0.0,
    )
    lined = frame.with_columns(pl.Series(reading.LINE, range(1, frame.height + 1)))
    rows, given = shaper.shape(lined)
    rows = _as_read(rows)
    profile = base.profile
    if rows["_score"].null_count() == rows.height or not (used.score or used.prediction):
        profile = msgspec.structs.replace(profile, score=None)
    low, high = float(rows["_time"].min()), float(rows["_time"].max())  # type: ignore[arg-type]
    span = (math.floor(low), math.nextafter(high, math.inf))
    window, alarms = judge.judge_inputs(
        rows, profile, base.signature, policy, span, NAME, 1, reference=base.reference
    )
    window, more = _truth(window, rows, given, base, profile, policy)
    alarms = [*alarms, *more]
    found = findings.of_window(window)
    return Comparison(
        verdict="alarm" if alarms else "quiet",
        alarms=alarms,
        notices=[one for one in found if one.verdict == "notice"],
        window=window,
        rows=window.rows,
        baseline_rows=base.profile.rows,
        labelled=window.labelled,
        columns=used,
        said=[*base.said, *shaper.said],
    )


def _truth(
    window: Window,
    rows: pl.DataFrame,
    given: pl.DataFrame | None,
    base: Against,
    profile: Profile,
    policy: MonitorPolicy,
) -> tuple[Window, list[Alarm]]:
    """Judge the labels that stand beside the rows, if there are any."""
    if given is None or given.height == 0 or profile.score is None:
        return window, []
    texts = [written(value) for value in given["_label"].to_list()]
    batch = labels.decoded(given["_id"], texts)
    joined = labels.join_counted(rows, batch, base.signature)
    performance, alarms = judge.judge_labels(
        window, joined, profile.loss, policy, signature=base.signature
    )
    window = msgspec.structs.replace(window, performance=performance, labelled=joined.rows.height)
    found, more = judge.judge_truth(
        window,
        Sight(
            frame=rows,
            joined=joined,
            baseline=profile,
            signature=base.signature,
            policy=policy,
            span=(window.start, window.end),
            endpoint=NAME,
            version=1,
            window=window.id,
            reference=base.reference,
        ),
    )
    kept = findings.replaced(window.found, found)
    return msgspec.structs.replace(window, found=kept), [*alarms, *more]


def _as_read(rows: pl.DataFrame) -> pl.DataFrame:
    """Return shaped rows as captures are read: with one id in place of its two parts."""
    numbered = pl.format("{}-{}", "_boot", "_n")
    ids = pl.when(pl.col("_n") < 0).then("_boot").otherwise(numbered).alias("_id")
    return rows.select(ids, pl.exclude("_boot", "_n"))


def _there(there: Sequence[str], columns: Columns) -> Columns:
    """Return what was said of columns, as far as this table has them; the other one may differ."""
    changed: dict[str, object] = {}
    for role in Columns.__struct_fields__:
        value = getattr(columns, role)
        if role in ("score", "prediction", "label"):
            continue
        if value is not None and value not in there:
            changed[role] = None
    return msgspec.structs.replace(columns, **changed)
