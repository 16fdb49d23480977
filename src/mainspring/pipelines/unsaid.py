"""What a step read that it had not said: files that are no part of its key.

Python tells of every file that it opens (PEP 578). The readers of polars and pandas open some
themselves, so they are asked which. What a program that the step starts reads is not seen.
A result is reused though such a file has changed, and made again elsewhere the file is not there.
Paths are texts here, not Path objects: a step may open thousands.
"""

# ruff: noqa: PTH100, PTH110, PTH118, PTH119, PTH206, PTH207

from __future__ import annotations

import functools
import glob
import os
import pkgutil
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any

from mainspring.pipelines.declared import FILE

MOST = 50  #: paths that are kept of one step
_MOST_SEEN = 5_000  # paths that are looked at: who opens more reads a set of data
_LETTERS = 4096  # of a path, at most: what is longer is data
_TOLD = 3
#: The code is a part of the key, or of the environment.
_CODE = (".py", ".pyc", ".pyi", ".so", ".pyd", ".pth")
_OURS = ("mainspring.toml", "pyproject.toml", "uv.lock")
#: The system's own: what is there is not data.
_SYSTEM = ("/proc", "/dev", "/sys", "/run", "/etc", "/usr", "/lib", "/lib64", "/bin", "/sbin")
_READERS = ("polars", "pandas")
_hooked = False  # there is no taking a hook off again
_listening: list[Reads] = []  # who is told of a file
_replaced: list[tuple[Any, str, Any]] = []  # readers, while anybody listens
_changing = threading.Lock()  # steps of one process may begin and end at a time


class Reads:
    """The files that are read while it listens."""

    def __init__(self, root: Path, declared: Sequence[str], aside: Sequence[str]) -> None:
        """Begin with nothing.

        ``declared`` are files and folders of the project that are parts of the key, ``aside``
        are folders whose files are nobody's input: the home, the step's own.
        """
        self._root = os.path.abspath(root)
        said = (os.path.join(self._root, one) for one in declared)
        self._said = tuple(map(os.path.abspath, said))
        # Libraries lie below these, wherever else they are: what is on the path is looked at too.
        places = {sys.prefix, sys.base_prefix, tempfile.gettempdir(), *_SYSTEM}
        self._places = tuple(one for one in places if one != "/")
        self._aside = tuple(os.path.abspath(one) for one in aside)
        self._seen: dict[str, bool] = {}  # path -> whether it was read before it was written

    def take(self, path: object, flags: object) -> None:
        """Take note of a file that is opened; what is written first is the step's own."""
        if isinstance(path, int) or len(self._seen) >= _MOST_SEEN:
            return
        with suppress(TypeError, ValueError, OSError):  # whoever opens it is told
            name = os.fsdecode(path)  # type: ignore[arg-type]
            if name.endswith(_CODE) or len(name) > _LETTERS:
                return
            how = flags if isinstance(flags, int) else 0
            written = how & os.O_ACCMODE == os.O_WRONLY or how & (os.O_TRUNC | os.O_EXCL)
            self._seen.setdefault(os.path.abspath(name), not written)

    def found(self) -> list[str]:
        """Return the files, those of the project by their path in it."""
        found = []
        for path, read in list(self._seen.items()):  # a thread of the step may go on
            if read and self._counts(path) and os.path.exists(path):
                inside = _below(path, self._root)
                name = os.path.relpath(path, self._root) if inside else path
                found.append(os.fsencode(name).decode("utf-8", "replace"))  # any bytes are a name
                if len(found) >= MOST:
                    break
        return sorted(found)

    def _counts(self, path: str) -> bool:
        inner = path
        if _below(path, self._root):
            inner = path[len(self._root) :]
        elif any(_below(path, one) for one in (*self._places, *filter(None, sys.path))):
            return False
        if os.path.basename(path) in _OURS or any(
            part.startswith((".", "__")) or part == "site-packages" for part in inner.split(os.sep)
        ):
            return False
        return not any(_below(path, one) for one in (*self._aside, *self._said))


def _below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder.rstrip(os.sep)}{os.sep}")


@contextmanager
def listened(payload: Mapping[str, Any], folder: Path) -> Iterator[Reads]:
    """Take note of what is read meanwhile by the step that a payload tells of."""
    said = [part.removeprefix(FILE) for part in payload.get("declared") or ()]
    objects = str(payload.get("objects") or "").removeprefix("file://")
    aside = [str(folder), *filter(None, (os.environ.get("MAINSPRING_HOME", ""), objects))]
    reads = Reads(Path(payload["root"]), said, aside)
    global _hooked
    with _changing:
        if not _hooked:
            sys.addaudithook(_hear)
            _hooked = True
        if not _listening:
            _replace()
        _listening.append(reads)
    try:
        yield reads
    finally:
        with _changing:
            _listening.remove(reads)
            if not _listening:
                _restore()


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    # It is called for all that is audited: first what is asked most.
    if event == "open":
        _tell(arguments[0], arguments[2])
    elif event == "sqlite3.connect":
        _tell(arguments[0], None)


def _tell(path: object, flags: object) -> None:
    for one in _listening:
        one.take(path, flags)


def _replace() -> None:
    """Have the readers of frames tell which files they are given: they open them unseen."""
    for module in filter(None, map(sys.modules.get, _READERS)):
        readers = {
            name: one
            for name, one in vars(module).items()
            if name.startswith(("read_", "scan_")) and callable(one)
        }
        for name, reader in readers.items():
            _replaced.append((module, name, reader))
            setattr(module, name, _Telling(module.__name__, name, reader))


def _restore() -> None:
    for module, name, reader in _replaced:
        setattr(module, name, reader)
    _replaced.clear()


class _Telling:
    """A reader that tells what it is given; another process is sent its name."""

    def __init__(self, module: str, name: str, reader: Callable[..., Any]) -> None:
        functools.update_wrapper(self, reader)
        self._name = f"{module}:{name}"
        self._reader = reader

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        given = args[0] if args else next(iter(kwargs.values()), None)
        for one in given if isinstance(given, list | tuple) else [given]:
            if isinstance(one, str | Path):
                _tell_all(str(one))
        return self._reader(*args, **kwargs)

    def __reduce__(self) -> tuple[Any, ...]:
        return pkgutil.resolve_name, (self._name,)


def _tell_all(pattern: str) -> None:
    """Tell of the files that a path or a pattern names."""
    if len(pattern) > _LETTERS or "://" in pattern:
        return
    with suppress(ValueError, OSError):  # such as a zero byte: the reader says what is wrong
        inner = glob.iglob(pattern) if glob.has_magic(pattern) else [pattern]
        for path in islice(inner, MOST):
            _tell(path, None)


def words(reads: Sequence[str]) -> str:
    """Return what is said of such files, after why a step ran or was reused.

    >>> words(["data/rows.csv"])
    '; it read data/rows.csv, which is no part of its key: say so, files=, or make it an input'
    """
    if not reads:
        return ""
    more = f" and {len(reads) - _TOLD} more" if len(reads) > _TOLD else ""
    names, part = f"{', '.join(reads[:_TOLD])}{more}", "which is no part of its key"
    if len(reads) > 1:
        part = "which are no parts of its key"
    return f"; it read {names}, {part}: say so, files=, or make it an input"
