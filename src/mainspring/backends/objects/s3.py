"""Objects in a bucket of S3, or of anything that speaks like it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.exceptions import NotFoundError as MissingError
from obstore.store import S3Store

from mainspring.backends.objects.local import write_verified
from mainspring.ground.errors import BadInputError, DamagedError, NotFoundError, UnavailableError
from mainspring.ground.identity import check_digest, sha256_file

PART = 8 << 20  #: bytes of a part; S3 takes none below 5 MiB
_KEYS = {"endpoint", "region", "access_key_id", "secret_access_key", "session_token"}


class S3Objects:
    """A :class:`mainspring.ground.ports.Objects` in a bucket.

    ``s3://bucket/prefix?endpoint=http://host:port&region=eu-west-1``; what the URL leaves out
    comes from the usual ``AWS_*`` environment, which is the better place for keys.
    """

    def __init__(self, url: str) -> None:
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
        self._bucket = parts.netloc
        self._store = S3Store(parts.netloc, prefix=parts.path.strip("/") or None, **options)

    def put(self, data: bytes) -> str:
        """Keep bytes and return their digest."""
        digest = hashlib.sha256(data).hexdigest()
        with self._told(f"write object {digest}"), suppress(AlreadyExistsError):
            obstore.put(self._store, _path(digest), data, mode="create")
        return digest

    def put_file(self, path: Path) -> str:
        """Keep a file's bytes without holding them in memory; return their digest.

        Large files go up in parts, which S3 makes visible in one step at the end. A file
        that changes between hashing and sending is found by whoever reads it.
        """
        try:
            digest = sha256_file(path)
        except FileNotFoundError:
            raise NotFoundError(f"There is no file {path}.") from None
        if not self.has(digest):
            with self._told(f"write object {digest}"):
                obstore.put(self._store, _path(digest), path, chunk_size=PART)
        return digest

    def get(self, digest: str) -> bytes:
        """Return the bytes, verified."""
        with self._told(f"read object {digest}", digest):
            data = bytes(obstore.get(self._store, _path(digest)).bytes())
        found = hashlib.sha256(data).hexdigest()
        if found != digest:
            raise DamagedError(f"Object {digest} is damaged: its bytes have the digest {found}.")
        return data

    def fetch(self, digest: str, target: Path) -> None:
        """Write the bytes to a file, verified, without holding them in memory."""
        with self._told(f"read object {digest}", digest):
            stream = obstore.get(self._store, _path(digest)).stream(min_chunk_size=PART)
            write_verified(digest, (bytes(chunk) for chunk in stream), target)

    def has(self, digest: str) -> bool:
        """Return whether the bytes are kept."""
        try:
            self.size(digest)
        except NotFoundError:
            return False
        return True

    def size(self, digest: str) -> int:
        """Return the number of bytes kept under a digest."""
        with self._told(f"look up object {digest}", digest):
            return int(obstore.head(self._store, _path(digest))["size"])

    @contextmanager
    def _told(self, what: str, digest: str = "") -> Iterator[None]:
        """Turn the client's errors into ours."""
        try:
            yield
        except (MissingError, FileNotFoundError) as error:
            if digest:
                raise NotFoundError(f"There is no object {digest}.") from None
            raise UnavailableError(f"Bucket {self._bucket} is not there: {error}") from error
        except BaseError as error:
            raise UnavailableError(
                f"Could not {what} in bucket {self._bucket}: {str(error).splitlines()[0]}"
            ) from error


def _path(digest: str) -> str:
    check_digest(digest)
    return f"{digest[:2]}/{digest[2:]}"
