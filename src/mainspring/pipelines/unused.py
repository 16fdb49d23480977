"""Read a project's source for what is declared and never used: steps, params, constants, keys.

Nothing is imported and nothing is run: what Python does by name at run time (``getattr``, a
decorator of the project's own) counts as a use as soon as the name stands in a text.
"""

from __future__ import annotations

import ast
import json
import os
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from mainspring.pipelines import lint
from mainspring.pipelines.lint import Function

_CONSTANT = re.compile(r"[A-Z][A-Z0-9_]*")
_NOT_OURS = {"site-packages", "node_modules", "__pycache__", "build", "dist"}
#: Read by Mainspring itself, which says what it does not know in them.
_OWN_CONFIG = "mainspring.toml"
_CONFIGS = (".toml", ".json", ".yaml", ".yml")
_TOOLS = {"pyproject.toml", "package.json", "package-lock.json", "tsconfig.json"}
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PROSE, _PATH = 200, 500  #: longer texts are prose, and no path
_MOST_BYTES = 1_000_000
_MOST_FILES = 2_000


class Spot(msgspec.Struct, frozen=True, kw_only=True):
    """Something in the source, by kind and name."""

    kind: str  #: step, param, constant, key, branch
    name: str  #: such as ``train``, ``train.depth``, ``OLD``, ``model.depth``
    file: str  #: from the project's root
    line: int
    lines: int = 1  #: that would go with it


class Branch(msgspec.Struct, frozen=True, kw_only=True):
    """A fork in a step or pipeline that hangs on one param."""

    function: str
    param: str
    test: str  #: as written
    op: str  #: truth, not, ==, !=, in, not in
    value: Any  #: what it is compared with; None for truth and not
    file: str
    line: int
    lines: int  #: of the body
    otherwise: int  #: lines of the else; 0: there is none


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """What a project's source says of itself."""

    files: int = 0
    lines: int = 0  #: of Python, without blank lines and those of comments alone
    step_lines: int = 0  #: of these, inside of steps and pipelines
    steps: list[Spot] = []
    pipelines: dict[str, list[str]] = {}  #: function -> its params
    unused: list[Spot] = []
    branches: list[Branch] = []
    tested: list[str] = []  #: names that stand in tests
    tests: int = 0  #: files of tests
    habits: list[lint.Finding] = []
    floating: list[Spot] = []  #: requirements without an exact version
    unread: list[str] = []  #: files that are no Python


def read(root: Path) -> Source:
    """Return what the source below a project's root says of itself."""
    files = list(_files(root, (".py",)))
    trees, unread, habits = {}, [], []
    for file in files:
        name = file.relative_to(root).as_posix()
        try:
            trees[name] = (ast.parse(file.read_bytes(), str(file)), file)
        except (SyntaxError, ValueError):
            unread.append(name)
            continue
        if not _is_test(name):
            habits += [_from_root(one, root) for one in lint.lint_file(file)]
    own = {name: tree for name, (tree, _) in trees.items() if not _is_test(name)}
    tests = {name: tree for name, (tree, _) in trees.items() if _is_test(name)}
    used = _names(own.values())
    steps = [spot for name, tree in own.items() for spot in _declared(name, tree, "step")]
    counted = [_lines(file, own[name]) for name, (_, file) in trees.items() if name in own]
    return Source(
        files=len(own),
        lines=sum(one for one, _ in counted),
        step_lines=sum(one for _, one in counted),
        steps=steps,
        pipelines={
            node.name: _params(node) for tree in own.values() for node in _of(tree, "pipeline")
        },
        unused=sorted(
            [
                *(spot for spot in steps if spot.name not in used),
                *(spot for name, tree in own.items() for spot in _unread_params(name, tree)),
                *(spot for name, tree in own.items() for spot in _constants(name, tree, used)),
                *(spot for name, tree in own.items() for spot in _dead(name, tree)),
                *_keys(root, own),
            ],
            key=lambda spot: (spot.file, spot.line, spot.name),
        ),
        branches=[one for name, tree in own.items() for one in _branches(name, tree)],
        tested=sorted(_names(tests.values())),
        tests=len(tests),
        habits=habits,
        floating=list(_floating(root)),
        unread=unread,
    )


# ---------------------------------------------------------------- what there is


