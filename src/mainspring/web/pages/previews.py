"""What is shown of an artifact: a picture, lines of text, rows of a table. Never run, never whole.

What it is follows from its bytes and the end of its name. Text is text: HTML, SVG and scripts
are shown as their source. A preview follows from the content alone, so it is kept by digest.
"""

from __future__ import annotations

import csv
import io
import itertools
import json
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import msgspec

from mainspring.experiments.artifacts import Artifact
from mainspring.web.limits import is_deeper
from mainspring.web.pages import peek, words
from mainspring.web.pages.files import picture_type
from mainspring.workspace.opening import Workspace

MOST_BYTES = 256 << 10  #: of text that is looked at
MOST_LINES = 2000
MOST_ROWS, MOST_COLUMNS, MOST_CELL = 200, 50, 300
_WHOLE = 8 << 20  # up to here a file is read in memory
_LARGEST = 1 << 30  # beyond it a copy takes longer than a preview is worth
_DEEPEST = 64
_RUNNABLE = ("html", "htm", "xhtml", "svg", "js")  # by a browser, if it were let

Kind = Literal["picture", "text", "patch", "table", "nothing"]


class Line(msgspec.Struct, frozen=True):
    """A line of text; ``tone`` is how a patch colours it."""

    number: int
    text: str
    tone: str = ""


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """What is shown of an artifact."""

    artifact: Artifact
    kind: Kind
    media: str | None = None  #: of a picture
    lines: list[Line] = []
    columns: list[str] = []
    rows: list[list[str]] = []
    note: str = ""  #: what is not shown, or why nothing is
    numeric: list[bool] = []  #: by column


def of(ws: Workspace, artifact: Artifact) -> Preview:
    """Return the preview of an artifact.

    Raises:
        NotFoundError: if its bytes are gone.
        DamagedError: if they are not those that were stored.
    """
    kept = _kept(_Source(ws, artifact.digest, artifact.size), _ending(artifact.path))
    return msgspec.structs.replace(kept, artifact=artifact)


class _Source:
    """Where bytes come from; two are equal if their bytes are."""

    def __init__(self, ws: Workspace, digest: str, size: int) -> None:
        self._ws, self.digest, self.size = ws, digest, size

    def __eq__(self, other: object) -> bool:
        # Two homes may not share what they keep, though the digests are the same.
        return isinstance(other, _Source) and (self._ws.home, self.digest) == (
            other._ws.home,
            other.digest,
        )

    def __hash__(self) -> int:
        return hash(self.digest)

    def head(self) -> bytes:
        """Return the first bytes, of all that was verified."""
        if self.size <= _WHOLE:
            return self._ws.objects.get(self.digest)[:MOST_BYTES]
        with (
            tempfile.TemporaryDirectory(dir=self._ws.home / "run") as folder,
            self.file(Path(folder)).open("rb") as opened,
        ):
            return opened.read(MOST_BYTES)

    def file(self, folder: Path) -> Path:
        """Return a file with the bytes, verified."""
        target = folder / "artifact"
        self._ws.objects.fetch(self.digest, target)
        return target

    def rows(self) -> Preview:
        """Return the first rows of a Parquet file, read in a process of its own."""
        with tempfile.TemporaryDirectory(dir=self._ws.home / "run") as folder:
            found = peek.parquet(self.file(Path(folder)), MOST_ROWS, MOST_COLUMNS)
        if isinstance(found, str):
            return _nothing(found)
        cut = f"The first {len(found.rows):,} of {found.height:,} rows."
        return _table(found.columns, found.rows, cut if found.height > len(found.rows) else "")


@lru_cache(maxsize=64)
def _kept(source: _Source, ending: str) -> Preview:
    if source.size > _LARGEST:
        return _nothing("It is too large to be shown here.")
    if ending == "parquet":
        return source.rows()
    head = source.head()
    media = picture_type(head)
    if media is not None:
        return _plain("picture", media=media)
    text = _text(head)
    if text is None:
        return _nothing("These bytes are neither text nor a picture.")
    return _of_text(text, ending, len(head), source.size)


def _of_text(text: str, ending: str, looked_at: int, size: int) -> Preview:
    whole = size <= looked_at
    cut = "" if whole else f"The first {words.size(looked_at)} of {words.size(size)}."
    if ending in _RUNNABLE:
        cut = f"This is its source: nothing that was stored runs here. {cut}".strip()
    if ending in ("csv", "tsv"):
        return _separated(text, "\t" if ending == "tsv" else ",", whole=whole)
    if ending == "json" and whole:
        return _json(text)
    return _lines(text, cut, patch=ending in ("patch", "diff"))


def _ending(path: str) -> str:
    return path.rpartition("/")[2].rpartition(".")[2].lower()


