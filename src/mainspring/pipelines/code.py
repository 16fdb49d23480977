"""Know a function's code again: its own, and all of the project's that it can reach.

What counts as the project's: source files that are neither in ``site-packages`` nor Python's
nor ours (those are in the environment's digest). From a function the walk goes on to

* functions, classes and steps it names, through closures, defaults, decorators and
  ``functools.partial``; a class counts whole, with its methods and bases;
* module-level values: by value if they are None, bools, numbers, text, bytes or lists, tuples,
  sets and dicts of these, else by the top-level statements that assign them;
* modules of the project: by the attribute that is named; whole, with what they import in turn,
  if they are imported inside of the function or used in any other way.

Comments, layout, docstrings and the order of definitions do not count, nor do the options of
``@step``. Reached only by text (``getattr``, ``importlib``) does not count either.
"""

from __future__ import annotations

import ast
import functools
import importlib.util
import inspect
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from mainspring.ground.environment import environment_digest as environment_digest
from mainspring.ground.errors import ProjectError
from mainspring.ground.identity import canonical, key_of, sha256
from mainspring.pipelines import declare, dynamics, expecting
from mainspring.pipelines.declare import Pipeline, Step
from mainspring.pipelines.graph import Graph
from mainspring.pipelines.project import attribute, is_users, source_of
from mainspring.pipelines.scopes import assignments, digest, free_names, local_imports
from mainspring.pipelines.texts import CodeText

_SHOWN = 80  # constants up to this length are kept as they are, so that `why` can show them
_END = 10**9  # a line after the last of any file
#: What a module is told of where it stands: the same project elsewhere is the same code.
_OF_THE_PLACE = frozenset({"__file__", "__path__", "__cached__", "__spec__", "__loader__"})
_DECORATORS = (declare.step, declare.pipeline, dynamics.dynamic)


def code_digest(function: Callable[..., Any]) -> tuple[str, dict[str, str]]:
    """Return the digest of a function's code, and of each part of it by name.

    Parts are named ``function train``, ``class Encoder``, ``constant LIMIT``, ``module x``;
    those of other modules than the function's own with the module: ``function features.clean``.
    A constant's part is its value where that is short. What a step expects of an argument is a
    part too: ``contract rows``.

    Raises:
        ProjectError: if the function has no source that can be read.
    """
    plain = _unwrapped(function)
    if hasattr(plain, "code_parts"):  # no function of Python: a command, a script, a notebook
        told: dict[str, str] = plain.code_parts()
        return key_of("code", told), told
    walk = _walked(plain)
    walk.parts |= expecting.parts(plain)
    return key_of("code", walk.parts), dict(sorted(walk.parts.items()))


def code_texts(function: Callable[..., Any], root: Path) -> dict[str, CodeText]:
    """Return the text of each part of a function's code that is text, by the part's name."""
    plain = _unwrapped(function)
    if hasattr(plain, "code_parts"):
        return {}
    found: dict[str, CodeText] = {}
    for name, (module, first, last) in _walked(plain).places.items():
        source = _source(module)
        if source is not None:
            path = Path(source[0])
            file = str(path.relative_to(root)) if path.is_relative_to(root) else path.name
            lines = source[1].decode("utf-8", "replace").splitlines()[first - 1 : last]
            found[name] = CodeText(file, first, "\n".join(lines))
    return found


def _walked(plain: Any) -> _Walk:
    walk = _Walk(_module_name(plain))
    walk.follow(plain, getattr(plain, "__name__", "function"))
    if not walk.parts:
        raise ProjectError(f"The source of {plain!r} cannot be found.")
    return walk


def imported_by(tree: ast.Module) -> dict[str, str]:
    """Return a part for each module of the project that a piece of code imports, in turn too."""
    walk = _Walk("")
    for statement in local_imports(tree):
        for name in _imported(statement, ""):
            walk._module(name)  # noqa: SLF001  of this module
    return dict(sorted(walk.parts.items()))


