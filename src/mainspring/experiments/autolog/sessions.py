"""What is kept of one fit: which run it goes to, its params, its metrics, its model."""

from __future__ import annotations

import contextlib
import math
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from typing import Any, Protocol

from mainspring.experiments.autolog.patching import guarded
from mainspring.experiments.exact import param_text
from mainspring.ground.errors import BadInputError

MOST_PARAMS = 300
_LONGEST = 500  #: characters of a value that is no plain one


class Kept(Protocol):
    """A run, as autolog writes to it."""

    @property
    def id(self) -> str:
        """Return the run's id."""
        ...

    def log(
        self, values: Mapping[str, object] | None = None, /, *, step: float | None = None
    ) -> None:
        """Log metric values."""
        ...

    def log_params(self, values: Mapping[str, Any] | None = None, /) -> None:
        """Set params."""
        ...

    def tag(self, values: Mapping[str, Any] | None = None, /) -> None:
        """Set tags."""
        ...

    def log_bytes(self, data: bytes, to: str) -> None:
        """Keep bytes as a file."""
        ...


class Sink(Protocol):
    """Where runs come from; the workspace has one, a test another."""

    def begin(self, name: str) -> tuple[Kept, Callable[[str], None]]:
        """Return the run of a fit that begins, and what is to be called with its status."""
        ...

    def child(self, parent: Kept, name: str) -> tuple[Kept, Callable[[str], None]]:
        """Return a new child of a run, and what is to be called with its status."""
        ...

    def late(self, run: Kept) -> Kept:
        """Return a run that may have ended, to log what comes late."""
        ...


class Session:
    """One fit that is being noted."""

    def __init__(self, run: Kept, end: Callable[[str], None]) -> None:
        self.run = run
        self.end = end
        self.rounds = 0  #: of boosting, or epochs, logged so far


#: The fit that this code runs inside of: what is fitted within it is not noted again.
_INSIDE: ContextVar[Session | None] = ContextVar("mainspring_autolog", default=None)

_runs: weakref.WeakKeyDictionary[Any, Kept] = weakref.WeakKeyDictionary()


class Settings:
    """What is in force."""

    def __init__(self) -> None:
        self.sink: Sink | None = None
        self.models: bool | str = True


ACTIVE = Settings()


def inside() -> Session | None:
    """Return the fit that this code runs inside of."""
    return _INSIDE.get()


@contextlib.contextmanager
def hidden() -> Iterator[None]:
    """Note nothing for as long as the block lasts, such as while we score ourselves."""
    token = _INSIDE.set(Session(_Nothing(), lambda _: None))
    try:
        yield
    finally:
        _INSIDE.reset(token)


def noted(
    name: str,
    call: Callable[[], Any],
    before: Callable[[Session], None],
    after: Callable[[Session, Any], None],
) -> Any:
    """Do a fit and note it; within another fit, or while autolog is off, only do it.

    Whatever goes wrong beside the fit is warned of once. What the fit itself raises is raised.
    """
    sink = ACTIVE.sink
    if sink is None or _INSIDE.get() is not None:
        return call()
    begun = guarded("begin a run", lambda: sink.begin(name))
    session = Session(_Nothing(), lambda _: None) if begun is None else Session(*begun)
    token = _INSIDE.set(session)
    try:
        if begun is not None:
            guarded("note the params", lambda: before(session))
        try:
            result = call()
        except BaseException:
            guarded("end the run", lambda: session.end("failed"))
            raise
        if begun is not None:
            guarded("note the result", lambda: after(session, result))
            guarded("end the run", lambda: session.end("finished"))
        return result
    finally:
        _INSIDE.reset(token)


def remember(model: Any, run: Kept) -> None:
    """Remember in which run a model was fitted, for what is measured of it later."""
    with contextlib.suppress(TypeError):  # a model that cannot be a key is not followed
        _runs[model] = run


def run_of(model: Any) -> Kept | None:
    """Return the run that a model was fitted in, if it was noted."""
    try:
        run = _runs.get(model)
    except TypeError:
        return None
    return None if run is None or ACTIVE.sink is None else ACTIVE.sink.late(run)


def forget() -> None:
    """Remember no model any more."""
    _runs.clear()


def log_params(run: Kept, values: Mapping[str, Any]) -> None:
    """Set params, each as text; what has no plain value is shown as Python shows it."""
    shown: dict[str, str] = {}
    for key, value in list(values.items())[:MOST_PARAMS]:
        try:
            shown[str(key)[:250]] = param_text(value, "param")[:_LONGEST]
        except BadInputError:
            text = value.__name__ if isinstance(value, type) else repr(value)
            shown[str(key)[:250]] = " ".join(text.split())[:_LONGEST]
    run.log_params(shown)


def log_finite(run: Kept, values: Mapping[str, Any], step: int | None = None) -> None:
    """Log those metrics that are numbers, such as of a round or an epoch."""
    found: dict[str, object] = {}
    for key, value in values.items():
        if value is None or isinstance(value, bool | str):
            continue
        number = float(value)
        if not math.isnan(number):
            found[str(key)] = number
    if found:
        run.log(found, step=step)


class _Nothing:
    """A run that keeps nothing, where none could be begun."""

    id = ""

    def log(self, values: Any = None, /, *, step: float | None = None) -> None: ...
    def log_params(self, values: Any = None, /) -> None: ...
    def tag(self, values: Any = None, /) -> None: ...
    def log_bytes(self, data: bytes, to: str) -> None: ...
