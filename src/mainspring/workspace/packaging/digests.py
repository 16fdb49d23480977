"""Find the digest of the image to build upon: from the images that are here, or its registry.

A tag may be moved to another image at any time, a digest cannot. What is here already goes first:
it is what a build would take, and nobody has to be asked.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Sequence

from mainspring.ground.errors import MainspringError, UnavailableError
from mainspring.workspace.packaging import registries
from mainspring.workspace.packaging.registries import DIGEST

Tell = Callable[[str], None]


def pinned(base: str, tools: Sequence[str], *, pull: bool, tell: Tell = lambda _: None) -> str:
    """Return the name of an image with its digest: ``NAME:TAG@sha256:...``.

    ``tools`` are those whose images are looked at; the first of them pulls the image if its
    registry tells us nothing, with what only the tool knows (mirrors, credential helpers), if it
    may ``pull``.

    Raises:
        UnavailableError: if nobody knows the digest, with what the registry said.
    """
    for tool in tools:
        found = here(base, tool)
        if found is not None:
            tell(f"{base} is {found}, as {tool} has it here")
            return f"{base}@{found}"
    try:
        found = registries.digest(base)
    except MainspringError as error:
        found = _pulled(base, tools[0], tell) if pull and tools else None
        if found is None:
            raise UnavailableError(
                f"The digest of {base} is not known: {error.message}",
                field="base",
                hint=f"{f'{error.hint}; or n' if error.hint else 'N'}ame it, --base"
                f" {base}@sha256:DIGEST, or leave it open, --unpinned.",
            ) from error
    tell(f"{base} is {found}, as {registries.named(base).host} says")
    return f"{base}@{found}"


def here(base: str, tool: str) -> str | None:
    """Return the digest by which a tool knows an image that it has; None if it has none.

    docker knows those alone that were pulled or pushed once, by the name they had there.
    """
    if shutil.which(tool) is None:
        return None
    if tool == "buildah":
        told = _said([tool, "inspect", "--type", "image", base])
        return None if told is None else _digest(json.loads(told).get("FromImageDigest"))
    told = _said([tool, "image", "inspect", base])
    if told is None:
        return None
    one = json.loads(told)[0]
    wanted = registries.named(base)
    for known in one.get("RepoDigests") or ():
        name, _, found = known.partition("@")
        named = registries.named(name)
        if (named.host, named.repository) == (wanted.host, wanted.repository):
            return _digest(found)
    return None


def _pulled(base: str, tool: str, tell: Tell) -> str | None:
    tell(f"pulling {base}")
    return None if _said([tool, "pull", base]) is None else here(base, tool)


def _digest(text: object) -> str | None:
    return text if isinstance(text, str) and DIGEST.fullmatch(text) else None


def _said(command: list[str]) -> str | None:
    """Return what a command says; None where it fails: it has no such image, or no daemon."""
    done = subprocess.run(  # noqa: S603  the words are ours, and no shell reads them
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    return done.stdout if done.returncode == 0 else None
