"""Images: write what one is built from, build it, serve a packaged folder without a home."""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter

from mainspring.cli import attested, render
from mainspring.cli.busy import busy
from mainspring.cli.options import HERE, Everywhere
from mainspring.cli.remote import asking
from mainspring.ground.errors import BadInputError

_VERSION = re.compile(r"(?P<model>[^/@]+)(?:/(?P<number>\d+)|@(?P<alias>.+))")


def package(
    what: Annotated[
        str, Parameter(help="MODEL@ALIAS, MODEL/NUMBER, or a pipeline of the project.")
    ],
    /,
    *,
    out: Annotated[
        Path | None, Parameter(help="The build folder; default: image-NAME here.")
    ] = None,
    base: Annotated[
        str | None,
        Parameter(help="The image to build upon; its digest is found, or NAME@sha256:DIGEST."),
    ] = None,
    unpinned: Annotated[bool, Parameter(negative=(), help="Ask nobody for digests.")] = False,
    offline: Annotated[
        bool,
        Parameter(negative=(), help="Fetch all wheels now, so that it builds without a network."),
    ] = False,
    build: Annotated[bool, Parameter(negative=(), help="Build the image as well.")] = False,
    tag: Annotated[
        str | None, Parameter(help="Its name; default: localhost/mainspring/...")
    ] = None,
    tool: Annotated[
        str | None, Parameter(help="buildah, podman or docker; default: the first that is there.")
    ] = None,
    tool_option: Annotated[
        list[str] | None,
        Parameter(negative=(), help="An option that the tool's build is given; may be repeated."),
    ] = None,
    push: Annotated[str | None, Parameter(help="Build, then push as REGISTRY/NAME:TAG.")] = None,
    artifact: Annotated[
        Path | None,
        Parameter(help="Write the version as a model.tar.gz for /opt/ml/model instead."),
    ] = None,
    options: Everywhere = HERE,
) -> None:
    """Write the folder that an image of a version or a pipeline is built from; build it too.

    The same version always gives the same folder. Nothing of the home but the version's own files
    goes into it: no rows, no secrets. The base and each wheel are named by digest: what the locks
    do not know is asked of the images that are here, the base's registry, and pip's index. Who
    made it, and of what, is signed with the home's key: provenance.dsse.json.
    """
    if artifact is not None:
        _artifact(what, artifact, options)
        return
    from mainspring.workspace.packaging import building, digests, folders, telling, wheels

    if build or push:
        tool = building.find_tool(tool)  # before anything is written
    folder = out or Path(f"image-{re.sub(r'[^A-Za-z0-9._-]+', '-', what)}")
    with _told(options) as tell:
        files, found = _asked(what, base, options)
        if not (found["pinned"] or unpinned):
            tools = [tool] if tool else building.TOOLS
            pinned = digests.pinned(found["base"], tools, pull=bool(build or push), tell=tell)
            files, found = _asked(what, pinned, options)
        if not (found["hashed"] or offline or unpinned):
            files = wheels.hashed(files, found["python"], tell)
        folders.write(files, folder)
        if offline:
            files = wheels.fetch(files, folder, found["python"], tell)
        found |= {"folder": str(folder), **telling.read_back(files), "built": None}
        found["signed"] = attested.signed(_meant(what), folder, found["base"], options, tell)
        if (build or push) and tool is not None:
            found["built"] = _built(folder, found, tag, tool, tool_option, push, tell)
    render.said(options, found, *_words(found))


def _meant(what: str) -> dict[str, str]:
    """Return whether a version or a pipeline is meant, as a field of what is asked for."""
    return {"reference" if _VERSION.fullmatch(what) else "pipeline": what}


def _asked(
    what: str, base: str | None, options: Everywhere
) -> tuple[dict[str, bytes], dict[str, Any]]:
    """Return the files of a build folder, and what it is."""
    from mainspring.workspace.packaging import folders, telling

    meant = _meant(what)
    named = "reference" in meant
    asked: dict[str, Any] = {**meant, "base": base} if base else dict(meant)
    with asking(options, create=not named) as house, busy(options, f"gathering {what}"):
        data = house.call("images.model" if named else "images.pipeline", **asked)
    files = folders.unpacked(data)
    return files, telling.read_back(files)