def _files(root: Path, endings: tuple[str, ...]) -> Iterator[Path]:
    """Go through a project's own files by name; what is hidden, installed or built is not entered.

    A home with a hundred thousand objects may lie below.
    """
    found = 0
    for folder, inner, names in os.walk(root):
        here = Path(folder)
        inner[:] = sorted(
            one
            for one in inner
            if not one.startswith(".")
            and one not in _NOT_OURS
            and not (here / one / "pyvenv.cfg").exists()
        )
        for name in sorted(names):
            file = here / name
            if not name.endswith(endings) or name.startswith(".") or not file.is_file():
                continue
            if file.stat().st_size <= _MOST_BYTES:
                found += 1
                yield file
            if found >= _MOST_FILES:
                return


def _is_test(name: str) -> bool:
    last = name.rpartition("/")[2]
    return (
        last.startswith("test_")
        or last.endswith("_test.py")
        or last == "conftest.py"
        or name.startswith("tests/")
    )


def _from_root(found: lint.Finding, root: Path) -> lint.Finding:
    return msgspec.structs.replace(found, file=Path(found.file).relative_to(root).as_posix())


def _of(tree: ast.Module, decorator: str) -> Iterator[Function]:
    for node in ast.walk(tree):
        if isinstance(node, Function) and any(
            lint.named(one) == decorator for one in node.decorator_list
        ):
            yield node


def _declared(file: str, tree: ast.Module, decorator: str) -> Iterator[Spot]:
    for node in _of(tree, decorator):
        yield Spot(
            kind=decorator, name=node.name, file=file, line=node.lineno, lines=_length(node)
        )


def _length(node: ast.stmt) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def _lines(file: Path, tree: ast.Module) -> tuple[int, int]:
    """Return the lines of code of a file, and those of them in steps and pipelines."""
    text = file.read_text("utf-8", "replace").splitlines()
    code = {n for n, line in enumerate(text, 1) if line.strip() and line.strip()[0] != "#"}
    inside: set[int] = set()
    for decorator in ("step", "pipeline"):
        for node in _of(tree, decorator):
            first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
            inside |= set(range(first, (node.end_lineno or first) + 1))
    return len(code), len(code & inside)


def _names(trees: Any) -> set[str]:
    """Return every name that is read, and every word in a text that could be one."""
    found: set[str] = set()
    for tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                found.add(node.id)
            elif isinstance(node, ast.Attribute):
                found.add(node.attr)
            elif isinstance(node, ast.keyword) and node.arg:
                found.add(node.arg)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                # A long text is prose: that a word stands in it says nothing.
                found |= set(_WORD.findall(node.value)) if len(node.value) < _PROSE else set()
    return found


# ---------------------------------------------------------------- what is not used


def _params(node: Function) -> list[str]:
    args = node.args
    return [one.arg for one in [*args.posonlyargs, *args.args, *args.kwonlyargs]]


def _unread_params(file: str, tree: ast.Module) -> Iterator[Spot]:
    for decorator in ("step", "pipeline"):
        for node in _of(tree, decorator):
            read = {
                one.id
                for statement in node.body
                for one in ast.walk(statement)
                if isinstance(one, ast.Name)
            }
            if "locals" in read:
                continue
            for name in _params(node):
                # An underscore says that it is there for the order alone.
                if name not in read and not name.startswith("_"):
                    whole = f"{node.name}.{name}"
                    yield Spot(kind="param", name=whole, file=file, line=node.lineno)


def _constants(file: str, tree: ast.Module, used: set[str]) -> Iterator[Spot]:
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else []
        if isinstance(node, ast.AnnAssign):
            targets = [node.target]
        for one in targets:
            if isinstance(one, ast.Name) and _CONSTANT.fullmatch(one.id) and one.id not in used:
                yield Spot(
                    kind="constant", name=one.id, file=file, line=node.lineno, lines=_length(node)
                )


def _dead(file: str, tree: ast.Module) -> Iterator[Spot]:
    """Find branches that hang on what never changes: a literal, or a constant of the module."""
    fixed: dict[str, Any] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            fixed |= {
                one.id: node.value.value
                for one in node.targets
                if isinstance(one, ast.Name) and _CONSTANT.fullmatch(one.id)
            }
    changed = {
        one.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Global | ast.AugAssign)
        for one in ast.walk(node)
        if isinstance(one, ast.Name)
    }
    for fork in ast.walk(tree):
        if not isinstance(fork, ast.If) or _is_typing(fork.test):
            continue
        test, turned = fork.test, False
        if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            test, turned = test.operand, True
        if isinstance(test, ast.Constant):
            value = test.value
        elif isinstance(test, ast.Name) and test.id in fixed and test.id not in changed:
            value = fixed[test.id]
        else:
            continue
        taken = bool(value) != turned
        gone = fork.orelse if taken else fork.body
        if gone:
            lines = (gone[-1].end_lineno or gone[0].lineno) - gone[0].lineno + 1
            told = f"{'else of ' if taken else ''}if {ast.unparse(fork.test)}"
            yield Spot(kind="branch", name=told, file=file, line=gone[0].lineno, lines=lines)


