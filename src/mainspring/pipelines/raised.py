"""Say what a user's own code raised: in which file and line, what stands there, what to do."""

from __future__ import annotations

import inspect
import os
import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mainspring.ground.errors import MainspringError, ProjectError
from mainspring.ground.nearest import nearest

#: Set to "all", every frame is shown, and not the user's own alone: the setting ``traceback``.
FRAMES = "MAINSPRING_TRACEBACK"
_LONGEST = 120  #: letters of a source line


@contextmanager
def users_errors(wanted: str, root: Path | None = None) -> Iterator[None]:
    """Turn whatever the user's code raises into a ProjectError that names the user's line.

    The error's ``trace`` holds the user's own frames where there are several. Our own errors
    pass, with the line that they came from.
    """
    try:
        with lines_named(root):
            yield
    except MainspringError:
        raise
    except SyntaxError as error:
        where = _place(error.filename or "?", error.lineno or 0, error.text or "", root)
        raise ProjectError(
            f"{wanted}: {type(error).__name__}: {error.msg} ({where}).",
            hint="Mend that line, or the one before it.",
            trace=_trace(error, most=0),
        ) from error
    except (Exception, SystemExit) as error:  # the user's module may raise anything
        frames = users_frames(error)
        place = f" ({_place_of(frames[-1], root)})" if frames else ""
        raise ProjectError(
            f"{wanted}: {_told(error)}{place}.", hint=_hint(error), trace=_trace(error, most=1)
        ) from error


@contextmanager
def lines_named(root: Path | None = None) -> Iterator[None]:
    """Let errors of ours that the user's code led to say from which of its lines."""
    try:
        yield
    except MainspringError as error:
        frames = users_frames(error)
        if frames and ", line " not in error.message:
            error.message = f"{error.message.rstrip('.')} ({_place_of(frames[-1], root)})."
            error.args = (error.message,)
        raise


def users_frames(error: BaseException) -> list[traceback.FrameSummary]:
    """Return the frames of a traceback that are the user's own."""
    return [
        frame for frame in traceback.extract_tb(error.__traceback__) if is_users(frame.filename)
    ]


def users_trace(error: BaseException) -> str:
    """Return a traceback with the user's own frames only, causes included; or all of it."""
    told = traceback.TracebackException.from_exception(error)
    if os.environ.get(FRAMES) == "all":
        return "".join(told.format())
    seen: set[int] = set()
    waiting: list[traceback.TracebackException | None] = [told]
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        mine = [frame for frame in one.stack if is_users(frame.filename)]
        one.stack = traceback.StackSummary.from_list(mine)
        waiting += [one.__cause__, one.__context__, *(one.exceptions or [])]
    return "".join(told.format())


def is_users(file: str) -> bool:
    """Return whether a file is the user's: no library's, not Python's, not ours."""
    if file.startswith("<"):
        return False
    path = Path(file)
    if {"site-packages", "dist-packages"}.intersection(path.parts):
        return False
    return not any(path.is_relative_to(place) for place in _NOT_THEIRS)


_NOT_THEIRS = (
    Path(__file__).resolve().parents[1],
    Path(inspect.__file__).resolve().parent,
)


def _trace(error: BaseException, *, most: int) -> str:
    """Return the user's frames if there are more than so many, or all if that is wished."""
    if os.environ.get(FRAMES) == "all" or len(users_frames(error)) > most:
        return users_trace(error)
    if isinstance(error, SyntaxError):  # with a mark below where it is
        return "".join(traceback.format_exception_only(error))
    return ""


def _told(error: BaseException) -> str:
    first = str(error).strip().partition("\n")[0][:500].rstrip(".")
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


def _place_of(frame: traceback.FrameSummary, root: Path | None) -> str:
    return _place(frame.filename, frame.lineno or 0, frame.line or "", root)


def _place(file: str, line: int, text: str, root: Path | None) -> str:
    path = Path(file)
    for folder in (root, Path.cwd()):
        if folder is not None and path.is_relative_to(folder):
            path = path.relative_to(folder)
            break
    shown = " ".join(text.split())
    shown = f"{shown[: _LONGEST - 1]}…" if len(shown) > _LONGEST else shown
    return f"{path}, line {line}{f': {shown}' if shown else ''}"


def _hint(error: BaseException) -> str:
    """Return what to do about what a module raised while it was imported."""
    if isinstance(error, ModuleNotFoundError) and error.name:
        name = error.name.partition(".")[0]
        if name in sys.modules and name != error.name:
            return f"{name} is there, but has no module {error.name}; mend the name."
        guess = nearest(name, _importable())
        meant = f"Did you mean {guess!r}? Else install" if guess else "Install"
        return f"{meant} it for {sys.executable}, or mend the name."
    if isinstance(error, ImportError) and error.name in sys.modules:
        named = getattr(error, "name_from", None) or str(error).partition("'")[2].partition("'")[0]
        guess = nearest(named, dir(sys.modules[str(error.name)])) if named else None
        return f"Did you mean {guess!r}?" if guess else f"See what {error.name} has."
    return "The project is imported before anything of it runs: mend that line, and try again."


def _importable() -> Iterable[str]:
    import importlib.metadata  # slow, and only for a name that is not there

    files = (one.stem for one in Path.cwd().glob("*.py"))
    return {*importlib.metadata.packages_distributions(), *sys.stdlib_module_names, *files}
