"""Build an image from a folder with buildah, podman or docker, whichever is there.

Nothing here needs a daemon but docker's own way. The configuration of pip and certificates are
handed to the build as secrets: the tool mounts them, and no layer has them.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from mainspring.ground.errors import BadInputError, MainspringError, NotFoundError
from mainspring.workspace.packaging import folders, registries
from mainspring.workspace.packaging.settling import said, settle

TOOLS = ("buildah", "podman", "docker")
Tell = Callable[[str], None]


class Built(msgspec.Struct, frozen=True, kw_only=True):
    """An image that was built."""

    image: str  #: its name
    id: str
    tool: str
    bytes: int  #: as the tool counts them
    pushed: str | None = None  #: its name in a registry, with the digest it has there


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
    it, so that the same folder on the same base gives the same image, bit by bit; docker's own
    builder gives other times to what it lays down, so its images only hold the same.

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
    if tool != "docker":
        settle(tag)
    told = json.loads(said(_asker(tool), "image", "inspect", tag))
    one = told[0]
    return Built(image=tag, id=one["Id"].removeprefix("sha256:"), tool=tool, bytes=one["Size"])


def push(tag: str, name: str, tool: str, tell: Tell = lambda _: None) -> str:
    """Push an image to a registry and return the digest it has there: ``sha256:...``.

    The tool shows what it was logged in with. A registry of this machine's own loopback is
    spoken to without TLS.

    Raises:
        MainspringError: if the tool or the registry refuses, with its words.
    """
    tell(f"pushing {tag} to {name}")
    host = registries.named(name).host
    if tool == "docker":
        said(tool, "tag", tag, name)
        said(tool, "push", "--quiet", name)
    else:
        # docker's format: OCI's has no health check.
        own = ["--format=v2s2", f"--tls-verify={str(not registries.is_loopback(host)).lower()}"]
        said(tool, "push", "--quiet", *own, tag, f"docker://{name}")
    return registries.digest(name)


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


def _secrets(environ: Mapping[str, str]) -> dict[str, Path]:
    """Return what this machine's pip knows that the build must: its configuration, authorities."""
    home = Path(environ.get("HOME", "/root"))
    configs = [environ.get("PIP_CONFIG_FILE", ""), str(home / ".config/pip/pip.conf")]
    configs += [str(home / ".pip/pip.conf"), "/etc/pip.conf"]
    found = {"pip": next((Path(one) for one in configs if one and Path(one).is_file()), None)}
    certificates = environ.get("PIP_CERT") or environ.get("SSL_CERT_FILE")
    found["certificates"] = Path(certificates) if certificates else None
    return {name: path for name, path in found.items() if path is not None and path.is_file()}
