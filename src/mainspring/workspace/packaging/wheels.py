"""Have pip say or fetch the wheels of an image: for its Python, on Linux, on this processor."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from mainspring.ground.errors import UnavailableError
from mainspring.ground.identity import sha256_file
from mainspring.pipelines.packaging import pins, wheel
from mainspring.workspace.packaging import folders

Tell = Callable[[str], None]

#: What wheels may be made for: C libraries as old as that of every base with this Python.
_GLIBC = ("2_17", "2_24", "2_26", "2_27", "2_28")
_REQUIREMENTS = "requirements.txt"
_HINT = "It runs as this Python's own (python -m pip), with its configuration."


def hashed(
    files: Mapping[str, bytes], python: str, tell: Tell = lambda _: None
) -> dict[str, bytes]:
    """Return a build folder whose wheels are named by the hashes that the index tells.

    Only metadata are fetched. The hashes are of the wheels for this machine's processor.

    Raises:
        UnavailableError: if pip cannot find one of them, with its last line.
    """
    tell(f"asking pip's index for hashes of wheels for Python {python}")
    with tempfile.TemporaryDirectory(prefix="mainspring-pins-") as place:
        asked, report = Path(place, _REQUIREMENTS), Path(place, "report.json")
        asked.write_bytes(files[_REQUIREMENTS])
        command = _pip("install", python, asked)
        command += ["--dry-run", "--ignore-installed", "--report", str(report)]
        _ran([*command, "--target", str(Path(place, "none"))], "say which wheels there are")
        told = json.loads(report.read_bytes())
    hashes = {
        (pins.normal(one["metadata"]["name"]), one["metadata"]["version"]): frozenset(
            {f"sha256:{one['download_info']['archive_info']['hashes']['sha256']}"}
        )
        for one in told["install"]
    }
    return _with_hashes(files, hashes)


def fetch(
    files: Mapping[str, bytes], folder: Path, python: str, tell: Tell = lambda _: None
) -> dict[str, bytes]:
    """Put every wheel that ``requirements.txt`` names into ``folder``, and its hash there.

    They are taken for Linux on this machine's processor and the Python of the image, by pip as it
    is configured here, so that the image builds without a network. The build folder's own files
    are returned as they are then.

    Raises:
        UnavailableError: if pip cannot have one of them, with its last lines.
    """
    tell(f"fetching wheels for Python {python}")
    wheels = folder / "wheels"
    command = [*_pip("download", python, folder / _REQUIREMENTS), "--dest", str(wheels)]

    def heard(line: str) -> None:
        if line.startswith("Saved "):
            tell(Path(line).name)

    _ran(command, "fetch the wheels", heard)
    done = _with_hashes(files, dict(_hashes(wheels)))
    done[folders.COMPLETE] = b""
    folders.spread({name: done[name] for name in (_REQUIREMENTS, folders.COMPLETE)}, folder)
    return done


def _pip(word: str, python: str, requirements: Path) -> list[str]:
    """Return pip's command for the wheels of an image."""
    machine = platform.machine()
    known = [f"manylinux_{one}_{machine}" for one in _GLIBC] + [f"manylinux2014_{machine}"]
    command = [sys.executable, "-m", "pip", word, "--no-deps", "--only-binary", ":all:"]
    command += ["--disable-pip-version-check", "--progress-bar", "off"]
    command += ["--python-version", python, "--implementation", "cp"]
    command += [f"--platform={one}" for one in known]
    return [*command, "--requirement", str(requirements)]


def _ran(command: list[str], what: str, heard: Tell = lambda _: None) -> None:
    with subprocess.Popen(  # noqa: S603  the words are ours, and no shell reads them
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as done:
        last = ""
        for line in done.stdout or ():
            heard(line.strip())
            last = line.strip() or last
    if done.returncode != 0:
        raise UnavailableError(f"pip cannot {what}: {last}", hint=_HINT)


def _with_hashes(files: Mapping[str, bytes], hashes: pins.Hashes) -> dict[str, bytes]:
    named = pins.versions(files[_REQUIREMENTS].decode())
    strange = [name for name, version in named.items() if (name, version) not in hashes]
    if strange:
        raise UnavailableError(f"pip told no hash of {', '.join(strange)}.", hint=_HINT)
    return {**files, _REQUIREMENTS: pins.lines(named, hashes).encode()}


def _hashes(wheels: Path) -> Iterator[tuple[tuple[str, str], frozenset[str]]]:
    for file in wheels.glob("*.whl"):
        if file.name != wheel.NAME:
            name, version = file.name.split("-")[:2]
            yield (pins.normal(name), version), frozenset({f"sha256:{sha256_file(file)}"})
