"""Read the files behind an artifact URI: a local folder, or a server's proxy.

Links are not followed: a store that somebody sent must not reach beyond its folder through one.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

import msgspec

from mainspring.ground.errors import BadInputError


class Unread(msgspec.Struct, frozen=True):
    """A file or folder that is not brought, and why."""

    path: str
    why: str


class LocalFile(msgspec.Struct, frozen=True):
    """A file of a folder of this machine."""

    path: str
    size: int
    where: Path

    @contextmanager
    def open(self) -> Iterator[Path]:
        """Give the file as it is."""
        yield self.where


class Folders:
    """Artifacts in folders of this machine.

    ``base`` is where the store itself is: artifacts that were written on another machine are
    looked for beside it. ``proxied`` is the folder a server kept ``mlflow-artifacts:`` in.
    """

    def __init__(self, base: Path | None, proxied: Path | None) -> None:
        self._base = base
        self._proxied = proxied

    def walk(self, uri: str, *beside: str) -> Iterator[LocalFile | Unread]:
        """Go through the files below a URI; ``beside`` is the same place from the base."""
        folder = self._folder(uri, beside)
        if isinstance(folder, Unread):
            yield folder
            return
        # Nothing logged is no folder, which walks as an empty one.
        for here, names, files in os.walk(folder, followlinks=False):
            for name in list(names):
                if (Path(here) / name).is_symlink():
                    names.remove(name)
                    yield Unread(str((Path(here) / name).relative_to(folder)), "it is a link")
            for name in sorted(files):
                where = Path(here) / name
                path = where.relative_to(folder).as_posix()
                found = where.lstat()
                if not stat.S_ISREG(found.st_mode):
                    yield Unread(path, "it is a link or no plain file")
                else:
                    yield LocalFile(path, found.st_size, where)

    def _folder(self, uri: str, beside: tuple[str, ...]) -> Path | Unread:
        split = urlsplit(uri)
        if split.scheme == "mlflow-artifacts":
            if self._proxied is None:
                why = (
                    "a server kept it; name its folder with --artifacts, or import from the server"
                )
                return Unread(uri, why)
            parts = [part for part in unquote(split.path).split("/") if part]
            if ".." in parts:
                return Unread(uri, "it leads out of the folder")
            return self._proxied.joinpath(*parts)
        if split.scheme not in ("", "file"):
            return Unread(uri, f"it is kept at {split.scheme}:, which is not read here")
        folder = Path(unquote(split.path) if split.scheme else uri)
        near = self._base.joinpath(*beside) if self._base is not None and beside else None
        if not folder.is_dir() and near is not None:
            folder = near
        return folder


@contextmanager
def spooled(parts: Iterator[bytes], folder: Path) -> Iterator[Path]:
    """Write bytes that come in parts to a file that is gone in the end."""
    with tempfile.TemporaryDirectory(dir=folder, prefix="import.") as made:
        file = Path(made) / "bytes"
        with file.open("wb") as target:
            for part in parts:
                target.write(part)
        yield file


def local_path(uri: str) -> Path:
    """Return the folder that a file URI or plain path names.

    Raises:
        BadInputError: if there is none.
    """
    path = Path(unquote(urlsplit(uri).path) if uri.startswith("file:") else uri).expanduser()
    if not path.is_dir():
        raise BadInputError(
            f"There is no folder {str(path)!r}.",
            field="uri",
            hint="Give a folder such as ./mlruns, sqlite:///mlflow.db or http://HOST:PORT.",
        )
    return path.resolve()
