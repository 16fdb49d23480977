"""Sign a build folder with the home's key; check a folder or an image against what was signed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter

from mainspring.cli import render
from mainspring.cli.options import HERE, Everywhere
from mainspring.cli.remote import asking
from mainspring.ground.errors import BadInputError, NotFoundError, PermissionDeniedError


def signed(
    what: dict[str, str], folder: Path, base: str, options: Everywhere, tell: Callable[[str], None]
) -> str | None:
    """Have the home sign a build folder; return the name of its key, None if it may not."""
    from mainspring.workspace.packaging import attesting

    asked = {
        **what,
        "base": base,
        "files": attesting.digests_of(folder),
        "requirements": (folder / attesting.ASKED).read_text("utf-8"),
    }
    try:
        with asking(options) as house:
            envelope = house.call("images.attest", **asked)
    except PermissionDeniedError as error:
        tell(f"it is not signed: {error.message}")
        return None
    (folder / attesting.FILE).write_bytes(attesting.text_of(envelope))
    return str(envelope["signatures"][0]["keyid"])


def verify(
    what: Annotated[str, Parameter(help="A folder that package wrote, or the name of an image.")],
    /,
    *,
    folder: Annotated[
        Path | None, Parameter(help="Of an image: the folder that it was built from.")
    ] = None,
    key: Annotated[
        Path | None,
        Parameter(help="The public key of who signed it; default: that of this home."),
    ] = None,
    tool: Annotated[
        str | None, Parameter(help="buildah, podman or docker; default: the first that is there.")
    ] = None,
    options: Everywhere = HERE,
) -> int:
    """Check that a build folder, or an image, is what was signed; end with 1 if it is not.

    A folder's files, model and SBOM are compared with its signed provenance; an image's labels,
    commands, files and packages with its folder. For the rest of an image build the folder again:
    the same folder gives the same id.
    """
    from mainspring.workspace.packaging import building, verifying

    if key is not None:
        public = _read(key)
    else:
        with asking(options) as house:
            public = house.call("images.key")["pem"]
    if Path(what).is_dir():
        verdict = verifying.folder(Path(what), public)
    elif folder is None:
        raise BadInputError(
            f"{what[:200]!r} is no folder. Of an image, name the folder that it was built from.",
            field="folder",
            hint=f"mainspring package verify {what[:200]} --folder image-NAME",
        )
    else:
        verdict = verifying.image(what, folder, public, building.find_tool(tool))
    lines = [
        f"{'ok' if one.ok else 'BAD':<4} {one.name:<14} {one.found}" for one in verdict.checks
    ]
    end = "is what was signed" if verdict.ok else "is not what was signed"
    render.said(options, msgspec.to_builtins(verdict), *lines, f"{what} {end}.")
    return 0 if verdict.ok else 1


def key(
    *,
    out: Annotated[Path | None, Parameter(help="Write it into this file as well.")] = None,
    options: Everywhere = HERE,
) -> None:
    """Show the public key that checks what this home signs; give it to who verifies elsewhere."""
    with asking(options) as house:
        told = house.call("images.key")
    if out is not None:
        out.write_text(told["pem"], "ascii")
    render.said(options, told, told["pem"].strip())


def _read(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except FileNotFoundError as error:
        raise NotFoundError(f"There is no key {file}.", field="key") from error
    except UnicodeDecodeError as error:
        raise BadInputError(f"{file} is no public key in PEM.", field="key") from error