def graph_code(
    pipeline: Pipeline[..., Any], graph: Graph
) -> dict[str, tuple[str, dict[str, str]]]:
    """Return what ``code_digest`` says of every step of a graph, by target.

    Raises:
        ProjectError: if a step has no source that can be read.
    """
    out: dict[str, tuple[str, dict[str, str]]] = {}
    for target in graph.targets:
        module, _, name = target.partition(":")
        home = sys.modules.get(module)
        if home is None and pipeline.function.__module__ == "__main__":
            home = sys.modules["__main__"]
        if home is None:
            raise ProjectError(f"The module of step {target} is not loaded.")
        out[target] = code_digest(attribute(home, name))
    return out


def digest_of(code: Mapping[str, Any]) -> str:
    """Return the one digest of what ``code_digest`` says of every step: what versions bear."""
    return sha256(canonical(code))


class _Walk:
    """Goes through all that a function reaches, each thing once."""

    def __init__(self, home: str) -> None:
        self.home = home
        self.parts: dict[str, str] = {}
        self.places: dict[str, tuple[str, int, int]] = {}  # part -> module, first and last line
        self._seen: set[int] = set()
        self._alive: list[Any] = []  # keeps what was seen, so that no id comes twice

    def follow(self, value: Any, name: str) -> None:
        """Take in whatever a name stands for."""
        value = _unwrapped(value)
        if id(value) in self._seen:
            return
        self._seen.add(id(value))
        self._alive.append(value)
        if isinstance(value, functools.partial):
            self.follow(value.func, name)
            for part in (*value.args, *value.keywords.values()):
                self._held(part, name)
        elif isinstance(value, MethodType):
            self.follow(value.__func__, name)
        elif isinstance(value, FunctionType):
            self._function(value)
        elif isinstance(value, type):
            self._class(value)
        elif isinstance(value, ModuleType):
            self._module(value.__name__)
        elif _tree(type(value).__module__) is not None:
            self.follow(type(value), name)

    def _held(self, value: Any, name: str, *, plain: bool = True) -> None:
        """Take in a value that code holds on to: closed over, or bound by a partial."""
        text = _by_value(value)
        if text is None:
            self.follow(value, name)
        elif plain:
            self._add(f"value in {name}", sha256(text.encode()))

    def _function(self, function: FunctionType) -> None:
        module = _module_name(function)
        tree, name = _tree(module), self._named(function)
        cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
        for variable, cell in cells:
            if _filled(cell):
                self._held(cell.cell_contents, f"{name} ({variable})", plain=tree is not None)
        if tree is None:  # a library's wrapper, perhaps around a function of the project
            self.follow(getattr(function, "__wrapped__", None), name)
            return
        nodes = _definition(tree, function.__code__)
        if not nodes:  # made by exec, or its file is not as it was
            code = function.__code__
            self._add(f"function {name}", sha256(code.co_code + repr(code.co_consts).encode()))
        for node in nodes:
            bare = _undecorated(node, function.__globals__)
            self._add(f"function {name}", digest(bare), module, node)
            self._names(bare, function.__globals__, module)

    def _class(self, kind: type) -> None:
        tree = _tree(kind.__module__)
        if tree is None:
            return
        node: Any = tree
        for part in kind.__qualname__.split("."):
            within = [n for n in ast.walk(node) if isinstance(n, ast.ClassDef) and n.name == part]
            node = within[-1] if within else None
            if node is None:
                self._module(kind.__module__)
                return
        self._add(f"class {self._named(kind)}", digest(node), kind.__module__, node)
        self._names(node, vars(sys.modules[kind.__module__]), kind.__module__)

    def _names(self, node: ast.AST, around: Mapping[str, Any], module: str) -> None:
        """Take in everything that code names, looked up where the code stands."""
        for dotted in sorted(free_names(node)):
            first, *rest = dotted.split(".")
            if first in around:  # else a builtin, or bound by a function around this one
                self._resolve(first, rest, around, module)
        for statement in local_imports(node):
            for name in _imported(statement, module):
                self._module(name)

    def _resolve(self, name: str, rest: list[str], around: Mapping[str, Any], module: str) -> None:
        value = around[name]
        while isinstance(value, ModuleType) and _tree(value.__name__) is not None:
            if not rest or not hasattr(value, rest[0]):
                break
            module, around, name, rest = value.__name__, vars(value), rest[0], rest[1:]
            value = around[name]
        plain = _unwrapped(value)
        if isinstance(plain, FunctionType | MethodType | type | functools.partial | ModuleType):
            self.follow(plain, name)
        else:
            self._constant(name, value, around, module)

    def _constant(self, name: str, value: Any, around: Mapping[str, Any], module: str) -> None:
        if name in _OF_THE_PLACE:
            return
        label = name if module == self.home else f"{module}.{name}"
        text = _by_value(value)
        if text is not None:
            tree = _tree(module)
            lines = assignments(tree, name) if tree is not None else []
            shown = text if len(text) <= _SHOWN else sha256(text.encode())
            self._add(f"constant {label}", shown, module, *lines)
            return
        if f"constant {label}" in self.parts:
            return
        tree = _tree(module)
        if tree is None:
            return
        statements = assignments(tree, name)
        if not statements:
            self._imported_constant(name, value, tree, module)
            return
        self._add(
            f"constant {label}", key_of([digest(one) for one in statements]), module, *statements
        )
        for one in statements:
            self._names(one, around, module)

    def _imported_constant(self, name: str, value: Any, tree: ast.Module, module: str) -> None:
        """Go on where a value was imported from."""
        for statement in local_imports(tree):
            if not isinstance(statement, ast.ImportFrom):
                continue
            source = _absolute(statement, module)
            for alias in statement.names:
                taken = alias.name if alias.name != "*" else name
                loaded = sys.modules.get(source)
                if (alias.asname or taken) == name and loaded and hasattr(loaded, taken):
                    self._constant(taken, value, vars(loaded), source)
                    return

    def _module(self, name: str) -> None:
        """Take in a whole module by its file, without importing it, and what it imports."""
        tree = _tree(name)
        if tree is None or f"module {name}" in self.parts:
            return
        self._add(f"module {name}", digest(tree), name, tree)
        for statement in local_imports(tree):
            for further in _imported(statement, name):
                self._module(further)

    def _add(self, label: str, found: str, module: str = "", *nodes: ast.AST) -> None:
        """Keep a part; several things of one name, such as a wrapper and what it wraps, join."""
        if len(nodes) == 1:
            last = getattr(nodes[0], "end_lineno", None) or _END
            self.places[label] = module, getattr(nodes[0], "lineno", 1), last
        before = self.parts.get(label)
        self.parts[label] = found if before in (None, found) else key_of(before, found)

    def _named(self, thing: Any) -> str:
        module = _module_name(thing)
        name = thing.__qualname__.replace(".<locals>", "")
        return name if module == self.home else f"{module}.{name}"


