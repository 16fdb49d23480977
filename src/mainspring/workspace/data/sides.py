"""Places that data versions are pushed to and pulled from: a home, a folder, a bucket."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import msgspec

from mainspring.ground.errors import BadInputError, DamagedError, NotFoundError
from mainspring.ground.identity import canonical
from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Objects
from mainspring.ground.settings import load
from mainspring.pipelines.data import versions
from mainspring.pipelines.data.versions import DataVersion
from mainspring.workspace.opening import Workspace, open_workspace


class Side(Protocol):
    """One end of a push or a pull."""

    objects: Objects

    def names(self) -> list[str]:
        """Return the datasets that are there."""
        ...

    def versions(self, name: str) -> list[DataVersion]:
        """Return the versions of a dataset, the oldest first; none if there are none."""
        ...

    def keep(self, version: DataVersion) -> DataVersion:
        """Keep a version whose objects are there; one of the same content stays as it is."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


class Home:
    """A home of ours."""

    def __init__(self, ws: Workspace, *, close: bool = False) -> None:
        self._ws, self._close = ws, close
        self.objects = ws.objects

    def names(self) -> list[str]:
        """Return the datasets that are there."""
        found = self._ws.read(Permission.READ, versions.names)
        return [one.newest.name for one in found]

    def versions(self, name: str) -> list[DataVersion]:
        """Return the versions of a dataset, the oldest first."""
        try:
            found = self._ws.read(Permission.READ, lambda tx: versions.every(tx, name))
        except NotFoundError:
            return []
        return list(reversed(found))

    def keep(self, version: DataVersion) -> DataVersion:
        """Keep a version, under the next number here unless its content is there."""
        return self._ws.write(Permission.LOG, lambda tx: versions.add_once(tx, version))

    def close(self) -> None:
        """Let go of it, if it was opened for this."""
        if self._close:
            self._ws.close()


class Bare:
    """A folder or a bucket that holds nothing but objects, and a record of each version."""

    def __init__(self, url: str) -> None:
        from mainspring.backends.objects import open_objects, open_records

        self.objects = open_objects(url)
        self._records = open_records(url)

    def names(self) -> list[str]:
        """Return the datasets that are there."""
        return sorted({one.name for one in self._read("data")})

    def versions(self, name: str) -> list[DataVersion]:
        """Return the versions of a dataset, the oldest first."""
        return self._read(f"data/{name}")

    def keep(self, version: DataVersion) -> DataVersion:
        """Keep the record of a version."""
        for known in self.versions(version.name):
            if (known.digest, known.kind) == (version.digest, version.kind):
                return known
        path = f"data/{version.name}/{version.kind}-{version.digest}.json"
        self._records.put(path, canonical(version))
        return version

    def close(self) -> None:
        """There is nothing to let go of."""

    def _read(self, folder: str) -> list[DataVersion]:
        found = []
        for data in self._records.each(folder):
            try:
                found.append(msgspec.json.decode(data, type=DataVersion))
            except msgspec.MsgspecError as error:
                raise DamagedError(f"A record of a data version is damaged: {error}") from error
        return sorted(found, key=lambda one: (one.name, one.number, one.created))


def open_side(remote: str, *, create: bool) -> Side:
    """Open a remote: ``s3://bucket/prefix``, a folder, or the home of another project.

    Raises:
        BadInputError: if it is none of these, or is not there and is not to be made.
    """
    if remote.startswith("s3://"):
        return Bare(remote)
    if "://" in remote and not remote.startswith("file://"):
        raise BadInputError(
            f"A remote is a folder, a home or s3://bucket/prefix, found {remote[:80]!r}.",
            field="remote",
        )
    folder = Path(remote.removeprefix("file://")).expanduser().absolute()
    for home in (folder, folder / ".mainspring"):
        if (home / "mainspring.db").is_file():
            settings = load({"home": str(home)}, start=folder, environ={})
            return Home(open_workspace(settings, create=False), close=True)
    if not create and not folder.is_dir():
        raise BadInputError(f"There is no folder {folder}.", field="remote")
    return Bare(str(folder))
