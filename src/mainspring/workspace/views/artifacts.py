"""Gather the files that a run keeps."""

from __future__ import annotations

from mainspring.experiments import artifacts, runs
from mainspring.experiments.artifacts import Artifact
from mainspring.ground.errors import TooLargeError
from mainspring.ground.objects import Record
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.workspace.opening import Workspace
from mainspring.workspace.tracking.catching_up import caught_up

MOST_FILES = 100_000
MOST_BYTES = 64 << 20  #: of a file that is answered in JSON


class Content(Record, frozen=True, kw_only=True):
    """One file with its bytes."""

    path: str
    digest: str
    size: int
    data: bytes  #: base64 in JSON


def artifact_list(ws: Workspace, run: str) -> list[Artifact]:
    """Return every file of a run, by path.

    Raises:
        NotFoundError: if there is no such run.
    """

    def work(tx: Tx) -> list[Artifact]:
        runs.get(tx, run)
        return artifacts.every(tx, run, MOST_FILES)

    return caught_up(ws).read(Permission.READ, work)


def artifact_content(ws: Workspace, run: str, path: str) -> Content:
    """Return one file of a run.

    Raises:
        NotFoundError: if there is no such run or file.
        TooLargeError: if it is above 64 MB.
        DamagedError: if what is kept is not what was.
    """

    def work(tx: Tx) -> Artifact:
        runs.get(tx, run)
        return artifacts.get(tx, run, path)

    found = caught_up(ws).read(Permission.READ, work)
    if found.size > MOST_BYTES:
        raise TooLargeError(
            f"{path[:100]} has {found.size:,} bytes; at most {MOST_BYTES:,} are read at once.",
            field="path",
        )
    data = ws.objects.get(found.digest)
    return Content(path=found.path, digest=found.digest, size=found.size, data=data)
