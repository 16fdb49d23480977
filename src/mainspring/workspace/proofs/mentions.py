"""Find out whether a project's code names a file or folder, by reading it without running it."""

from __future__ import annotations

import ast
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

_MOST_FILES = 2_000
_MOST_BYTES = 1_000_000  # of one file; no code is larger
_PLAIN = (".toml", ".yaml", ".yml", ".json", ".sh", ".cfg", ".ini", ".sql", ".r", ".R")


def of(root: Path, path: str) -> str | None:
    """Return where the code below a folder names a path, such as ``project.py:7``; else None.

    Its last part is searched in texts that the code writes out, and in the words of
    configurations, notebooks and shell scripts. Names that are put together are not found.
    """
    name = PurePosixPath(path).name
    # As a whole part of a path: "data" is named by "data/rows.csv", and not by "database".
    pattern = re.compile(rf"(?<![\w.-]){re.escape(name)}(?![\w-]|\.\w)")
    for file in _files(root):
        for line, text in _texts(file):
            if pattern.search(text):
                return f"{file.relative_to(root).as_posix()}:{line}"
    return None


def _files(root: Path) -> Iterator[Path]:
    count = 0
    for place, folders, names in os.walk(root):
        folders[:] = sorted(one for one in folders if not one.startswith((".", "__")))
        for name in sorted(names):
            file = Path(place, name)
            if file.suffix in (".py", ".ipynb", *_PLAIN) and file.is_file():
                count += 1
                if count > _MOST_FILES:
                    return
                if file.stat().st_size <= _MOST_BYTES:
                    yield file


def _texts(file: Path) -> Iterator[tuple[int, str]]:
    """Yield what a file writes out as text, by line."""
    text = file.read_text("utf-8", "replace")
    try:
        if file.suffix == ".py":
            yield from _literals(text)
            return
        if file.suffix == ".ipynb":
            for number, cell in enumerate(json.loads(text).get("cells", [])):
                if cell.get("cell_type") == "code":
                    yield number, "".join(cell.get("source", []))
            return
    except (SyntaxError, ValueError, AttributeError, TypeError):
        pass  # of another Python, or no notebook: as plain text
    yield from enumerate(text.splitlines(), 1)


def _literals(text: str) -> Iterator[tuple[int, str]]:
    tree = ast.parse(text)
    told = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in told:
            yield node.lineno, node.value
