"""Say when labels arrive: how long a window waits for its truth, and which truth comes late.

The age of a label is how far event time had moved past its prediction when it came. Ages are
counted in bins that grow by a quarter, so that windows can be added up and nothing is kept of
single rows; a quantile is the upper end of its bin.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from mainspring.ground.objects import Finding, MonitorPolicy, Signature, Window
from mainspring.monitoring.sight import Sight

Floats = npt.NDArray[np.float64]
Histogram = dict[str, int]  # bin -> labels; JSON has texts as keys

_GROWTH = 1.25
#: Labels that must have come before their ages say how long the next ones take.
ENOUGH = 200
#: The share of labels that must be there before a window is judged, where that is learnt.
QUANTILE = 0.95
#: Judged windows whose labels the delay is learnt from.
LEARNT_FROM = 12
#: Classes whose arrival is counted apart.
_MOST_CLASSES = 10
#: A gap between two distributions of ages that makes a young cohort another population.
_MATERIAL = 0.1


def arrivals(rows: pl.DataFrame, signature: Signature) -> dict[str, Any]:
    """Return how old labels were when they came, in all and by class; empty if that is unknown.

    ``all`` and each of ``by_class`` hold counts by bin of age. For regression the classes are
    ``low`` and ``high``, split at the median of the labels.
    """
    if not {"_arrived", "_time", "_y"} <= set(rows.columns):
        return {}
    known = rows.filter(pl.col("_arrived").is_not_null() & pl.col("_time").is_not_null())
    if known.height == 0:
        return {}
    ages = np.asarray((known["_arrived"] - known["_time"]).to_numpy(), dtype=np.float64)
    truth = known["_y"].cast(pl.Float64).to_numpy()
    if signature.kind == "regression":
        names = np.where(truth > np.median(truth), "high", "low")
    else:
        names = np.array([_name(signature, int(y)) for y in truth.tolist()])
    kinds, counts = np.unique(names, return_counts=True)
    most = kinds[np.argsort(-counts, kind="stable")][:_MOST_CLASSES]
    by_class = {str(kind): _counted(ages[names == kind]) for kind in sorted(most.tolist())}
    return {"all": _counted(ages), "by_class": by_class}


def age_quantile(histogram: Histogram, share: float) -> float | None:
    """Return the age in seconds by which this share of labels had come; None without labels.

    >>> age_quantile({"0": 5, "10": 90, "20": 5}, 0.95)
    9.313225746154785
    """
    total = sum(histogram.values())
    if total == 0:
        return None
    reached = 0
    for place in sorted(map(int, histogram)):
        reached += histogram[str(place)]
        if reached >= share * total - 1e-9:
            return _upper(place)
    return None


def learnt_delay(windows: Iterable[Window], share: float = QUANTILE) -> float | None:
    """Return how long after its prediction a label comes, in seconds: an age quantile.

    Learnt from the newest :data:`LEARNT_FROM` judged windows, which are judged again when late
    labels come and so know of those too. None before :data:`ENOUGH` labels came.
    """
    judged = [one.performance for one in windows if one.performance is not None][:LEARNT_FROM]
    total = _added(found.get("arrival", {}).get("all", {}) for found in judged)
    return age_quantile(total, share) if sum(total.values()) >= ENOUGH else None


def effective(policy: MonitorPolicy, learnt: float | None) -> float:
    """Return the delay that windows wait: the declared one, or the learnt one once it is known."""
    if policy.label_share is None or learnt is None:
        return policy.label_delay_s
    return learnt


def label_ages(sight: Sight) -> list[Finding]:
    """Say when labels came, whether windows wait long enough, and which class comes late."""
    if sight.joined is None:
        return []
    now = arrivals(sight.joined.rows, sight.signature)
    if not now:
        return []
    past = [one.performance for one in sight.earlier if one.performance is not None]
    known = [one.get("arrival", {}) for one in past[: LEARNT_FROM - 1]]
    total = _added([now["all"], *(one.get("all", {}) for one in known)])
    share = sight.policy.label_share or QUANTILE
    age, delay = age_quantile(total, share), sight.policy.label_delay_s
    rows = sum(total.values())
    late = age is not None and rows >= ENOUGH and sight.policy.label_share is None and age > delay
    waited = "is learnt" if sight.policy.label_share is not None else "was declared"
    found = Finding(
        monitor="performance",
        subject="label_age",
        value=age,
        line=delay,
        rows=rows,
        verdict="notice" if late else "quiet",
        why=f"{share:.0%} of {rows:,} labels came within {_told(age)}; a delay of {_told(delay)}"
        f" {waited}." + (" Windows are judged before their labels are there." if late else ""),
        detail={
            "mature_until": sight.span[1],
            "mature_at": sight.span[1] + delay,
            "median_s": age_quantile(total, 0.5),
        },
    )
    return [found, *_by_class(now, known, share)]


def _by_class(now: dict[str, Any], known: Sequence[dict[str, Any]], share: float) -> list[Finding]:
    """Return one finding a class whose labels come at another age than those of the rest."""
    parts = [now.get("by_class", {}), *(one.get("by_class", {}) for one in known)]
    kinds = sorted({kind for part in parts for kind in part})
    counted = {kind: _added(part.get(kind, {}) for part in parts) for kind in kinds}
    found = []
    for kind in kinds if len(kinds) > 1 else []:
        mine = counted[kind]
        rest = _added(counted[other] for other in kinds if other != kind)
        n, m = sum(mine.values()), sum(rest.values())
        if min(n, m) < ENOUGH:
            continue
        gap = _gap(mine, rest)  # above 0: this class is behind
        radius = math.sqrt(math.log(2 * len(kinds) / 0.01) / 2 * (n + m) / (n * m))
        ages = age_quantile(mine, 0.5), age_quantile(rest, 0.5)
        biased = abs(gap) > max(radius, _MATERIAL)
        order = "later" if gap > 0 else "earlier"
        told = f"Labels of {kind!r} come {order} than others: half within {_told(ages[0])}"
        found.append(
            Finding(
                monitor="performance",
                subject=f"label_age/{kind}",
                value=gap,
                line=_MATERIAL,
                radius=radius,
                rows=n,
                verdict="notice" if biased else "quiet",
                why=f"{told}, of the others within {_told(ages[1])}. A cohort judged before all"
                f" labels came holds too {'few' if gap > 0 else 'many'} of them."
                if biased
                else "Labels of this class come as those of the others.",
                detail={"age_s": age_quantile(mine, share), "others_s": age_quantile(rest, share)},
            )
        )
    # With two classes one is late by as much as the other is early: said once.
    return sorted(found, key=lambda one: -(one.value or 0))[: 1 if len(kinds) == 2 else None]


def _gap(mine: Histogram, rest: Histogram) -> float:
    """Return the largest gap between two distributions of ages; above 0 mine is behind."""
    places = sorted({int(place) for place in (*mine, *rest)})
    shares = [
        np.cumsum([part.get(str(place), 0) for place in places]) / sum(part.values())
        for part in (rest, mine)
    ]
    gaps = shares[0] - shares[1]
    return float(gaps[int(np.abs(gaps).argmax())])


def _counted(ages: Floats) -> Histogram:
    # A clock that jumped back gives ages below 0: the label was there at once.
    places = np.ceil(np.log(np.maximum(ages, 1.0)) / math.log(_GROWTH) - 1e-9).astype(np.int64)
    found, counts = np.unique(places, return_counts=True)
    return {str(k): int(v) for k, v in zip(found.tolist(), counts.tolist(), strict=True)}


def _upper(place: int) -> float:
    return float(_GROWTH**place) if place > 0 else 1.0


def _added(parts: Iterable[Histogram]) -> Histogram:
    total: Histogram = {}
    for part in parts:
        for place, count in part.items():
            total[place] = total.get(place, 0) + count
    return total


def _name(signature: Signature, number: int) -> str:
    return signature.classes[number] if number < len(signature.classes) else str(number)


def _told(seconds: float | None) -> str:
    if seconds is None:
        return "an unknown time"
    for unit, size in (("d", 86_400.0), ("h", 3_600.0), ("min", 60.0)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"
