"""Objects in a bucket of S3, or of anything that speaks like it."""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.exceptions import NotFoundError as MissingError
from obstore.store import S3Store

from mainspring.backends.objects.local import verify, write_all, write_verified
from mainspring.ground.clock import Clock, SystemClock
from mainspring.ground.errors import BadInputError, DamagedError, NotFoundError, UnavailableError
from mainspring.ground.identity import check_digest, is_digest, sha256_file
from mainspring.ground.ports import Kept

FRESH_S = 12 * 3600.0  #: an object put this lately is not put again; none so young is deleted
CLAIMED, DOOMED = "claimed", "doomed"  #: folders of flags, see ``delete``
CLAIM_S = 24 * 3600.0  #: a claim this old belongs to a process that died
DOOM_S = 600.0  #: so does a doom this old
PATIENCE_S = 30.0
PART = 8 << 20  #: bytes of a part; S3 takes none below 5 MiB
_KEYS = {"endpoint", "region", "access_key_id", "secret_access_key", "session_token"}


class S3Objects:
    """A :class:`mainspring.ground.ports.Objects` in a bucket.

    ``s3://bucket/prefix?endpoint=http://host:port&region=eu-west-1``; what the URL leaves out
    comes from the usual ``AWS_*`` environment, which is the better place for keys.
    """

    def __init__(self, url: str, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._bucket, self._store = open_bucket(url)

    def put(self, data: bytes) -> str:
        """Keep bytes and return their digest."""
        digest = hashlib.sha256(data).hexdigest()
        with self._told(f"write object {digest}"):
            try:
                obstore.put(self._store, _path(digest), data, mode="create")
            except AlreadyExistsError:
                self._freshen(digest, lambda: obstore.put(self._store, _path(digest), data))
        return digest

    def put_file(self, source: Path | Iterable[bytes | memoryview]) -> str:
        """Keep a file's bytes, or pieces as they come; return their digest.

        A bucket wants the name first, so pieces wait in a temporary file for their digest.
        Large files go up in parts, which S3 makes visible in one step at the end. A file
        that changes between hashing and sending is found by whoever reads it.
        """
        if not isinstance(source, Path):
            with tempfile.TemporaryDirectory(prefix="mainspring-put-") as folder:
                whole = Path(folder) / "object"
                with whole.open("wb", buffering=0) as file:
                    for piece in source:
                        write_all(file, piece)
                return self.put_file(whole)
        path = source
        try:
            digest = sha256_file(path)
        except FileNotFoundError:
            raise NotFoundError(f"There is no file {path}.") from None
        with self._told(f"write object {digest}"):
            self._freshen(
                digest, lambda: obstore.put(self._store, _path(digest), path, chunk_size=PART)
            )
        return digest

    def get(self, digest: str) -> bytes:
        """Return the bytes, verified."""
        with self._told(f"read object {digest}", digest):
            data = bytes(obstore.get(self._store, _path(digest)).bytes())
        found = hashlib.sha256(data).hexdigest()
        if found != digest:
            raise DamagedError(f"Object {digest} is damaged: its bytes have the digest {found}.")
        return data

    def fetch(self, digest: str, target: Path | None) -> None:
        """Write the bytes to a file, verified, without holding them in memory; or only verify."""
        with self._told(f"read object {digest}", digest):
            stream = obstore.get(self._store, _path(digest)).stream(min_chunk_size=PART)
            chunks = (bytes(chunk) for chunk in stream)
            if target is None:
                verify(digest, chunks)
            else:
                write_verified(digest, chunks, target)

    def has(self, digest: str) -> bool:
        """Return whether the bytes are kept."""
        try:
            self.size(digest)
        except NotFoundError:
            return False
        return True

    def renew(self, digest: str) -> bool:
        """Make an object fresh; return whether it is there.

        A bucket copies nothing onto itself, so it goes there and back, without leaving it.
        """
        check_digest(digest)
        aside = f"renewed/{digest}"

        def copy() -> None:
            obstore.copy(self._store, _path(digest), aside)
            obstore.copy(self._store, aside, _path(digest))
            obstore.delete(self._store, aside)

        with self._told(f"renew object {digest}"):
            if self._at(digest) is None:
                return False
            try:
                self._freshen(digest, copy)
            except (MissingError, FileNotFoundError):  # it was deleted before we claimed it
                return False
        return True

    def size(self, digest: str) -> int:
        """Return the number of bytes kept under a digest."""
        with self._told(f"look up object {digest}", digest):
            return int(obstore.head(self._store, _path(digest))["size"])

    def part(self, digest: str, start: int, count: int) -> bytes:
        """Return some of the bytes, not verified."""
        length = min(count, self.size(digest) - start)
        if length <= 0:
            return b""
        with self._told(f"read object {digest}", digest):
            found = obstore.get_range(self._store, _path(digest), start=start, length=length)
        return bytes(found)

    def each(self) -> Iterator[Kept]:
        """Go through everything that is kept."""
        with self._told("list the objects"):
            for page in obstore.list(self._store):
                for one in page:
                    digest = str(one["path"]).replace("/", "", 1)
                    if is_digest(digest):
                        yield Kept(digest, int(one["size"]), one["last_modified"].timestamp())

    def delete(self, digest: str, before: float) -> bool:
        """Take an object away unless it was put at or after ``before``.

        A bucket has no locks, so who deletes and who puts each raise a flag, and then look
        for the other's: (1) doom it; (2) leave it if somebody claims it; (3) leave it if it is
        fresh; (4) delete it, unless we slept since (1); (5) take the doom away.
        """
        check_digest(digest)
        with self._told(f"delete object {digest}"):
            self._raise_flag(DOOMED, digest)
            began = self._clock.now()
            try:
                if self._is_claimed(digest):
                    return False
                at = self._at(digest)
                if at is None or at >= before or self._clock.now() - began > DOOM_S / 10:
                    return False
                obstore.delete(self._store, _path(digest))
                return True
            finally:
                self._lower_flag(DOOMED, digest)

    def _freshen(self, digest: str, write: Callable[[], object]) -> None:
        """Write an object that is not there or old, so that nobody deletes it under us."""
        at = self._at(digest)
        if at is None:
            write()
        elif self._clock.now() - at >= FRESH_S:
            self._raise_flag(CLAIMED, digest)
            try:
                self._await_doom(digest)
                write()
            finally:
                self._lower_flag(CLAIMED, digest)

    def _await_doom(self, digest: str) -> None:
        give_up = time.monotonic() + PATIENCE_S
        while (age := self._flag_age(DOOMED, digest)) is not None and age < DOOM_S:
            if time.monotonic() > give_up:
                raise UnavailableError(
                    f"Object {digest} is just being deleted.", hint="Try again in a minute."
                )
            time.sleep(0.1)

    def _is_claimed(self, digest: str) -> bool:
        age = self._flag_age(CLAIMED, digest)
        return age is not None and age < CLAIM_S

    def _at(self, digest: str) -> float | None:
        return self._modified(_path(digest))

    def _raise_flag(self, flag: str, digest: str) -> None:
        obstore.put(self._store, f"{flag}/{digest}", b"")

    def _lower_flag(self, flag: str, digest: str) -> None:
        with suppress(MissingError, FileNotFoundError):
            obstore.delete(self._store, f"{flag}/{digest}")

    def _flag_age(self, flag: str, digest: str) -> float | None:
        at = self._modified(f"{flag}/{digest}")
        return None if at is None else max(self._clock.now() - at, 0.0)

    def _modified(self, path: str) -> float | None:
        try:
            return float(obstore.head(self._store, path)["last_modified"].timestamp())
        except (MissingError, FileNotFoundError):
            return None

    def _told(self, what: str, digest: str = "") -> AbstractContextManager[None]:
        return _told(self._bucket, what, digest)


class S3Records:
    """A :class:`mainspring.backends.objects.records.Records` in a bucket."""

    def __init__(self, url: str) -> None:
        self._bucket, self._store = open_bucket(url)

    def put(self, path: str, data: bytes) -> None:
        """Keep a record."""
        with _told(self._bucket, f"write {path}"):
            obstore.put(self._store, f"records/{path}", data)

    def each(self, folder: str) -> Iterator[bytes]:
        """Return the records below a folder."""
        with _told(self._bucket, f"list {folder}"):
            pages = obstore.list(self._store, f"records/{folder}")
            for path in sorted(str(one["path"]) for page in pages for one in page):
                yield bytes(obstore.get(self._store, path).bytes())


@contextmanager
def _told(bucket: str, what: str, digest: str = "") -> Iterator[None]:
    """Turn the client's errors into ours."""
    try:
        yield
    except (MissingError, FileNotFoundError) as error:
        if digest:
            raise NotFoundError(f"There is no object {digest}.") from None
        raise UnavailableError(f"Bucket {bucket} is not there: {error}") from error
    except BaseError as error:
        raise UnavailableError(
            f"Could not {what} in bucket {bucket}: {str(error).splitlines()[0]}"
        ) from error


def open_bucket(url: str) -> tuple[str, S3Store]:
    """Return the bucket that a URL names, and what speaks to it."""
    parts = urlsplit(url)
    given = dict(parse_qsl(parts.query))
    if not parts.netloc or given.keys() - _KEYS:
        raise BadInputError(
            "objects must be s3://bucket/prefix with no other settings than"
            f" {', '.join(sorted(_KEYS))}.",
            field="objects",
        )
    options: Any = {key: value for key, value in given.items() if value}
    if given.get("endpoint", "").startswith("http://"):
        options["client_options"] = {"allow_http": True}
    return parts.netloc, S3Store(parts.netloc, prefix=parts.path.strip("/") or None, **options)


def _path(digest: str) -> str:
    check_digest(digest)
    return f"{digest[:2]}/{digest[2:]}"
