"""Draw the share of rows that is recorded: once and for all, by the prediction id of each.

Whether a row is drawn depends on its id alone, so it can be told of any id later: a label whose
row was not drawn is no mistake of whoever sent it. A row drawn at 10 % is drawn at 20 %, too.
Which share was in force from which row on stands in :data:`SHARES`, one line a change.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

SHARES = "shares.jsonl"

_BOOT = re.compile("[0-9a-f]{12}")
_STEP, _FIRST, _SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_ALL = 2**64 - 1


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """From which row of a writer on which share of its rows is recorded."""

    boot: str
    first: int
    share: float


class Draw:
    """Says of the rows of one writer which are recorded."""

    def __init__(self, boot: str) -> None:
        self._start = int.from_bytes(blake2b(f"capture/{boot}".encode(), digest_size=8).digest())

    def one(self, number: int, share: float) -> bool:
        """Return whether a row is recorded, by its number; in a microsecond."""
        mixed = (self._start + number) * _STEP & _ALL
        mixed = (mixed ^ mixed >> 30) * _FIRST & _ALL
        mixed = (mixed ^ mixed >> 27) * _SECOND & _ALL
        return (mixed ^ mixed >> 31) < share * 2**64

    def several(self, numbers: npt.NDArray[np.int64], share: float) -> npt.NDArray[np.bool_]:
        """Return the same of many rows at once.

        >>> draw = Draw("00"), np.arange(4)
        >>> draw[0].several(draw[1], 0.5).tolist() == [draw[0].one(n, 0.5) for n in range(4)]
        True
        """
        if share >= 1.0:
            return np.ones(len(numbers), dtype=np.bool_)
        # splitmix64: Steele, Lea, Flood, OOPSLA 2014, figure 17.
        mixed = (numbers.astype(np.uint64) + np.uint64(self._start)) * np.uint64(_STEP)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(_FIRST)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(_SECOND)
        return np.asarray((mixed ^ (mixed >> np.uint64(31))) < np.uint64(int(share * 2**64)))


def own(name: str, share: float) -> bool:
    """Return whether a row is recorded, by an id that the client gave it."""
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest()) < share * 2**64


def note(folder: Path, shares: Sequence[Share]) -> None:
    """Write down that other shares are in force from now on.

    Raises:
        OSError: if that cannot be written.
    """
    lines = b"".join(msgspec.json.encode(one) + b"\n" for one in shares)
    file = os.open(folder / SHARES, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(file, lines)
    finally:
        os.close(file)


def noted(folder: Path) -> list[Share]:
    """Return every change of share of a folder of captures, oldest first."""
    try:
        lines = (folder / SHARES).read_bytes().splitlines()
    except FileNotFoundError:
        return []
    found = []
    for line in lines:
        try:
            found.append(msgspec.json.decode(line, type=Share))
        except msgspec.MsgspecError:
            continue  # cut off by a crash; the next writer says its own
    return found


def not_drawn(folder: Path, ids: Sequence[str]) -> list[bool]:
    """Return of each prediction id whether its row was left out by sampling.

    One of a writer that recorded every row was not; of an id that the client gave, the share in
    force last is asked. Ask it of ids that have no row: one whose row two versions scored is
    recorded whatever the share.
    """
    known: dict[str, list[Share]] = {}
    newest = 1.0
    for one in noted(folder):
        known.setdefault(one.boot, []).append(one)
        newest = one.share
    draws = {boot: Draw(boot) for boot in known}
    return [bool(known) and _left_out(name, known, draws, newest) for name in ids]


def _left_out(
    name: str, known: dict[str, list[Share]], draws: dict[str, Draw], newest: float
) -> bool:
    boot, _, number = name.rpartition("-")
    if _BOOT.fullmatch(boot) is None or not number.isdecimal() or len(number) > 18:
        return not own(name, newest)
    if boot not in known:
        return False
    share = 1.0
    for one in known[boot]:
        if one.first <= int(number):
            share = one.share
    return share < 1.0 and not draws[boot].one(int(number), share)