def _unwrapped(value: Any) -> Any:
    """Return the function inside of a step, a pipeline, or a library's wrapper of it."""
    while True:
        if isinstance(value, Step | Pipeline):
            value = value.function
        elif not isinstance(value, FunctionType | type) and isinstance(
            inner := inspect.getattr_static(value, "__wrapped__", None), FunctionType
        ):
            value = inner  # such as functools.cache: its own code is no project's
        else:
            return value


def _module_name(thing: Any) -> str:
    """Return the module that code stands in: functools.wraps writes over ``__module__``."""
    if isinstance(thing, FunctionType):
        return str(thing.__globals__.get("__name__", ""))
    return str(getattr(thing, "__module__", None) or "")


def _filled(cell: Any) -> bool:
    try:
        _ = cell.cell_contents
    except ValueError:
        return False
    return True


def _by_value(value: Any) -> str | None:
    """Return plain data as text that tells different values apart; None for other things."""
    if value is None or type(value) in (bool, int, float, complex, str, bytes):
        return repr(value)
    if type(value) in (list, tuple):
        inner = [_by_value(part) for part in value]
    elif type(value) in (set, frozenset):
        inner = [_by_value(part) for part in value]
        inner = sorted(inner, key=str) if None not in inner else [None]
    elif type(value) is dict:
        inner = [_by_value(part) for pair in value.items() for part in pair]
    else:
        return None
    if any(part is None for part in inner):
        return None
    return f"{type(value).__name__}({', '.join(str(part) for part in inner)})"


