"""Read references to versions: ``churn/7`` and ``churn@champion``."""

from __future__ import annotations

from mainspring.ground.errors import BadInputError
from mainspring.ground.identity import check_name
from mainspring.ground.objects import Record

_MOST = 2**31 - 1


class Reference(Record, frozen=True, kw_only=True):
    """A version by number or by alias; exactly one of the two is set."""

    model: str
    number: int | None = None
    alias: str | None = None

    def __str__(self) -> str:
        return f"{self.model}@{self.alias}" if self.alias else f"{self.model}/{self.number}"


def parse(text: str) -> Reference:
    """Return what a reference names.

    Raises:
        BadInputError: if it is neither ``name/7`` nor ``name@alias``.

    Example:
        >>> parse("churn/7").number, parse("churn@champion").alias
        (7, 'champion')
    """
    model, mark, rest = text.partition("@")
    if mark:
        return Reference(model=check_name(model, "model"), alias=check_name(rest, "alias"))
    model, mark, rest = text.rpartition("/")
    if not mark:
        raise BadInputError(
            f"A version must be named like name/7 or name@champion, found {text[:80]!r}.",
            field="reference",
        )
    # isdecimal alone would let through digits of other scripts.
    if not (rest.isascii() and rest.isdecimal() and 0 < int(rest[:11]) <= _MOST):
        raise BadInputError(
            f"After the / must stand a version's number from 1 on, found {rest[:80]!r}.",
            field="reference",
        )
    return Reference(model=check_name(model, "model"), number=int(rest))
