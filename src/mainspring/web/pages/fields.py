"""What a page is asked for: the fields of a query string or a form, some given several times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import parse_qsl

from mainspring.ground.errors import BadInputError


class Asked(dict[str, str]):
    """Fields by name, the last of each; ``several`` returns all that one was given.

    >>> asked = Asked([("run", "a"), ("run", "b"), ("order", "started")])
    >>> asked["run"], asked.several("run"), asked.several("nothing")
    ('b', ['a', 'b'], [])
    """

    def __init__(
        self, pairs: Sequence[tuple[str, str]], also: Mapping[str, str] | None = None
    ) -> None:
        super().__init__([*pairs, *(also or {}).items()])
        self.pairs = list(pairs)

    def several(self, key: str) -> list[str]:
        """Return every value of a field, in their order."""
        return [value for name, value in self.pairs if name == key]


def read(raw: bytes, most: int, also: Mapping[str, str] | None = None) -> Asked:
    """Return the fields of a query string or of a form's body.

    Raises:
        BadInputError: if it cannot be read, or holds more than ``most`` fields.
    """
    try:
        text = raw.decode("ascii")
        pairs = parse_qsl(text, errors="strict", keep_blank_values=True, max_num_fields=most)
    except ValueError as error:
        raise BadInputError(
            f"The fields cannot be read: they must be UTF-8 and at most {most}.", field="query"
        ) from error
    return Asked(pairs, also)
