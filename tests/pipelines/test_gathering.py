"""What a controller reads of what steps gave, and how much of it at most."""

from __future__ import annotations

from typing import Any

import pytest

from mainspring.ground.errors import BadInputError
from mainspring.pipelines.gathering import MOST_BYTES, Gatherer


class Huge:
    """Objects that are said to be very large, and that nobody reads."""

    def __init__(self, size: int) -> None:
        self._size = size

    def size(self, digest: str) -> int:
        del digest
        return self._size

    def get(self, digest: str) -> Any:
        del digest
        return b"[1, 2]"


def test_a_list_of_a_gigabyte_is_refused_before_it_is_read() -> None:
    over = {"ref": "load"}
    small = Gatherer(Huge(MOST_BYTES), {"load": ("0" * 64, "json")})  # type: ignore[arg-type]
    assert small.items(over, "fit") == [{"value": 1}, {"value": 2}]
    large = Gatherer(Huge(1 << 30), {"load": ("0" * 64, "json")})  # type: ignore[arg-type]
    with pytest.raises(BadInputError, match="fit goes over more than 64 MB of plain data") as told:
        large.items(over, "fit")
    assert told.value.hint == "Return frames or files, in a list."
