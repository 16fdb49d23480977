"""Know the environment again: Python and every installed distribution."""

from __future__ import annotations

import functools
import json
import platform
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from mainspring.ground.identity import key_of
from mainspring.ground.version import __version__


@functools.cache
def environment() -> Mapping[str, str]:
    """Return the versions of Python and of all installed distributions, by lower-case name.

    Read off the names of the ``.dist-info`` folders, which say both: a millisecond, where
    opening every metadata file takes a hundred. Computed once a process.
    """
    found: dict[str, str] = {}
    for place in reversed(sys.path):  # the first on the path is the one that is imported
        folder = Path(place or ".")
        if not folder.is_dir():
            continue
        for entry in folder.glob("*.dist-info"):
            name, dash, version = entry.name.removesuffix(".dist-info").rpartition("-")
            if dash:
                found[name.lower().replace("_", "-")] = version
    found.setdefault("mainspring", __version__)  # where it runs from its source, too
    found["python"] = f"{sys.version_info.major}.{sys.version_info.minor}"
    found["machine"] = f"{platform.system()} {platform.machine()}"
    return dict(sorted(found.items()))


def environment_digest(found: Mapping[str, str] | None = None) -> str:
    """Return the digest of an environment; of this process's own by default."""
    return key_of("environment", dict(environment() if found is None else found))


def differences(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """Return what changed between two environments, in words.

    >>> differences({"polars": "2.0", "six": "1"}, {"polars": "2.1"})
    ['polars 2.0 -> 2.1', 'six 1 -> gone']
    """
    out = []
    for name in sorted({*before, *after}):
        old, new = before.get(name, "not there"), after.get(name, "gone")
        if old != new:
            out.append(f"{name} {old} -> {new}")
    return out


def editable() -> list[Path]:
    """Return the folders of the projects that are installed for editing (``pip install -e``)."""
    found = []
    for place in sys.path:
        for file in Path(place or ".").glob("*.dist-info/direct_url.json"):
            try:
                told = json.loads(file.read_text("utf-8"))
            except (OSError, ValueError):
                continue
            url = str(told.get("url", ""))
            if told.get("dir_info", {}).get("editable") and url.startswith("file://"):
                found.append(Path(unquote(urlsplit(url).path)))
    return found
