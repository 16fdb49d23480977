"""Files and folders: their bytes by digest, their names in a manifest, and nothing else of them.

Neither times nor owners are kept, nor a folder's own name, which is often one by chance: a folder
of the same files is the same folder. Whether a file may be executed is kept.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec

from mainspring.ground.errors import DamagedError, NotExactError, ProjectError
from mainspring.ground.identity import canonical
from mainspring.ground.ports import Objects
from mainspring.pipelines.outputs.forms import Stored

_THREADS = 4  #: files written at once: each waits for its flush, not for the processor
PARQUET = (".parquet", ".pq")


class Entry(msgspec.Struct, frozen=True):
    """A file of a folder."""

    path: str  #: from the folder on, with /
    content: str  #: digest of its bytes
    size: int
    executable: bool = False


class Folder(msgspec.Struct, frozen=True):
    """The manifest of a folder."""

    files: list[Entry]
    empty: list[str] = []  #: folders in it that hold nothing


class File:
    """A file: its bytes, and a manifest with its name."""

    name = "file"

    def takes(self, value: Any) -> bool:
        """Return whether the value is the path of anything but a folder."""
        return isinstance(value, Path) and not value.is_dir()

    def encode(self, value: Path, objects: Objects) -> Stored:
        """Keep the file's bytes, and its name."""
        if not value.is_file():
            raise ProjectError(
                f"There is no file {value}.",
                hint="Return the Path of a file, or of a folder, that the step has written.",
            )
        _check_name(value.name)
        content = objects.put_file(value)
        digest = objects.put(canonical({"name": value.name, "content": content}))
        return Stored(digest=digest, type=self.name, blobs=[digest, content])

    def decode(self, digest: str, objects: Objects, folder: Path) -> Path:
        """Write the file into a folder of its own and return its path."""
        manifest = msgspec.json.decode(objects.get(digest))
        target = folder / digest[:12] / _plain_name(digest, str(manifest["name"]))
        target.parent.mkdir(parents=True, exist_ok=True)
        objects.fetch(str(manifest["content"]), target)
        return target


class FolderForm:
    """A folder: every file in it by digest, so that what did not change is kept once."""

    name = "folder"

    def takes(self, value: Any) -> bool:
        """Return whether the value is the path of a folder."""
        return isinstance(value, Path) and value.is_dir()

    def encode(self, value: Path, objects: Objects) -> Stored:
        """Keep every file, and a manifest of them in the order of their names."""
        found, empty = _walk(value)
        with ThreadPoolExecutor(_THREADS) as pool:
            files = list(pool.map(lambda one: _entry(value, one, objects), found))
        manifest = Folder(files, empty)
        digest = objects.put(canonical(manifest))
        blobs = dict.fromkeys([digest, *(one.content for one in files)])
        return Stored(digest=digest, type=self.name, blobs=list(blobs))

    def decode(self, digest: str, objects: Objects, folder: Path) -> Path:
        """Write the folder anew and return its path; what is done to it reaches no object."""
        manifest = read_folder(digest, objects)
        root = folder / digest[:12]
        _make_folders(root, manifest)

        def write(one: Entry) -> None:
            target = root / one.path
            objects.fetch(one.content, target)
            if one.executable:
                target.chmod(0o700)

        with ThreadPoolExecutor(_THREADS) as pool:
            list(pool.map(write, manifest.files))
        return root


def read_folder(digest: str, objects: Objects) -> Folder:
    """Return the manifest of a folder that was kept.

    Raises:
        DamagedError: if it is none, or names a path that would leave the folder.
    """
    try:
        manifest = msgspec.json.decode(objects.get(digest), type=Folder)
    except msgspec.DecodeError as error:
        raise DamagedError(f"The object {digest} is no folder: {error}") from error
    for path in (*(one.path for one in manifest.files), *manifest.empty):
        parts = PurePosixPath(path).parts
        if not parts or path != "/".join(parts) or {"..", "/", "."}.intersection(parts):
            raise DamagedError(f"The object {digest} names a path outside of its folder.")
    return manifest


