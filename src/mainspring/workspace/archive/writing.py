"""Write a project into one file: rows in one consistent view, then the objects they name."""

from __future__ import annotations

import os
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Table, false, func, or_, select

from mainspring.backends.sql import audit
from mainspring.backends.sql.schema import VERSION as SCHEMA
from mainspring.engine.tables import tasks
from mainspring.engine.tasks import FINAL
from mainspring.experiments import groups
from mainspring.experiments.tables import runs
from mainspring.ground.errors import BadInputError, ConflictError, NotFoundError, StoreError
from mainspring.ground.identity import sha256, sha256_file
from mainspring.ground.permissions import Permission, authorise
from mainspring.ground.ports import Kept, Tx
from mainspring.ground.version import __version__
from mainspring.workspace.archive import contents, form
from mainspring.workspace.archive.form import Manifest, Sealed
from mainspring.workspace.keeping import owning, reclaiming, texts
from mainspring.workspace.keeping.needs import in_parts
from mainspring.workspace.opening import Workspace
from mainspring.workspace.tracking.catching_up import catch_up

Tell = Callable[[str, int, int], None]
_SAMPLE = 64 << 10  #: bytes by which is judged whether packing is worth it


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """What was written."""

    path: str
    size: int
    sha256: str  #: of the file
    runs: int
    rows: int
    objects: int
    missing: int  #: objects that rows name and that are not there
    unfinished: int  #: tasks that are under way, and not in it


def export(
    ws: Workspace,
    target: Path,
    *,
    only: Sequence[str] = (),
    tell: Tell = lambda _what, _at, _of: None,
) -> Exported:
    """Write a project, or some of its experiments, into one file.

    Args:
        ws: The workspace.
        target: The file; it must not be there.
        only: Names of experiments; without any, everything.
        tell: Is told how far it is.

    Raises:
        BadInputError: if the file is there already.
        NotFoundError: if there is no such experiment.
        ConflictError: if an object was deleted meanwhile.
    """
    authorise(ws.who, Permission.ADMIN)
    if target.exists():
        raise BadInputError(f"{target} is there already.", field="file", hint="Name another.")
    catch_up(ws)  # what scripts of this home logged
    part = target.with_name(f".{target.name}.part")
    try:
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600))
        written = _Writer(ws, part, list(only), tell).write()
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(target)
    except OSError as error:
        raise StoreError(f"{target} cannot be written: {error.strerror or error}.") from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
    digest = sha256_file(target)
    detail = {
        "sha256": digest,
        "experiments": written.experiments,
        "objects": written.objects.count,
    }
    ws.write(
        Permission.ADMIN, lambda tx: tx.audit("archive.export", f"archive:{digest[:16]}", detail)
    )
    return Exported(
        path=str(target),
        size=target.stat().st_size,
        sha256=digest,
        runs=written.tables["runs"].rows,
        rows=sum(table.rows for table in written.tables.values()),
        objects=written.objects.count,
        missing=written.objects.missing,
        unfinished=written.unfinished,
    )


