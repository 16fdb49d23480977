"""What differs between the files of two versions, by their digests alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import msgspec

from mainspring.pipelines.data.manifest import Entry


class Renamed(msgspec.Struct, frozen=True, kw_only=True):
    """A file that has the bytes another name had before."""

    before: str
    after: str
    size: int


class Changed(msgspec.Struct, frozen=True, kw_only=True):
    """A file whose bytes, or whose right to be executed, changed."""

    path: str
    size_before: int
    size_after: int


class Present(msgspec.Struct, frozen=True, kw_only=True):
    """A file that only one of the two has."""

    path: str
    size: int


class FileChanges(msgspec.Struct, frozen=True, kw_only=True):
    """What differs, each list in the order of the paths."""

    added: list[Present] = []
    removed: list[Present] = []
    changed: list[Changed] = []
    renamed: list[Renamed] = []
    same: int = 0  #: files that are alike in both

    @property
    def none(self) -> bool:
        """Return whether nothing differs."""
        return not (self.added or self.removed or self.changed or self.renamed)


def differences(before: Iterable[Entry], after: Iterable[Entry]) -> FileChanges:
    """Return what differs; a file that went and one that came with the same bytes is a renaming.

    >>> one = [Entry("a", 3, "ab" * 32), Entry("b", 1, "cd" * 32)]
    >>> two = [Entry("c", 3, "ab" * 32), Entry("b", 2, "ef" * 32)]
    >>> found = differences(one, two)
    >>> [(r.before, r.after) for r in found.renamed], [c.path for c in found.changed]
    ([('a', 'c')], ['b'])
    """
    old = {entry.path: entry for entry in before}
    new = {entry.path: entry for entry in after}
    gone = [old[path] for path in sorted(old.keys() - new.keys())]
    waiting: dict[str, list[Entry]] = defaultdict(list)
    for entry in reversed(gone):
        waiting[entry.sha256].append(entry)
    renamed, added = [], []
    for path in sorted(new.keys() - old.keys()):
        entry = new[path]
        was = waiting[entry.sha256].pop() if waiting[entry.sha256] and entry.size else None
        if was is None:
            added.append(Present(path=path, size=entry.size))
        else:
            renamed.append(Renamed(before=was.path, after=path, size=entry.size))
    names = {one.before for one in renamed}
    both = sorted(old.keys() & new.keys())
    changed = [path for path in both if _what(old[path]) != _what(new[path])]
    return FileChanges(
        added=added,
        removed=[Present(path=e.path, size=e.size) for e in gone if e.path not in names],
        changed=[
            Changed(path=p, size_before=old[p].size, size_after=new[p].size) for p in changed
        ],
        renamed=renamed,
        same=len(both) - len(changed),
    )


def _what(entry: Entry) -> tuple[str, bool]:
    return entry.sha256, entry.executable
