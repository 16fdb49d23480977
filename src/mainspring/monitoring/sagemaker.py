"""Read and write the files of SageMaker Model Monitor: statistics, constraints, violations.

What both know crosses without loss: counts, moments, ends, the sketch and the frequent values
of every column; its type, completeness, sign and domain; the six kinds of violations by their
names. What only SageMaker knows (``monitoring_config`` and the overrides of a column) is kept
in the contract's ``notes`` and written back as it was.

Two readings are ours. A threshold t of types and domains up to one half is the share that may
differ; above that 1 - t is, as the older files mean it. And completeness is broken only beyond
the margin of the sample, where SageMaker takes one more gap for a violation.

Source: Amazon SageMaker AI developer guide, "Schema for Statistics", "Schema for Constraints"
and "Schema for Violations"; the robust distance is that of deequ's ``analyzers/Distance.scala``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from mainspring.ground.contracts import Checked, Contract, Expect
from mainspring.ground.errors import BadInputError
from mainspring.ground.profiles import ColumnProfile, Profile
from mainspring.monitoring import constraints as contracts
from mainspring.numerics import sketches, tallies
from mainspring.numerics.profiles import OTHER
from mainspring.numerics.sketches import QuantileSketch
from mainspring.numerics.tallies import Numbers

STATISTICS, CONSTRAINTS = "statistics.json", "constraints.json"
VIOLATIONS = "constraint_violations.json"

#: Our word for a check -> theirs. What they do not know keeps a word of the same make.
NAMES = {
    "type": "data_type_check",
    "completeness": "completeness_check",
    "domain": "categorical_values_check",
    "missing column": "missing_column_check",
    "extra column": "extra_column_check",
    "drift": "baseline_drift_check",
}
_BUCKETS = 10
_LEVELS = 40  #: a KLL sketch of more would stand for more rows than there are
_KEY = "sagemaker"
_NUMBERS = ("Integral", "Fractional")
_KNOWN = ("name", "inferred_type", "completeness", "num_constraints", "string_constraints")
_CONFIG = {
    "evaluate_constraints": "Enabled",
    "emit_metrics": "Enabled",
    "datatype_check_threshold": 0.1,
    "domain_content_threshold": 0.1,
    "distribution_constraints": {
        "perform_comparison": "Enabled",
        "comparison_threshold": 0.1,
        "comparison_method": "Robust",
        "categorical_comparison_threshold": 0.1,
        "categorical_drift_method": "LInfinity",
    },
}


def statistics(profile: Profile) -> dict[str, Any]:
    """Return a profile as ``statistics.json`` says it."""
    return {
        "version": 0.0,
        "dataset": {"item_count": profile.rows},
        "features": [_feature(column) for column in profile.columns],
    }


def read_statistics(found: Mapping[str, Any], what: str = STATISTICS) -> Profile:
    """Return the profile that a ``statistics.json`` stands for.

    It can be compared with and checked against; it cannot be merged, for it does not keep
    enough to count different values on.

    Raises:
        BadInputError: naming the feature that cannot be read.
    """
    features = _features(found, what)
    columns = []
    for feature in features:
        try:
            columns.append(_column(feature))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise BadInputError(
                f"{what}: feature {str(feature.get('name'))[:80]!r} cannot be read: {error}",
                field=str(feature.get("name")),
            ) from error
    count = found.get("dataset", {}).get("item_count")
    rows = count if isinstance(count, int | float) else max((c.rows for c in columns), default=0)
    return Profile(rows=int(rows), columns=columns)


def constraints(contract: Contract) -> dict[str, Any]:
    """Return a contract as ``constraints.json`` says it; what that cannot say is left out."""
    notes = contract.notes.get(_KEY, {})
    known = notes.get("features", {})
    return {
        "version": 0.0,
        "features": [
            _constraint(name, expect, known.get(name, {}))
            for name, expect in contract.columns.items()
        ],
        "monitoring_config": notes.get("monitoring_config", _CONFIG),
    }


def read_constraints(found: Mapping[str, Any], what: str = CONSTRAINTS) -> Contract:
    """Return the contract that a ``constraints.json`` stands for.

    Raises:
        BadInputError: naming the feature that cannot be read.
    """
    config = found.get("monitoring_config") or {}
    wrong = _differing(config.get("datatype_check_threshold", 0.1))
    unseen = _differing(config.get("domain_content_threshold", 0.1))
    columns: dict[str, Expect] = {}
    kept: dict[str, Any] = {}
    for feature in _features(found, what):
        name = str(feature.get("name"))
        known = feature.get("inferred_type", "Unknown")
        sign = (feature.get("num_constraints") or {}).get("is_non_negative")
        domain = (feature.get("string_constraints") or {}).get("domains")
        try:
            columns[name] = msgspec.convert(
                {
                    "type": None if known == "Unknown" else known,
                    "wrong": wrong,
                    "completeness": feature.get("completeness"),
                    "low": 0.0 if sign else None,
                    "allowed": None if domain is None else [str(one) for one in domain],
                    "unseen": unseen if domain is not None else 0.0,
                },
                Expect,
            )
        except (msgspec.ValidationError, TypeError) as error:
            raise BadInputError(
                f"{what}: feature {name[:80]!r} cannot be read: {error}", field=name
            ) from error
        rest = {key: value for key, value in feature.items() if key not in _KNOWN}
        # A sign that is written as false is kept as that, not left out.
        if "num_constraints" in feature:
            rest["num_constraints"] = feature["num_constraints"]
        if rest:
            kept[name] = rest
    notes = {"monitoring_config": dict(config), "features": kept}
    return contracts.check(Contract(columns=columns, extra="refuse", notes={_KEY: notes}))


def violations(checked: Checked, drifted: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return what a check found, and what :func:`drift` did, as ``constraint_violations.json``."""
    listed = [
        {
            "feature_name": one.column or "",
            "constraint_check_type": NAMES.get(one.check, f"{one.check.replace(' ', '_')}_check"),
            "description": one.sentence,
        }
        for one in checked.violations
    ]
    for name, told in (drifted or {}).items():
        listed.append(
            {
                "feature_name": name,
                "constraint_check_type": NAMES["drift"],
                "description": told,
            }
        )
    return {"violations": listed}


