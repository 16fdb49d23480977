"""Import a user's project from its folder, exactly as its files are now."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import inspect
import itertools
import os
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import msgspec

from mainspring.ground.errors import ProjectError
from mainspring.ground.identity import sha256
from mainspring.ground.nearest import nearest
from mainspring.ground.objects import LoopSpec
from mainspring.pipelines.declare import Pipeline
from mainspring.pipelines.parameters import Parameter
from mainspring.pipelines.parameters import parameters_of as parameters_of
from mainspring.pipelines.raised import is_users as is_users
from mainspring.pipelines.raised import users_errors as users_errors

DEFAULT = "project"  #: the module a project is in, when none is named

_lock = threading.RLock()  # modules live in one table per process, so do we


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A pipeline of a project, as it is listed."""

    name: str
    target: str
    summary: str  #: the first line of its docstring
    parameters: list[Parameter]
    file: str
    line: int


class _Loader(importlib.abc.SourceLoader):
    """Compiles a project file from its bytes and remembers them.

    Never from a ``.pyc``: those are trusted by a time stamp in whole seconds, so an edit
    within the second that keeps the file's length would go unseen.
    """

    def __init__(self, name: str, path: str) -> None:
        self.name, self.path = name, path

    def get_filename(self, fullname: str) -> str:  # noqa: ARG002  the import protocol's
        """Return the file the module is in."""
        return self.path

    def get_data(self, path: str) -> bytes:
        """Return a file's bytes."""
        return Path(path).read_bytes()

    def get_code(self, fullname: str) -> CodeType:
        """Compile the module anew."""
        data = self.get_data(self.path)
        _sources[fullname] = (self.path, data)
        return self.source_to_code(data, self.path)


class _Finder(importlib.abc.MetaPathFinder):
    """Finds what Python would find, but loads the files of one project with our loader."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> importlib.machinery.ModuleSpec | None:
        """Return the spec of a module of the project; None for all others."""
        spec = importlib.machinery.PathFinder.find_spec(
            fullname, [str(self.root)] if path is None else path, target
        )
        if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
            return None
        if not _is_inside(Path(spec.origin), self.root):
            return None
        spec.loader = _Loader(fullname, spec.origin)
        spec.cached = None
        return spec


_sources: dict[str, tuple[str, bytes]] = {}  # module -> the file and the bytes it was made of
_finder: _Finder | None = None
_settled = 0  # so many of the oldest modules in the table are no project's


def source_of(module: str) -> tuple[str, bytes] | None:
    """Return the file and the very bytes a project's module was made of, if we loaded it."""
    return _sources.get(module)


def load(root: Path, target: str) -> Pipeline[..., Any]:
    """Return a pipeline of the project in ``root``, such as ``"project:train"``.

    The module is imported again if any file of the project that it loaded has changed. The
    module may be left out: ``"train"`` is looked for in ``project``.

    Raises:
        ProjectError: if the file, the name or a pipeline of that name is missing, or if the
            user's module raises; then with the user's own lines.
    """
    module, name = split_target(target)
    found = attribute(import_module(root, module), name)
    if not isinstance(found, Pipeline):
        raise ProjectError(
            f"{module}:{name} is a {type(found).__name__}, not a pipeline.",
            field="pipeline",
            hint=_choice(sys.modules[module]),
        )
    return found


def find_pipelines(root: Path, module: str = DEFAULT) -> list[Found]:
    """Return the pipelines of a project's module, in the order they are written.

    Raises:
        ProjectError: if the module is missing or raises.
    """
    loaded = import_module(root, module)
    out = []
    for pipeline in {id(v): v for v in vars(loaded).values()}.values():
        if not isinstance(pipeline, Pipeline):
            continue
        place = pipeline.function.__code__
        out.append(
            Found(
                name=pipeline.name,
                target=f"{pipeline.function.__module__}:{pipeline.name}",
                summary=(inspect.getdoc(pipeline.function) or "").partition("\n")[0],
                parameters=parameters_of(pipeline),
                file=place.co_filename,
                line=place.co_firstlineno,
            )
        )
    return sorted(out, key=lambda found: (found.file, found.line))


def find_loops(root: Path, module: str = DEFAULT) -> list[LoopSpec]:
    """Return the loops that a project's module declares, in the order they are written.

    A loop is a LoopSpec, or one of our own words with a ``spec(root, code)`` that returns one.
    Each comes back with the project's ``root`` and the digest of the module's file as ``code``.

    Raises:
        ProjectError: if the module is missing or raises, or two loops share a name.
    """
    loaded = import_module(root, module)
    source = source_of(module)
    code = sha256(source[1]) if source else ""
    home = str(Path(root).resolve())
    out: dict[str, LoopSpec] = {}
    for value in {id(v): v for v in vars(loaded).values()}.values():
        spec = _spec_of(value, home, code)
        if spec is None:
            continue
        if spec.name in out:
            raise ProjectError(f"Two loops in {module} are called {spec.name}.", field="loop")
        out[spec.name] = spec
    return list(out.values())


def _spec_of(value: Any, root: str, code: str) -> LoopSpec | None:
    if isinstance(value, LoopSpec):
        return msgspec.structs.replace(value, root=root, code=code)
    if isinstance(value, type) or not type(value).__module__.startswith("mainspring."):
        return None
    spec = getattr(value, "spec", None)
    made = spec(root=root, code=code) if callable(spec) else None
    return made if isinstance(made, LoopSpec) else None


