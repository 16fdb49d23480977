"""Open the objects behind a URL."""

from __future__ import annotations

from pathlib import Path

from mainspring.backends.objects.local import LocalObjects
from mainspring.ground import extras
from mainspring.ground.errors import BadInputError
from mainspring.ground.ports import Objects


def open_objects(url: str) -> Objects:
    """Open the objects in a folder, or at ``s3://bucket/prefix?endpoint=...&region=...``.

    Raises:
        BadInputError: for any other URL.
        StoreError: if the folder cannot be used.
        MissingExtraError: for a bucket, where the extra s3 is not installed.
    """
    if url.startswith("s3://"):
        extras.need("obstore", extra="s3", purpose="Keeping objects in a bucket")
        from mainspring.backends.objects.s3 import S3Objects

        return S3Objects(url)
    if "://" in url and not url.startswith("file://"):
        raise BadInputError(
            f"objects must be a folder or s3://bucket/prefix, found {url[:80]!r}.",
            field="objects",
        )
    return LocalObjects(Path(url.removeprefix("file://")))
