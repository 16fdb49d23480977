"""Read and say sizes in bytes as people write them."""

from __future__ import annotations

import re

from mainspring.ground.errors import BadInputError

_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kMGT]?i?)B\s*")


def in_bytes(text: object, field: str = "size") -> int:
    """Return a size in bytes: ``1GB`` and ``1 GB`` are 10**9, ``1GiB`` is 2**30.

    >>> in_bytes("1.5GB"), in_bytes("512MiB"), in_bytes(4096)
    (1500000000, 536870912, 4096)

    Raises:
        BadInputError: if it is none.
    """
    found = _SIZE.fullmatch(text) if isinstance(text, str) else None
    if found:
        power = "kMGT".find(found[2][:1]) + 1 if found[2] else 0
        number = int(float(found[1]) * (1024 if found[2].endswith("i") else 1000) ** power)
    else:
        number = text if isinstance(text, int) and not isinstance(text, bool) else 0
    if number < 1:
        raise BadInputError(
            f'{field} must be a size such as "1GB" or "512MiB", found {text!r}.', field=field
        )
    return number


def size(count: int) -> str:
    """Return bytes as people say them.

    >>> size(1_500_000_000), size(268_435_456)
    ('1.5 GB', '268 MB')
    """
    for unit, bytes_ in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= bytes_:
            return f"{count / bytes_:.3g} {unit}"
    return f"{count} B"