def _tree(module: str) -> ast.Module | None:
    """Return the parsed source of a module of the project; None for every other module."""
    found = _source(module)
    return None if found is None else _parsed(*found)


def _source(module: str) -> tuple[str, bytes] | None:
    """Return file and bytes of a module of the project; None for every other module."""
    known = source_of(module)
    if known is not None:
        return known
    file = _file_of(module)
    if file is None or not file.endswith(".py") or not is_users(file):
        return None
    try:
        return file, Path(file).read_bytes()
    except OSError:
        return None


def _file_of(module: str) -> str | None:
    """Return a module's file without importing it, nor the packages it is in."""
    loaded = sys.modules.get(module)
    if loaded is not None:
        return getattr(loaded, "__file__", None)
    first, *rest = module.split(".")
    try:
        spec = importlib.util.find_spec(first)
    except (ImportError, ValueError):
        return None
    if spec is None or not rest:
        return spec.origin if spec else None
    for place in spec.submodule_search_locations or ():
        inner = Path(place).joinpath(*rest)
        for file in (inner.with_name(f"{inner.name}.py"), inner / "__init__.py"):
            if file.is_file():
                return str(file)
    return None


@functools.lru_cache(maxsize=256)
def _parsed(file: str, data: bytes) -> ast.Module | None:
    try:
        return ast.parse(data, file)
    except (SyntaxError, ValueError):
        return None


def _definition(tree: ast.Module, code: CodeType) -> list[ast.AST]:
    """Return the definitions that stand where the code says it was defined."""
    found: list[ast.AST] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Lambda):
            if code.co_name == "<lambda>" and node.lineno == code.co_firstlineno:
                found.append(node)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
            if node.name == code.co_name and first == code.co_firstlineno:
                found.append(node)
    return found


def _undecorated(node: ast.AST, around: Mapping[str, Any]) -> ast.AST:
    """Return the definition without ``@step`` and ``@pipeline``, whatever they are called."""
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return node
    kept = [one for one in node.decorator_list if not _is_ours(one, around)]
    if len(kept) == len(node.decorator_list):
        return node
    fields = dict(ast.iter_fields(node)) | {"decorator_list": kept}
    return type(node)(**fields)


def _is_ours(node: ast.expr, around: Mapping[str, Any]) -> bool:
    if isinstance(node, ast.Call):
        node = node.func
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name) or node.id not in around:
        return False
    value = around[node.id]
    for name in reversed(names):
        value = getattr(value, name, None)
    return any(value is one for one in _DECORATORS)


def _imported(statement: ast.Import | ast.ImportFrom, module: str) -> list[str]:
    """Return the modules an import statement may load."""
    if isinstance(statement, ast.Import):
        return [alias.name for alias in statement.names]
    source = _absolute(statement, module)
    return [source, *(f"{source}.{alias.name}" for alias in statement.names if alias.name != "*")]


def _absolute(statement: ast.ImportFrom, module: str) -> str:
    if not statement.level:
        return statement.module or ""
    loaded = sys.modules.get(module)
    package = getattr(loaded, "__package__", None) or module.rpartition(".")[0]
    parts = package.split(".")[: len(package.split(".")) - statement.level + 1]
    return ".".join([*parts, *([statement.module] if statement.module else [])])
