"""The files of a build folder: gathered in memory, as one archive, on a disk."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

from mainspring.ground.errors import AlreadyExistsError, BadInputError
from mainspring.ground.identity import sha256
from mainspring.pipelines.packaging import pins, wheel

#: Written into a folder, so that one of ours can be told from what lies there otherwise.
MARK = "Containerfile"
COMPLETE = "wheels/COMPLETE"  #: every wheel is there: the index is not asked


def packages(pinned: Mapping[str, str], hashes: pins.Hashes) -> dict[str, bytes]:
    """Return the files that say what is installed, with our own wheel beside them."""
    own = wheel.wheel()
    told = pins.lines(pinned, hashes)
    return {
        "requirements.txt": told.encode(),
        "own.txt": f"./wheels/{wheel.NAME} --hash=sha256:{sha256(own)}\n".encode(),
        f"wheels/{wheel.NAME}": own,
    }


def archive(files: Mapping[str, bytes], at: float) -> bytes:
    """Return files as a tar archive: in order, of nobody, all of one time, so always the same."""
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path, data in sorted(files.items()):
            entry = tarfile.TarInfo(path)
            entry.size, entry.mtime, entry.mode = len(data), int(at), 0o644
            tar.addfile(entry, io.BytesIO(data))
    return held.getvalue()


def compressed(files: Mapping[str, bytes], at: float) -> bytes:
    """Return files as a ``.tar.gz``, as SageMaker takes a model; always the same bytes."""
    return gzip.compress(archive(files, at), compresslevel=6, mtime=0)


def unpacked(data: bytes) -> dict[str, bytes]:
    """Return the files of an archive that :func:`archive` made.

    Raises:
        BadInputError: if it holds anything else, such as a link or a path that leads out of it.
    """
    found = {}
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as tar:
        for entry in tar:
            parts = Path(entry.name).parts
            held = tar.extractfile(entry) if entry.isreg() else None
            if held is None or entry.name.startswith("/") or ".." in parts:
                raise BadInputError(f"{entry.name[:200]!r} does not belong into a build folder.")
            found[entry.name] = held.read()
    return found


def write(files: Mapping[str, bytes], folder: Path) -> None:
    """Write a build folder; one of ours that is there already is written over.

    Raises:
        AlreadyExistsError: if something else is there.
    """
    if folder.exists() and not folder.is_dir():
        raise AlreadyExistsError(f"{folder} is not a folder.", field="out")
    there = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if not p.is_dir()}
    if there and MARK not in there:
        raise AlreadyExistsError(
            f"{folder} holds other files.",
            field="out",
            hint="Name an empty folder, or one that package wrote: --out FOLDER",
        )
    for path in there - set(files):
        (folder / path).unlink()
    spread(files, folder)


def spread(files: Mapping[str, bytes], folder: Path) -> None:
    """Write files below a folder."""
    for path, data in files.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