def _is_typing(test: ast.expr) -> bool:
    return ast.unparse(test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING", "__debug__")


# ---------------------------------------------------------------- keys of configuration


def _keys(root: Path, own: dict[str, ast.Module]) -> Iterator[Spot]:
    """Find keys of the configuration files that the source opens and that it never asks for."""
    texts = {
        node.value
        for tree in own.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    used = _names(own.values()) | texts
    for file in _files(root, _CONFIGS):
        opened = any(text.endswith(file.name) for text in texts if len(text) < _PATH)
        if not opened or file.name == _OWN_CONFIG or file.name in _TOOLS:
            continue
        text = file.read_text("utf-8", "replace")
        for path in _leaves(_parsed(file.suffix, text)):
            if not any(part in used for part in path[-1:]):
                yield Spot(
                    kind="key",
                    name=".".join(path),
                    file=file.relative_to(root).as_posix(),
                    line=_line_of(text, path[-1]),
                )


def _parsed(suffix: str, text: str) -> Any:
    import yaml

    try:
        if suffix == ".toml":
            return tomllib.loads(text)
        return json.loads(text) if suffix == ".json" else yaml.safe_load(text)
    except (tomllib.TOMLDecodeError, ValueError, yaml.YAMLError):
        return None


def _leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            here = (*path, str(key))
            yield from _leaves(inner, here) if isinstance(inner, dict) and inner else iter([here])


def _line_of(text: str, key: str) -> int:
    for number, line in enumerate(text.splitlines(), 1):
        if re.search(rf"(^|[\s{{,])[\"']?{re.escape(key)}[\"']?\s*[:=]", line):
            return number
    return 1


# ---------------------------------------------------------------- branches by a param


def _branches(file: str, tree: ast.Module) -> Iterator[Branch]:
    for decorator in ("step", "pipeline"):
        for node in _of(tree, decorator):
            params = set(_params(node))
            for inner in ast.walk(node):
                if not isinstance(inner, ast.If):
                    continue
                found = _condition(inner.test, params)
                if found is None:
                    continue
                param, op, value = found
                end = inner.orelse
                yield Branch(
                    function=node.name,
                    param=param,
                    test=ast.unparse(inner.test),
                    op=op,
                    value=value,
                    file=file,
                    line=inner.lineno,
                    lines=(inner.body[-1].end_lineno or 0) - inner.body[0].lineno + 1,
                    otherwise=(end[-1].end_lineno or 0) - end[0].lineno + 1 if end else 0,
                )


_OPS: dict[type[ast.cmpop], str] = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.In: "in",
    ast.NotIn: "not in",
    ast.Is: "==",
    ast.IsNot: "!=",
}


def _condition(test: ast.expr, params: set[str]) -> tuple[str, str, Any] | None:
    """Return the param, the comparison and the value of a test on one param alone."""
    if isinstance(test, ast.Name) and test.id in params:
        return test.id, "truth", None
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        inner = test.operand
        return (inner.id, "not", None) if _is_param(inner, params) else None  # type: ignore[attr-defined]
    if not isinstance(test, ast.Compare) or len(test.ops) != 1:
        return None
    op = _OPS.get(type(test.ops[0]))
    if op is None or not _is_param(test.left, params):
        return None
    try:
        value = ast.literal_eval(test.comparators[0])
    except ValueError:
        return None
    if isinstance(value, set | tuple):
        value = sorted(value, key=repr)
    return test.left.id, op, value  # type: ignore[attr-defined]


def _is_param(node: ast.expr, params: set[str]) -> bool:
    return isinstance(node, ast.Name) and node.id in params


# ---------------------------------------------------------------- dependencies


_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)(\[[^\]]*\])?\s*([^;#\s]*)")


def _floating(root: Path) -> Iterator[Spot]:
    """Find what may be another version tomorrow, where no lock file says otherwise."""
    if any(root.glob("*.lock")) or (root / "requirements.lock").exists():
        return
    for file in sorted(root.glob("requirements*.txt")):
        for number, line in enumerate(file.read_text("utf-8", "replace").splitlines(), 1):
            found = _REQUIREMENT.match(line)
            if found and not line.lstrip().startswith(("#", "-")) and not _pinned(line):
                yield Spot(kind="requirement", name=found[1], file=file.name, line=number)


def _pinned(line: str) -> bool:
    return ("==" in line and ".*" not in line) or " @ " in line
