"""Compare the arms of an A/B rollout as labels come, two at a time, valid at every look.

Each row is answered by one arm, drawn by weight, so losses are not paired. For the arms i and j
of a pair the weight says how likely a row of the two was i's: p. So

    x = (loss - c) / (1 - p)   of a row that j answered,   -(loss - c) / p   of a row of i

has the mean loss(j) - loss(i), whatever c is; c is the mean of the losses before this row, which
keeps x small. Times the smaller of p and 1 - p it lies in [-1, 1], and the mixture of bets of
:mod:`mainspring.numerics.sequential` runs on it: "i is better than j" is shown once its wealth
has reached one over its part of alpha. All ordered pairs share alpha alike (Bonferroni), so with
chance at most alpha anything false is ever said of any pair, however often one looks.

Assumes that rows are drawn independently. Where a sticky column is named, only the first labelled
row of each of its values is compared, for further rows of it say nothing about the draw. Sticky
keys in a header are not recorded: there many rows of one key make the evidence too strong.

Source: Waudby-Smith, Wu, Ramdas, Karampatziakis and Mineiro, Anytime-valid off-policy inference
for contextual bandits (ACM/IMS Journal of Data Science 2024, arXiv 2210.10768), the importance
weighted betting martingale; a mixture of fixed bets in place of theirs.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mainspring.ground.objects import Arm, Rollout, RolloutPolicy
from mainspring.numerics.errors import ShapesDifferError
from mainspring.numerics.sequential import Wealth, crossed, peak_value, update
from mainspring.retraining.challenge import Verdict

Floats = npt.NDArray[np.float64]


class Beside(NamedTuple):
    """How two arms stand: whether ``better`` was shown to have the lower loss than ``worse``."""

    better: int
    worse: int
    wealth: float  #: the highest so far
    needed: float
    shown: bool


def advance(
    rollout: Rollout,
    versions: npt.ArrayLike,
    losses: npt.ArrayLike,
    policy: RolloutPolicy,
) -> dict[str, list[float]]:
    """Return the state of every comparison after more labelled rows.

    ``versions`` say who answered, ``losses`` are in [0, 1]; both have shape (rows,) and the order
    in which labels came. How they are cut into calls does not matter.

    Raises:
        ShapesDifferError: if the two do not belong to the same rows.
        OutOfRangeError: if a loss is missing or outside [0, 1].
    """
    who, lost = np.asarray(versions), np.asarray(losses, dtype=np.float64)
    if who.shape != lost.shape:
        raise ShapesDifferError(f"Found {who.shape} versions and {lost.shape} losses.")
    weights = {arm.version: arm.weight for arm in rollout.arms}
    tests = dict(rollout.tests)
    for number in weights:
        mine = lost[who == number]
        rows, total = tests.get(_mean(number), [0.0, 0.0])
        tests[_mean(number)] = [rows + mine.size, total + float(mine.sum())]
    for low, high in permutations(sorted(weights), 2):
        if low > high or weights[low] <= 0 or weights[high] <= 0:
            continue
        either = (who == low) | (who == high)
        x, seen = _weighted(
            who[either] == low,
            lost[either],
            weights[low] / (weights[low] + weights[high]),
            tests.get(_both(low, high), [0.0, 0.0]),
        )
        tests[_both(low, high)] = seen
        least = min(weights[low], weights[high]) / (weights[low] + weights[high])
        for better, worse, sign in ((low, high, 1.0), (high, low, -1.0)):
            key = _shown(better, worse)
            known = Wealth.from_list(tests[key]) if key in tests else Wealth()
            tests[key] = update(known, sign * least * x, least * policy.margin).to_list()
    return tests


def _weighted(
    first: npt.NDArray[np.bool_], losses: Floats, share: float, seen: list[float]
) -> tuple[Floats, list[float]]:
    """Return rows whose mean is loss(second) - loss(first), and the losses counted by now."""
    rows, total = seen
    before = total + np.concatenate(([0.0], np.cumsum(losses)[:-1])) if losses.size else losses
    # Half a row of loss 1/2 ahead of all, or the first row had nothing to be held against.
    middle = (0.25 + before) / (0.5 + rows + np.arange(losses.size))
    away = losses - middle
    x = np.where(first, -away / share, away / (1 - share))
    return x, [rows + losses.size, total + float(losses.sum())]


def standings(rollout: Rollout, policy: RolloutPolicy) -> list[Beside]:
    """Return how every two arms stand, both ways round."""
    return [_beside(rollout, policy, *pair) for pair in _pairs(rollout.arms)]


def means(rollout: Rollout) -> dict[int, tuple[int, float | None]]:
    """Return each arm's labelled rows and their mean loss; None without rows."""
    found = {}
    for arm in rollout.arms:
        rows, total = rollout.tests.get(_mean(arm.version), [0.0, 0.0])
        found[arm.version] = (int(rows), total / rows if rows else None)
    return found