def import_module(root: Path, module: str, *, fresh: bool = False) -> ModuleType:
    """Return a module of the project in ``root``, imported again if its files have changed.

    Raises:
        ProjectError: if it is missing or raises.
    """
    root = Path(root).resolve()
    with _lock:
        _enter(root)
        if fresh or _changed():
            _forget()
        _check_name(root, module)
        with users_errors(f"{module} cannot be imported", root):
            loaded = importlib.import_module(module)
    file = getattr(loaded, "__file__", None)
    if file is None or not _is_inside(Path(file), root):
        raise ProjectError(
            f"{module} is not a file of the project in {root}; Python finds {file}.",
            hint="Give the project's file another name.",
        )
    return loaded


def attribute(module: ModuleType, name: str) -> Any:
    """Return what a module calls by a (dotted) name.

    Raises:
        ProjectError: naming what there is instead.
    """
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            raise ProjectError(
                f"{module.__name__} has no {name[:80]!r}.",
                field="pipeline",
                hint=_choice(module, part),
            )
        found = getattr(found, part)
    return found


def split_target(target: str) -> tuple[str, str]:
    """Return module and name of "module:function"; the module may be left out.

    >>> split_target("train")
    ('project', 'train')

    Raises:
        ProjectError: if either is no Python name.
    """
    module, colon, name = target.rpartition(":")
    module = module if colon else DEFAULT
    parts = (*module.split("."), *name.split("."))
    if not all(part.isidentifier() for part in parts):
        raise ProjectError(
            f"{target[:80]!r} does not name a pipeline.",
            field="pipeline",
            hint="Write module:function, such as project:train.",
        )
    return module, name


def settle() -> None:
    """Note that no module that is loaded by now is a project's: for a fork server.

    Or each child would touch every one of them to find out, and copy the pages they are on.
    """
    global _settled
    _settled = len(sys.modules)


def close() -> None:
    """Let go of the project that is open: its modules and its place in Python's search."""
    global _finder
    with _lock:
        if _finder is None:
            return
        _forget()
        if _finder in sys.meta_path:
            sys.meta_path.remove(_finder)
        if str(_finder.root) in sys.path:
            sys.path.remove(str(_finder.root))
        _finder = None


def _enter(root: Path) -> None:
    """Let modules be found in ``root``, and in no project that was open before."""
    global _finder
    if _finder is not None and _finder.root == root and _finder in sys.meta_path:
        return
    close()
    _forget_inside(root)
    _finder = _Finder(root)
    sys.meta_path.insert(0, _finder)
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))


def _changed() -> bool:
    for path, data in _sources.values():
        try:
            if Path(path).read_bytes() != data:
                return True
        except OSError:
            return True
    return False


def _forget() -> None:
    """Drop every module of the project, so that the next import reads the files."""
    importlib.invalidate_caches()
    for name in list(_sources):
        sys.modules.pop(name, None)
        del _sources[name]


def _forget_inside(root: Path) -> None:
    """Drop modules of the project that Python itself had loaded, but not the running script."""
    start = f"{root}{os.sep}"
    newest = itertools.islice(reversed(sys.modules), max(0, len(sys.modules) - _settled))
    for name in list(newest):
        module = sys.modules[name]
        file = getattr(module, "__file__", None)
        # Text first: there are thousands of modules, and this is done at the start of every step.
        if name == "__main__" or not isinstance(file, str) or not file.startswith(start):
            continue
        if _is_inside(Path(file), root) and is_users(file):
            del sys.modules[name]


def _check_name(root: Path, module: str) -> None:
    """Say it plainly when the file is not there, or when Python has its own by that name."""
    first = module.partition(".")[0]
    beside = root.joinpath(*module.split("."))
    if not beside.with_suffix(".py").is_file() and not (beside / "__init__.py").is_file():
        hint = (
            "Run this in the project's folder, name the module (module:function), or write"
            " a project: mainspring init FILE --target COLUMN."
        )
        if (root / "dvc.yaml").is_file():
            hint = (
                "A dvc.yaml is there: mainspring data import-dvc . brings its data, and"
                " docs/howto/come-from-other-pipelines.md shows its stages as steps."
            )
        raise ProjectError(
            f"There is no {module.replace('.', '/')}.py in {root}.", field="pipeline", hint=hint
        )
    if first in sys.builtin_module_names:
        raise ProjectError(f"{first} is a module of Python itself; rename the file.")


def _choice(module: ModuleType, asked: str = "") -> str:
    names = [name for name, value in vars(module).items() if isinstance(value, Pipeline)]
    if asked and (guess := nearest(asked, names)):
        return f"Did you mean {guess!r}? {_choice(module)}"
    return f"It has: {', '.join(names)}." if names else "It has no @pipeline."


def _is_inside(path: Path, root: Path) -> bool:
    """Return whether a file is in a folder: not in a hidden one of it, nor in a library's."""
    try:
        inner = path.relative_to(root).parts
    except ValueError:
        return False
    hidden = any(part.startswith(".") or part == "site-packages" for part in inner)
    return not hidden
