"""What a retraining learns from, as declared: whose rows, known when, which windows."""

from __future__ import annotations

from collections.abc import Sequence

from mainspring.ground.durations import seconds
from mainspring.ground.errors import BadInputError
from mainspring.ground.records import Record

ALL, HALF = "all", "half"
#: What is tried where nobody says: all there is, and the newer half of the time.
DEFAULT = (ALL, HALF)
MOST_WINDOWS = 6


class RowsPolicy(Record, frozen=True, kw_only=True):
    """Where training rows come from and what is looked at in them."""

    source: str | None = None  #: "module:function" of the project, or a file; None: captures alone
    source_id: str | None = None  #: its column of prediction ids
    known_at: str | None = None  #: its column of when the target became known
    windows: list[str] = []  #: tried as challengers; empty: all, and half where the loop decides
    decision: str | None = None  #: SQL over raw columns and score: the answer was acted on
    random_share: float | None = None  #: of the rows that get a label whatever the score
    refuse_leaks: bool = False  #: a sure leak ends the retraining


class Window(Record, frozen=True, kw_only=True):
    """A stretch of the past, or a weight by age."""

    name: str
    span_s: float | None = None  #: the newest rows of that stretch
    half: bool = False  #: the newer half of the time
    half_life_s: float | None = None  #: a row that much older counts half as much


def window(text: str) -> Window:
    """Return the window that a text names.

    >>> window("90d").span_s, window("weighted:half_life=60d").half_life_s
    (7776000.0, 5184000.0)

    Raises:
        BadInputError: if it is none of ``all``, ``half``, a duration and
            ``weighted:half_life=DURATION``.
    """
    plain = text.strip()
    if plain == ALL:
        return Window(name=plain)
    if plain == HALF:
        return Window(name=plain, half=True)
    kind, _, rest = plain.partition(":")
    name, _, value = rest.partition("=")
    weighted = kind == "weighted" and name == "half_life"
    try:
        length = seconds(value if weighted else plain, "windows")
    except BadInputError as error:
        raise BadInputError(
            f"A window is all, half, a duration or weighted:half_life=DURATION, found {text!r}.",
            field="windows",
            hint='For example ["all", "90d", "weighted:half_life=60d"].',
        ) from error
    if length <= 0:
        raise BadInputError(f"A window is longer than 0 s, found {text!r}.", field="windows")
    return (
        Window(name=plain, half_life_s=length) if weighted else Window(name=plain, span_s=length)
    )


def check_windows(texts: Sequence[str]) -> list[str]:
    """Return the names of several windows, each once and all of them good.

    Raises:
        BadInputError: naming the one that is not, or if there are more than six.
    """
    if isinstance(texts, str):
        raise BadInputError(f"windows is a list of texts, found {texts!r}.", field="windows")
    names = [window(one).name for one in texts]
    if len(set(names)) != len(names):
        raise BadInputError(f"A window is named twice in {names}.", field="windows")
    if len(names) > MOST_WINDOWS:
        raise BadInputError(
            f"At most {MOST_WINDOWS} windows are tried, found {len(names)}.", field="windows"
        )
    return names
