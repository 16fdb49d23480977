"""Access: tokens, and the audit log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from mainspring.cli import render
from mainspring.cli.options import HERE, Everywhere
from mainspring.cli.remote import asking, call
from mainspring.ground.durations import seconds

if TYPE_CHECKING:
    from rich.console import Console


def create(
    name: Annotated[str, Parameter(help="What the token is called, such as ci.")],
    /,
    *,
    role: Annotated[
        Literal["trigger", "viewer", "contributor", "approver", "admin"],
        Parameter(help="What its bearer may do."),
    ],
    ttl: Annotated[str | None, Parameter(help="How long it lives, such as 30d.")] = None,
    options: Everywhere = HERE,
) -> None:
    """Make a token; its secret is shown once."""
    ttl_s = None if ttl is None else seconds(ttl, "ttl")
    with asking(options, create=True) as house:
        made = house.call("tokens.create", name=name, role=role, ttl_s=ttl_s)
    render.said(
        options,
        made,
        made["token"],
        "This is shown once. From the first token on, the server asks everybody for one:",
        "  export MAINSPRING_TOKEN=...  or  Authorization: Bearer ...",
    )


def listed(*, options: Everywhere = HERE) -> None:
    """List every token ever made, newest first."""
    rows = call(options, "tokens.list")

    def draw(out: Console) -> None:
        cells = [
            (
                t["name"],
                t["role"],
                render.when(t["created"]),
                render.when(t["expires"]) or "never",
                render.when(t["revoked"]),
            )
            for t in rows
        ]
        columns = ("TOKEN", "ROLE", "CREATED (UTC)", "EXPIRES", "REVOKED")
        render.table(out, columns, cells, "No tokens: only the owner of this home may connect.")

    render.answer(options, rows, draw)


def revoke(
    name: Annotated[str, Parameter(help="The token's name.")], /, *, options: Everywhere = HERE
) -> None:
    """End a token, everywhere, within a second."""
    done = call(options, "tokens.revoke", name=name)
    render.said(options, done, f"The token {name} no longer counts.")


def audit_list(*, limit: int = 50, options: Everywhere = HERE) -> None:
    """List the newest lines of the audit log.

    Parameters
    ----------
    limit
        How many at most.
    """
    rows = call(options, "audit.list", limit=limit)

    def draw(out: Console) -> None:
        cells = [
            (a["seq"], render.when(a["at"]), a["who"], a["action"], a["subject"], a["reason"])
            for a in rows
        ]
        columns = ("LINE>", "AT (UTC)", "WHO", "DID", "TO", "REASON")
        render.table(out, columns, cells, "Nothing was done yet.")

    render.answer(options, rows, draw)


def audit_verify(*, options: Everywhere = HERE) -> int:
    """Walk the hash chain of the audit log and say where it breaks. Exit code 1 if it does."""
    found = call(options, "audit.verify")
    whole = f"The audit log is whole: {found['rows']} lines."
    broken = f"The audit log breaks at line {found['first_bad']}: {found['reason']}"
    render.said(options, found, whole if found["ok"] else broken)
    return 0 if found["ok"] else 1
