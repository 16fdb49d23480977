"""Say how differently two facets are treated: Clarify's bias metrics, with intervals.

``a`` is the advantaged facet, ``d`` the disadvantaged one. Eight metrics look at labels alone
(pre-training), thirteen at what a model said (post-training). All but two need nothing but
counts: of labels, or of labels by predictions, for each facet, so one GROUP BY gives them all.
The edge rule is Clarify's: 0/0 is 0 and x/0 is infinite.

Every figure is an :class:`~mainspring.numerics.intervals.Interval` by the delta method, in closed
form. Counts are smoothed for its ends and not for the estimate, or a facet of three rows
would be certain of what it shows.

Source of the metrics: SageMaker Developer Guide, "Pre-training Bias Metrics" and "Post-training
Data and Model Bias Metrics"; the conventions where it leaves one open are those of smclarify 0.5.
Source of the smoothing: Agresti and Caffo, Simple and effective confidence intervals for
proportions and differences of proportions, The American Statistician 54 (2000), for shares;
Haldane's half for other ratios, and Walter's log interval for the ratio of shares.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mainspring.numerics.errors import (
    OneClassError,
    OutOfRangeError,
    ShapesDifferError,
    TooFewError,
)
from mainspring.numerics.intervals import CONFIDENCE, Interval, wilson
from mainspring.numerics.quantiles import two_sided_z

Floats = npt.NDArray[np.float64]

PRE_TRAINING = ("CI", "DPL", "KL", "JS", "LP", "TVD", "KS", "CDDL")
POST_TRAINING = (
    "DPPL", "DI", "DCA", "DCR", "RD", "SD", "DAR", "DRR", "AD", "CDDPL", "TE", "FT", "GE",
)  # fmt: skip
#: Those of POST_TRAINING that no label is needed for.
LABEL_FREE = ("DPPL", "DI", "CDDPL", "FT")
#: Each in words.
MEANINGS = {
    "CI": "class imbalance: how much rarer d is",
    "DPL": "difference in positive labels, a minus d",
    "KL": "Kullback-Leibler divergence of the labels",
    "JS": "Jensen-Shannon divergence of the labels",
    "LP": "Euclidean distance of the label shares",
    "TVD": "total variation distance of the labels",
    "KS": "largest difference of a label's share",
    "CDDL": "d's share of the rejected minus of the accepted, within groups",
    "DPPL": "difference in positive predictions, a minus d",
    "DI": "disparate impact: d's rate of positive predictions over a's",
    "DCA": "labels per acceptance, a minus d",
    "DCR": "labels per rejection, d minus a",
    "RD": "recall, a minus d",
    "SD": "specificity, d minus a",
    "DAR": "precision, a minus d",
    "DRR": "precision of rejections, d minus a",
    "AD": "accuracy, a minus d",
    "CDDPL": "as CDDL, of predictions",
    "TE": "false negatives per false positive, d minus a",
    "FT": "flips where d were judged as a's nearest neighbours, up minus down",
    "GE": "generalised entropy: how unequally all rows benefit",
}

_ALL = ("tp", "fp", "fn", "tn")
# name: (sign, numerator, denominator); the metric is sign * (ratio of a - ratio of d).
_RATIOS: dict[str, tuple[int, tuple[str, ...], tuple[str, ...]]] = {
    "DPL": (1, ("tp", "fn"), _ALL),
    "DPPL": (1, ("tp", "fp"), _ALL),
    "DCA": (1, ("tp", "fn"), ("tp", "fp")),
    "DCR": (-1, ("tn", "fp"), ("tn", "fn")),
    "RD": (1, ("tp",), ("tp", "fn")),
    "SD": (-1, ("tn",), ("tn", "fp")),
    "DAR": (1, ("tp",), ("tp", "fp")),
    "DRR": (-1, ("tn",), ("tn", "fn")),
    "AD": (1, ("tp", "tn"), _ALL),
    "TE": (-1, ("fn",), ("fp",)),
}


@dataclass(frozen=True, slots=True)
class Confusion:
    """Rows of one facet by label (positive or not) and prediction (positive or not)."""

    tp: int = 0
    fp: int = 0
    fn: int = 0
    tn: int = 0

    @property
    def rows(self) -> int:
        """Return how many rows the facet has."""
        return self.tp + self.fp + self.fn + self.tn


def divide(above: float, below: float) -> float:
    """Return a quotient by Clarify's edge rule.

    >>> divide(0, 0), divide(2, 0), divide(-2, 0)
    (0.0, inf, -inf)
    """
    if below == 0:
        return math.copysign(math.inf, above) if above else 0.0
    return above / below


def pre_training(
    a: Sequence[int], d: Sequence[int], positive: int = 1, confidence: float = CONFIDENCE
) -> dict[str, Interval]:
    """Return the seven label metrics that need no group column.

    ``a`` and ``d`` count the labels of each facet by class, shape (classes,); ``positive`` is
    the place of the class that is good to have. Distances (KL, JS, LP, TVD, KS) are at least 0
    and chance alone lifts them; the low end has what chance gives taken off.

    Raises:
        TooFewError: if a facet has no row.
        ShapesDifferError: if the two do not have the same classes.

    Example:
        >>> found = pre_training([40, 60], [70, 30])
        >>> round(found["DPL"].estimate, 6), round(found["KS"].estimate, 6), found["CI"].estimate
        (0.3, 0.3, 0.0)
    """
    ours, theirs = np.asarray(a, dtype=np.float64), np.asarray(d, dtype=np.float64)
    if ours.shape != theirs.shape:
        raise ShapesDifferError(f"Facets need equal classes, found {len(a)} and {len(d)}.")
    n_a, n_d = int(ours.sum()), int(theirs.sum())
    _check_rows(n_a, n_d)
    share = wilson(n_d, n_a + n_d, confidence)
    found = {
        "CI": Interval(
            (n_a - n_d) / (n_a + n_d), 1 - 2 * share.high, 1 - 2 * share.low, confidence, n_a + n_d
        ),
        "DPL": _difference(
            "DPL", _labelled(ours, positive), _labelled(theirs, positive), confidence
        ),
    }
    return found | _distances(ours, theirs, confidence)


def post_training(
    a: Confusion, d: Confusion, confidence: float = CONFIDENCE
) -> dict[str, Interval]:
    """Return the ten post-training metrics of two facets that counts give, and GE over both.

    An estimate is infinite where the edge rule says so; the ends then are those of the
    smoothed counts on the finite side. GE is left out where every row is a false negative.

    Raises:
        TooFewError: if a facet has no row.

    Example:
        >>> a, d = Confusion(tp=30, fp=10, fn=10, tn=50), Confusion(tp=10, fp=10, fn=20, tn=60)
        >>> found = post_training(a, d)
        >>> [round(found[name].estimate, 3) for name in ("DPPL", "DI", "RD", "TE")]
        [0.2, 0.5, 0.417, 1.0]
    """
    _check_rows(a.rows, d.rows)
    names = [name for name in _RATIOS if name != "DPL"]
    found = {name: _difference(name, a, d, confidence) for name in names}
    found["DI"] = disparate_impact(a.tp + a.fp, a.rows, d.tp + d.fp, d.rows, confidence)
    false_positives, false_negatives = a.fp + d.fp, a.fn + d.fn
    if false_negatives < a.rows + d.rows:
        found["GE"] = generalised_entropy(
            false_positives, false_negatives, a.rows + d.rows, confidence
        )
    return found


def label_free(
    positive_a: int, rows_a: int, positive_d: int, rows_d: int, confidence: float = CONFIDENCE
) -> dict[str, Interval]:
    """Return DPPL and DI from counts of predictions alone.

    Raises:
        TooFewError: if a facet has no row.
        OutOfRangeError: if more rows are positive than there are.
    """
    _check_rows(rows_a, rows_d)
    if not (0 <= positive_a <= rows_a and 0 <= positive_d <= rows_d):
        raise OutOfRangeError(
            f"{positive_a} of {rows_a} and {positive_d} of {rows_d} are no shares."
        )
    a, d = (
        Confusion(tp=positive_a, tn=rows_a - positive_a),
        Confusion(tp=positive_d, tn=rows_d - positive_d),
    )
    return {
        "DPPL": _difference("DPPL", a, d, confidence),
        "DI": disparate_impact(positive_a, rows_a, positive_d, rows_d, confidence),
    }


def support(name: str, a: Confusion, d: Confusion) -> int:
    """Return the fewest rows that one side of a metric is divided by.

    Below some ten rows a ratio that is no share (DCA, DCR, TE) may be anything, and its interval
    is too narrow.

    >>> support("RD", Confusion(tp=3, fn=4, tn=90), Confusion(tp=30, fn=9))
    7
    """
    below = _RATIOS[name][2] if name in _RATIOS else _ALL
    return int(min(sum(getattr(one, cell) for cell in below) for one in (a, d)))


def disparate_impact(
    positive_a: int, rows_a: int, positive_d: int, rows_d: int, confidence: float = CONFIDENCE
) -> Interval:
    """Return d's rate of positive predictions over a's; below 0.8 is the four-fifths rule.

    The interval is symmetric in the logarithm.

    Raises:
        TooFewError: if a facet has no row.

    Source: Walter, The distribution of Levin's measure of attributable risk, Biometrika 62
    (1975): log((x + 1/2) / (n + 1/2)) of each.
    """
    _check_rows(rows_a, rows_d)
    value = divide(positive_d / rows_d, positive_a / rows_a)
    halves = [(x + 0.5, n + 0.5) for x, n in ((positive_d, rows_d), (positive_a, rows_a))]
    middle = math.log(halves[0][0] / halves[0][1]) - math.log(halves[1][0] / halves[1][1])
    error = math.sqrt(max(sum(1 / x - 1 / n for x, n in halves), 0.0))
    reach = two_sided_z(confidence) * error
    ends = math.exp(middle - reach), math.exp(middle + reach)
    return _with_ends(value, *ends, confidence, rows_a + rows_d)


def conditional_disparity(
    groups: Mapping[str, tuple[int, int, int, int]], confidence: float = CONFIDENCE
) -> Interval:
    """Return CDDL or CDDPL: demographic disparity within groups, weighted by their rows.

    Each group holds (accepted a, accepted d, rejected a, rejected d). Within a group the
    disparity is d's share of the rejected less its share of the accepted, from -1 to 1.

    Raises:
        OneClassError: if nobody was accepted, or nobody rejected, in any group.

    Example:
        >>> round(conditional_disparity({"x": (30, 10, 20, 40)}).estimate, 4)
        0.4167

    Source: Wachter, Mittelstadt and Russell, Why fairness cannot be automated, Computer Law and
    Security Review 41 (2021), as computed by Clarify.
    """
    counts = np.asarray([groups[name] for name in sorted(groups)], dtype=np.float64).reshape(-1, 4)
    if counts[:, :2].sum() == 0 or counts[:, 2:].sum() == 0:
        raise OneClassError("Demographic disparity needs accepted and rejected rows.")
    sizes = counts.sum(axis=1)
    weights = sizes / sizes.sum()
    gaps, noise = np.empty(len(counts)), np.empty(len(counts))
    for place, (kept_a, kept_d, out_a, out_d) in enumerate(counts):
        gaps[place] = _share(out_d, out_a + out_d) - _share(kept_d, kept_a + kept_d)
        noise[place] = _share_noise(kept_d, kept_a) + _share_noise(out_d, out_a)
    value = float((weights * gaps).sum())
    between = float((weights * (gaps - value) ** 2).sum()) / float(sizes.sum())
    reach = two_sided_z(confidence) * math.sqrt(float((weights**2 * noise).sum()) + between)
    return Interval(value, value - reach, value + reach, confidence, int(sizes.sum()))


def generalised_entropy(
    false_positives: int, false_negatives: int, rows: int, confidence: float = CONFIDENCE
) -> Interval:
    """Return GE with alpha 2 of the benefits prediction - label + 1 (0, 1 or 2); 0 is equal.

    Raises:
        OutOfRangeError: if every row is a false negative: nobody has any benefit.

    Source: Speicher et al., A unified approach to quantifying algorithmic unfairness, KDD 2018;
    delta method over the benefit's first two moments.
    """
    right = rows - false_positives - false_negatives
    if rows < 1 or right < 0 or right + false_positives == 0:
        raise OutOfRangeError(
            f"Nobody benefits: {false_negatives} of {rows} rows are false negatives."
        )
    shares = np.asarray([false_negatives, right, false_positives]) / rows
    benefit = np.arange(3.0)
    mean, square = float(shares @ benefit), float(shares @ benefit**2)
    value = 0.5 * (square / mean**2 - 1)
    slope = benefit**2 / (2 * mean**2) - square * benefit / mean**3
    variance = float(shares @ slope**2) - float(shares @ slope) ** 2
    reach = two_sided_z(confidence) * math.sqrt(max(variance, 0.0) / rows)
    return Interval(value, max(value - reach, 0.0), value + reach, confidence, rows)


def _difference(name: str, a: Confusion, d: Confusion, confidence: float) -> Interval:
    sign, above, below = _RATIOS[name]
    (first, smooth_a, noise_a), (second, smooth_d, noise_d) = (
        _ratio(one, above, below) for one in (a, d)
    )
    # Two infinite ratios are equal by the edge rule; their difference is not NaN.
    value = 0.0 if first == second else sign * (first - second)
    middle = sign * (smooth_a - smooth_d)
    reach = two_sided_z(confidence) * math.sqrt(noise_a + noise_d)
    return _with_ends(value, middle - reach, middle + reach, confidence, a.rows + d.rows)


def _ratio(
    counts: Confusion, above: tuple[str, ...], below: tuple[str, ...]
) -> tuple[float, float, float]:
    """Return a ratio of counts, the same smoothed, and the variance of the smoothed one.

    Counts are multinomial and the ratio does not change with their sum, so the delta method
    gives sum(count * slope^2) with slope (in numerator - ratio * in denominator) / denominator.
    """
    both = float(sum(getattr(counts, name) for name in above if name in below))
    only = float(sum(getattr(counts, name) for name in above if name not in below))
    rest = float(sum(getattr(counts, name) for name in below if name not in above))
    value = divide(both + only, both + rest)
    if set(above) < set(below):  # a share
        both, rest = both + 1, rest + 1
    else:
        both, only, rest = both + (0.5 if set(above) & set(below) else 0), only + 0.5, rest + 0.5
    below_all = both + rest
    ratio = (both + only) / below_all
    noise = (both * (1 - ratio) ** 2 + only + rest * ratio**2) / below_all**2
    return value, ratio, noise


def _labelled(counts: Floats, positive: int) -> Confusion:
    """Return labels alone as a confusion: what was said does not matter to DPL."""
    return Confusion(tp=int(counts[positive]), tn=int(counts.sum() - counts[positive]))


def _distances(a: Floats, d: Floats, confidence: float) -> dict[str, Interval]:
    """Return the five distances of two label distributions, by the delta method on shares."""
    n_a, n_d = float(a.sum()), float(d.sum())
    p, q = a / n_a, d / n_d
    gap = p - q
    both = (a + d) / (n_a + n_d)
    error = np.sqrt(both * (1 - both) * (1 / n_a + 1 / n_d))  # of one share's difference
    length, middle = float(np.sqrt((gap**2).sum())), (p + q) / 2
    ends = np.zeros_like(gap)
    ends[int(np.abs(gap).argmax())] = 1.0
    smooth_p, smooth_q = (a + 0.5) / (n_a + len(a) / 2), (d + 0.5) / (n_d + len(d) / 2)
    mixed = (smooth_p + smooth_q) / 2
    free = max(int((both > 0).sum()) - 1, 0)
    by_chance = {
        "KL": free / 2 * (1 / n_a + 1 / n_d),
        "JS": free / 8 * (1 / n_a + 1 / n_d),
        "LP": float(np.sqrt((error**2).sum())),
        "TVD": float(error.sum()) * math.sqrt(2 / math.pi) / 2,
        "KS": float(error.max()) * math.sqrt(2 * math.log(2 * max(len(a), 1))),
    }
    unit = gap / length if length else np.zeros_like(gap)
    slopes = {
        "KL": (np.log(smooth_p / smooth_q), -smooth_p / smooth_q),
        "JS": (np.log(smooth_p / mixed) / 2, np.log(smooth_q / mixed) / 2),
        "LP": (unit, -unit),
        "TVD": (np.sign(gap) / 2, -np.sign(gap) / 2),
        "KS": (ends * np.sign(gap), -ends * np.sign(gap)),
    }
    values = {
        "KL": _divergence(p, q),
        "JS": (_divergence(p, middle) + _divergence(q, middle)) / 2,
        "LP": length,
        "TVD": float(np.abs(gap).sum()) / 2,
        "KS": float(np.abs(gap).max()),
    }
    z, found = two_sided_z(confidence), {}
    for name, value in values.items():
        noise = _spread(slopes[name][0], smooth_p) / n_a + _spread(slopes[name][1], smooth_q) / n_d
        reach = z * math.sqrt(noise)
        start = value if math.isfinite(value) else _divergence(smooth_p, smooth_q)
        low, high = start - by_chance[name] - reach, value + reach
        if name in ("KL", "JS"):  # grow with the square of the gap: symmetric in their roots
            root, half = math.sqrt(start), reach / (2 * math.sqrt(start)) if start > 0 else 0.0
            low = max(root - half, 0.0) ** 2 - by_chance[name]
            high = max((root + half) ** 2, value + z * z * by_chance[name])
        low = min(max(low, 0.0), value)
        found[name] = Interval(value, low, high, confidence, int(n_a + n_d))
    return found


def _divergence(p: Floats, q: Floats) -> float:
    there = p > 0
    if (q[there] == 0).any():
        return math.inf
    return max(float((p[there] * np.log(p[there] / q[there])).sum()), 0.0)


def _spread(slope: Floats, shares: Floats) -> float:
    return max(float(shares @ slope**2) - float(shares @ slope) ** 2, 0.0)


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _share_noise(part: float, rest: float) -> float:
    """Return the variance of a share, smoothed by one row on either side."""
    rows = part + rest + 2
    share = (part + 1) / rows
    return share * (1 - share) / rows


def _with_ends(value: float, low: float, high: float, confidence: float, rows: int) -> Interval:
    return Interval(value, min(low, value), max(high, value), confidence, rows)


def _check_rows(n_a: int, n_d: int) -> None:
    if n_a < 1 or n_d < 1:
        raise TooFewError(f"Both facets need rows, found {n_a} (a) and {n_d} (d).")
