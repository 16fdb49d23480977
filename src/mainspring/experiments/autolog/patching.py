"""Wrap functions of other libraries, now or once they are imported, and unwrap them again."""

from __future__ import annotations

import functools
import importlib.abc
import importlib.machinery
import inspect
import logging
import sys
import threading
import warnings
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, TypeVar

T = TypeVar("T")
_log = logging.getLogger("mainspring.autolog")

_lock = threading.RLock()
_undo: list[Callable[[], None]] = []
_waiting: dict[str, Callable[[], None]] = {}
_told: set[str] = set()
_finder: _Finder | None = None


class AutologWarning(UserWarning):
    """Autolog could not note something; the fit itself is not touched."""


def guarded(what: str, work: Callable[[], T]) -> T | None:
    """Do something beside a fit that must never break it; warn the first time it fails."""
    try:
        return work()
    except Exception as error:  # noqa: BLE001  whatever it is, the user's fit goes on
        text = f"{what}: {type(error).__name__}: {error}"
        with _lock:
            new = what not in _told
            _told.add(what)
        if new:
            _say(f"Autolog could not {text[:500]} (said once; ms.autolog(False) turns it off)")
        return None


def _say(text: str) -> None:
    try:
        warnings.warn(text, AutologWarning, stacklevel=4)
    except AutologWarning:  # where warnings are errors, a fit must go on all the same
        _log.warning(text)


def wrap(owner: Any, name: str, make: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    """Put a wrapper in the place of a function ``owner.name``, until :func:`unwrap_all`.

    What is wrapped already stays as it is.
    """
    with _lock:
        original = vars(owner).get(name)
        if original is None or hasattr(original, "__mainspring_original__"):
            return
        wrapper: Any
        if inspect.isfunction(original):
            wrapper = functools.wraps(original)(make(original))
            wrapper.__mainspring_original__ = original
        elif hasattr(original, "__get__") and isinstance(owner, type):
            wrapper = _Conditional(original, make)
        else:
            return
        setattr(owner, name, wrapper)
        _undo.append(lambda: _put_back(owner, name, wrapper, original))


class _Conditional:
    """A method that an object may or may not have, such as a pipeline's score, wrapped."""

    def __init__(
        self, original: Any, make: Callable[[Callable[..., Any]], Callable[..., Any]]
    ) -> None:
        self.__mainspring_original__ = original
        self._make = make

    def __get__(self, found: Any, kind: type | None = None) -> Any:
        bound = self.__mainspring_original__.__get__(found, kind)
        if found is None:
            return bound
        made = self._make(lambda _, *args, **kwargs: bound(*args, **kwargs))
        return functools.wraps(bound)(functools.partial(made, found))


def replace(owner: Any, name: str, value: Any) -> None:
    """Set an attribute that the owner itself does not have, until :func:`unwrap_all`."""
    with _lock:
        if name in vars(owner):
            return
        setattr(owner, name, value)
        _undo.append(lambda: delattr(owner, name))


def _put_back(owner: Any, name: str, wrapper: Any, original: Any) -> None:
    # Somebody may have wrapped it again since; what they put there is theirs.
    if vars(owner).get(name) is wrapper:
        setattr(owner, name, original)


def when_imported(module: str, work: Callable[[], None]) -> None:
    """Do ``work`` now if a module is loaded and whole, else right after it is imported."""
    global _finder
    with _lock:
        loaded = sys.modules.get(module)
        spec = getattr(loaded, "__spec__", None)
        if loaded is not None and not getattr(spec, "_initializing", False):
            guarded(f"follow {module}", work)
            return
        _waiting[module] = work
        if _finder is None:
            _finder = _Finder()
            sys.meta_path.insert(0, _finder)


def unwrap_all() -> None:
    """Put everything back as it was."""
    global _finder
    with _lock:
        while _undo:
            _undo.pop()()
        _told.clear()
        _waiting.clear()
        if _finder is not None:
            if _finder in sys.meta_path:
                sys.meta_path.remove(_finder)
            _finder = None


class _Finder(importlib.abc.MetaPathFinder):
    """Lets Python find a module as it would, and asks to be told once it is loaded."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return the spec of a module that is waited for; None for all others."""
        if fullname not in _waiting:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is None or spec.loader is None:
            return None
        spec.loader = _Loader(spec.loader)
        return spec


class _Loader(importlib.abc.Loader):
    """The loader that was found, and a call afterwards."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        """Make the module as the inner loader does."""
        made: ModuleType | None = self._inner.create_module(spec)
        return made

    def exec_module(self, module: ModuleType) -> None:
        """Load the module, then do what waited for it."""
        module.__loader__ = self._inner
        if module.__spec__ is not None:
            module.__spec__.loader = self._inner
        self._inner.exec_module(module)
        with _lock:
            work = _waiting.pop(module.__name__, None)
        if work is not None:
            guarded(f"follow {module.__name__}", work)
