"""Open an archive and see that it is whole, before anything is written anywhere."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator
from hashlib import sha256 as hasher
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec

from mainspring.backends.sql.schema import VERSION as SCHEMA
from mainspring.ground.errors import BadInputError, NotFoundError
from mainspring.ground.identity import sha256
from mainspring.workspace.archive import form
from mainspring.workspace.archive.form import Checked, Manifest, damaged, told

MANIFEST_BYTES = 64 << 20
Tell = Callable[[str, int, int], None]


class Archive:
    """An archive that was opened; :meth:`verify` reads all of it once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._zip = zipfile.ZipFile(path)
        except FileNotFoundError:
            raise NotFoundError(f"There is no file {path}.", field="file") from None
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
            raise damaged(f"{path} is cut short or is no archive ({error})") from error
        try:
            self.manifest = self._manifest()
        except BaseException:
            self._zip.close()
            raise

    def __enter__(self) -> Archive:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._zip.close()

    def verify(self, tell: Tell = lambda _what, _at, _of: None) -> None:
        """Read every entry to its end, and each object in it.

        Raises:
            DamagedError: if one byte is not as it was written.
        """
        done, total = 0, sum(entry.size for entry in self.manifest.entries.values())
        tables = self.manifest.tables
        for name, wanted in self.manifest.entries.items():
            if name.endswith(".pack"):
                continue
            table = name.removeprefix("rows/").removesuffix(".jsonl")
            count = sum(1 for _ in self.lines(name))
            if table in tables and count != tables[table].rows:
                raise damaged(f"{table} has {count} rows, and not what the manifest says")
            done += wanted.size
            tell("verifying", done, total)
        objects = 0
        for digest, pieces in self.objects():
            found = hasher()
            for piece in pieces:
                found.update(piece)
                done += len(piece)
                tell("verifying", done, total)
            if found.hexdigest() != digest:
                raise damaged(f"object {digest} was changed")
            objects += 1
        if objects != self.manifest.objects.count:
            raise damaged(f"{objects} objects are in it, and not {self.manifest.objects.count}")

    def lines(self, name: str) -> Iterator[bytes]:
        """Go through the lines of an entry, checked at its end.

        Raises:
            DamagedError: if it is not as it was written.
        """
        with told(name), self._zip.open(name) as file:
            yield from Checked(file, name, self.manifest.entries[name]).lines()

    def rows(self, table: str) -> Iterator[list[Any]]:
        """Go through the rows of a table, as JSON has them.

        Raises:
            DamagedError: if one is no row of that table.
        """
        width = len(self.manifest.tables[table].columns)
        for line in self.lines(f"rows/{table}.jsonl"):
            try:
                row = msgspec.json.decode(line, type=list[Any])
            except msgspec.DecodeError as error:
                raise damaged(f"a row of {table} cannot be read ({error})") from error
            if len(row) != width:
                raise damaged(f"a row of {table} has {len(row)} cells, and not {width}")
            yield row

    def objects(self) -> Iterator[tuple[str, Iterator[bytes]]]:
        """Go through the objects: the digest, and the bytes, to be taken before the next."""
        for name in self.manifest.entries:
            if name.endswith(".pack"):
                yield from self._frames(name)

    def _frames(self, name: str) -> Iterator[tuple[str, Iterator[bytes]]]:
        with told(name), self._zip.open(name) as file:
            checked = Checked(file, name, self.manifest.entries[name])
            while head := checked.exactly(form.FRAME.size):
                digest, length = form.FRAME.unpack(head)
                left = _Left(checked, name, length)
                yield digest.hex(), left
                for _ in left:  # whoever did not want the bytes
                    pass
            checked.finish()

    def _manifest(self) -> Manifest:
        names = self._zip.namelist()
        if names.count(form.MANIFEST) != 1:
            raise damaged("it has no manifest")
        info = self._zip.getinfo(form.MANIFEST)
        if info.file_size > MANIFEST_BYTES:
            raise damaged("its manifest is too large")
        with told(form.MANIFEST), self._zip.open(info) as file:
            data = file.read(MANIFEST_BYTES + 1)
        if sha256(data).encode() != self._zip.comment:
            raise damaged("its manifest was changed")
        try:
            head = msgspec.json.decode(data, type=_Head)
            if head.format != form.FORMAT or head.schema > SCHEMA:
                raise BadInputError(
                    f"The archive has format {head.format} and schema {head.schema}; this release"
                    f" reads format {form.FORMAT} and up to schema {SCHEMA}.",
                    field="file",
                    hint="Use the release that wrote it, or a newer one.",
                )
            found = msgspec.json.decode(data, type=Manifest)
        except msgspec.MsgspecError as error:
            raise damaged(f"its manifest cannot be read ({error})") from error
        odd = [name for name in found.entries if not form.NAMES.fullmatch(name)]
        if odd or sorted(names) != sorted([*found.entries, form.MANIFEST]):
            raise damaged("its entries are not those of its manifest")
        if {f"rows/{table}.jsonl" for table in found.tables} - found.entries.keys():
            raise damaged("rows are missing")
        return found


class _Head(msgspec.Struct, frozen=True):
    format: int
    schema: int


class _Left:
    """The bytes of one object that are still to be read."""

    def __init__(self, checked: Checked, name: str, length: int) -> None:
        self._checked, self._name, self._left = checked, name, length

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if not self._left:
            raise StopIteration
        piece = self._checked.read(min(self._left, form.CHUNK))
        if not piece:
            raise damaged(f"{self._name} ends too early")
        self._left -= len(piece)
        return piece
