"""Find the runs that steps of a run started in a home's file, though its database may fail."""

from __future__ import annotations

from pathlib import Path

from mainspring.backends.peeking import texts
from mainspring.ground.settings import Settings

_MOST = 100  #: runs
_BELOW = """
with recursive below(id, cause, deep) as (
    select id, cause, 1 from runs where parent = ? and cause like 'step:%'
    union all
    select runs.id, runs.cause, deep + 1 from runs join below on runs.parent = below.id
    where runs.cause like 'step:%' and deep < 8
)
select id || ' ' || cause from below order by deep limit ?
"""


def places(settings: Settings, run: str) -> dict[str, str]:
    """Return what stands before the names of the steps of each run that steps of a run started.

    Only of a home on SQLite; a file that cannot be read has none.
    """
    found = {run: ""}
    file = Path(settings.home) / "mainspring.db"
    for one in texts(file, _BELOW, (run, str(_MOST))):
        child, _, cause = one.partition(" ")
        _, above, step = cause.split(":", 2)
        found[child] = f"{found.get(above, '')}{step}/"
    return found