class _Writer:
    """One archive on its way."""

    def __init__(self, ws: Workspace, path: Path, only: list[str], tell: Tell) -> None:
        self._ws, self._path, self._only, self._tell = ws, path, only, tell
        self._zipped: zipfile.ZipFile | None = None
        self._artifacts: set[bytes] = set()  # digests that must be there

    def write(self) -> Manifest:
        try:
            zipped, manifest, named = self._ws.read(Permission.ADMIN, self._rows)
            there = reclaiming.listed(self._ws)
            needed = self._followed(named, there)
            objects = self._objects(zipped, [there[digest] for digest in sorted(needed)])
            absent = len(self._artifacts - there.keys())
            manifest = msgspec.structs.replace(
                manifest,
                entries={**manifest.entries, **objects},
                objects=form.ObjectsInfo(
                    count=len(needed),
                    size=sum(there[digest].size for digest in needed),
                    missing=absent,
                ),
            )
            data = msgspec.json.format(msgspec.json.encode(manifest), indent=1)
            zipped.writestr(form.MANIFEST, data, zipfile.ZIP_DEFLATED)
            zipped.comment = sha256(data).encode()
            return manifest
        finally:
            self._close()

    def _close(self) -> None:
        if self._zipped is not None:
            self._zipped.close()
            self._zipped = None

    # ------------------------------------------------------------ rows

    def _rows(self, tx: Tx) -> tuple[zipfile.ZipFile, Manifest, set[bytes]]:
        """Write every row; begins anew when the database asks for it."""
        self._close()
        zipped = zipfile.ZipFile(self._path, "w", zipfile.ZIP_DEFLATED, compresslevel=6)
        self._zipped = zipped
        named: set[bytes] = set()
        self._artifacts = set()
        infos, entries = {}, {}
        numbers, ids = self._chosen(tx)
        chosen = contents.tables(experiments_only=bool(self._only))
        for number, table in enumerate(chosen):
            self._tell("rows", number, len(chosen))
            name = f"rows/{table.name}.jsonl"
            with zipped.open(name, "w", force_zip64=True) as file:
                sealed, count = Sealed(file), 0
                for row in _each(tx, table, numbers, ids):
                    sealed.write(form.line([contents.to_json(cell) for cell in row]))
                    self._names(table, row, named)
                    count += 1
            infos[table.name] = form.TableInfo(columns=columns_of(table), rows=count)
            entries[name] = sealed.info()
        log = None if self._only else _audit(tx, zipped, entries)
        manifest = Manifest(
            format=form.FORMAT,
            mainspring=__version__,
            schema=SCHEMA,
            written=self._ws.clock.now(),
            experiments=self._only or None,
            unfinished=_unfinished(tx),
            tables=infos,
            objects=form.ObjectsInfo(count=0, size=0),
            audit=log,
            entries=entries,
        )
        return zipped, manifest, named

    def _names(self, table: Table, row: Any, named: set[bytes]) -> None:
        for cell in row:
            if isinstance(cell, str) and len(cell) >= 64:
                named |= texts.digests_in(cell.encode("utf-8", "surrogatepass"))
        if table.name == "artifacts":
            self._artifacts.add(bytes.fromhex(row.digest))

    def _chosen(self, tx: Tx) -> tuple[list[int] | None, list[str]]:
        if not self._only:
            return None, []
        found = []
        for name in self._only:
            one = groups.by_name(tx, name)
            if one is None:
                raise NotFoundError(f"There is no experiment {name[:80]!r}.", field="experiment")
            found.append(one)
        these = runs.c.experiment.in_([one.key for one in found])
        return [one.id for one in found], [
            row.id for row in tx.all(select(runs.c.id).where(these))
        ]

    # ------------------------------------------------------------ objects

    def _followed(self, named: set[bytes], there: dict[bytes, Kept]) -> set[bytes]:
        """Return the objects that rows name, with those that manifests among them name."""
        needed = named & there.keys()
        todo = [there[digest] for digest in needed]
        with ThreadPoolExecutor(reclaiming.AT_ONCE, thread_name_prefix="export") as pool:
            while todo:
                new: set[bytes] = set()
                found = pool.map(
                    lambda one: reclaiming.named_in(self._ws, one) & there.keys(), todo
                )
                for inside in found:
                    new |= inside - needed
                needed |= new
                todo = [there[digest] for digest in new]
        return needed

    def _objects(self, zipped: zipfile.ZipFile, found: list[Kept]) -> dict[str, form.EntryInfo]:
        entries = {}
        done = 0
        total = sum(one.size for one in found)
        for number, pack in enumerate(_packs(found)):
            info = zipfile.ZipInfo(f"objects/{number:06}.pack")
            worth = self._is_worth(pack[0])
            info.compress_type = zipfile.ZIP_DEFLATED if worth else zipfile.ZIP_STORED
            with zipped.open(info, "w", force_zip64=True) as file:
                sealed = Sealed(file)
                for one in pack:
                    self._pack(sealed, one)
                    done += one.size
                    self._tell("objects", done, total)
            entries[info.filename] = sealed.info()
        return entries

    def _pack(self, sealed: Sealed, one: Kept) -> None:
        try:
            if one.size <= form.CHUNK:
                data = self._ws.objects.get(one.digest)
                sealed.write(form.FRAME.pack(bytes.fromhex(one.digest), len(data)))
                sealed.write(data)
                return
            with tempfile.TemporaryDirectory(prefix="mainspring-export-") as folder:
                copy = Path(folder) / "object"
                self._ws.objects.fetch(one.digest, copy)
                sealed.write(form.FRAME.pack(bytes.fromhex(one.digest), copy.stat().st_size))
                with copy.open("rb") as source:
                    while data := source.read(form.CHUNK):
                        sealed.write(data)
        except NotFoundError as error:
            raise ConflictError(
                f"Object {one.digest} was deleted while the archive was written.",
                hint="Export again.",
            ) from error

    def _is_worth(self, one: Kept) -> bool:
        start = self._ws.objects.part(one.digest, 0, _SAMPLE)
        return len(zlib.compress(start, 1)) < 0.9 * len(start)


