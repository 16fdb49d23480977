"""Look into zip and tar archives: bombs, paths that lead outside, links; and give their files.

Nothing is written to disk. What is unpacked is counted against one budget for the whole package,
by the bytes that really come out, not by those that the archive's own list promises.
"""

from __future__ import annotations

import bz2
import io
import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO

from mainspring.scaling.models.scanning.findings import Budget, Found, Grave

MOST_FILES = 100_000
MOST_DEPTH = 4  #: archives in archives
#: Beyond this many bytes out of one byte in, and more than a few of them, it is a bomb.
MOST_RATIO, _FEW = 200, 16 << 20
_PIECE = 1 << 20

Inside = tuple[str, bytes]


def kind(data: bytes) -> str:
    r"""Return which archive or compression bytes are: zip, tar, gzip, bz2, xz, or blank.

    >>> kind(b"PK\x03\x04"), kind(b"{}")
    ('zip', '')
    """
    if data[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        return "zip"
    if data[257:262] == b"ustar":
        return "tar"
    for name, magic in (("gzip", b"\x1f\x8b"), ("bz2", b"BZh"), ("xz", b"\xfd7zXZ\x00")):
        if data.startswith(magic):
            return name
    # A zip is found from its end: one may hide behind other bytes.
    return "zip" if zipfile.is_zipfile(io.BytesIO(data)) else ""


def unpacked(path: str, data: bytes, budget: Budget) -> Iterator[Found | Inside]:
    """Yield what is wrong with an archive, and each file in it with its bytes."""
    found = kind(data)
    try:
        if found == "zip":
            yield from _zip(path, data, budget)
        elif found == "tar":
            yield from _tar(path, data, budget)
        elif found:
            yield from _compressed(path, data, found, budget)
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError) as error:
        yield _bad(path, Grave.UNKNOWN, f"it cannot be unpacked: {str(error)[:120]}")
    except (OSError, EOFError, RuntimeError, NotImplementedError, ValueError) as error:
        yield _bad(path, Grave.UNKNOWN, f"it cannot be unpacked: {str(error)[:120]}")


def leads_outside(name: str) -> bool:
    r"""Return whether a path in an archive leaves the folder it is unpacked in.

    >>> [leads_outside(one) for one in ("a/b", "../a", "/a", "C:\\a", "a/../../b")]
    [False, True, True, True, True]
    """
    plain = name.replace("\\", "/")
    if plain.startswith("/") or (len(plain) > 1 and plain[1] == ":") or "\x00" in plain:
        return True
    depth = 0
    for part in plain.split("/"):
        depth += -1 if part == ".." else part not in ("", ".")
        if depth < 0:
            return True
    return False


def _zip(path: str, data: bytes, budget: Budget) -> Iterator[Found | Inside]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = archive.infolist()
        if len(members) > MOST_FILES:
            yield _bad(path, Grave.DANGER, f"it holds {len(members):,} files")
            return
        seen: set[str] = set()
        for one in members:
            inner = f"{path}!{one.filename[:200]}"
            if leads_outside(one.filename):
                yield _bad(inner, Grave.DANGER, "its path leads outside of the archive")
            if one.filename in seen:
                yield _bad(inner, Grave.DANGER, "two files of the archive have this name")
            seen.add(one.filename)
            if stat.S_ISLNK(one.external_attr >> 16):
                yield _bad(inner, Grave.DANGER, "it is a link")
                continue
            if one.is_dir():
                continue
            if one.flag_bits & 1:
                yield _bad(inner, Grave.UNKNOWN, "it is encrypted and cannot be looked into")
                continue
            with archive.open(one) as file:
                held = _read(file, one.compress_size, budget)
            if held is None:
                yield _bomb(inner, one.compress_size)
                return
            yield inner, held


def _tar(path: str, data: bytes, budget: Budget) -> Iterator[Found | Inside]:
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
        for count, one in enumerate(archive):
            inner = f"{path}!{one.name[:200]}"
            if count >= MOST_FILES:
                yield _bad(path, Grave.DANGER, f"it holds more than {MOST_FILES:,} files")
                return
            if leads_outside(one.name):
                yield _bad(inner, Grave.DANGER, "its path leads outside of the archive")
            if one.issym() or one.islnk():
                yield _bad(inner, Grave.DANGER, f"it is a link to {one.linkname[:200]}")
            elif one.ischr() or one.isblk() or one.isfifo():
                yield _bad(inner, Grave.DANGER, "it is a device")
            elif one.isfile():
                file = archive.extractfile(one)
                held = None if file is None else _read(file, one.size, budget)
                if held is None:
                    yield _bomb(inner, one.size)
                    return
                yield inner, held


def _compressed(path: str, data: bytes, found: str, budget: Budget) -> Iterator[Found | Inside]:
    name = path.rpartition("/")[2]
    inner = f"{path}!{name.rpartition('.')[0] or name}"
    with _opened(found, data) as source:
        held = _read(source, len(data), budget)
    if held is None:
        yield _bomb(path, len(data))
        return
    yield inner, held


def _opened(found: str, data: bytes) -> IO[bytes]:
    if found == "gzip":
        return io.BufferedReader(_Gzip(data))
    return bz2.BZ2File(io.BytesIO(data)) if found == "bz2" else lzma.LZMAFile(io.BytesIO(data))


class _Gzip(io.RawIOBase):
    """Gzip read piece by piece, never more unpacked than was asked for."""

    def __init__(self, data: bytes) -> None:
        self._source, self._left = zlib.decompressobj(31), data

    def readable(self) -> bool:
        return True

    def readinto(self, target: memoryview) -> int:  # type: ignore[override]  # of one byte each
        if self._source.eof and self._source.unused_data:
            self._left, self._source = self._source.unused_data, zlib.decompressobj(31)
        held = self._source.decompress(self._left, len(target))
        self._left = self._source.unconsumed_tail
        target[: len(held)] = held
        return len(held)


def _read(file: IO[bytes], packed: int, budget: Budget) -> bytes | None:
    """Return a file's bytes; None if there are more than a model's would be."""
    pieces: list[bytes] = []
    size = 0
    while piece := file.read(_PIECE):
        size += len(piece)
        pieces.append(piece)
        if not budget.take(len(piece)) or (size > _FEW and size > MOST_RATIO * max(packed, 1)):
            return None
    return b"".join(pieces)


def _bomb(path: str, packed: int) -> Found:
    return _bad(path, Grave.DANGER, f"{packed:,} bytes unpack to far more: it is a bomb")


def _bad(path: str, grave: Grave, told: str) -> Found:
    return Found(path=path, grave=grave, told=told)
