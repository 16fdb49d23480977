"""Build an image from a folder with buildah, podman or docker, whichever is there.

Nothing here needs a daemon but docker's own way. The configuration of pip and certificates are
handed to the build as secrets: the tool mounts them, and no layer has them.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from mainspring.ground.errors import BadInputError, MainspringError, NotFoundError
from mainspring.ground.identity import sha256_file
from mainspring.pipelines.packaging import pins, wheel
from mainspring.workspace.packaging import folders

TOOLS = ("buildah", "podman", "docker")
Tell = Callable[[str], None]

#: What wheels may be made for: C libraries as old as that of every base with this Python.
_GLIBC = ("2_17", "2_24", "2_26", "2_27", "2_28")


class Built(msgspec.Struct, frozen=True, kw_only=True):
    """An image that was built."""

    image: str  #: its name
    id: str
    tool: str
    bytes: int  #: as the tool counts them


def find_tool(asked: str | None = None) -> str:
    """Return the tool that builds: the one that is asked for, else the first that is there.

    Raises:
        BadInputError: if there is no tool of that name.
        NotFoundError: if none is installed.
    """
    if asked is not None and asked not in TOOLS:
        raise BadInputError(
            f"--tool is {', '.join(TOOLS[:-1])} or {TOOLS[-1]}, found {asked[:40]!r}.",
            field="tool",
        )
    for one in (asked,) if asked else TOOLS:
        if shutil.which(one):
            return one
    raise NotFoundError(
        f"There is no {asked or 'buildah, podman or docker'} here to build an image with.",
        field="tool",
        hint="apt-get install --no-install-recommends buildah podman runc fuse-overlayfs",
    )


def build(
    folder: Path,
    tag: str,
    created: float,
    *,
    tool: str,
    more: Sequence[str] = (),
    tell: Tell = lambda _: None,
) -> Built:
    """Build the image of a folder and return what it is; ``tell`` gets each line of the tool.

    ``more`` are options of the tool's own. The image and its files bear the time of what is in
    it, so that the same folder on the same base gives the same image.

    Raises:
        MainspringError: if the tool fails, with its last lines.
    """
    command = command_of(folder, tag, created, tool=tool, more=more, secrets=_secrets(os.environ))
    environ = {**os.environ, "DOCKER_BUILDKIT": "1"}
    last: list[str] = []
    with subprocess.Popen(  # noqa: S603  the words are ours, and no shell reads them
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environ,
        text=True,
        errors="replace",
    ) as running:
        for line in running.stdout or ():
            tell(line.rstrip("\n"))
            last = [*last[-14:], line.rstrip("\n")]
    if running.returncode != 0:
        shown = "\n".join(last)
        raise MainspringError(
            f"{tool} ended with {running.returncode}:\n{shown}",
            hint=f"The folder is {folder}; {' '.join(command)}",
        )
    told = json.loads(_said([_asker(tool), "image", "inspect", tag]))
    one = told[0]
    return Built(image=tag, id=one["Id"].removeprefix("sha256:"), tool=tool, bytes=one["Size"])


def command_of(
    folder: Path,
    tag: str,
    created: float,
    *,
    tool: str,
    more: Sequence[str] = (),
    secrets: Mapping[str, Path] | None = None,
) -> list[str]:
    """Return the command by which a tool builds a folder."""
    handed = [f"--secret=id={name},src={path}" for name, path in (secrets or {}).items()]
    at = int(created)
    if tool == "docker":
        own = ["--build-arg", f"SOURCE_DATE_EPOCH={at}"]
    else:
        # HEALTHCHECK is of docker's format. chroot asks for no rights that a container has not.
        own = ["--format=docker", "--isolation=chroot", f"--timestamp={at}", "--pull=false"]
        own += ["--layers=false", "--network=host"]  # of its own chroot has none
    file = str(folder / folders.MARK)
    return [tool, "build", *own, *handed, *more, "-t", tag, "-f", file, str(folder)]


def _asker(tool: str) -> str:
    """Return who tells of images: buildah has no words for it that podman has not."""
    return "podman" if tool == "buildah" and shutil.which("podman") else tool


def _said(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode != 0:
        raise MainspringError(f"{' '.join(command)} failed: {done.stderr.strip()[-500:]}")
    return done.stdout


def _secrets(environ: Mapping[str, str]) -> dict[str, Path]:
    """Return what this machine's pip knows that the build must: its configuration, authorities."""
    home = Path(environ.get("HOME", "/root"))
    configs = [environ.get("PIP_CONFIG_FILE", ""), str(home / ".config/pip/pip.conf")]
    configs += [str(home / ".pip/pip.conf"), "/etc/pip.conf"]
    found = {"pip": next((Path(one) for one in configs if one and Path(one).is_file()), None)}
    certificates = environ.get("PIP_CERT") or environ.get("SSL_CERT_FILE")
    found["certificates"] = Path(certificates) if certificates else None
    return {name: path for name, path in found.items() if path is not None and path.is_file()}


# ---------------------------------------------------------------- without a network


def fetch(files: Mapping[str, bytes], folder: Path, python: str, tell: Tell) -> None:
    """Put every wheel that ``requirements.txt`` names into ``folder``, and its hash there.

    They are taken for Linux on this machine's processor and the Python of the image, by pip as it
    is configured here, so that the image builds without a network.

    Raises:
        MainspringError: if pip cannot have one of them, with its last lines.
    """
    machine = platform.machine()
    known = [f"manylinux_{one}_{machine}" for one in _GLIBC] + [f"manylinux2014_{machine}"]
    wheels = folder / "wheels"
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:"]
    command += ["--python-version", python, "--implementation", "cp", "--dest", str(wheels)]
    command += [f"--platform={one}" for one in known]
    command += ["--progress-bar", "off", "--requirement", str(folder / "requirements.txt")]
    done = subprocess.Popen(  # noqa: S603
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    )
    with done:
        last = ""
        for line in done.stdout or ():
            if line.startswith("Saved "):
                tell(Path(line.strip()).name)
            last = line.strip() or last
    if done.returncode != 0:
        raise MainspringError(
            f"pip cannot fetch the wheels: {last}",
            hint="It runs as this Python's own (python -m pip), with its configuration.",
        )
    hashes = dict(_hashes(wheels))
    named = dict(_pins(files["requirements.txt"].decode()))
    (folder / "requirements.txt").write_text(pins.lines(named, hashes), "utf-8")
    (folder / folders.COMPLETE).touch()


def _hashes(wheels: Path) -> Iterator[tuple[tuple[str, str], frozenset[str]]]:
    for file in wheels.glob("*.whl"):
        if file.name != wheel.NAME:
            name, version = file.name.split("-")[:2]
            yield (pins.normal(name), version), frozenset({f"sha256:{sha256_file(file)}"})


def _pins(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        name, _, rest = line.partition("==")
        yield name, rest.split()[0]
