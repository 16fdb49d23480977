"""Unpack a tar archive that somebody else may have made: files and folders within one place.

Python's own ``filter="data"`` came with 3.11.4, and we run on every 3.11.
"""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path, PurePosixPath

from mainspring.ground.errors import DamagedError


def unpack(tar: tarfile.TarFile, place: Path) -> None:
    """Write the files and folders of an archive below ``place``.

    Raises:
        DamagedError: for a link, a device, or a name that leads out of the place; then what stood
            before it in the archive is written already.
    """
    for member in tar:
        inside = PurePosixPath(member.name)
        if inside.is_absolute() or ".." in inside.parts or "\0" in member.name:
            raise DamagedError(f"The archive names {member.name!r}, which leads out of its place.")
        target = place / inside
        if member.isdir():
            target.mkdir(parents=True, exist_ok=True)
            continue
        content = tar.extractfile(member) if member.isreg() else None
        if content is None:
            raise DamagedError(f"The archive holds {member.name!r}, which is no plain file.")
        target.parent.mkdir(parents=True, exist_ok=True)
        with content, target.open("wb") as file:
            shutil.copyfileobj(content, file)
        target.chmod(0o755 if member.mode & 0o100 else 0o644)