def drift(contract: Contract, baseline: Profile, current: Profile) -> dict[str, str]:
    """Return which columns are further from the baseline than the file allows, in words.

    Numbers are compared by the largest gap between the distributions, less what chance makes
    of it where the method is Robust; categories by the largest change of a share.
    """
    notes = contract.notes.get(_KEY, {})
    whole = notes.get("monitoring_config", _CONFIG)
    now = {column.name: column for column in current.columns}
    out: dict[str, str] = {}
    for before in baseline.columns:
        after = now.get(before.name)
        own = notes.get("features", {}).get(before.name, {})
        own = own.get("monitoring_config_overrides") or own.get("monitoringConfigOverrides") or {}
        rules = {**whole, **own}
        rules["distribution_constraints"] = {
            **whole.get("distribution_constraints", {}),
            **own.get("distribution_constraints", {}),
        }
        told = None if after is None else _drifted(before, after, rules)
        if told is not None:
            out[before.name] = told
    return out


def write(folder: Path, **files: Mapping[str, Any]) -> None:
    """Write files by the names SageMaker gives them: statistics, constraints, violations."""
    names = {"statistics": STATISTICS, "constraints": CONSTRAINTS, "violations": VIOLATIONS}
    folder.mkdir(parents=True, exist_ok=True)
    for name, found in files.items():
        data = msgspec.json.format(msgspec.json.encode(found), indent=2)
        (folder / names[name]).write_bytes(data + b"\n")


