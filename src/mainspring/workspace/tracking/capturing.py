"""Take down beside each run what it is made of, and how busy its machine is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mainspring.experiments.capture.watching import Watch

if TYPE_CHECKING:
    from mainspring.workspace.tracking.active import ActiveRun
    from mainspring.workspace.tracking.hooks import Closer


class _Keeper:
    """Lets a watch tell a run what it found."""

    def __init__(self, run: ActiveRun) -> None:
        self._run = run

    def tag(self, values: Mapping[str, str], /) -> None:
        self._run.tag(values)

    def log(self, values: Mapping[str, float], /) -> None:
        self._run.log(values)

    def keep(self, data: bytes, to: str, /) -> None:
        self._run.log_bytes(data, to)


def start(run: ActiveRun) -> Closer | None:
    """Watch over a run that has just begun, unless the setting ``capture`` is off."""
    settings = run.target.settings
    if not settings.capture:
        return None
    watch = Watch(_Keeper(run), params=run.params, apart=[Path(settings.home)])
    watch.start()
    return lambda _status: watch.finish()
