"""See that files came or changed, by looking at them: no more than a stat for each.

A file counts once its size and time were the same in two looks that lie ``SETTLED_S`` apart, so
that one which is still being written starts nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from mainspring.engine.triggers import Happened
from mainspring.ground.errors import TooLargeError

EVERY_S = 2.0  #: between two looks
SETTLED_S = 2.0
MOST = 10_000
_MAGIC = set("*?[")


def there(root: str, what: str) -> list[Happened]:
    """Return the files that a path or a pattern names, as they are now.

    Raises:
        TooLargeError: if there are more than can be watched.
    """
    return [_happened(path, stat) for path, stat in _found(root, what)]


class Watch:
    """Remembers how the files of one trigger looked, and which it has told of."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[str, float]] = {}  # path -> key and since when it is so
        self._told: set[str] = set()
        self._due = 0.0

    def settled(self, root: str, what: str, now: float) -> list[Happened]:
        """Return the files that came to rest since they were told of; at most one look each time.

        Raises:
            TooLargeError: if there are more than can be watched.
        """
        if abs(now - self._due) < EVERY_S and now < self._due:
            return []
        self._due = now + EVERY_S
        found, seen = [], {}
        for path, stat in _found(root, what):
            one = _happened(path, stat)
            key, since = self._seen.get(str(path), ("", now))
            seen[str(path)] = (one.key, since if key == one.key else now)
            if one.key not in self._told and now - seen[str(path)][1] >= SETTLED_S:
                found.append(one)
        self._seen = seen
        return found

    def told(self, keys: Iterable[str]) -> None:
        """Note keys that need not be told of again."""
        self._told |= set(keys)
        if len(self._told) > 4 * MOST:
            self._told.clear()  # the store knows them all the same


def _found(root: str, what: str) -> Iterator[tuple[Path, os.stat_result]]:
    path = Path(root, what)  # an absolute path stays what it is
    pattern = next((n for n, part in enumerate(path.parts) if _MAGIC & set(part)), None)
    if pattern is None:
        several: Iterable[Path] = [path]
    else:
        base = Path(*path.parts[:pattern])
        several = base.glob(str(Path(*path.parts[pattern:])))
    count = 0
    for one in several:
        try:
            stat = one.stat()
        except OSError:
            continue  # it went away meanwhile, or may not be looked at
        if not one.is_file():
            continue
        count += 1
        if count > MOST:
            raise TooLargeError(
                f"More than {MOST:,} files match {what[:200]!r}.",
                field="on",
                hint="Name fewer: watch a file that is written last.",
            )
        yield one, stat


def _happened(path: Path, stat: os.stat_result) -> Happened:
    return Happened(
        key=f"{path}@{stat.st_mtime_ns}-{stat.st_size}"[-500:],
        body={
            "kind": "file",
            "path": str(path),
            "name": path.name,
            "size": stat.st_size,
            "changed": stat.st_mtime,
        },
    )
