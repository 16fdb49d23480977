"""Make a wheel of Mainspring as it is installed here, so that an image has the very same code.

It is what ``hatchling`` builds of the same sources: one pure package, its metadata and its
command. Files have no times and stand in order, so the same code gives the same bytes.
"""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from importlib import metadata
from pathlib import Path

from mainspring.ground.version import __version__

NAME = f"mainspring-{__version__}-py3-none-any.whl"
_PACKAGE = Path(__file__).resolve().parents[2]
_INFO = f"mainspring-{__version__}.dist-info"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the first moment that an archive can tell


def wheel() -> bytes:
    """Return the wheel's bytes."""
    files = {f"mainspring/{path}": data for path, data in _sources().items()}
    files[f"{_INFO}/METADATA"] = _metadata().encode()
    files[f"{_INFO}/WHEEL"] = (
        b"Wheel-Version: 1.0\nGenerator: mainspring\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    )
    files[f"{_INFO}/entry_points.txt"] = (
        b"[console_scripts]\nmainspring = mainspring.cli.start:main\n"
    )
    record = [f"{path},sha256={_digest(data)},{len(data)}" for path, data in files.items()]
    files[f"{_INFO}/RECORD"] = "\n".join([*record, f"{_INFO}/RECORD,,\n"]).encode()
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in files.items():
            info = zipfile.ZipInfo(path, _EPOCH)
            info.external_attr = 0o100644 << 16
            archive.writestr(info, data, zipfile.ZIP_DEFLATED)
    return held.getvalue()


def _sources() -> dict[str, bytes]:
    found = {}
    for file in sorted(_PACKAGE.rglob("*")):
        path = file.relative_to(_PACKAGE)
        hidden = any(part.startswith(".") or part == "__pycache__" for part in path.parts)
        if file.is_file() and not hidden and file.suffix != ".pyc":
            found[path.as_posix()] = file.read_bytes()
    return found


def _metadata() -> str:
    """Return what the installed distribution tells of itself, if it is of this version."""
    try:
        told = metadata.distribution("mainspring")
    except metadata.PackageNotFoundError:
        told = None
    text = None if told is None or told.version != __version__ else told.read_text("METADATA")
    return text or f"Metadata-Version: 2.1\nName: mainspring\nVersion: {__version__}\n"


def _digest(data: bytes) -> str:
    whole = base64.urlsafe_b64encode(hashlib.sha256(data).digest())
    return whole.decode().rstrip("=")
