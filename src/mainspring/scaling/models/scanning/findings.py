"""What a scan found: one line a thing, with how grave it is."""

from __future__ import annotations

from enum import StrEnum

from mainspring.ground.records import Record

#: What one scan may unpack in all: beyond it an archive counts as a bomb.
MOST_UNPACKED = 2 << 30


class Grave(StrEnum):
    """How grave a finding is."""

    DANGER = "danger"  #: no model needs it; no trust makes up for it
    UNKNOWN = "unknown"  #: it may be harmless, and a person must answer for it
    NOTE = "note"  #: it is worth knowing


class Found(Record, frozen=True, kw_only=True):
    """One thing that a scan found."""

    path: str  #: of the file; of a file in an archive "archive!file"
    grave: Grave
    told: str  #: what it is, in words


class Budget:
    """How many bytes a scan may still unpack, over all archives of a package."""

    def __init__(self, left: int = MOST_UNPACKED) -> None:
        self.left = left

    def take(self, count: int) -> bool:
        """Use up some bytes; return whether there were as many."""
        self.left -= max(count, 0)
        return self.left >= 0
