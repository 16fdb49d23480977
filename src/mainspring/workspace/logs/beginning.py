"""Begin a process's log as the settings say."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mainspring.ground import logs
from mainspring.ground.settings import Settings


def begin(
    settings: Settings, process: str, *, waits: bool = True, shown: bool = False, **ids: Any
) -> logs.Log:
    """Begin the log of this process in the settings' home; see ``ground.logs.begin``.

    ``shown`` prints warnings as well, for a command that a person looks on at.

    Raises:
        BadInputError: if ``log_level`` is no level.
    """
    return logs.begin(
        Path(settings.home),
        process,
        level=settings.log_level,
        waits=waits,
        shown=shown,
        days=settings.log_days,
        most_mb=settings.log_mb,
        secrets=(settings.token, *_passwords(settings), _owners(settings)),
        ids=ids,
    )


def _passwords(settings: Settings) -> list[str | None]:
    found = []
    for url in (settings.database, settings.objects, settings.url):
        try:
            found.append(urlsplit(url or "").password)
        except ValueError:  # whoever opens it says what is wrong with it
            continue
    return found


def _owners(settings: Settings) -> str | None:
    """Return the owner's secret of the home, if it has one by now."""
    try:
        return (Path(settings.home) / "run" / "secret").read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
