"""Join what the workers of one endpoint tell of themselves into one account.

Counts are added, histograms too, and quantiles are taken from the sum; of what a process alone
can say (its version, its trouble) the first word stands.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from operator import add
from typing import Any

from mainspring.ground.exposition import Family, read
from mainspring.scaling.serving.metrics import Latency

#: The same in all of them, or soon.
_SAME = frozenset({"generation", "champion", "challenger", "share", "rollout"})
_QUANTILES = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99}
#: Of these the largest is told: bounds, and means.
_LARGEST = frozenset({"batch_rows", "queue", "together"})
_NEITHER = {"started": min}
#: What is of one process alone.
_OWN = frozenset({"worker"})
#: What there is only of one that lives.
_LIVING = frozenset({"worker", "in_flight", "queue", "trouble", "ready", "started"})
_SAME_METRICS = ("_ready", "_share", "_info")


def statuses(told: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the accounts of several processes as that of one.

    >>> joined = statuses([{"requests": 2, "versions": {"1": {"rows": 2}}}, {"requests": 3}])
    >>> joined["requests"], joined["versions"]
    (5, {'1': {'rows': 2}})
    """
    found: dict[str, Any] = {}
    for one in told:
        found = _both(found, {k: v for k, v in one.items() if k not in _OWN})
    return found


def lasting(told: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a process's account stays true after its end: what it counted."""
    return {name: value for name, value in told.items() if name not in _LIVING}


def _both(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(before)
    for name, value in after.items():
        found[name] = _joined(name, found.get(name), value)
    counts = found.get("latency")
    if isinstance(counts, list):
        whole = Latency()
        whole.counts = counts
        for name, share in _QUANTILES.items():
            found[name] = whole.quantile_ms(share)
    return found


def _joined(name: str, before: Any, value: Any) -> Any:
    if before is None or before == "":
        return value
    if isinstance(before, dict) and isinstance(value, dict):
        return _both(before, value)
    if name == "latency" and isinstance(value, list):
        return [a + b for a, b in zip(before, value, strict=True)]
    if value is None or name in _SAME or not isinstance(before, bool | int | float):
        return before
    if isinstance(before, bool):
        return before or value
    # A quantile or a bound of each is none of all together; the worst is told.
    largest = name.endswith("_ms") or name in _LARGEST
    return _NEITHER.get(name, max if largest else add)(before, value)


def metrics(texts: Sequence[str]) -> list[Family]:
    r"""Return what several processes count, each in Prometheus's text format, as one count.

    Samples of the same name and labels are added; of whether there is a version, and of shares,
    the largest stands.

    >>> one, two = ('# TYPE a counter\na{b="c"} %d' % n for n in (1, 2))
    >>> metrics([one, two])[0].lines
    ['a{b="c"} 3']
    """
    if len(texts) == 1:
        return read(texts[0])
    heads: dict[str, Family] = {}
    samples: dict[str, dict[str, float]] = {}
    for family in (family for text in texts for family in read(text)):
        heads.setdefault(family.name, family)
        of = samples.setdefault(family.name, {})
        same = family.name.endswith(_SAME_METRICS)
        for line in family.lines:
            name, _, value = line.rpartition(" ")
            before, found = of.get(name, 0.0), float(value)
            of[name] = max(before, found) if same else before + found
    return [
        Family(
            name=name,
            kind=head.kind,
            told=head.told,
            lines=[f"{of} {_figure(value)}" for of, value in samples[name].items()],
        )
        for name, head in heads.items()
    ]


def _figure(value: float) -> str:
    return str(int(value)) if value.is_integer() else repr(round(value, 9))
