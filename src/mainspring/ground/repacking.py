"""Make a wheel again of a package as it is installed, so that it can be installed elsewhere.

What no index has, such as a package installed from a folder or a file, is known by what lies in
``site-packages``: its ``RECORD`` names every file. Packed again, the same files give the same
bytes. Programs are made anew by whoever installs it, from its entry points.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from mainspring.ground.errors import BadInputError

MAX_BYTES = 50_000_000  #: of the files of one package
_MOMENT = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can say
_OF_AN_INSTALLATION = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json")


def info_of(name: str) -> Path | None:
    """Return the ``.dist-info`` folder of an installed distribution, by its lower-case name."""
    for place in sys.path:
        for entry in Path(place or ".").glob("*.dist-info"):
            known = entry.name.removesuffix(".dist-info").rpartition("-")[0]
            if known.lower().replace("_", "-") == name:
                return entry
    return None


def wheel(info: Path) -> tuple[str, bytes]:
    """Return the name and the bytes of a wheel of what is installed.

    Raises:
        BadInputError: if files of it are missing, lie elsewhere, or are too large; naming one.
    """
    import zipfile

    files = dict(sorted(_files(info)))
    if sum(len(data) for data in files.values()) > MAX_BYTES:
        raise BadInputError(f"its files are larger than {MAX_BYTES // 1_000_000} MB", field="env")
    folder = info.name
    rows = io.StringIO(newline="")
    table = csv.writer(rows, lineterminator="\n")
    for path, data in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        table.writerow([path, f"sha256={digest}", len(data)])
    table.writerow([f"{folder}/RECORD", "", ""])
    files[f"{folder}/RECORD"] = rows.getvalue().encode()
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as out:
        for path, data in files.items():
            out.writestr(zipfile.ZipInfo(path, _MOMENT), data, zipfile.ZIP_DEFLATED)
    return f"{folder.removesuffix('.dist-info')}-{_tag(info)}.whl", held.getvalue()


def _files(info: Path) -> Iterator[tuple[str, bytes]]:
    place = info.parent
    for path in paths(info):
        parts = PurePosixPath(path).parts
        if "__pycache__" in parts or path.endswith(".pyc"):
            continue
        if parts[0] == info.name and parts[-1] in _OF_AN_INSTALLATION:
            continue
        if ".." in parts or path.startswith("/"):
            if "bin" in parts or "Scripts" in parts:
                continue
            raise BadInputError(f"it has {path} outside of {place.name}", field="env")
        try:
            yield path, (place / path).read_bytes()
        except OSError as error:
            raise BadInputError(f"its file {path} is missing", field="env") from error


def paths(info: Path) -> list[str]:
    """Return the files of an installed distribution, as its RECORD names them.

    Raises:
        BadInputError: if it has no such list.
    """
    try:
        text = (info / "RECORD").read_text("utf-8")
    except OSError as error:
        raise BadInputError("it has no list of its files", field="env") from error
    return [row[0] for row in csv.reader(text.splitlines()) if row and row[0]]


def _tag(info: Path) -> str:
    """Return for which Python and machine it is, as the name of its wheel said."""
    try:
        lines = (info / "WHEEL").read_text("utf-8").splitlines()
    except OSError:
        lines = []
    tags = [line.partition(":")[2].strip() for line in lines if line.startswith("Tag:")]
    return tags[0] if tags else "py3-none-any"