def _artifact(what: str, file: Path, options: Everywhere) -> None:
    with asking(options) as house, busy(options, f"packing {what}"):
        data: bytes = house.call("images.artifact", reference=what)
    file.write_bytes(data)
    told = {"artifact": str(file), "bytes": len(data)}
    render.said(options, told, f"{what} is in {file} ({render.size(len(data))}).")


def _built(
    folder: Path,
    found: dict[str, Any],
    tag: str | None,
    tool: str,
    more: list[str] | None,
    push: str | None,
    tell: Callable[[str], None],
) -> dict[str, Any]:
    """Build the image of a folder, push it if asked, and return what it is."""
    from mainspring.workspace.packaging import building

    name = tag or found["tag"]
    done = building.build(folder, name, found["created"], tool=tool, more=more or (), tell=tell)
    if push:
        pushed = f"{push}@{building.push(name, push, tool, tell)}"
        done = msgspec.structs.replace(done, pushed=pushed)
    told: dict[str, Any] = msgspec.to_builtins(done)
    return told


def _told(options: Everywhere) -> AbstractContextManager[Callable[[str], None]]:
    """Return what shows lines of progress: on a terminal and elsewhere, but not beside JSON."""
    if options.json:
        return nullcontext(lambda _: None)
    return nullcontext(lambda line: print(render.plain(line), file=sys.stderr, flush=True))  # noqa: T201


def _words(found: dict[str, Any]) -> list[str]:
    lines = [f"{found['title']}: {found['folder']} holds what its image is built from."]
    if not found["pinned"]:
        lines.append(
            f"{found['base']} is not pinned: its digest is not known. --base NAME@sha256:DIGEST"
        )
    if not found["hashed"]:
        lines.append("Its wheels are named by version alone, without hashes.")
    signed = found["signed"]
    told = f"by {signed[:19]}" if signed else "by nobody: it takes the role of a contributor"
    lines.append(f"provenance.dsse.json is signed {told}." if signed else f"Signed {told}.")
    built = found["built"]
    if built is None:
        lines.append(f"Build it: see {found['folder']}/README.md, or --build")
    else:
        size = render.size(built["bytes"])
        lines.append(f"{built['image']} is built by {built['tool']}: {built['id'][:12]}, {size}")
        lines += [f"It is pushed: {built['pushed']}"] if built["pushed"] else []
    return lines


def serve_package(
    folder: Annotated[Path, Parameter(help="What package wrote, or an unpacked model.tar.gz.")],
    /,
    *,
    host: Annotated[str, Parameter(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, Parameter(help="Where it answers; 0 takes a free one.")] = 8080,
    record: Annotated[
        str, Parameter(help="What becomes of rows and answers: no, or stdout as lines of JSON.")
    ] = "no",
    token_file: Annotated[
        Path | None, Parameter(help="A file with the token that callers must show.")
    ] = None,
    options: Everywhere = HERE,
) -> None:
    """Serve a packaged version from its folder, without a home, as its image does.

    Beyond loopback it asks for a token file.
    """
    from mainspring.scaling.serving import packaged

    if host not in packaged.LOOPBACK and token_file is None:
        raise BadInputError(
            f"{host} can be reached by others, and nobody would be asked who they are.",
            field="host",
            hint="Name a file with a token, --token-file, or listen on 127.0.0.1.",
        )
    inner = folder / "model"
    place = inner if (inner / packaged.VERSION).is_file() else folder
    token = token_file.read_text("utf-8").strip() if token_file else None
    if token == "":
        raise BadInputError(f"The token in {token_file} is blank.", field="token_file")
    ready = threading.Event()

    def begun(port: int) -> None:
        ready.set()
        told = {"url": f"http://{host}:{port}", "folder": str(place)}
        render.said(options, told, f"{place} is served at {told['url']}")
        sys.stdout.flush()

    packaged.serve_folder(place, host, port, record=record, token=token, on_ready=begun)
