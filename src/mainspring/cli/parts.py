"""What a version is made of: its SBOM, and what is known against its packages."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from mainspring.cli import render
from mainspring.cli.models import VersionRef, reference
from mainspring.cli.options import HERE, Everywhere
from mainspring.cli.remote import Local, Remote, asking, call
from mainspring.ground.clock import SystemClock
from mainspring.ground.errors import BadInputError
from mainspring.ground.identity import sha256

if TYPE_CHECKING:
    from rich.console import Console

_ACCEPTED_S = 90 * 86_400.0  #: a flaw that was accepted without a date counts again after that


def sbom(
    version: VersionRef,
    /,
    *,
    out: Annotated[
        Path | None, Parameter(help="Write it into this file instead of printing it.")
    ] = None,
    options: Everywhere = HERE,
) -> None:
    """Write down what a version is made of, as CycloneDX 1.6: packages, files, model, data.

    The packages are those that were installed where it was trained, with their licences where
    they are known. That it was written is kept as evidence.
    """
    model, number = reference(version)
    found = call(options, "proofs.sbom", model=model, number=number)
    text = json.dumps(found["document"], indent=2, ensure_ascii=False)
    if out is not None:
        out.write_text(text + "\n", "utf-8")
        render.said(options, found["evidence"], f"{found['evidence']['found']}: {out}")
        return
    render.answer(options, found["document"], lambda console: console.out(text))


def audit_packages(
    version: VersionRef,
    /,
    *,
    advisories: Annotated[Path, Parameter(help="OSV records on this machine: JSON, or a zip.")],
    least: Annotated[
        str, Parameter(help="What is less grave does not count: low, moderate, high, critical.")
    ] = "high",
    accept: Annotated[
        list[str] | None,
        Parameter(negative=(), help="A flaw that may stay, as ID=REASON or ID@DATE=REASON."),
    ] = None,
    options: Everywhere = HERE,
) -> int:
    """Match the packages of a version against advisories. Exit code 1 if one counts.

    Only the file is read; nothing is asked of any network. A flaw that is accepted without a date
    counts again after 90 days. What came of it is kept as evidence.
    """
    if not advisories.is_file():
        raise BadInputError(f"There is no file {advisories}.", field="advisories")
    model, number = reference(version)
    accepted = dict(_accepted(one) for one in accept or [])
    with asking(options) as house:
        digest = _kept(house, advisories)
        asked = {"model": model, "number": number, "file": digest, "least": least}
        found = house.call("proofs.audit", **asked, accepted=accepted)

    def draw(out: Console) -> None:
        out.print(render.plain(found["found"]))
        counted = set(found["detail"]["counted"])
        for one in found["detail"]["known"]:
            mark = "bad" if one["id"] in counted else "-"
            told = f"{one['package']} {one['version']}  {one['id']} ({one['severity']})"
            out.print(render.plain(f"  {mark:<4} {told}: {one['summary']}"))
        out.print(render.plain(found["id"]))

    render.answer(options, found, draw)
    return 0 if found["passed"] else 1


def _kept(house: Local | Remote, file: Path) -> str:
    if isinstance(house, Local):
        return house.workspace.objects.put_file(file)
    digest = sha256(file.read_bytes())
    house.send("objects.put", file, digest=digest)
    return digest


def _accepted(text: str) -> tuple[str, dict[str, Any]]:
    named, equals, reason = text.partition("=")
    name, _, day = named.partition("@")
    if not equals or not name or not reason.strip():
        raise BadInputError(
            f"A flaw is accepted as ID=REASON or ID@DATE=REASON, found {text[:200]!r}.",
            field="accept",
        )
    if not day:
        return name, {"reason": reason, "until": SystemClock().now() + _ACCEPTED_S}
    try:
        until = datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()
    except ValueError as error:
        raise BadInputError(f"{day[:80]!r} is no date.", field="accept") from error
    return name, {"reason": reason, "until": until}
