"""Guess which name was meant by one that nobody knows."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that is most like a name, or None if none is like it.

    >>> nearest("wokers", ["workers", "port"]), nearest("prot", ["root", "port"])
    ('workers', 'port')
    """
    by_lower, asked = {one.lower(): one for one in known}, name.lower()
    found = get_close_matches(asked, by_lower, n=3, cutoff=0.6)
    # Two letters in the wrong order are the commonest slip of all.
    swapped = [one for one in found if sorted(one) == sorted(asked)]
    return by_lower[(swapped or found)[0]] if found else None


def meant(name: str, known: Iterable[str], most: int = 30) -> str:
    """Return a hint: the name that was probably meant, or the names there are.

    >>> meant("wokers", ["workers", "port"])
    "Did you mean 'workers'?"
    >>> meant("xyz", ["port", "workers"])
    'Known are: port, workers.'
    """
    several = list(known)
    guess = nearest(name, several)
    if guess is not None:
        return f"Did you mean {guess!r}?"
    more = f" and {len(several) - most} more" if len(several) > most else ""
    return f"Known are: {', '.join(several[:most]) or 'none'}{more}."
