"""Where DVC keeps bytes: its cache and its remotes, laid out as by DVC 3 or as before it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol

from mainspring.ground.errors import BadInputError, DamagedError, NotFoundError, UnavailableError
from mainspring.workspace.from_dvc.pointers import config

_PIECE = 1 << 20


class Place(Protocol):
    """Somewhere that has bytes by path."""

    name: str

    def pieces(self, path: str) -> Iterator[bytes] | None:
        """Return a file piece by piece; None if it is not there."""
        ...


class FolderPlace:
    """A cache, or a remote that is a folder."""

    def __init__(self, root: Path) -> None:
        self._root, self.name = root, str(root)

    def pieces(self, path: str) -> Iterator[bytes] | None:
        """Return a file piece by piece."""
        file = self._root / path
        return _of_file(file) if file.is_file() else None


class BucketPlace:
    """A remote in a bucket of S3."""

    def __init__(self, url: str) -> None:
        from mainspring.backends.objects.s3 import open_bucket

        self.name = url.partition("?")[0]
        self._store: Any = open_bucket(url)[1]

    def pieces(self, path: str) -> Iterator[bytes] | None:
        """Return a file piece by piece."""
        import obstore
        from obstore.exceptions import BaseError
        from obstore.exceptions import NotFoundError as MissingError

        try:
            answer = obstore.get(self._store, path)
        except (MissingError, FileNotFoundError):
            return None
        except BaseError as error:
            raise UnavailableError(f"{self.name} does not answer: {error}") from error
        return (bytes(piece) for piece in answer.stream(min_chunk_size=_PIECE))


def places(root: Path, remote: str | None) -> list[Place]:
    """Return where to look: what was named, else the cache and then the default remote.

    ``remote`` is a folder, ``s3://bucket/prefix``, or the name of a remote of the repository.

    Raises:
        BadInputError: for a remote of another kind.
    """
    held = config(root)
    if remote is not None:
        section = _section(remote)
        named = held.get(section, "url", fallback=None)
        return [_place(root, held, section, named if named is not None else remote, named is None)]
    cache = held.get("cache", "dir", fallback="")
    found: list[Place] = [
        FolderPlace((root / ".dvc" / cache).resolve() if cache else root / ".dvc" / "cache")
    ]
    default = held.get("core", "remote", fallback="")
    url = held.get(_section(default), "url", fallback=None) if default else None
    if url is not None:
        found.append(_place(root, held, _section(default), url, False))
    return found


def write(md5: str, legacy: bool, places: Iterable[Place], target: Path) -> None:
    """Write the file of an md5, verified while it is read.

    Raises:
        NotFoundError: if it is in none of the places.
        DamagedError: if its bytes have another md5.
    """
    bare = md5.removesuffix(".dir")
    names = [f"files/md5/{md5[:2]}/{md5[2:]}", f"{md5[:2]}/{md5[2:]}"]
    tried = list(places)
    for place in tried:
        for name in names if not legacy else reversed(names):
            pieces = place.pieces(name)
            if pieces is None:
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            plain, unix = hashlib.md5(usedforsecurity=False), _Unix()
            with target.open("wb") as file:
                for piece in pieces:
                    file.write(piece)
                    plain.update(piece)
                    unix.update(piece)
            # DVC before 3 took a text file's md5 with the line ends of Unix.
            accepted = {plain.hexdigest(), unix.hexdigest()} if legacy else {plain.hexdigest()}
            if bare not in accepted:
                raise DamagedError(f"{name} of {place.name} does not have its md5.")
            return
    told = " and ".join(one.name for one in tried)
    raise NotFoundError(
        f"The bytes of md5 {md5} are not in {told}.",
        field="path",
        hint="Fetch them: dvc fetch --all-commits, or name a remote that has them: --remote.",
    )


class _Unix:
    """The md5 of bytes with the line ends of Unix, taken piece by piece."""

    def __init__(self) -> None:
        self._found, self._held = hashlib.md5(usedforsecurity=False), b""

    def update(self, piece: bytes) -> None:
        whole = self._held + piece
        self._held = b"\r" if whole.endswith(b"\r") else b""  # its \n may be in the next piece
        self._found.update((whole[:-1] if self._held else whole).replace(b"\r\n", b"\n"))

    def hexdigest(self) -> str:
        end = self._found.copy()
        end.update(self._held)
        return end.hexdigest()


def _place(root: Path, held: Any, section: str, url: str, given: bool) -> Place:
    """Return a place; a path of the configuration begins at the folder that holds it."""
    if url.startswith("s3://"):
        more = {
            "endpoint": held.get(section, "endpointurl", fallback=""),
            "region": held.get(section, "region", fallback=""),
        }
        query = "&".join(f"{name}={value}" for name, value in more.items() if value)
        return BucketPlace(f"{url}?{query}" if query and "?" not in url else url)
    if "://" in url:
        raise BadInputError(
            f"Remotes that are a folder or s3:// are read, not {url[:80]}.",
            field="remote",
            hint="Fetch into the cache first: dvc fetch --all-commits",
        )
    path = Path(url).expanduser()
    if given and not path.is_dir():
        raise BadInputError(
            f"There is no folder {url[:200]}, and no remote of that name.", field="remote"
        )
    return FolderPlace(path.resolve() if given else (root / ".dvc" / path).resolve())


def _section(name: str) -> str:
    return f"'remote \"{name}\"'"


def _of_file(file: Path) -> Iterator[bytes]:
    with file.open("rb") as handle:
        while piece := handle.read(_PIECE):
            yield piece
