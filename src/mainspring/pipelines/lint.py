"""Look over a project's source for what makes steps give different results than they should."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from mainspring.ground.errors import ProjectError

_CHANCE = {
    "time.time",
    "time.time_ns",
    "datetime.now",
    "datetime.utcnow",
    "datetime.today",
    "date.today",
    "datetime.datetime.now",
    "datetime.datetime.utcnow",
    "datetime.date.today",
    "uuid.uuid1",
    "uuid.uuid4",
    "os.urandom",
    "os.getenv",
    "os.environ.get",
}
_RANDOM = ("random.", "np.random.", "numpy.random.", "secrets.")
_SEEDED = ("default_rng", "RandomState", "Random", "Generator", "seed", "SeedSequence")
_MUTABLE = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp, ast.Call)
_CHANGING = ("append", "extend", "insert", "update", "add", "pop", "clear", "setdefault", "remove")

Function = ast.FunctionDef | ast.AsyncFunctionDef


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Something in a project's source that a person should look at."""

    rule: str
    file: str
    line: int
    message: str
    hint: str


def lint(root: Path) -> list[Finding]:
    """Look over every Python file of a project; return what was found, by file and line.

    Raises:
        ProjectError: if a file is no Python.
    """
    out: list[Finding] = []
    for file in sorted(Path(root).rglob("*.py")):
        inner = file.relative_to(root).parts
        if not any(part.startswith(".") or part == "site-packages" for part in inner):
            out += lint_file(file)
    return out


def lint_file(file: Path) -> list[Finding]:
    """Look over one file.

    Raises:
        ProjectError: if it is no Python.
    """
    try:
        tree = ast.parse(file.read_bytes(), str(file))
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        raise ProjectError(f"{file} is not Python: {error} (line {line}).") from error
    globals_ = _module_values(tree)
    found = []
    for node in ast.walk(tree):
        if isinstance(node, Function) and _is_step(node):
            for rule in RULES:
                for line, message, hint in rule(node, globals_):
                    name = rule.__name__.replace("_", "-")
                    found.append(
                        Finding(rule=name, file=str(file), line=line, message=message, hint=hint)
                    )
    return sorted(found, key=lambda one: (one.line, one.rule))


Complaint = tuple[int, str, str]


def untyped(node: Function, _globals: set[str]) -> Iterator[Complaint]:
    """A step says what it takes and gives, so that its inputs can be checked and shown."""
    arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    bare = [argument.arg for argument in arguments if argument.annotation is None]
    if node.returns is None:
        bare.append("its result")
    if bare:
        yield (
            node.lineno,
            f"Step {node.name} has no type hints for {', '.join(bare)}.",
            "Add them: def step(rows: pl.DataFrame) -> pl.DataFrame.",
        )


def default_made_once(node: Function, _globals: set[str]) -> Iterator[Complaint]:
    """A default is made when the file is read, once, and shared by every call."""
    for default in [*node.args.defaults, *node.args.kw_defaults]:
        if isinstance(default, _MUTABLE):
            yield (
                default.lineno,
                f"Step {node.name} has the default {ast.unparse(default)}, made once and shared.",
                "Use None, and make the value inside of the step.",
            )


def chance(node: Function, _globals: set[str]) -> Iterator[Complaint]:
    """A reused result hides that the clock, chance or the surroundings would say otherwise."""
    if _is_uncached(node):
        return
    for call in ast.walk(node):
        if not isinstance(call, ast.Call):
            continue
        name = ast.unparse(call.func)
        random = name.startswith(_RANDOM) and "(" not in name
        seeded = name.rpartition(".")[2] in _SEEDED and bool(call.args or call.keywords)
        if name in _CHANCE or (random and not seeded):
            yield (
                call.lineno,
                f"Step {node.name} asks {name}(), which answers differently each time, but its"
                " result is reused.",
                "Make it a param (a seed, a date), or mark the step @step(cache=False).",
            )


def shared_state(node: Function, globals_: set[str]) -> Iterator[Complaint]:
    """Steps run in processes of their own: what one writes to a global, no other sees."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.Global):
            yield (
                inner.lineno,
                f"Step {node.name} changes the global {', '.join(inner.names)}, which no other"
                " step will see.",
                "Return the value, and take it as an argument where it is needed.",
            )
        name = _changed(inner)
        if name in globals_:
            yield (
                getattr(inner, "lineno", node.lineno),
                f"Step {node.name} changes the module's {name}, which no other step will see.",
                "Return the value, and take it as an argument where it is needed.",
            )


RULES: tuple[Callable[[Function, set[str]], Iterator[Complaint]], ...] = (
    untyped,
    default_made_once,
    chance,
    shared_state,
)


def _changed(node: ast.AST) -> str | None:
    """Return the name of what a piece of code changes in place."""
    target: ast.AST | None = None
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        target = node.func.value if node.func.attr in _CHANGING else None
    elif isinstance(node, ast.Subscript) and not isinstance(node.ctx, ast.Load):
        target = node.value
    return target.id if isinstance(target, ast.Name) else None


def _module_values(tree: ast.Module) -> set[str]:
    """Return the names of the module's lists, dicts and sets."""
    names: set[str] = set()
    for node in tree.body:
        value = getattr(node, "value", None)
        if isinstance(node, ast.Assign) and isinstance(value, _MUTABLE):
            names.update(one.id for one in node.targets if isinstance(one, ast.Name))
        elif isinstance(node, ast.AnnAssign) and isinstance(value, _MUTABLE):
            names.update({node.target.id} if isinstance(node.target, ast.Name) else set())
    return names


def _is_step(node: Function) -> bool:
    return any(named(one) == "step" for one in node.decorator_list)


def _is_uncached(node: Function) -> bool:
    for one in node.decorator_list:
        if isinstance(one, ast.Call) and named(one) == "step":
            return any(
                key.arg == "cache"
                and isinstance(key.value, ast.Constant)
                and key.value.value is False
                for key in one.keywords
            )
    return False


def named(node: ast.expr) -> str:
    """Return the name of a decorator, however it is called: ``step``, ``ms.step(...)``."""
    if isinstance(node, ast.Call):
        node = node.func
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
