"""Objects in a folder: written aside, flushed, then given their name in one step.

The order makes a power cut harmless: (1) write to a temporary file, (2) flush the file,
(3) link it under its digest, which fails if the name is taken, (4) flush the folder that
holds the name. Only then is the digest returned.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from mainspring.ground.clock import Clock, SystemClock
from mainspring.ground.errors import DamagedError, NotFoundError, StorageFullError, StoreError
from mainspring.ground.identity import check_digest, is_digest
from mainspring.ground.ports import Kept

if TYPE_CHECKING:
    from concurrent.futures import Executor

_NAMED = 10_000  # names remembered as durable
CHUNK = 1 << 20
_BLOCK = 4096  # bytes of a disk's block, at most
_STRAIGHT = 8 << 20  # bytes of a piece; so long ones come of large files of data alone
_BESIDE = 1 << 20  # bytes of a piece; from here on hashing it beside writing it pays
LOCK = "lock"  #: a file among the temporary ones; see ``_held``
STALE_S = 3600.0  #: a temporary file this old belongs to a process that died
_FICLONE = 0x4004_9409  # of Linux: ioctl_ficlone(2)
_FULL = {errno.ENOSPC, errno.EDQUOT}
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}


class LocalObjects:
    """A :class:`mainspring.ground.ports.Objects` in one folder, for its owner alone."""

    def __init__(self, root: Path, clock: Clock | None = None) -> None:
        self._root = root.resolve()
        self._temp = self._root / "tmp"
        self._named: dict[str, int] = {}  # objects whose names are durable, and their inodes
        self._failed = ""  # why nothing is written any more
        with _told(f"use the folder {self._root}"):
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._temp.mkdir(mode=0o700, exist_ok=True)  # parents get the umask's mode, not ours
        self._sweep((clock or SystemClock()).now() - STALE_S)

    def put(self, data: bytes) -> str:
        """Keep bytes and return their digest."""
        digest = hashlib.sha256(data).hexdigest()
        if self._hit(digest, len(data)):
            return digest
        with self._new_file() as (file, temp):
            write_all(file, data)
            self._keep(file, temp, digest)
        return digest

    def put_file(self, source: Path | Iterable[bytes | memoryview]) -> str:
        """Keep a file's bytes, or pieces as they come; return their digest."""
        if not isinstance(source, Path):
            return self._put_pieces(source)
        with _told(f"read {source}"), _source(source) as opened:
            return self._put_pieces(_pieces(opened))

    def _put_pieces(self, pieces: Iterable[bytes | memoryview]) -> str:
        with self._new_file() as (file, temp), ExitStack() as stack:
            found, writing = _Hashing(stack), _Writing(file)
            for piece in pieces:
                hashed = found.add(piece)
                writing.write(piece)
                hashed()  # before the next is asked for: it may take its place
            digest = found.hexdigest()
            if not self._hit(digest, file.tell()):
                self._keep(file, temp, digest)
        return digest

    def get(self, digest: str) -> bytes:
        """Return the bytes, verified."""
        with self._kept(digest) as file:
            data = file.read()
        _verify(digest, hashlib.sha256(data).hexdigest())
        return data

    def fetch(self, digest: str, target: Path | None) -> None:
        """Write the bytes to a file, verified, without holding them in memory; or only verify."""
        with self._kept(digest) as source:
            if target is None:
                verify(digest, iter(lambda: source.read(CHUNK), b""))
                return
            write_verified(digest, iter(lambda: source.read(CHUNK), b""), target, source)

    def path_of(self, digest: str) -> Path:
        """Return the file that holds the bytes, verified now, for those who only read it.

        Not of the port: only objects on this machine have it. Nobody may write to the file.
        """
        with self._kept(digest) as file:
            found = hashlib.sha256()
            while piece := file.read(CHUNK):
                found.update(piece)
        _verify(digest, found.hexdigest())
        return self._path(digest)

    def has(self, digest: str) -> bool:
        """Return whether the bytes are kept."""
        return self._path(digest).is_file()

    def renew(self, digest: str) -> bool:
        """Make an object fresh; return whether it is there."""
        try:
            return self._hit(digest, self.size(digest))
        except NotFoundError:
            return False

    def size(self, digest: str) -> int:
        """Return the number of bytes kept under a digest."""
        with self._kept(digest) as file:
            return os.fstat(file.fileno()).st_size

    def part(self, digest: str, start: int, count: int) -> bytes:
        """Return some of the bytes, not verified."""
        with self._kept(digest) as file:
            data = os.pread(file.fileno(), count, start)
            if count >= _BESIDE:  # whoever reads so much reads on: the disk need not wait for it
                os.posix_fadvise(file.fileno(), start + count, count, os.POSIX_FADV_WILLNEED)
            return data

    def each(self) -> Iterator[Kept]:
        """Go through everything that is kept."""
        with _told("list the objects"):
            for folder in sorted(os.listdir(self._root)):  # noqa: PTH208  names, not paths
                if len(folder) == 2:
                    yield from _in_folder(self._root / folder, folder)

    def delete(self, digest: str, before: float) -> bool:
        """Take an object away unless it was put at or after ``before``."""
        path = self._path(digest)
        with _told(f"delete object {digest}"), self._held(fcntl.LOCK_EX):
            try:
                if path.stat().st_mtime >= before:
                    return False
                path.unlink()
            except FileNotFoundError:
                return False
        return True

    @contextmanager
    def _held(self, how: int) -> Iterator[None]:
        """Hold off those who delete, or, to delete, everybody who relies on what is there."""
        # A descriptor of its own each time, or the threads of a process would share the lock.
        number = os.open(self._temp / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(number, how)
            yield
        finally:
            os.close(number)

    def _path(self, digest: str) -> Path:
        check_digest(digest)
        return self._root / digest[:2] / digest[2:]

    @contextmanager
    def _kept(self, digest: str) -> Iterator[BinaryIO]:
        try:
            file = self._path(digest).open("rb", buffering=0)
        except FileNotFoundError:
            raise NotFoundError(f"There is no object {digest}.") from None
        with file, _told(f"read object {digest}"):
            yield file

    def _hit(self, digest: str, size: int) -> bool:
        """Return whether these bytes are kept, durably, and fresh; a torn file does not count."""
        path = self._path(digest)
        if not path.exists():  # the usual case, without the lock
            return False
        with self._held(fcntl.LOCK_SH):
            try:
                found = path.stat()
                if found.st_size != size:
                    return False
                os.utime(path)
            except FileNotFoundError:
                return False
        self._check_writable()
        if self._named.get(digest) != found.st_ino:
            # Whoever gave it its name may not have flushed the folder yet.
            self._flush_folder(path.parent)
            self._note(digest, found.st_ino)
        return True

    def _note(self, digest: str, inode: int) -> None:
        """Remember that a name is durable: the same few files are put by every run."""
        if len(self._named) >= _NAMED:
            self._named.clear()
        self._named[digest] = inode

    @contextmanager
    def _new_file(self) -> Iterator[tuple[BinaryIO, Path]]:
        self._check_writable()
        with _told("write an object"):
            number, name = tempfile.mkstemp(dir=self._temp)  # mode 0600
            try:
                with os.fdopen(number, "wb", buffering=0) as file:
                    yield file, Path(name)
            finally:
                Path(name).unlink(missing_ok=True)

    def _keep(self, file: BinaryIO, temp: Path, digest: str) -> None:
        path = self._path(digest)
        self._flush(file.fileno())
        try:
            path.parent.mkdir(mode=0o700)
            self._flush_folder(self._root)
        except FileExistsError:
            pass
        try:
            os.link(temp, path)
        except FileExistsError:
            if path.stat().st_size != os.fstat(file.fileno()).st_size:
                temp.replace(path)  # torn by a disk without flushes: heal it
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            temp.replace(path)  # the same bytes under the same name, whoever comes second
        self._flush_folder(path.parent)

    def _flush_folder(self, folder: Path) -> None:
        number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self._flush(number)
        finally:
            os.close(number)

    def _flush(self, number: int) -> None:
        try:
            os.fsync(number)
        except OSError as error:
            # The kernel may now call the lost pages clean, so a second try would lie.
            self._failed = f"The disk failed to flush ({error.strerror}); writing has stopped."
            raise StoreError(self._failed) from error

    def _check_writable(self) -> None:
        if self._failed:
            raise StoreError(self._failed, hint="Repair the disk, then start again.")

    def _sweep(self, before: float) -> None:
        """Take away what processes left that died while writing."""
        for entry in os.scandir(self._temp):
            with suppress(FileNotFoundError):
                if entry.name != LOCK and entry.stat().st_mtime < before:
                    Path(entry.path).unlink()


class _Writing:
    """Writes long pieces straight to the disk, past the memory the system keeps files in.

    They are flushed in any case, so nothing waits longer, and the disk works while the next is
    read and hashed. Nor does a large object, which may not be read for days, drive out what is;
    what comes in shorter pieces, such as a model that is served next, stays in that memory.
    Where that cannot be (a file system without it, a piece that begins or ends within a block),
    it goes the usual way.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._tried = self._straight = False

    def write(self, piece: bytes | memoryview) -> None:
        """Write a piece."""
        fits = len(piece) >= _STRAIGHT and len(piece) % _BLOCK == 0
        if fits and not self._tried:
            self._turn(straight=True)
        elif self._straight and not fits:
            self._turn(straight=False)
        self._tried = True  # what follows a piece that does not fit would begin within a block
        if not self._straight:
            write_all(self._file, piece)
            return
        begun = self._file.tell()
        try:
            write_all(self._file, piece)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            self._turn(straight=False)
            write_all(self._file, memoryview(piece)[self._file.tell() - begun :])

    def _turn(self, *, straight: bool) -> None:
        flags = fcntl.fcntl(self._file, fcntl.F_GETFL)
        flags = flags | os.O_DIRECT if straight else flags & ~os.O_DIRECT
        with suppress(OSError):  # it stays as it is
            fcntl.fcntl(self._file, fcntl.F_SETFL, flags)
            self._straight = straight


class _Hashing:
    """A digest that grows in a thread beside what is done with the same bytes."""

    def __init__(self, stack: ExitStack) -> None:
        self._found = hashlib.sha256()
        self._stack = stack
        self._threads: Executor | None = None

    def add(self, piece: bytes | memoryview) -> Callable[[], None]:
        """Begin with a piece; return what waits until it is in."""
        if len(piece) >= _BESIDE:
            try:
                return self._beside().submit(self._found.update, piece).result
            except RuntimeError:  # an interpreter that ends starts no thread, and imports none
                pass
        self._found.update(piece)
        return lambda: None

    def hexdigest(self) -> str:
        return self._found.hexdigest()

    def _beside(self) -> Executor:
        if self._threads is None:
            from concurrent.futures import ThreadPoolExecutor

            self._threads = self._stack.enter_context(ThreadPoolExecutor(1, "hash"))
        return self._threads


def _in_folder(folder: Path, start: str) -> Iterator[Kept]:
    for entry in os.scandir(folder):
        digest = start + entry.name
        if is_digest(digest):
            with suppress(FileNotFoundError):  # it was deleted this moment
                found = entry.stat()
                yield Kept(digest, found.st_size, found.st_mtime)


def verify(digest: str, chunks: Iterator[bytes]) -> None:
    """Read chunks to their end; raise DamagedError if they are not what the digest says."""
    found = hashlib.sha256()
    for chunk in chunks:
        found.update(chunk)
    _verify(digest, found.hexdigest())


def write_verified(
    digest: str, chunks: Iterator[bytes], target: Path, source: BinaryIO | None = None
) -> None:
    """Write chunks beside ``target`` and move them there once their digest is right.

    Where they are a file, ``source``, and the file system can, the two share their blocks
    until one of them is changed, and nothing is copied.
    """
    with _told(f"write {target}"):
        number, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name[:100]}.")
        try:
            found = hashlib.sha256()
            with os.fdopen(number, "w+b", buffering=0) as file:
                shared = source is not None and share_blocks(source, file)
                for chunk in _pieces(file) if shared else chunks:
                    found.update(chunk)
                    if not shared:
                        write_all(file, chunk)
            _verify(digest, found.hexdigest())
            Path(name).replace(target)
        finally:
            Path(name).unlink(missing_ok=True)


def share_blocks(source: BinaryIO, file: BinaryIO) -> bool:
    """Let a new file have the blocks of another; return False where that cannot be."""
    try:
        fcntl.ioctl(file.fileno(), _FICLONE, source.fileno())
    except OSError:  # ext4 and others know no such thing
        return False
    return True


def write_all(file: BinaryIO, data: bytes | memoryview) -> None:
    """Write every byte; one call of the kernel's may take fewer."""
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]


def _pieces(source: BinaryIO) -> Iterator[memoryview]:
    buffer = memoryview(bytearray(CHUNK))
    while count := source.readinto(buffer):  # type: ignore[attr-defined]
        yield buffer[:count]


@contextmanager
def _source(path: Path) -> Iterator[BinaryIO]:
    try:
        file = path.open("rb", buffering=0)
    except FileNotFoundError:
        raise NotFoundError(f"There is no file {path}.") from None
    with file:
        yield file


def _verify(digest: str, found: str) -> None:
    if digest != found:
        raise DamagedError(
            f"Object {digest} is damaged: its bytes have the digest {found}.",
            hint="Restore it from a backup, or make it again.",
        )


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Turn the system's errors into ours."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise StorageFullError(
                f"Could not {what}: there is no room left.",
                hint="Make room: mainspring gc, or a larger disk. What waits then goes on.",
            ) from error
        raise StoreError(f"Could not {what}: {error.strerror or error}.") from error
