"""Where this process keeps what children read: unpacked models and environments."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath

from mainspring.ground.errors import BadInputError
from mainspring.ground.identity import canonical, sha256

_told: list[Path] = []


def use(cache: Path) -> None:
    """Keep things in this folder from now on; what it holds is named by digest."""
    _told[:] = [cache]


def cache() -> Path:
    """Return the folder: that of :func:`use`, of the home we were started for, or a fresh one."""
    if not _told:
        home = os.environ.get("MAINSPRING_HOME")
        use(Path(home) / "cache" if home else Path(tempfile.mkdtemp(prefix="mainspring-cache-")))
    return _told[0]


def unpacked(files: Mapping[str, str], read: Callable[[str], bytes]) -> Path:
    """Return a folder with these files, digest by path; ``read`` gives the bytes of a path.

    What lies there already is compared with the digests first.

    Raises:
        BadInputError: for a path that leads outside.
    """
    for path in files:
        parts = PurePosixPath(path)
        if parts.is_absolute() or ".." in parts.parts or not parts.parts or "\0" in path:
            raise BadInputError(f"The path {path[:100]!r} leads outside.", field="files")
    folder = cache() / "models" / sha256(canonical(dict(files)))
    if _whole(folder, files):
        return folder
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix="part-", dir=folder.parent))
    for path in files:
        to = part / path
        to.parent.mkdir(parents=True, exist_ok=True)
        to.write_bytes(read(path))
    try:
        part.rename(folder)
    except OSError:
        # Another process was first, or what lies there was altered: aside with it.
        if not _whole(folder, files):
            folder.rename(Path(tempfile.mkdtemp(prefix="bad-", dir=folder.parent)) / "was")
            part.rename(folder)
    return folder


def _whole(folder: Path, files: Mapping[str, str]) -> bool:
    try:
        return all(sha256((folder / path).read_bytes()) == want for path, want in files.items())
    except OSError:
        return False
