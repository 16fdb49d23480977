"""Orders in SQL, and cursors: where in an order a page ended, whatever is added since."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import ColumnElement, and_, case, false, func, literal, or_, select, tuple_

from mainspring.experiments.expressions import AS_TAGS, NUMBERS, Order
from mainspring.experiments.meaning import COLUMNS, OPTIONAL, TABLES, Asked
from mainspring.experiments.readings import InOrder, head_of, number_of
from mainspring.experiments.tables import runs, tags
from mainspring.ground.errors import BadInputError
from mainspring.ground.identity import sha256

#: What each order counts before values do: those that have one, then NaN (or, of a param, what
#: reads as no number), then those that lack it.
FIRST, SECOND, MISSING = 0, 1, 2


class Slot(NamedTuple):
    """One thing runs are ordered by: an expression, or a value that all of a segment share."""

    what: ColumnElement[Any] | int | None
    rising: bool = True


def slots_of(order: Order, asked: Asked) -> list[Slot]:
    """Return what an order compares, for runs of whatever source: a rank, then values."""
    if order.kind == "run" and order.key not in AS_TAGS:
        return _of_attribute(order, asked)
    table = tags if order.kind == "run" else TABLES[order.kind]
    key = AS_TAGS[order.key] if order.kind == "run" else order.key
    here = and_(table.c.run == asked.run, table.c.key == key)

    def of_it(what: Any) -> ColumnElement[Any]:
        return select(what).where(here).scalar_subquery()

    value = table.c.value
    number, head = number_of(value), head_of(value)
    has = value if order.kind == "metric" else head if order.textual else number
    # What is not there gives no row, so NULL; of what is there, one look says its rank.
    rank = func.coalesce(of_it(case((has.is_not(None), FIRST), else_=SECOND)), MISSING)
    shown = [value] if order.kind == "metric" else [head] if order.textual else [number, head]
    return [Slot(rank), *(Slot(of_it(one), order.ascending) for one in shown)]


def _of_attribute(order: Order, asked: Asked) -> list[Slot]:
    if order.key == "id":
        return [Slot(FIRST), Slot(asked.run, order.ascending)]
    column = COLUMNS[order.key]
    if order.key not in NUMBERS:
        column = InOrder(column)
    if not asked.direct:
        column = select(column).where(runs.c.id == asked.run).scalar_subquery()
    if order.key not in OPTIONAL:
        return [Slot(FIRST), Slot(column, order.ascending)]
    rank = case((column.is_(None), MISSING), else_=FIRST)
    return [Slot(rank), Slot(column, order.ascending)]


def after(slots: Sequence[Slot], seen: Sequence[Any]) -> ColumnElement[bool]:
    """Return the condition that a run comes after one whose slots held ``seen``.

    One comparison of rows where all directions are the same: a database walks its index to there.
    """
    pairs = []
    for slot, value in zip(slots, seen, strict=True):
        if isinstance(slot.what, ColumnElement):
            if value is not None:  # else all that are equal so far lack it
                pairs.append((slot, slot.what, value))
        elif slot.what != value:
            rank = -1 if slot.what is None else slot.what
            pairs.append((slot, literal(rank), value))
            break  # what follows is never compared
    if not pairs:
        return false()
    if len({slot.rising for slot, _, _ in pairs}) == 1:
        left = tuple_(*(what for _, what, _ in pairs))
        right = tuple_(*(literal(value) for _, _, value in pairs))
        return left > right if pairs[0][0].rising else left < right
    found: ColumnElement[bool] = false()
    for slot, what, value in reversed(pairs):
        beyond = what > value if slot.rising else what < value
        found = or_(beyond, and_(what == value, found))
    slot, what, value = pairs[0]
    bound = what >= value if slot.rising else what <= value  # an index can begin here
    return and_(bound, found)


class Cursor(msgspec.Struct, frozen=True, array_like=True):
    """Where a page ended."""

    orders: str  #: digest of the orders, which a cursor belongs to
    seen: list[int | float | str | None]

    def text(self) -> str:
        """Return the cursor as text that can stand in a URL."""
        return base64.urlsafe_b64encode(msgspec.msgpack.encode(self)).decode().rstrip("=")


def digest_of(orders: Sequence[Order]) -> str:
    """Return by what a cursor knows its orders again."""
    return sha256(msgspec.json.encode(list(orders)))[:8]


def read_cursor(text: str, orders: Sequence[Order], kinds: Sequence[type]) -> list[Any]:
    """Return what a cursor saw, one value of each kind (or None).

    Raises:
        BadInputError: if it is none of ours, or of another order.
    """
    try:
        padded = text + "=" * (-len(text) % 4)
        raw = base64.b64decode(padded, altchars=b"-_", validate=True)
        found = msgspec.msgpack.decode(raw, type=Cursor)
    except (binascii.Error, ValueError, msgspec.DecodeError) as error:
        raise _no_cursor(text) from error
    if found.orders != digest_of(orders):
        raise BadInputError(
            "This cursor belongs to another order.",
            field="cursor",
            hint="Begin without a cursor when the order changes.",
        )
    right = len(found.seen) == len(kinds) and all(
        value is None or (isinstance(value, kind) and value == value)
        for value, kind in zip(found.seen, kinds, strict=False)
    )
    if not right:
        raise _no_cursor(text)
    return list(found.seen)


def _no_cursor(text: str) -> BadInputError:
    return BadInputError(f"{text[:80]!r} is not a cursor of this search.", field="cursor")
