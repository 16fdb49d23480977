"""Say for how many independent rows the rows of a stream count.

Rows that come one after the other are often alike: one customer, one hour, one machine. A share
or a mean over such rows scatters more than over as many independent ones, by the *design
effect*: ``m`` rows count for ``m / effect``. It is measured on blocks of rows in the order of
their time, at several lengths of block, and is sound for dependence that dies out within the
longest block, which is a sixteenth of the rows; what lasts longer it cannot see.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from mainspring.numerics.errors import OutOfRangeError, ShapesDifferError
from mainspring.numerics.quantiles import normal_quantile, student_quantile

Floats = npt.NDArray[np.float64]

#: Fewer blocks say too little about their scatter; more would be too short to hold dependence.
LEAST_BLOCKS = 16
#: Flags are summed into at most so many blocks first, so that a million rows cost one pass.
MOST_BLOCKS = 4096
#: On so many degrees of freedom an effect is known well enough to be told beyond the blocks.
ENOUGH_DEGREES = 30


@dataclass(frozen=True, slots=True)
class Dependence:
    """The design effect seen with so many blocks, and on how many degrees of freedom it rests."""

    effects: Mapping[int, float]  # blocks -> effect; none where there were too few rows
    windows: int = 1  # over how many windows of as many blocks it was averaged

    def certain(self, chance: float) -> float:
        """Return the design effect to reckon with, at least 1, when ``chance`` may be missed.

        Each scale's effect is an estimate from its blocks; it is raised by the square of what
        Student's quantile exceeds the normal one, so that a normal radius over ``m / effect``
        rows is the Student one. The largest scale counts, and with enough windows also what the
        two scales of the longest blocks point to beyond them.
        """
        raised = [
            effect * _student_factor(self.windows * (blocks - 1), chance)
            for blocks, effect in self.effects.items()
        ]
        beyond, degrees = self._beyond()
        if degrees >= ENOUGH_DEGREES:
            raised.append(beyond * _student_factor(degrees, chance))
        return max([1.0, *raised])

    def _beyond(self) -> tuple[float, int]:
        """Return the effect at blocks of any length, and its degrees of freedom.

        Blocks of b rows miss about c / b of the effect (runs reach over their ends): twice that
        of the longest less that of the half as long has it.
        """
        longest, half = (self.effects.get(blocks) for blocks in (LEAST_BLOCKS, 2 * LEAST_BLOCKS))
        if longest is None or half is None:
            return 0.0, 0
        beyond = 2 * longest - half
        scatter = 8 * longest**2 / (LEAST_BLOCKS - 1) + 2 * half**2 / (2 * LEAST_BLOCKS - 1)
        return beyond, int(self.windows * 2 * beyond**2 / scatter) if scatter else 0


def block_sums(flags: npt.NDArray[np.bool_]) -> tuple[Floats, int]:
    """Return how many of the flags of each block are set, and the rows of a block.

    ``flags`` has shape (rows,), in the order of time. There are at most
    :data:`MOST_BLOCKS` blocks, all of the same length; rows after the last whole one are left
    out.

    Example:
        >>> block_sums(np.array([True, False, True]))[0].tolist()
        [1.0, 0.0, 1.0]
    """
    length = max(-(-flags.size // MOST_BLOCKS), 1)
    blocks = flags.size // length
    whole = flags[: blocks * length].reshape(blocks, length)
    # A sum of booleans becomes one of 64-bit whole numbers first; counting does not.
    sums = np.count_nonzero(whole, axis=1) if length > 1 else whole[:, 0]
    return np.asarray(sums, dtype=np.float64), length


def design_effects(flags: Sequence[npt.NDArray[np.bool_]]) -> Dependence:
    """Return how much more shares of flags scatter than over independent rows.

    Each of ``flags`` has shape (rows,), says of every row in the order of time whether something
    holds (a number below a quartile, a category), and all have the same rows. Around 1 for
    independent rows; about L where L rows in a row are alike; below 1 where rows alternate.
    Empty where there are fewer than :data:`LEAST_BLOCKS` rows or no flag ever changes.

    Raises:
        ShapesDifferError: if the flags do not have the same rows.

    Example:
        >>> runs = np.repeat([True, False, False, True, True, True, False, False] * 4, 8)
        >>> round(design_effects([runs]).effects[16], 1)
        8.5

    Source: Kish, Survey Sampling (1965), the design effect; averaged over several flags by their
    variances as in Rao and Scott, The analysis of categorical data from complex sample surveys,
    JASA 76 (1981); from batch means at doubling lengths as in Flyvbjerg and Petersen, Error
    estimates on averages of correlated data, Journal of Chemical Physics 91 (1989).
    """
    if len({flag.size for flag in flags}) > 1:
        raise ShapesDifferError(f"Flags must have equal rows, found {[f.size for f in flags]}.")
    if not flags or flags[0].size < 2 * LEAST_BLOCKS:
        return Dependence({})
    summed = [block_sums(flag) for flag in flags]
    length = summed[0][1]
    sums = np.stack([one for one, _ in summed])
    shares = sums.mean(axis=1) / length
    spread = float((shares * (1 - shares)).sum())
    if spread <= 0:
        return Dependence({})
    effects = {}
    blocks = LEAST_BLOCKS
    while blocks <= sums.shape[1] // (2 if length == 1 else 1):
        joined = sums.shape[1] // blocks
        cut = sums[:, : blocks * joined].reshape(len(flags), blocks, joined)
        means = cut.sum(axis=2) / (joined * length)
        effects[blocks] = joined * length * float(means.var(axis=1, ddof=1).sum()) / spread
        blocks *= 2
    return Dependence(effects)


def pooled(seen: Sequence[Dependence]) -> Dependence:
    """Return the mean design effects of several windows; scales that not all have are left out.

    Example:
        >>> pooled([Dependence({16: 2.0, 32: 1.0}), Dependence({16: 4.0})])
        Dependence(effects={16: 3.0}, windows=2)
    """
    full = [one for one in seen if one.effects]
    if not full:
        return Dependence({})
    common = set.intersection(*(set(one.effects) for one in full))
    weights = [one.windows for one in full]
    total = sum(weights)
    return Dependence(
        {
            blocks: sum(w * one.effects[blocks] for w, one in zip(weights, full, strict=True))
            / total
            for blocks in sorted(common)
        },
        total,
    )


def between_windows(values: Sequence[float], lag: int = 1) -> float | None:
    """Return the variance that values of windows have from one to the next, or None.

    ``values`` are in the order of time; compared are those ``lag`` apart (a season). Half the
    mean squared difference: a slow drift over all of them hardly adds to it, as it would to the
    plain variance, and would so hide itself. None with fewer than two differences.

    Raises:
        OutOfRangeError: if lag < 1.

    Example:
        >>> between_windows([0.0, 2.0, 0.0, 2.0])
        2.0
        >>> between_windows([0.0, 5.0, 0.0, 5.0], lag=2)
        0.0

    Source: von Neumann, Kent, Bellinson and Hart, The mean square successive difference, Annals
    of Mathematical Statistics 12 (1941).
    """
    if lag < 1:
        raise OutOfRangeError(f"Windows are compared at least 1 apart, found {lag}.")
    found = np.asarray(values, dtype=np.float64)
    if found.size < lag + 2:
        return None
    return float(((found[lag:] - found[:-lag]) ** 2).mean()) / 2


@lru_cache(maxsize=4096)
def _student_factor(degrees: int, chance: float) -> float:
    if not 0 < chance < 1:
        raise OutOfRangeError(f"A chance lies between 0 and 1, found {chance}.")
    upper = 1 - chance / 2
    return float((student_quantile(upper, degrees) / normal_quantile(upper)) ** 2)
