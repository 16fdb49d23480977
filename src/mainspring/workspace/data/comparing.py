"""Compare two versions of data, or what lies in the file system: files, then tables in them."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from mainspring.ground.errors import BadInputError, MainspringError
from mainspring.ground.permissions import Permission
from mainspring.ground.profiles import ColumnProfile, Profile
from mainspring.pipelines.data import differing, manifest, versions
from mainspring.pipelines.data.differing import FileChanges
from mainspring.pipelines.data.manifest import Entry
from mainspring.workspace.data import by_key, looking
from mainspring.workspace.data.by_key import KeyChanges
from mainspring.workspace.data.places import Tell, quiet
from mainspring.workspace.data.profiles import (
    Part,
    Side,
    from_objects,
    lazy_of,
    profile_of,
    schema_of,
    tables_of,
)

if TYPE_CHECKING:
    from mainspring.workspace.opening import Workspace

MOST = 1_000  #: files of one kind of change, and tables, that are named
QUANTILES = ("0.25", "0.5", "0.75")


class SideTold(msgspec.Struct, frozen=True, kw_only=True):
    """One of the two."""

    name: str
    digest: str
    files: int
    bytes: int


class Moved(msgspec.Struct, frozen=True, kw_only=True):
    """A statistic of a column that changed."""

    column: str
    what: str  #: missing, distinct, low, high, mean, std, or the quantile as a probability
    before: float | None
    after: float | None


class Retyped(msgspec.Struct, frozen=True, kw_only=True):
    """A column that has another type."""

    column: str
    before: str
    after: str


class TableChanges(msgspec.Struct, frozen=True, kw_only=True):
    """What differs between the rows of a table."""

    table: str
    state: Literal["added", "removed", "changed"]
    rows_before: int | None
    rows_after: int | None
    columns_added: list[str] = []
    columns_removed: list[str] = []
    retyped: list[Retyped] = []
    moved: list[Moved] = []
    rows: KeyChanges | None = None  #: if a key was named
    why: str = ""  #: it could not be read, and why


class DataChanges(msgspec.Struct, frozen=True, kw_only=True):
    """What differs between two versions."""

    before: SideTold
    after: SideTold
    files: FileChanges
    counts: dict[str, int]  #: of files, also of those not named: added, removed, changed, ...
    tables: list[TableChanges]
    tables_left: int = 0  #: more than are told of

    @property
    def same(self) -> bool:
        """Return whether they hold the same bytes under the same names."""
        return self.files.none


def side(ws: Workspace, text: str, tell: Tell = quiet) -> Side:
    """Return what a reference or a path stands for; a path that is there counts as one.

    Raises:
        NotFoundError: if there is no such version.
        BadInputError: if it is neither, or a file in it cannot be kept.
    """
    place = Path(text).expanduser()
    if "@" not in text and place.exists():
        return place_side(ws.home, place.absolute(), text, tell)
    return version_side(ws, text)


def version_side(ws: Workspace, text: str) -> Side:
    """Return what a version holds.

    Raises:
        NotFoundError: if there is no such version.
    """
    version = ws.read(Permission.READ, lambda tx: versions.resolve(tx, text))
    held = manifest.read(version.manifest or "", ws.objects)
    return Side(
        name=version.reference,
        digest=version.digest,
        entries=held.entries,
        open=from_objects(ws),
    )


def place_side(home: Path, place: Path, name: str, tell: Tell = quiet) -> Side:
    """Return what lies at a place in the file system."""
    found = looking.plain(looking.look(home, place, tell))
    entries = [
        Entry(file.path, file.size, digest.hex(), file.executable)
        for file, digest in found.seen.each()
    ]
    single = place.is_file()
    held = manifest.settled("file" if single else "folder", entries)

    def here(entry: Entry, _folder: Path) -> Path:
        return place if single else place / entry.path

    return Side(name=name, digest=held.digest, entries=held.entries, open=here, root=str(place))


def compare(
    ws: Workspace,
    before: Side,
    after: Side,
    *,
    key: Sequence[str] = (),
    statistics: bool = True,
    tell: Tell = quiet,
) -> DataChanges:
    """Return what differs: files by their digests, then tables by columns, counts and rows.

    A file that is the same in both is not read; one that was read before is not counted again.

    Raises:
        BadInputError: if no table has the columns of the key.
    """
    before, files = _compared(before, after)
    tables = _tables(ws, before, after, files, key, tell) if statistics else []
    if key and statistics and tables and not any(one.rows for one in tables):
        reasons = [one.why for one in tables if one.why]
        if reasons:
            raise BadInputError(f"The key says nothing here: {reasons[0]}", field="key")
    return _changes(before, after, files, tables)


def compare_files(before: Side, after: Side) -> DataChanges:
    """Return what differs between the files of two, by their digests; nothing is read."""
    before, files = _compared(before, after)
    return _changes(before, after, files, [])


def _compared(before: Side, after: Side) -> tuple[Side, FileChanges]:
    if len(before.entries) == len(after.entries) == 1:  # a file is compared whatever it is called
        only = msgspec.structs.replace(before.entries[0], path=after.entries[0].path)
        named = {only.path: before.entries[0]}
        kept = before.open
        before = msgspec.structs.replace(
            before, entries=[only], open=lambda one, folder: kept(named[one.path], folder)
        )
    return before, differing.differences(before.entries, after.entries)


def _changes(
    before: Side, after: Side, files: FileChanges, tables: Sequence[TableChanges]
) -> DataChanges:
    counts = {
        name: len(getattr(files, name)) for name in ("added", "removed", "changed", "renamed")
    }
    cut = {name: getattr(files, name)[:MOST] for name in counts}
    return DataChanges(
        before=_told(before),
        after=_told(after),
        files=msgspec.structs.replace(files, **cut),
        counts={**counts, "same": files.same},
        tables=list(tables[:MOST]),
        tables_left=max(len(tables) - MOST, 0),
    )


def _tables(
    ws: Workspace, before: Side, after: Side, files: FileChanges, key: Sequence[str], tell: Tell
) -> list[TableChanges]:
    old, new = tables_of(before.entries), tables_of(after.entries)
    was = {one.after: one.before for one in files.renamed}
    out = []
    for name in sorted({*old, *new}):
        left, right = old.get(name), new.get(name)
        if right is None and left is not None and name in was.values():
            continue  # it is told under its new name
        if left is None and name in was:
            left = old.get(was[name])
        if left is not None and right is not None and _digests(left) == _digests(right):
            continue
        out.append(_table(ws, name, before, after, (left, right), key, tell))
    return out


def _table(
    ws: Workspace,
    name: str,
    before: Side,
    after: Side,
    parts: tuple[Part | None, Part | None],
    key: Sequence[str],
    tell: Tell,
) -> TableChanges:
    left, right = parts
    try:
        old = None if left is None else profile_of(ws, before, left, tell)
        new = None if right is None else profile_of(ws, after, right, tell)
        if left is None or right is None or old is None or new is None:
            return TableChanges(
                table=name,
                state="added" if old is None else "removed",
                rows_before=None if old is None else old.rows,
                rows_after=None if new is None else new.rows,
                columns_added=[] if new is None else [one.name for one in new.columns],
                columns_removed=[] if old is None else [one.name for one in old.columns],
            )
        types = _types(schema_of(before, left), old), _types(schema_of(after, right), new)
        rows = None
        if key:
            tell(f"comparing the rows of {name}", 0, 0)
            with tempfile.TemporaryDirectory(prefix="mainspring-diff-") as folder:
                frames = [
                    lazy_of(one, part, Path(folder))
                    for one, part in ((before, left), (after, right))
                ]
                rows = by_key.changes(frames[0], frames[1], key, max(old.rows, new.rows))
    except MainspringError as error:
        return TableChanges(
            table=name, state="changed", rows_before=None, rows_after=None, why=error.message
        )
    return TableChanges(
        table=name,
        state="changed",
        rows_before=old.rows,
        rows_after=new.rows,
        columns_added=[one for one in types[1] if one not in types[0]],
        columns_removed=[one for one in types[0] if one not in types[1]],
        retyped=[
            Retyped(column=one, before=kind, after=types[1][one])
            for one, kind in types[0].items()
            if one in types[1] and types[1][one] != kind
        ],
        moved=moved(old, new),
        rows=rows,
    )


def moved(before: Profile, after: Profile) -> list[Moved]:
    """Return the statistics that differ, column by column; of estimates, beyond their error."""
    new = {one.name: one for one in after.columns}
    out = []
    for old in before.columns:
        if old.name not in new:
            continue
        for what, one, two in _statistics(old, new[old.name]):
            if one != two:
                out.append(Moved(column=old.name, what=what, before=one, after=two))
    return out


def _statistics(
    old: ColumnProfile, new: ColumnProfile
) -> list[tuple[str, float | None, float | None]]:
    found: list[tuple[str, float | None, float | None]] = [
        ("missing", float(old.missing), float(new.missing))
    ]
    if old.distinct is not None and new.distinct is not None:
        error = 3 * max(old.distinct_error * old.distinct, new.distinct_error * new.distinct)
        if abs(old.distinct - new.distinct) > error:
            found.append(("distinct", round(old.distinct), round(new.distinct)))
    found += [(what, getattr(old, what), getattr(new, what)) for what in ("low", "high")]
    for what in ("mean", "std"):
        one, two = getattr(old, what), getattr(new, what)
        # Sums in another order differ in their last digits.
        if one is None or two is None or abs(one - two) > 1e-9 * max(abs(one), abs(two)):
            found.append((what, one, two))
    for what in QUANTILES:
        if what in old.quantiles and what in new.quantiles:
            found.append((what, old.quantiles[what], new.quantiles[what]))
    return found


def _types(schema: dict[str, str], profile: Profile) -> dict[str, str]:
    return schema or {one.name: one.kind for one in profile.columns}


def _digests(part: Part) -> list[str]:
    return [one.sha256 for one in part.parts]


def _told(one: Side) -> SideTold:
    size = sum(entry.size for entry in one.entries)
    return SideTold(name=one.name, digest=one.digest, files=len(one.entries), bytes=size)
