"""Send what runs logged while their server was away."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mainspring.cli import render
from mainspring.cli.keeping import progress
from mainspring.cli.options import HERE, Everywhere
from mainspring.cli.remote import settings_of
from mainspring.ground.errors import UnavailableError


def sync(*, options: Everywhere = HERE) -> None:
    """Send what waits in this home for servers that were away when it was logged.

    Everything arrives once and in order, however often this is done or breaks off. Runs whose
    process died without ending them are crashed. With --url only what waits for that server
    is sent.
    """
    from mainspring.workspace.tracking.syncing import sync_all

    settings = settings_of(options)
    only = options.url
    with progress(shown=not options.json) as tell:
        found = sync_all(settings, only, lambda at, of: tell("sending", at, of))
    told: dict[str, Any] = {
        "servers": [
            {
                "url": one.url,
                "journals": one.journals,
                "bytes": one.bytes,
                "waiting": one.waiting,
                "troubles": one.troubles,
            }
            for one in found
        ]
    }
    lines = [_line(one) for one in told["servers"]]
    render.said(options, told, *(lines or ["Nothing waits."]))
    bad = [text for one in found for text in one.troubles]
    if bad:
        raise UnavailableError(
            f"Not everything was sent: {bad[0]}",
            hint=f"It is kept in {Path(settings.home) / 'spool'}. Try again: mainspring sync",
        )


def _line(one: dict[str, Any]) -> str:
    sent = f"{one['url']}: sent {one['bytes']:,} bytes of {one['journals']} journals"
    return f"{sent}, {one['waiting']:,} bytes still wait" if one["waiting"] else sent
