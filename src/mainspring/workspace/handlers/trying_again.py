"""Decide whether a function of the user's that failed is tried again, and when."""

from __future__ import annotations

import random
from collections.abc import Sequence

from mainspring.ground.errors import StepFailedError
from mainspring.pipelines.options import Options, delay_s


class Again(Exception):  # noqa: N818  not an error of ours: it asks the engine for another try
    """The user's function raised and has tries left, the next one after ``wait_s`` seconds."""

    def __init__(self, error: str, wait_s: float) -> None:
        super().__init__(error)
        self.wait_s = wait_s


def another_try(
    error: Exception, types: Sequence[str], options: Options, attempt: int
) -> Again | None:
    """Return what asks for another try; None if this failure is for good.

    ``types`` are what was raised and its bases, by name.
    """
    meant = not options.retry_on or bool(set(options.retry_on).intersection(types))
    if not isinstance(error, StepFailedError) or not meant or attempt > options.retries:
        return None
    return Again(str(error), delay_s(options, attempt, random.random()))  # noqa: S311  a wait