def _plain(kind: Kind, **given: Any) -> Preview:
    unknown = Artifact(path="", digest="", size=0, time=0.0)
    return Preview(artifact=unknown, kind=kind, **given)


def _nothing(why: str) -> Preview:
    return _plain("nothing", note=f"{why} Download it to look at it.")


def _text(head: bytes) -> str | None:
    """Return bytes as text; a letter that the limit cut in half is left out."""
    if b"\x00" in head:
        return None
    for cut in range(4):
        try:
            return head[: len(head) - cut].decode("utf-8")
        except UnicodeDecodeError:
            continue
    return None


# ---------------------------------------------------------------- text


def _lines(text: str, cut: str, *, patch: bool = False) -> Preview:
    found = text.split("\n")
    if found and not found[-1]:
        found.pop()
    shown = [
        Line(n, line.rstrip("\r")[:2000], _tone(line) if patch else "")
        for n, line in enumerate(found[:MOST_LINES], 1)
    ]
    if len(found) > MOST_LINES:
        cut = f"The first {MOST_LINES:,} lines."
    return _plain("patch" if patch else "text", lines=shown, note=cut)


def _tone(line: str) -> str:
    """Return how a line of a patch is coloured.

    >>> [_tone(line) for line in ("+new", "-old", "@@ -1 +1 @@", "--- a/x", " same")]
    ['added', 'gone', 'place', 'file', '']
    """
    if line.startswith(("diff ", "index ", "--- ", "+++ ")):
        return "file"
    if line.startswith("@@"):
        return "place"
    if line.startswith("+"):
        return "added"
    return "gone" if line.startswith("-") else ""


def _json(text: str) -> Preview:
    raw = text.encode()
    if is_deeper(raw, _DEEPEST):
        return _lines(text, f"It is nested deeper than {_DEEPEST} levels and shown as it is.")
    try:
        found = msgspec.json.decode(raw)
    except msgspec.DecodeError:
        return _lines(text, "It is not valid JSON and shown as it is.")
    table = as_table(found)
    if table is not None:
        columns, rows = table
        note = f"The first {MOST_ROWS} of {len(rows):,} rows." if len(rows) > MOST_ROWS else ""
        return _table(columns, rows[:MOST_ROWS], note)
    return _lines(msgspec.json.format(raw, indent=2).decode(), "")


def as_table(found: Any) -> tuple[list[str], list[list[Any]]] | None:
    """Return JSON as a table if it has the form of one: columns and data, or a list of objects.

    >>> as_table({"columns": ["a"], "data": [[1], [2]]})
    (['a'], [[1], [2]])
    >>> as_table([{"a": 1}, {"a": 2, "b": 3}])
    (['a', 'b'], [[1, None], [2, 3]])
    """
    if isinstance(found, dict) and isinstance(found.get("columns"), list):
        columns, rows = found["columns"], found.get("data")
        square = isinstance(rows, list) and all(
            isinstance(row, list) and len(row) == len(columns) for row in rows
        )
        return ([str(one) for one in columns], rows) if square and rows is not None else None
    if isinstance(found, list) and found and all(isinstance(one, dict) for one in found):
        names = list(dict.fromkeys(key for one in found[:MOST_ROWS] for key in one))
        return names, [[one.get(name) for name in names] for one in found]
    return None


# ---------------------------------------------------------------- tables


def _separated(text: str, mark: str, *, whole: bool) -> Preview:
    source = io.StringIO(text, newline="")
    try:
        rows = list(itertools.islice(csv.reader(source, delimiter=mark), MOST_ROWS + 2))
    except csv.Error as error:
        return _lines(text, f"It cannot be read as a table ({error}) and is shown as it is.")
    if not rows:
        return _plain("text", note="The file is empty.")
    more = len(rows) > MOST_ROWS + 1
    if not whole and not more and len(rows) > 1:
        rows.pop()  # the limit has cut it
        more = True
    head, body = rows[0], rows[1 : MOST_ROWS + 1]
    return _table(head, body, f"The first {len(body):,} rows." if more else "")


def _table(columns: list[str], rows: list[list[Any]], note: str) -> Preview:
    if len(columns) > MOST_COLUMNS:
        note = f"{note} The first {MOST_COLUMNS} of {len(columns):,} columns.".strip()
    width = min(len(columns), MOST_COLUMNS)
    shown = [[_cell(value) for value in row[:width]] for row in rows]
    shown = [row + [""] * (width - len(row)) for row in shown]
    numeric = [
        bool(shown) and all(not row[n] or _is_number(row[n]) for row in shown)
        for n in range(width)
    ]
    return _plain(
        "table",
        columns=[str(one)[:MOST_CELL] for one in columns[:width]],
        rows=shown,
        note=note,
        numeric=numeric,
    )


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        text = f"{value:.1f}"
    else:
        text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= MOST_CELL else f"{text[:MOST_CELL]}…"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
