"""A run as a script holds it: ``with ms.run("exp") as run: run.log(loss=0.3)``."""

from __future__ import annotations

import contextlib
import functools
import inspect
import os
import threading
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from mainspring.experiments import frames as f
from mainspring.experiments.exact import exact_float, exact_int, exact_key, exact_time, param_text
from mainspring.ground.clock import SystemClock
from mainspring.ground.errors import BadInputError, ConflictError, MainspringError, NotExactError
from mainspring.ground.identity import new_id
from mainspring.workspace.tracking import failing, hooks, living, places
from mainspring.workspace.tracking.keeping import Keeping
from mainspring.workspace.tracking.planning import Plan, flattened
from mainspring.workspace.tracking.writing import Target, target_of

F = TypeVar("F", bound=Callable[..., Any])

_ENDINGS = ("finished", "failed", "cancelled")
_CURRENT: ContextVar[ActiveRun | None] = ContextVar("mainspring_run", default=None)
_encode = f.encode


class ActiveRun(Keeping):
    """A run that this process writes to. It begins with its first use.

    Use it as a context manager (an exception makes it failed, Ctrl-C cancelled), as a plain
    handle that :meth:`end` ends, or as a decorator, which makes a new run of each call. A plain
    handle that is never ended is ended with its process.
    """

    def __init__(self, plan: Plan, target: Target | None = None) -> None:
        self._plan = plan
        self._target = target
        self._journal: Any = None  # set once it has begun
        self._generation = -1  # of the journal it was introduced in
        self._id = plan.resume or new_id("run")
        self._started = 0.0
        self._parent: str | None = None
        self._owner = 0  # the process that may end it
        self._params: dict[str, str] = {}
        self._keys: set[str] = set()  # metric keys that can be kept
        self._ended: str | None = None
        self._before: list[ActiveRun | None] = []
        self._closers: list[hooks.Closer] = []
        self._lock = threading.RLock()
        self._now = SystemClock().now

    def __repr__(self) -> str:
        return f"<run {self._id}: {self._ended or 'running'}>"

    def _repr_html_(self) -> str:
        from mainspring.workspace.tracking.shown import page, unbegun

        if self._journal is None:  # to look at it is no use of it
            return unbegun(self).html()
        return page(self, self._ended or "running").html()

    @property
    def id(self) -> str:
        """Return the run's id; the run begins if it had not."""
        if self._ended is None:
            self._ready()
        return self._id

    @property
    def name(self) -> str:
        """Return the run's name."""
        return self._plan.name or f"{self._plan.experiment[:60]}-{self._id[-6:]}"

    @property
    def ended(self) -> str | None:
        """Return how this process ended it; None as long as it did not."""
        return self._ended

    @property
    def experiment(self) -> str:
        """Return the name of the run's experiment."""
        return self._plan.experiment

    @property
    def params(self) -> dict[str, str]:
        """Return the params that were set so far, as text."""
        return dict(self._params)

    @property
    def target(self) -> Target:
        """Return where it is written to."""
        if self._ended is None:
            self._ready()
        if self._target is None:
            raise BadInputError("The run has not begun.")
        return self._target

    # ------------------------------------------------------------ what is logged

    def log(
        self,
        values: Mapping[str, object] | None = None,
        /,
        *,
        step: float | None = None,  # a whole number; so typed that **dict[str, float] may come
        at: float | None = None,
        **metrics: object,
    ) -> None:
        """Log metric values, such as ``run.log(loss=0.3, step=7)``.

        Once this returns, a kill -9 of the process does not lose them. ``step`` is a whole
        number; without it each metric goes on by one from its latest. ``at`` is the time in UTC
        seconds, now if it is not given. NaN and the infinities are values too.

        Raises:
            BadInputError: if a value is no number (a bool, text and None are none), naming it.
            NotExactError: if a value, step or time cannot be kept exactly.
            ConflictError: if the run has ended.
            StoreError: if the disk does not take it.
        """
        if values is not None:
            metrics = {**values, **metrics}
        journal, known = self._journal, self._keys
        if journal is None or self._generation != journal.generation or self._ended is not None:
            journal = self._ready()
        for key, value in metrics.items():
            if type(value) is not float or key not in known:
                metrics = self._checked(metrics)
                break
        if len(metrics) > f.MOST_VALUES:
            f.check_count(len(metrics), "metrics")
        if step is not None and (type(step) is not int or not -(2**63) <= step < 2**63):
            step = exact_int(step, "step")
        at = self._now() if at is None else exact_time(at, "at")
        journal.append(_encode(("points", self._id, step, at, metrics)))

    def log_params(self, values: Mapping[str, Any] | None = None, /, **params: Any) -> None:
        """Set params, such as ``run.log_params(rate=0.1, model={"depth": 3})``.

        Nested dicts are flattened: ``model.depth``. A param is set once and never changes;
        setting it to the same value again does no harm.

        Raises:
            ConflictError: if one of them has another value already; then none is set.
            BadInputError: if a value is neither text, number, bool, None, list nor dict.
        """
        wanted = flattened({**(values or {}), **params})
        self._ready()
        with self._lock:
            for key, text in wanted.items():
                before = self._params.get(key, text)
                if before != text:
                    raise ConflictError(
                        f"Param {key} is {before!r} and cannot become {text!r}.",
                        field=key,
                        hint="Params never change; start another run, or use a tag.",
                    )
            f.check_count(len(wanted), "params")
            fresh = {key: text for key, text in wanted.items() if key not in self._params}
            if fresh:
                self._write(f.Params(self._id, fresh))
                self._params |= fresh

    def tag(self, values: Mapping[str, Any] | None = None, /, **tags: Any) -> None:
        """Set tags, over what they were; None takes one away.

        Raises:
            BadInputError: if a value is neither text, number nor bool.
        """
        wanted = {
            exact_key(key, "tag"): None if value is None else param_text(value, f"tag {key}")
            for key, value in {**(values or {}), **tags}.items()
        }
        f.check_count(len(wanted), "tags")
        if wanted:
            self._write(f.Tags(self._id, wanted))

    def log_artifact(self, path: str | os.PathLike[str], to: str | None = None) -> None:
        """Keep a file, or a folder with all that is in it.

        ``to`` is the path it gets in the run, or the folder if it ends with ``/``; the file's
        own name if it is not given.

        Raises:
            NotFoundError: if there is no such file.
            BadInputError: if it is no plain file, or a link in a folder leads out of it.
        """
        source = Path(path)
        if source.is_dir():
            self.log_artifacts(source, source.name if to is None else to)
            return
        name = places.name_for(source, to)
        self._keep(name, places.plain_file(source))

    def log_artifacts(self, folder: str | os.PathLike[str], to: str | None = None) -> None:
        """Keep every file of a folder, below ``to`` in the run. All are looked at first.

        Raises:
            NotFoundError: if there is no such folder.
            BadInputError: naming a link that leads out of it, or what is no plain file.
        """
        for name, file in places.files_of(Path(folder), to):
            self._keep(name, file)

    def log_text(self, text: str, to: str) -> None:
        """Keep text as a file of the run, in UTF-8.

        Raises:
            NotExactError: if it holds half of a surrogate pair, which UTF-8 cannot.
        """
        try:
            data = text.encode()
        except UnicodeEncodeError as error:
            raise NotExactError(f"The text for {to} cannot be kept: {error}.") from error
        self.log_bytes(data, to)

    def log_bytes(self, data: bytes, to: str) -> None:
        """Keep bytes as a file of the run."""
        name = places.checked(to)
        self._keep(name, data)

    def note_object(self, digest: str, size: int, to: str) -> None:
        """Note bytes that are an object already as a file of the run.

        Do it inside of ``target.objects()``, where nobody takes objects away.
        """
        self._write(f.File(self._id, places.checked(to), digest, size, self._now()))

    def log_extra(self, subject: str, data: dict[str, Any]) -> None:
        """Log what has a table of its own, such as a dataset; see ``experiments/taking.py``."""
        self._write(f.Extra(self._id, subject, data, self._now()))

    # ------------------------------------------------------------ from begin to end

    def start(self) -> ActiveRun:
        """Begin the run now, not with its first use."""
        self._ready()
        return self

    def end(self, status: str = "finished") -> None:
        """End the run as finished, failed or cancelled; what it logged survives a power cut.

        Ending it again the same way changes nothing.

        Raises:
            ConflictError: if it ended another way, or another process began it.
            BadInputError: for an unknown status.
        """
        if status not in _ENDINGS:
            raise BadInputError(
                f"A run ends as {', '.join(_ENDINGS)}, not as {status!r}.", field="status"
            )
        with self._lock:
            if self._ended == status:
                return
            self._ready()
            if self._owner != os.getpid():
                raise ConflictError(f"Run {self._id} is ended by the process that began it.")
            while self._closers:
                self._closers.pop()(status)
            self._write(f.Ended(self._id, status, self._now()))
            self._ended = status
        living.remove(self._id)
        self._journal.flush()
        if self._target is not None:
            self._target.settle()

    def end_by(self, error: BaseException | None) -> None:
        """End the run as an exception, or none, ends it; why it failed is kept with it."""
        status = living.status_of(error)
        if error is not None and status == "failed" and self._plan.capture:
            with contextlib.suppress(MainspringError):  # nothing hides the error of the user
                self.tag(failing.tags(error))
                self.log_text(failing.trace(error), failing.TRACE)
        self.end(status)

    def __enter__(self) -> ActiveRun:
        self._ready()
        self._before.append(_CURRENT.get())
        _CURRENT.set(self)
        living.enter(self._id)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _CURRENT.set(self._before.pop() if self._before else None)
        living.leave(self._id)
        if self._owner == os.getpid() and self._ended is None:
            self.end_by(error)

    def __call__(self, function: F) -> F:
        """Make a new run of each call of a function; it is ``ms.current_run()`` inside."""
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def later(*args: Any, **kwargs: Any) -> Any:
                with ActiveRun(self._plan, self._target):
                    return await function(*args, **kwargs)

            return later  # type: ignore[return-value]

        @functools.wraps(function)
        def now(*args: Any, **kwargs: Any) -> Any:
            with ActiveRun(self._plan, self._target):
                return function(*args, **kwargs)

        return now  # type: ignore[return-value]

    def introduced(self) -> dict[str, Any]:
        """Return what another process has to know to write to this run; see ``joining``."""
        return {
            "run": self.id,
            "experiment": self._plan.experiment,
            "name": self.name,
            "started": self._started,
            "parent": self._parent,
        }

    def forked(self) -> None:
        """Begin anew in the child of a fork: its locks may be held by the parent's threads."""
        self._lock = threading.RLock()

    # ------------------------------------------------------------ parts

    def _ready(self) -> Any:
        """Return the journal, with the run begun in it."""
        if self._ended is not None:
            raise ConflictError(
                f"Run {self._id} has {self._ended} and takes nothing more.",
                hint=f"Go on with it: ms.run(resume={self._id!r}).",
            )
        journal = self._journal
        if journal is not None and self._generation == journal.generation:
            return journal
        with self._lock:
            if self._journal is None:
                self._begin()
            elif self._generation != self._journal.generation:
                # In the child of a fork: its own journal has not heard of this run.
                self._introduce(own=False, params={}, tags={})
        return self._journal

    def _begin(self) -> None:
        plan = self._plan
        target = self._target or target_of()
        own, resumed = True, False
        if plan.resume is not None:
            from mainspring.workspace.tracking.resuming import look_up

            found = look_up(target, plan.resume)
            self._params = dict(found.params)
            resumed = found.ended
            own = not found.finished
        self._target, self._owner = target, os.getpid()
        self._started = self._now()
        self._parent = (
            plan.parent if plan.parent is not None else living.parent_here(_CURRENT.get())
        )
        self._journal = target.journal
        self._introduce(own=own, params=plan.params, tags=plan.tags)
        for key, text in plan.params.items():
            self._params.setdefault(key, text)
        if resumed:
            self._write(f.Resumed(self._id, self._started))
        living.add(self._id, self)
        if plan.capture and plan.resume is None:
            self._closers = hooks.start(self)

    def _introduce(self, *, own: bool, params: dict[str, str], tags: dict[str, str]) -> None:
        plan, journal = self._plan, self._journal
        if self._target is not None:
            self._target.attend()
        begun = f.Begun(
            self._id, plan.experiment, self.name, self._started, self._parent, own, params, tags
        )
        journal.append(_encode(begun))
        self._generation = journal.generation

    def _write(self, frame: f.AnyFrame) -> None:
        self._ready().append(_encode(frame))

    def _keep(self, name: str, source: Path | bytes) -> None:
        """Keep bytes, then say so: what a frame names is always there."""
        with self.target.objects() as objects:
            put, given = objects.put, objects.put_file
            digest = put(source) if isinstance(source, bytes) else given(source)
            size = len(source) if isinstance(source, bytes) else objects.size(digest)
            self._write(f.File(self._id, name, digest, size, self._now()))

    def _checked(self, metrics: Mapping[str, object]) -> dict[str, object]:
        found: dict[str, object] = {}
        for key, value in metrics.items():
            name = exact_key(key, "metric")
            if value is None or type(value).__name__ in ("bool", "bool_"):  # numpy's too
                raise BadInputError(f"{key} must be a number, found {value!r}.", field=key)
            if name in found:
                raise BadInputError(f"Two metrics are called {name}.", field=name)
            found[name] = exact_float(value, name)
        self._keys.update(found)
        return found


def innermost() -> ActiveRun | None:
    """Return the run of the innermost ``with`` that this code is inside of, or None."""
    return _CURRENT.get()