def winner(rollout: Rollout, policy: RolloutPolicy) -> int | None:
    """Return the arm that was shown to be better than each other that still answers."""
    alive = [arm for arm in rollout.arms if arm.weight > 0]
    shown = {(one.better, one.worse) for one in standings(rollout, policy) if one.shown}
    for arm in alive:
        others = [one.version for one in alive if one.version != arm.version]
        if others and all((arm.version, other) in shown for other in others):
            return arm.version
    return None


def harmful(rollout: Rollout, policy: RolloutPolicy) -> Verdict | None:
    """Return the arm that was shown to be worse than the champion, if one still answers."""
    needed = max(len(rollout.arms) - 1, 1) / policy.harm_alpha
    for arm in rollout.arms:
        if arm.version == rollout.champion or arm.weight <= 0:
            continue
        one = _beside(rollout, policy, rollout.champion, arm.version)
        if one.wealth >= needed:
            evidence = {"version": arm.version, "wealth_worse": min(one.wealth, 1e300)}
            evidence |= {"harm_alpha": policy.harm_alpha, "needed": needed}
            return Verdict(
                "worse",
                f"Version {arm.version} is worse than champion {rollout.champion}:"
                f" {told(rollout)}. The evidence reached {_figure(one.wealth)} and"
                f" {needed:.3g} was enough (alpha {policy.harm_alpha:g}, shared by the arms).",
                {**evidence, **figures(rollout, policy)},
            )
    return None


def told(rollout: Rollout) -> str:
    """Return the mean losses of all arms in words."""
    parts = [
        f"version {number} {'no labelled row' if mean is None else f'{mean:.4f} on {rows:,} rows'}"
        for number, (rows, mean) in sorted(means(rollout).items())
    ]
    return "mean loss " + ", ".join(parts)


def figures(rollout: Rollout, policy: RolloutPolicy) -> dict[str, object]:
    """Return what the arms' losses and comparisons are, for evidence."""
    return {
        "losses": {str(n): {"rows": r, "mean": m} for n, (r, m) in means(rollout).items()},
        "comparisons": [
            {
                "better": one.better,
                "worse": one.worse,
                "wealth": min(one.wealth, 1e300),
                "needed": one.needed,
                "shown": one.shown,
            }
            for one in standings(rollout, policy)
        ],
        "alpha": policy.alpha,
    }


def _beside(rollout: Rollout, policy: RolloutPolicy, better: int, worse: int) -> Beside:
    stored = rollout.tests.get(_shown(better, worse))
    known = Wealth.from_list(stored) if stored else Wealth()
    alpha = policy.alpha / (len(rollout.arms) * (len(rollout.arms) - 1))
    return Beside(better, worse, peak_value(known), 1 / alpha, crossed(known, alpha))


def _pairs(arms: list[Arm]) -> Iterator[tuple[int, int]]:
    return permutations([arm.version for arm in arms], 2)


def _mean(version: int) -> str:
    return str(version)


def _both(low: int, high: int) -> str:
    return f"{low}|{high}"


def _shown(better: int, worse: int) -> str:
    return f"{better}>{worse}"


def _figure(wealth: float) -> str:
    return f"{wealth:.3g}" if wealth < 1e6 else "more than a million"
