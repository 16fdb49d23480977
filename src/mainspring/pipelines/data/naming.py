"""What a version of a dataset is, and how one is named; cheap to import: no database here."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from mainspring.ground.errors import BadInputError
from mainspring.ground.identity import check_name
from mainspring.pipelines.data.manifest import Kind

_NUMBER = re.compile(r"[0-9]{1,9}")
_PREFIX = re.compile(r"[0-9a-f]{6,64}")


class DataVersion(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a dataset."""

    name: str
    number: int
    digest: str  #: of the content, whatever way it is kept
    manifest: str | None  #: the object that says what it holds; None once it was removed
    kind: Kind
    created: float
    by: str
    message: str = ""
    files: int
    bytes: int
    source: str = ""  #: a path or URL, where it came from
    meta: dict[str, Any] = {}  #: what else is known: schema, rows, the query
    removed: float | None = None

    @property
    def reference(self) -> str:
        """Return how it is spoken of: ``flights@7``."""
        return f"{self.name}@{self.number}"


class Named(msgspec.Struct, frozen=True, kw_only=True):
    """A dataset's newest version, and how many there are."""

    versions: int
    newest: DataVersion


class Reference(msgspec.Struct, frozen=True, kw_only=True):
    """Which version is meant: by number, by the first digits of its digest, or the newest."""

    name: str
    number: int | None = None
    digest: str | None = None

    @property
    def newest(self) -> bool:
        """Return whether the newest is meant, whichever that is."""
        return self.number is None and self.digest is None


def parse(text: str) -> Reference:
    """Read ``flights``, ``flights@7``, ``flights@latest`` or ``flights@3fa9c1``.

    Up to nine decimal digits are a number; six or more hexadecimal ones begin a digest.

    >>> parse("flights@7").number, parse("flights@latest").newest
    (7, True)

    Raises:
        BadInputError: if it is none of these.
    """
    name, at, which = text.partition("@")
    check_name(name, "dataset")
    if not at or which == "latest":
        return Reference(name=name)
    if _NUMBER.fullmatch(which):
        return Reference(name=name, number=int(which))
    if _PREFIX.fullmatch(which):
        return Reference(name=name, digest=which)
    raise BadInputError(
        f"A version is named {name}@7, {name}@latest or {name}@ and six or more digits of its"
        f" digest, found {text[:200]!r}.",
        field="dataset",
    )
