"""Check the house rules no linter knows: sizes, names, first lines."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
LONGEST_FILE = 500
LONGEST_FUNCTION = 60
#: Names that say nothing about what is inside.
BANNED = {"utils", "base", "common", "helpers", "helper", "manager", "misc"}


def main() -> int:
    """Print every breach and return 1 if there is one."""
    breaches: list[str] = []
    for file in sorted((ROOT / "src").rglob("*.py")):
        breaches += breaches_of(file)
    for breach in breaches:
        print(breach)
    return 1 if breaches else 0


def breaches_of(file: Path) -> list[str]:
    """Return what one file does against the house rules."""
    where = file.relative_to(ROOT)
    text = file.read_text("utf-8")
    tree = ast.parse(text)
    found: list[str] = []
    if text.count("\n") > LONGEST_FILE:
        found.append(f"{where}: {text.count(chr(10))} lines; {LONGEST_FILE} is the most")
    if file.stem in BANNED:
        found.append(f"{where}: the name {file.stem!r} says nothing")
    if not ast.get_docstring(tree):
        found.append(f"{where}: the first line does not say what the file is for")
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            size = (node.end_lineno or 0) - node.lineno + 1 - _docstring_lines(node)
            if size > LONGEST_FUNCTION:
                found.append(f"{where}:{node.lineno}: {node.name} has {size} lines")
    return found


def _docstring_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    if not ast.get_docstring(node):
        return 0
    first = node.body[0]
    return (first.end_lineno or 0) - first.lineno + 1


if __name__ == "__main__":
    sys.exit(main())
