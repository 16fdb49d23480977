"""What only a person knows of a model or of data: the words that cards and sheets are made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Literal

from msgspec.structs import fields

from mainspring.ground.errors import BadInputError
from mainspring.ground.records import Record

Risk = Literal["", "low", "medium", "high"]


class Assumption(Record, frozen=True, kw_only=True):
    """What must go on being true for a model to be right, and who looks whether it is."""

    text: str
    owner: str
    review_by: str  #: the last day it is trusted unseen, as YYYY-MM-DD


class Card(Record, frozen=True, kw_only=True):
    """What a person should know of a version before trusting it."""

    purpose: str
    owner: str
    limitations: str
    data: str = ""  #: which rows, from when to when
    metrics: dict[str, float] = {}
    notes: str = ""
    intended_use: str = ""  #: who uses it, for which decisions
    ethics: str = ""  #: who could be harmed, and what was done about it
    risk: Risk = ""
    risk_reason: str = ""
    assumptions: list[Assumption] = []


class DataSheet(Record, frozen=True, kw_only=True):
    """What a person should know of a dataset before learning from it."""

    owner: str = ""
    purpose: str = ""  #: what it was made for
    collection: str = ""  #: how, where and when it came about, and who is in it
    privacy: str = ""  #: what of it is about persons, and what was done about that
    licence: str = ""
    upkeep: str = ""  #: who changes it, how often, and for how long it is kept
    limitations: str = ""  #: what it must not be used for
    notes: str = ""


#: The fields a Card cannot be made without: only a person knows them.
REQUIRED = tuple(one.name for one in fields(Card) if one.required)
#: Fields beyond them that a gate may require too.
OPTIONAL = ("intended_use", "ethics", "risk", "risk_reason", "notes", "assumptions")


def check_fields(names: Iterable[str]) -> list[str]:
    """Return names of fields that a gate may require of a card.

    Raises:
        BadInputError: if a card has no such field, or a machine fills it.
    """
    found = list(names)
    for name in found:
        if name not in REQUIRED + OPTIONAL:
            raise BadInputError(
                f"A gate cannot require {name!r} of a card.",
                field="card_requires",
                hint=f"It may require {', '.join(OPTIONAL)}.",
            )
    return found


def missing(card: Card | None, required: Sequence[str] = ()) -> list[str]:
    """Return the required fields that are blank; ``required`` adds some to those of every card.

    Example:
        >>> missing(Card(purpose="rank leads", owner=" ", limitations=""))
        ['owner', 'limitations']
        >>> missing(Card(purpose="p", owner="o", limitations="l"), ["ethics", "assumptions"])
        ['ethics', 'assumptions']
    """
    return [name for name in dict.fromkeys((*REQUIRED, *required)) if _blank(card, name)]


def overdue(card: Card | None, now: float) -> list[Assumption]:
    """Return the assumptions whose day of review is over at wall time ``now`` (UTC seconds).

    Example:
        >>> old = Assumption(text="Fares are in euro.", owner="ops", review_by="1970-01-01")
        >>> card = Card(purpose="p", owner="o", limitations="l", assumptions=[old])
        >>> len(overdue(card, 3600.0)), len(overdue(card, 90_000.0))
        (0, 1)
    """
    today = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d")
    return [one for one in (card.assumptions if card else ()) if one.review_by < today]


def check(card: Card) -> Card:
    """Return a card whose assumptions each say what, who and until when.

    Raises:
        BadInputError: naming the assumption and what is wrong with it.
    """
    for place, one in enumerate(card.assumptions):
        named = f"assumptions[{place}]"
        if not one.text.strip() or not one.owner.strip():
            raise BadInputError(
                f"Assumption {place + 1} needs a text and an owner, found {one.text!r} of"
                f" {one.owner!r}.",
                field=named,
            )
        day(one.review_by, f"{named}.review_by")
    return card


def day(text: str, field_: str) -> str:
    """Return a day written as YYYY-MM-DD.

    Raises:
        BadInputError: if it is none.
    """
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).strftime("%Y-%m-%d")
    except ValueError:
        raise BadInputError(
            f"A day is written YYYY-MM-DD, found {text!r}.", field=field_
        ) from None


def _blank(card: Card | None, name: str) -> bool:
    value = getattr(card, name) if card is not None else ""
    return not (value.strip() if isinstance(value, str) else value)