def scan(digest: str, type_: str, objects: Objects, folder: Path) -> Any:
    """Return what was kept as a frame that is not read yet; None where it is no such table.

    Tables of every kind that is Parquet inside: a frame, a lazy frame, a file, a folder of parts
    (with hive's ``key=value`` folders). Where the objects are on this machine nothing is copied.
    """
    import polars as pl

    if type_ in ("frame", "lazy"):
        return pl.scan_parquet(local(digest, objects, folder / digest[:12]))
    if type_ == "file":
        told = msgspec.json.decode(objects.get(digest))
        if not _plain_name(digest, str(told["name"])).lower().endswith(PARQUET):
            return None
        return pl.scan_parquet(local(str(told["content"]), objects, folder / digest[:12]))
    if type_ != "folder":
        return None
    manifest = read_folder(digest, objects)
    parts = [one for one in manifest.files if one.path.lower().endswith(PARQUET)]
    if not parts or len(parts) < len([one for one in manifest.files if not _hidden(one.path)]):
        return None
    root = folder / digest[:12]
    _make_folders(root, Folder(parts))
    for one in parts:  # their names say the partition; nobody is told the path to write to it
        target = root / one.path
        place = local(one.content, objects, target)
        if place != target:
            target.symlink_to(place)
    hive = any("=" in part for one in parts for part in PurePosixPath(one.path).parts[:-1])
    return pl.scan_parquet(
        sorted(root / one.path for one in parts), hive_partitioning=hive or None
    )


def local(digest: str, objects: Objects, target: Path) -> Path:
    """Return where the bytes of an object are on this machine, to be read only.

    That is the object itself where it is a file here (its digest is checked), else a copy at
    ``target``.
    """
    where = getattr(objects, "path_of", None)
    if where is not None:
        return Path(where(digest))
    target.parent.mkdir(parents=True, exist_ok=True)
    objects.fetch(digest, target)
    return target


def _walk(root: Path) -> tuple[list[str], list[str]]:
    """Return the files of a folder and its empty folders, by path, in order."""
    files, empty = [], []
    for place, folders, names in os.walk(root):
        folders.sort()
        inside = Path(place).relative_to(root)
        for name in names:
            path = Path(place) / name
            if path.is_symlink() and not path.resolve().is_relative_to(root.resolve()):
                raise NotExactError(
                    f"{path} is a link to {path.readlink()}, outside of the folder.",
                    hint="Copy what it leads to.",
                )
            if not path.is_file():
                raise NotExactError(f"{path} is no plain file.")
            files.append((inside / name).as_posix())
        for name in folders:
            if (Path(place) / name).is_symlink():
                raise NotExactError(f"{Path(place) / name} is a link to a folder.")
        if not names and not folders and inside.parts:
            empty.append(inside.as_posix())
    for path_ in files:
        try:
            path_.encode()
        except UnicodeEncodeError as error:
            raise NotExactError(f"The name of the file {path_!r} is no text.") from error
    return sorted(files), sorted(empty)


def _entry(root: Path, path: str, objects: Objects) -> Entry:
    file = root / path
    told = file.stat()
    return Entry(path, objects.put_file(file), told.st_size, bool(told.st_mode & 0o100))


def _make_folders(root: Path, manifest: Folder) -> None:
    wanted = {root, *((root / one.path).parent for one in manifest.files)}
    for folder in sorted(wanted | {root / one for one in manifest.empty}):
        folder.mkdir(parents=True, exist_ok=True)


def _hidden(path: str) -> bool:
    """Return whether a file is one that readers of partitioned tables pass over."""
    return PurePosixPath(path).name.startswith(("_", "."))


def _check_name(name: str) -> None:
    if not re.fullmatch(r"[^/\\\x00-\x1f]{1,200}", name) or name.startswith("."):
        raise ProjectError(f"A file cannot be kept by the name {name!r}.")


def _plain_name(digest: str, name: str) -> str:
    if name != Path(name).name or name.startswith(".") or not name:
        raise DamagedError(f"The object {digest} names no plain file.")
    return name


def kinds() -> Iterator[Any]:
    """Yield the codecs of this file."""
    yield from (FolderForm(), File())
