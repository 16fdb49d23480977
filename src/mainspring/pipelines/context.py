"""What a step can say while it runs: metrics and progress; and what it can ask for."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.ground.clock import Clock, SystemClock
from mainspring.ground.errors import BadInputError, NotExactError
from mainspring.ground.ports import Objects
from mainspring.ground.secrecy import Hiding

if TYPE_CHECKING:
    from mainspring.pipelines.checkpoints import Shelf

_EVERY_S = 0.25  # progress is looked at by people: four times a second is enough


class StepContext:
    """What belongs to the step that is running."""

    def __init__(
        self,
        run: str,
        step: str,
        objects: Objects,
        *,
        clock: Clock | None = None,
        progress_file: Path | None = None,
        folder: Path | None = None,
        kept: Path | None = None,
        shelf: Shelf | None = None,
        own_shelf: Shelf | None = None,
        folder_shelf: Shelf | None = None,
        seed: int = 0,
        secrets: Sequence[str] = (),
        tokens: Sequence[str] = (),
        beat: Path | None = None,
        experiment: str = "",
        name: str = "",
        speaks: bool = True,
    ) -> None:
        self.run, self.step, self.objects = run, step, objects
        self.points: list[list[Any]] = []  #: [key, value, step or None, time]; see ``pack``
        self.done: float | None = None
        self.total: float | None = None
        self._clock = clock or SystemClock()
        self._file = progress_file
        self.folder = folder  #: for files of the step's own; gone when its output is kept
        self._kept = kept
        self.shelf = shelf  #: its checkpoints
        #: Those of this worker alone, where it is one of several.
        self.own_shelf = own_shelf or shelf
        #: Where its script's folder is kept: the first one's with the step's.
        self.folder_shelf = folder_shelf or shelf
        self.seed = seed  #: for what it draws by chance
        self.hiding = Hiding([*(os.environ.get(name, "") for name in secrets), *tokens])
        self._told = -math.inf
        self._beat = beat
        self.experiment, self.name = experiment, name  #: of its run
        self.speaks = speaks  #: whether what it logs is its step's: of several workers the first's
        self.handle: object = None  #: its run, once something asked for it; see ``ms.current_run``

    def log(self, values: Mapping[str, object], step: int | None, at: float | None = None) -> None:
        """Take note of metric values."""
        now = self._clock.now() if at is None else at
        for key, value in values.items():
            self.points.append([key, pack(_number(value, key)), step, now])

    def progress(self, done: float, total: float | None) -> None:
        """Take note of how far the step is, and tell those who look."""
        self.done, self.total = done, total
        now = self._clock.now()
        if self._file is None or (now - self._told < _EVERY_S and done != total):
            return
        self._told = now
        part = self._file.with_suffix(".part")
        part.write_bytes(msgspec.json.encode({"done": done, "total": total, "at": now}))
        part.replace(self._file)

    def beat(self) -> None:
        """Show that the step gets on."""
        if self._beat is not None:
            self._beat.touch()

    def keep(self, file: Path) -> None:
        """Keep a file as an artifact of the run, also if the step fails."""
        if self._kept is not None:
            self._kept.mkdir(exist_ok=True)
            shutil.copyfile(file, self._kept / file.name)


_CURRENT: ContextVar[StepContext | None] = ContextVar("mainspring_step", default=None)
_FIRED: ContextVar[float | None] = ContextVar("mainspring_fired", default=None)


@contextmanager
def entered(context: StepContext) -> Iterator[StepContext]:
    """Let ``log``, ``progress`` and ``objects`` mean this step."""
    token = _CURRENT.set(context)
    try:
        yield context
    finally:
        _CURRENT.reset(token)


def run_id() -> str | None:
    """Return the id of the pipeline's run that this step is of; None outside of a step.

    Whoever is asked for something outside of the run, in a step with ``cache=False``, can be
    told by it whom to answer: see ``wait_for_event``.

    >>> run_id() is None
    True
    """
    context = _CURRENT.get()
    return None if context is None else context.run


def heartbeat() -> None:
    """Show that a step gets on: one with ``heartbeat_s=`` is ended without such a sign.

    Outside of a step it does nothing.

    >>> heartbeat()
    """
    context = _CURRENT.get()
    if context is not None:
        context.beat()


def current() -> StepContext | None:
    """Return what belongs to the step that is running; None outside of one."""
    return _CURRENT.get()


@contextmanager
def fired_at(seconds: float | None) -> Iterator[None]:
    """Let ``scheduled_at`` say this time while a pipeline's body is traced."""
    token = _FIRED.set(seconds)
    try:
        yield
    finally:
        _FIRED.reset(token)


def scheduled_at() -> datetime | None:
    """Return the time for which a schedule started this run, in UTC; None for any other run.

    It is the fire time, not the time at which work began: a run that makes up for last Tuesday
    is told last Tuesday, and computes that day. Ask for it in the body of a pipeline and hand it
    to steps as an argument: what a step depends on has to be part of its key. A parameter called
    ``fire_at`` is given the same time, as text.

    >>> scheduled_at() is None
    True

    Raises:
        BadInputError: if a step asks, whose result could then be reused for another day.
    """
    if current() is not None:
        raise BadInputError(
            "A step cannot ask when it was scheduled: its result would be reused for other days.",
            hint="Ask in the body of the pipeline, and hand the time to the step: day(str(...)).",
        )
    seconds = _FIRED.get()
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def log(step: float | None = None, **metrics: float) -> None:
    """Log metric values of the running step's run, such as ``log(auc=0.91)``.

    ``step`` is a whole number. Without it each metric goes on by one from its latest. Called
    outside of a run, where a step is tested as plain Python, it only checks the values.

    Raises:
        BadInputError: if a value is no number.
        NotExactError: if a value has no float of its value.
    """
    if step is not None and (isinstance(step, bool) or not isinstance(step, int)):
        raise BadInputError(f"step must be a whole number, found {step!r}.", field="step")
    context = current()
    if context is not None:
        context.log(metrics, step)
        return
    for key, value in metrics.items():
        _number(value, key)


def progress(done: float, total: float | None = None) -> None:
    """Say how far the running step is: ``done`` out of ``total``, in any unit."""
    context = current()
    if context is not None:
        context.progress(done, total)


def seed() -> int:
    """Return the running step's seed: the same for the same run's seed and step; else 0.

    For generators of your own: ``numpy.random.default_rng(ms.seed())``. Python's, numpy's and
    torch's global ones are set to it already.
    """
    context = current()
    return 0 if context is None else context.seed


def objects() -> Objects:
    """Return the objects of the place the step runs in.

    Raises:
        BadInputError: if no step is being run.
    """
    context = current()
    if context is None:
        raise BadInputError(
            "There are no objects outside of a running step.",
            hint="Start the pipeline with mainspring run, or give the function its value.",
        )
    return context.objects


def pack(value: float) -> float | str:
    """Return a float as JSON can hold it: NaN and the infinities as their names.

    >>> pack(float("inf")), float(pack(float("inf")))
    ('inf', inf)
    """
    return value if math.isfinite(value) else repr(value)


def _number(value: object, key: str) -> float:
    if isinstance(value, str | bytes) or not hasattr(value, "__float__"):
        raise BadInputError(
            f"Metric {key} must be a number, found {type(value).__name__}.", field=key
        )
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise BadInputError(f"Metric {key} must be one number: {error}.", field=key) from error
    if number != value and value == value:  # only NaN differs from itself
        raise NotExactError(f"Metric {key} = {value!r} has no float of its value.", field=key)
    return number
