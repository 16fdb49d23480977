"""What is said of a script, and the digest by which it is known: its own text and its modules'."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from mainspring.ground.errors import BadInputError
from mainspring.ground.identity import key_of, sha256
from mainspring.ground.objects import Kind, Record


class Script(Record, frozen=True, kw_only=True):
    """A training script, and how it is given rows and asked for a model."""

    script: str  #: path from the project's folder
    code: str  #: digest of the script and of the project's modules that it imports
    rows: str  #: the file it reads, as it reads it
    target: str
    kind: Kind
    model: str
    time: str | None = None
    writes: str | None = None  #: the model file it writes; None: it logs or registers with MLflow
    args: list[str] = []
    env: dict[str, str] = {}
    python: str | None = None  #: the interpreter; None: the one we run with


def inside(root: Path, path: str, field: str) -> Path:
    """Return a path of the project, from its folder.

    Raises:
        BadInputError: if it lies elsewhere.
    """
    whole = (root / path).resolve()
    if not whole.is_relative_to(root.resolve()):
        raise BadInputError(
            f"{field} must lie in the project's folder {root}, found {path!r}.", field=field
        )
    return whole.relative_to(root.resolve())


def code_of(root: Path, script: str) -> str:
    """Return the digest of a script and of all modules of the project that it imports.

    Raises:
        BadInputError: if there is no such script in the project.
    """
    file = root / inside(root, script, "script")
    if not file.is_file():
        raise BadInputError(f"There is no script {file}.", field="script")
    seen: dict[str, str] = {}
    waiting = [file]
    while waiting:
        one = waiting.pop()
        name = one.relative_to(root.resolve() if one.is_absolute() else root).as_posix()
        if name in seen:
            continue
        data = one.read_bytes()
        seen[name] = sha256(data)
        waiting += _imported(data, (file.parent, root))
    return key_of("script", dict(sorted(seen.items())))


def _imported(data: bytes, places: tuple[Path, ...]) -> Iterator[Path]:
    """Go through the files of the project that a module's text imports."""
    try:
        tree = ast.parse(data)
    except (SyntaxError, ValueError):
        return  # whoever runs it is told what is wrong with it
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module]
        for first in {name.partition(".")[0] for name in names}:
            for place in places:
                if (place / f"{first}.py").is_file():
                    yield (place / f"{first}.py").resolve()
                elif (place / first).is_dir():
                    yield from (one.resolve() for one in sorted((place / first).rglob("*.py")))