def read(file: Path) -> dict[str, Any]:
    """Return what one of the files holds.

    Raises:
        BadInputError: if there is no such file, or it is not JSON of this kind.
    """
    if not file.is_file():
        raise BadInputError(f"There is no file {file}.", field="against")
    try:
        return msgspec.json.decode(file.read_bytes(), type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise BadInputError(f"{file} cannot be read: {error}", field="against") from error


# ---------------------------------------------------------------- statistics


def _features(found: Mapping[str, Any], what: str) -> list[dict[str, Any]]:
    listed = found.get("features")
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        raise BadInputError(f"{what} has no list of features.", field="features")
    return listed


def _feature(column: ColumnProfile) -> dict[str, Any]:
    here = column.rows - column.missing
    common = {"num_present": here, "num_missing": column.missing}
    known = column.kind if column.kind in (*_NUMBERS, "Unknown") else "String"
    if column.kind == "Unknown" and here:
        known = "Fractional" if column.type == "number" else "String"
    feature: dict[str, Any] = {"name": column.name, "inferred_type": known}
    if known in _NUMBERS:
        told: dict[str, Any] = {"common": common, "mean": column.mean, "std_dev": column.std}
        told["sum"] = None if column.mean is None else column.mean * _finite(column)
        told |= {"min": column.low, "max": column.high}
        told["distribution"] = {"kll": _kll(column)}
        return {**feature, "numerical_statistics": told}
    told = {"common": common}
    if column.distinct is not None:
        told["distinct_count"] = column.distinct
    if known == "String":
        buckets = [{"value": v, "count": n} for v, n in column.categories.items() if v != OTHER]
        told["distribution"] = {"categorical": {"buckets": buckets}}
    return {**feature, "string_statistics": told}


def _finite(column: ColumnProfile) -> int:
    state = column.state.numbers if column.state is not None else None
    return state.rows if state is not None else column.rows - column.missing - column.wrong


def _sketch(column: ColumnProfile) -> QuantileSketch:
    """Return the distribution of a number column, of whatever format its profile is."""
    if column.state is not None and column.state.numbers is not None:
        return sketches.unpack(column.state.numbers.sketch)
    counts = np.asarray(column.counts, dtype=np.float64)
    if not counts.size:
        return QuantileSketch()
    high = column.edges[-1] if column.high is None else max(column.high, column.edges[-1])
    values = np.asarray([*column.edges, high])
    some = counts > 0
    return sketches.of_pairs(values[some], counts[some], 0.0)


def _kll(column: ColumnProfile) -> dict[str, Any]:
    sketch = sketches.compact(_sketch(column))
    if not sketch.runs:
        return {"buckets": [], "sketch": {"parameters": {"c": 0.64, "k": 2048.0}, "data": []}}
    values, weights = sketches.pairs(sketch)
    finite = np.isfinite(values)
    values, weights = values[finite], weights[finite]
    # A level holds values that stand for a power of two rows: each weight is written in binary.
    below = np.rint(np.cumsum(weights)).astype(np.int64)
    rows = below - np.concatenate(([0], below[:-1]))
    levels = int(rows.max(initial=0)).bit_length()
    data = [values[(rows >> level) & 1 == 1].tolist() for level in range(levels)]
    return {
        "buckets": _buckets(column, sketch),
        "sketch": {"parameters": {"c": 0.64, "k": 2048.0}, "data": data},
    }


def _buckets(column: ColumnProfile, sketch: QuantileSketch) -> list[dict[str, Any]]:
    if column.low is None or column.high is None:
        return []
    ends = np.linspace(column.low, column.high, _BUCKETS + 1)
    below = np.rint(sketches.ranks(sketch, ends) * sketch.rows)
    below[0] = 0
    counts = np.diff(below)
    return [
        {"lower_bound": low, "upper_bound": high, "count": count}
        for low, high, count in zip(
            ends[:-1].tolist(), ends[1:].tolist(), counts.tolist(), strict=True
        )
    ]


def _column(feature: dict[str, Any]) -> ColumnProfile:
    name, known = str(feature["name"]), feature.get("inferred_type", "Unknown")
    told = feature.get("numerical_statistics") or feature.get("string_statistics") or {}
    common = told.get("common", {})
    here, missing = int(common.get("num_present", 0)), int(common.get("num_missing", 0))
    shared: dict[str, Any] = {"name": name, "rows": here + missing, "missing": missing}
    if known in _NUMBERS:
        deviation = told.get("std_dev")
        numbers = Numbers(
            rows=here,
            mean=told.get("mean") or 0.0,
            squares=(deviation or 0.0) ** 2 * here,
            low=told.get("min"),
            high=told.get("max"),
            sketch=_of_kll(told.get("distribution", {}).get("kll", {}), here),
        )
        described: dict[str, Any] = {}
        if numbers.sketch.runs:
            described |= tallies.describe_numbers(numbers)
        described |= {"mean": told.get("mean"), "std": deviation}
        described |= {"low": told.get("min"), "high": told.get("max")}
        return ColumnProfile(
            **shared, type="number", kind=known, kinds={known: here} if here else {}, **described
        )
    buckets = told.get("distribution", {}).get("categorical", {}).get("buckets", [])
    kept = {str(one["value"]): int(one["count"]) for one in buckets}
    left = here - sum(kept.values())
    return ColumnProfile(
        **shared,
        type="category",
        kind="String" if here else "Unknown",
        kinds={"String": here} if here else {},
        categories={**kept, OTHER: left} if left > 0 and kept else kept,
        distinct=told.get("distinct_count"),
    )


def _of_kll(kll: Mapping[str, Any], here: int) -> QuantileSketch:
    sketch = kll.get("sketch") or {}
    levels = sketch.get("data") or []
    if len(levels) > _LEVELS:
        raise ValueError(f"its sketch has {len(levels)} levels, {_LEVELS} are the most")
    values = [value for level in levels for value in level]
    weights = [2.0**place for place, level in enumerate(levels) for _ in level]
    if values:
        k = float((sketch.get("parameters") or {}).get("k", 2048.0))
        exact = len(values) == here or len(levels) < 2
        # The 99 % error of a KLL sketch's ranks: Karnin, Lang and Liberty, FOCS 2016, as
        # Apache DataSketches states it.
        return sketches.of_pairs(values, weights, 0.0 if exact else 2.296 / k**0.9021)
    filled = [one for one in kll.get("buckets") or [] if one["count"] > 0]
    ends = [float(one["upper_bound"]) for one in filled]
    return sketches.of_pairs(ends, [float(one["count"]) for one in filled], 0.1)


# ---------------------------------------------------------------- constraints


def _constraint(name: str, expect: Expect, known: Mapping[str, Any]) -> dict[str, Any]:
    kind = expect.type if expect.type in _NUMBERS else "String"
    out: dict[str, Any] = {"name": name, "inferred_type": kind if expect.type else "Unknown"}
    if expect.completeness is not None:
        out["completeness"] = expect.completeness
    if kind in _NUMBERS:
        out["num_constraints"] = {"is_non_negative": expect.low is not None and expect.low >= 0}
    if expect.allowed is not None:
        out["string_constraints"] = {"domains": list(expect.allowed)}
    return {**out, **known}


def _differing(threshold: Any) -> float:
    """Return the share that may differ (see the head of this file)."""
    if not isinstance(threshold, int | float) or not 0 <= threshold <= 1:
        raise BadInputError(
            f"A threshold of monitoring_config lies in 0 to 1, found {threshold!r}.",
            field="monitoring_config",
        )
    return float(threshold) if threshold <= 0.5 else round(1.0 - threshold, 12)


# ---------------------------------------------------------------- drift


def _drifted(before: ColumnProfile, after: ColumnProfile, rules: Mapping[str, Any]) -> str | None:
    asked = rules["distribution_constraints"]
    enabled = (rules.get("evaluate_constraints", "Enabled"), asked.get("perform_comparison"))
    n, m = before.rows - before.missing, after.rows - after.missing
    if "Disabled" in enabled or not n or not m or before.type != after.type:
        return None
    if before.type == "number":
        line = float(asked.get("comparison_threshold", 0.1))
        distance = sketches.distance(_sketch(before), _sketch(after))
        if asked.get("comparison_method", "Robust") == "Robust":
            distance = max(0.0, distance - 1.8 * ((n + m) / (n * m)) ** 0.5)
    else:
        line = float(asked.get("categorical_comparison_threshold", 0.1))
        if (way := asked.get("categorical_drift_method", "LInfinity")) != "LInfinity":
            raise BadInputError(
                f"Categories are compared by LInfinity, found categorical_drift_method {way!r}.",
                field="categorical_drift_method",
                hint="Say LInfinity, with a threshold that fits it, or switch the comparison off.",
            )
        distance = max(_changes(before, after, n, m), default=0.0)
    if distance <= line:
        return None
    return f"Baseline drift distance: {distance:.4g} exceeds threshold: {line:g}"


def _changes(before: ColumnProfile, after: ColumnProfile, n: int, m: int) -> Iterator[float]:
    for name in before.categories.keys() | after.categories.keys():
        yield abs(before.categories.get(name, 0) / n - after.categories.get(name, 0) / m)
