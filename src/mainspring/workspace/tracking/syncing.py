"""Send everything that waits in the spools of a home, also what dead processes left."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from mainspring.experiments import journal
from mainspring.ground.errors import MainspringError, UnavailableError
from mainspring.ground.settings import Settings
from mainspring.workspace.tracking import spool
from mainspring.workspace.tracking.courier import Courier

#: Told how many bytes of how many are sent.
Tell = Callable[[int, int], None]


class Synced(msgspec.Struct, kw_only=True):
    """What came of sending to one server."""

    url: str
    journals: int = 0  #: of which everything is there by now
    bytes: int = 0  #: that were sent
    waiting: int = 0  #: bytes that still wait: of processes that live, or of what was refused
    troubles: list[str] = []


def sync_all(settings: Settings, only: str | None, tell: Tell) -> list[Synced]:
    """Send what waits for every server, or for one of them."""
    found = []
    places = spool.folders(Path(settings.home))
    set_for = (settings.url or "").rstrip("/")
    for folder in places:
        url = spool.url_of(folder) or ""
        if only is None or url == only.rstrip("/"):
            # A token is for the server it was set for, and shown to no other.
            its = url == set_for or (not set_for and len(places) == 1)
            found.append(_sync(folder, url, settings.token if its else None, tell))
    return found


def _sync(folder: Path, url: str, token: str | None, tell: Tell) -> Synced:
    out = Synced(url=url)
    courier = Courier(url, token)
    total = spool.waiting(folder)
    tell(0, total)

    def told(count: int) -> None:
        out.bytes += count
        tell(min(out.bytes, total), total)

    for name, parts in journal.listed(folder).items():
        try:
            spool.send(courier, folder, name, parts, told)
        except UnavailableError as error:
            out.troubles.append(str(error))
            break
        except FileNotFoundError:  # its own process sent it at the same time
            continue
        except MainspringError as error:  # the others may well be taken
            out.troubles.append(f"{name}: {error}")
        else:
            out.journals += 1
    courier.close()
    out.waiting = spool.waiting(folder)
    return out
