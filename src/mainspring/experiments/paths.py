"""The paths under which runs keep files; light, for those who only log."""

from __future__ import annotations

import unicodedata
from urllib.parse import unquote

from mainspring.experiments.exact import is_unseen
from mainspring.ground.errors import BadInputError

MAX_PATH = 500


def check_path(path: str) -> str:
    """Return a path below a run's root, such as ``plots/roc.png``, in Unicode's composed form.

    It is a key in a table and never the name of a file of ours; it is plain all the same,
    because those who download it will make files of it.

    Raises:
        BadInputError: if it is absolute, leads upwards, or holds what no file name should.
    """
    parts = path.split("/")
    plain = all(part not in ("", ".", "..") for part in parts)
    odd = path[1:2] == ":" or any(c in "\\#" or ord(c) < 32 or 0x7F <= ord(c) < 0xA0 for c in path)
    # What is still encoded would be another path to whoever decodes it once more.
    odd = odd or ("%" in path and unquote(path) != path)
    half = any("\ud800" <= c <= "\udfff" for c in path)
    if not half and not path.isascii():
        path = unicodedata.normalize("NFC", path)
    # Two files that look alike: one of them is not what is meant.
    odd = odd or any(is_unseen(c) for c in path) or any(part != part.strip() for part in parts)
    if not plain or odd or half or len(path) > MAX_PATH:
        raise BadInputError(
            f"Invalid path {path[:100]!r}: it must be like plots/roc.png, of at most"
            f" {MAX_PATH} characters.",
            field="path",
            hint="Leave out blanks at the ends of names, and what nobody can see.",
        )
    return path
