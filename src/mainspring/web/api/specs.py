"""Check a loop that came over the wire as the words of ``mainspring.sdk`` would have."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from mainspring.ground.errors import BadInputError
from mainspring.ground.identity import check_name
from mainspring.ground.objects import LoopSpec
from mainspring.ground.seasons import NAMED, check_season
from mainspring.ground.training import check_windows
from mainspring.readiness import declaring as gates

_SHARES = ("rollout.share", "rollout.alpha", "rollout.harm_alpha", "rollout.fdr",
           "rollout.max_errors", "rollout.max_slow", "monitor.alpha",
           "monitor.label_share")  # fmt: skip
_ABOVE_ZERO = (
    "monitor.window_s",
    "monitor.run_length",
    "gate.max_latency_ms",
    "gate.valid_s",
    "rollout.slow_ms",
    "retraining.max_rows",
    "retraining.every_rows",
    "retraining.every_labels",
    "retraining.check_labels",
    "retraining.check_every_s",
)


def checked(spec: LoopSpec, root: str) -> LoopSpec:
    """Return a loop that can be declared, in the project at ``root``.

    Raises:
        BadInputError: naming the field that cannot be.
    """
    for field in ("name", "model", "endpoint"):
        check_name(getattr(spec, field), f"spec.{field}")
    if ":" not in spec.pipeline:
        raise BadInputError(
            f"spec.pipeline must be module:function, found {spec.pipeline[:80]!r}.",
            field="spec.pipeline",
        )
    # Elsewhere on this machine may lie code that nobody meant to be run.
    if spec.root and Path(spec.root).resolve() != Path(root).resolve():
        raise BadInputError(
            f"spec.root must be this server's project, {root}, or left out.", field="spec.root"
        )
    for field, value in _numbers(spec):
        if field in _SHARES and not 0 < value <= 1:
            raise _outside(field, "above 0 and at most 1", value)
        if field in _ABOVE_ZERO and value <= 0:
            raise _outside(field, "above 0", value)
        if value < 0 and not field.startswith("gate."):  # metrics may be negative
            raise _outside(field, "0 or more", value)
    gates.checked(spec.gate)
    _check_rows(spec)
    monitor = spec.monitor
    check_season(
        "year" if monitor.season_s == NAMED["year"] else monitor.season_s,
        monitor.season_phases,
        monitor.window_s,
        cut_by_time=not (monitor.window_rows or monitor.by_batch),
    )
    return msgspec.structs.replace(spec, root=spec.root or root)


def _check_rows(spec: LoopSpec) -> None:
    """Refuse windows that are none, and a source that lies outside of the project."""
    rows = spec.retraining.rows
    check_windows(rows.windows)
    if rows.random_share is not None and not 0 < rows.random_share <= 1:
        where = "retraining.rows.random_share"
        raise _outside(where, "above 0 and at most 1", rows.random_share)
    named = rows.source
    # Else whoever may declare a loop could read any table of this machine.
    if named is not None and (Path(named).is_absolute() or ".." in Path(named).parts):
        raise BadInputError(
            f"spec.retraining.rows.source must lie in the project's folder, found {named[:80]!r}.",
            field="spec.retraining.rows.source",
        )


def _numbers(spec: LoopSpec) -> Iterator[tuple[str, float]]:
    """Yield every number of the policies with the field it stands in."""
    for name in ("gate", "rollout", "monitor", "retraining"):
        policy: msgspec.Struct = getattr(spec, name)
        for field in policy.__struct_fields__:
            value = getattr(policy, field)
            if isinstance(value, int | float) and not isinstance(value, bool):
                yield f"{name}.{field}", value


def _outside(field: str, wanted: str, value: float) -> BadInputError:
    return BadInputError(f"spec.{field} must be {wanted}, found {value}.", field=f"spec.{field}")