def _packs(found: list[Kept]) -> Iterator[list[Kept]]:
    pack: list[Kept] = []
    size = 0
    for one in found:
        if pack and size + one.size > form.PACK_BYTES:
            yield pack
            pack, size = [], 0
        pack.append(one)
        size += one.size
    if pack:
        yield pack


def columns_of(table: Table) -> list[str]:
    """Return the columns in the order in which they are written: the key first."""
    return [str(c.name) for c in dict.fromkeys([*table.primary_key.columns, *table.columns])]


def _each(tx: Tx, table: Table, numbers: list[int] | None, ids: list[str]) -> Iterator[Any]:
    """Go through the rows of a table that are to be written."""
    if numbers is None:
        yield from texts.pages(tx, table, table.columns)
        return
    of_experiments = dict(owning.of_experiments(numbers))
    if table.name == "code_texts":
        yield from _written(tx, table, ids)
    elif table.name in _SAID_BY:
        yield from texts.pages(tx, table, table.columns, _said(table, ids))
    elif table not in dict(owning.of_runs(["x"])):
        yield from texts.pages(tx, table, table.columns, of_experiments[table])
    else:
        both = [of_experiments[table]] if table in of_experiments else []
        for part in in_parts(ids):
            where = dict(owning.of_runs(part))[table]
            yield from texts.pages(tx, table, table.columns, where, *both)


#: Tables whose rows are named by others: the column they are known by, and who says so.
_SAID_BY = {
    "datasets": ("id", "run_datasets", "dataset"),
    "environments": ("digest", "steps", "env"),
}


def _written(tx: Tx, table: Table, ids: list[str]) -> Iterator[Any]:
    """Go through the texts of code that the steps of runs name."""
    steps = next(one for one in texts.tables() if one.name == "steps")
    named: set[str] = set()
    for part in in_parts(ids):
        for row in texts.pages(tx, steps, [steps.c.code_texts], steps.c.run.in_(part)):
            named |= {str(one) for one in msgspec.json.decode(row.code_texts or "{}").values()}
    for some in in_parts(sorted(named)):
        yield from texts.pages(tx, table, table.columns, table.c.digest.in_(some))


def _said(table: Table, ids: list[str]) -> ColumnElement[bool]:
    known, name, column = _SAID_BY[table.name]
    by = next(one for one in texts.tables() if one.name == name)
    said = (select(by.c[column]).where(by.c.run.in_(part)) for part in in_parts(ids))
    return or_(false(), *(table.c[known].in_(each) for each in said))


def _audit(tx: Tx, zipped: zipfile.ZipFile, entries: dict[str, form.EntryInfo]) -> form.AuditInfo:
    """Put the audit log in as evidence: it can be verified, and is not spliced in anywhere."""
    count, head = 0, audit.FIRST
    with zipped.open(form.AUDIT, "w", force_zip64=True) as file:
        sealed = Sealed(file)
        for row in texts.pages(tx, audit.AUDIT, audit.AUDIT.columns):
            sealed.write(msgspec.json.encode(row._asdict()) + b"\n")
            count, head = count + 1, row.hash
    entries[form.AUDIT] = sealed.info()
    return form.AuditInfo(rows=count, head=head)


def _unfinished(tx: Tx) -> int:
    query = select(func.count()).select_from(tasks).where(tasks.c.state.not_in(FINAL))
    return int(tx.all(query)[0][0])
