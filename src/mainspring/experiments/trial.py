"""What a function that is tuned can say on its way: how good it is so far."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from mainspring.experiments.exact import exact_float, exact_int
from mainspring.ground.errors import BadInputError

MOST_REPORTS = 1_000  #: of one trial: they are all looked at whenever a trial reports

Tell = Callable[[float, int], bool]


class Pruned(Exception):  # noqa: N818  a verdict, not an error
    """Raised by ``trial.report``: others were better at this step, so this trial ends here."""


class Trial:
    """One trial of a tuning: its number, its params, and whom to tell how it goes."""

    def __init__(self, number: int, params: Mapping[str, Any], tell: Tell | None = None) -> None:
        self.number = number
        self.params = dict(params)
        self._tell = tell
        self._last = -1
        self._count = 0

    def report(self, value: float, step: int) -> None:
        """Say how good the trial is after so many steps, such as epochs.

        ``step`` begins at 0 or 1 and grows with each report.

        Raises:
            Pruned: if others were better at this step. Let it pass: the trial then counts as
                pruned, with the value it reported last.
            BadInputError: for a value that is no number, a step that does not grow, or more
                than 1,000 reports.
        """
        number, at = exact_float(value, "value"), exact_int(step, "step")
        if at <= self._last:
            raise BadInputError(
                f"Steps grow from report to report, found {at} after {self._last}.", field="step"
            )
        self._count += 1
        if self._count > MOST_REPORTS:
            raise BadInputError(
                f"A trial reports at most {MOST_REPORTS:,} times.",
                field="step",
                hint="Report every few steps.",
            )
        self._last = at
        if self._tell is not None and self._tell(number, at):
            raise Pruned(f"Others were better at step {at}.")

    def __repr__(self) -> str:
        return f"<trial {self.number}>"


_CURRENT: ContextVar[Trial | None] = ContextVar("mainspring_trial", default=None)


def trial() -> Trial:
    """Return the trial that is running; outside of a tuning, one that only checks its reports.

    >>> trial().report(0.5, step=1)
    """
    return _CURRENT.get() or Trial(0, {})


@contextmanager
def entered(one: Trial) -> Iterator[Trial]:
    """Let ``trial()`` mean this one."""
    token = _CURRENT.set(one)
    try:
        yield one
    finally:
        _CURRENT.reset(token)
