"""What a project speaks of: whether its steps need more than plain Python, and fit models.

A process that is forked from one that has imported polars and scikit-learn costs three times as
much as one that has not: its memory is mapped, and touched. So steps of a project in which
nothing speaks of tables or models run without them. It is a guess that costs little: what is
missing is imported by the step that needs it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

PLAIN, TABLES, MODELS = range(3)  # each needs what those before it need
_OF_MODELS = (b"sklearn", b"Model", b"skops", b"joblib")
#: Names of packages that bring numpy, and words that come before a table is there.
_OF_TABLES = (
    *(b"numpy", b"polars", b"pandas", b"pyarrow", b"scipy", b"torch", b"xgboost", b"lightgbm"),
    *(b"onnx", b"duckdb", b"parquet", b"rame", b".data(", b".rows(", b"Expect", b"expect="),
)
_MOST_FILES = 300
_MOST_FOLDERS = 300
_MOST_BYTES = 1_000_000  # of a file
#: Modules by which one sees, once a project is imported, that it needs tables.
HEAVY = ("numpy", "polars", "pandas", "pyarrow")


def of(root: Path) -> int:
    """Return what a project's files speak of: PLAIN, TABLES or MODELS.

    More files or folders than are looked at are taken to speak of everything.
    """
    found = PLAIN
    for count, file in enumerate(_files(root)):
        if file is None or count == _MOST_FILES:
            return MODELS
        try:
            with file.open("rb") as opened:
                text = opened.read(_MOST_BYTES)
        except OSError:
            continue
        if any(word in text for word in _OF_MODELS):
            return MODELS
        if found < TABLES and any(word in text for word in _OF_TABLES):
            found = TABLES
    return found


def _files(root: Path) -> Iterator[Path | None]:
    """Return the Python files below a folder, without hidden folders and environments.

    None stands for folders that are too many to look at.
    """
    for count, (folder, folders, files) in enumerate(os.walk(root)):
        if count == _MOST_FOLDERS:
            yield None
            return
        if "pyvenv.cfg" in files:
            folders.clear()
            continue
        folders[:] = [one for one in folders if one[0] not in "._" and one != "node_modules"]
        yield from (Path(folder, name) for name in files if name.endswith((".py", ".ipynb")))


class Spoken:
    """What is known of projects so far, shared by all who act in a workspace."""

    def __init__(self) -> None:
        self._found: dict[str, int] = {}

    def of(self, root: str, *, again: bool = False) -> int:
        """Return what a project speaks of; it is looked at once, or ``again``."""
        if again or root not in self._found:
            self._found[root] = of(Path(root))
        return self._found[root]

    def loads(self, root: str) -> None:
        """Note that importing the project imports what tables need, whatever its words are."""
        self._found[root] = max(self._found.get(root, PLAIN), TABLES)
