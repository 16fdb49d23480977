"""Add the points up: four sums, the smallest is the score, and what the paper says of it."""

from __future__ import annotations

from mainspring.debt.score.claims import Point, point
from mainspring.debt.score.facts import Facts
from mainspring.debt.score.table import SECTIONS, TESTS
from mainspring.ground.objects import Record

#: (above this score, what the paper says of it), the highest first; 0 has words of its own.
BANDS = (
    (5.0, "exceptional"),
    (3.0, "strong automated testing and monitoring, fit for mission-critical systems"),
    (2.0, "reasonably tested, more could be automated"),
    (1.0, "first pass at basic productionization, more investment may be needed"),
    (0.0, "not totally untested, but possible serious holes in reliability"),
)
NOTHING = "more a research project than a productionized system"


class Score(Record, frozen=True, kw_only=True):
    """The ML Test Score of one model at one moment."""

    model: str
    champion: int | None
    at: float  #: wall time
    score: float  #: the smallest of the sums, 0 to 7
    band: str  #: what the paper says of such a score
    sums: dict[str, float]  #: by section, each 0 to 7
    points: list[Point]  #: the 28 tests in order
    max_age_s: float
    falls: float | None = None  #: wall time at which the first point ages out


def judge(facts: Facts) -> Score:
    """Return the score that the facts give.

    Each of the 28 tests gives 0, 0.5 or 1; the final score is the smallest of the four sums.

    Source: Breck et al. 2017, section VI.
    """
    version = f"{facts.model}/{facts.champion or 'NUMBER'}"
    points = [
        point(
            test.number,
            test.name,
            test.earn.format(model=facts.model, version=version),
            test.judge(facts),
            facts,
        )
        for test in TESTS
    ]
    sums = dict.fromkeys(SECTIONS, 0.0)
    for one in points:
        sums[one.test.split()[0]] += one.points
    least = min(sums.values())
    return Score(
        model=facts.model,
        champion=facts.champion,
        at=facts.now,
        score=least,
        band=band(least),
        sums=sums,
        points=points,
        max_age_s=facts.max_age_s,
        falls=min((one.until for one in points if one.points and one.until), default=None),
    )


def band(score: float) -> str:
    """Return what the paper says of a score.

    Each band holds its upper end: 3 is reasonably tested, anything above is strong.

    Example:
        >>> band(0.0)
        'more a research project than a productionized system'
        >>> band(3.0), band(3.5)[:6]
        ('reasonably tested, more could be automated', 'strong')
    """
    return next((words for above, words in BANDS if score > above), NOTHING)


def digest(score: Score) -> dict[str, float]:
    """Return the points by test, as they are kept in the trend."""
    return {one.test: one.points for one in score.points}
