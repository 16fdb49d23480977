"""Names and keys that come over the wire: which are taken, and what is made up for none."""

from __future__ import annotations

import posixpath
import re
import secrets

from mainspring.ground.errors import BadInputError
from mainspring.web.mlflow.messages import as_json

MAX_KEY = 250
_SIGNS = re.compile(r"[/\w.\- :]*")
_ADJECTIVES = ("bold", "calm", "clear", "deft", "keen", "mild", "neat", "quick", "steady", "warm")
_NOUNS = ("brook", "cliff", "dune", "field", "grove", "heath", "lake", "peak", "reed", "stone")


def check_key(key: str, field: str = "key", what: str = "key") -> str:
    """Return the key of a metric, param or tag.

    Raises:
        BadInputError: if MLflow would not take it, or if it looks like another one.
    """
    if not _SIGNS.fullmatch(key):
        raise _invalid(
            field,
            key,
            "Names may only contain alphanumerics, underscores (_), dashes (-), periods (.),"
            " spaces ( ), colon(:) and slashes (/).",
        )
    plain = posixpath.normpath(key)
    if plain != key or plain == "." or plain.startswith(("..", "/")):
        raise _invalid(
            field,
            key,
            "Names may be treated as files in certain cases, and must not resolve to other names"
            f" when treated as such. This name would resolve to {plain[:100]!r}",
        )
    if len(key) > MAX_KEY:
        raise BadInputError(
            f"'{what}' exceeds the maximum length of {MAX_KEY} characters", field=field
        )
    if key != key.strip():
        raise _invalid(field, key, "A name must not begin or end with a space.")
    return key


def random_name() -> str:
    """Return a name for what was given none, such as ``calm-brook-217``."""
    parts = (secrets.choice(_ADJECTIVES), secrets.choice(_NOUNS), str(secrets.randbelow(1000)))
    return "-".join(parts)


def _invalid(field: str, value: str, why: str) -> BadInputError:
    return BadInputError(
        f"Invalid value {as_json(value)} for parameter '{field}' supplied: {why}", field=field
    )
