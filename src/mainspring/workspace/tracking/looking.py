"""Look at the journals of a home without folding them: for the doctor."""

from __future__ import annotations

from pathlib import Path

from mainspring.experiments import frames, journal
from mainspring.ground.errors import BadInputError, StoreError
from mainspring.workspace.tracking import spool
from mainspring.workspace.tracking.catching_up import AT_ONCE, FOLDER


def damaged(home: Path) -> list[str]:
    """Return what is wrong with the journals of a home and of its spools."""
    places = [home / FOLDER, *spool.folders(home)]
    found = [
        _look(name, parts) for folder in places for name, parts in journal.listed(folder).items()
    ]
    return [text for text in found if text]


def waiting(home: Path) -> dict[str, int]:
    """Return how many bytes wait for which server."""
    found = {spool.url_of(folder) or "": spool.waiting(folder) for folder in spool.folders(home)}
    return {url: size for url, size in found.items() if size}


def _look(name: str, parts: list[journal.Part]) -> str:
    at = parts[0].begin
    try:
        while data := journal.bytes_from(parts, at, AT_ONCE):
            got = frames.read(data)
            at += got.size
            if got.damaged:
                return f"the journal {name} is damaged at its byte {at:,}"
            if not got.size:  # a torn tail, or one that is being written
                return ""
    except (BadInputError, StoreError, OSError) as error:
        return f"the journal {name} cannot be read from its byte {at:,} on: {error}"
    return ""
