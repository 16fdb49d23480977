"""Who uses what: consumers of endpoints, who stands on a thing, and what goes away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from mainspring.cli import render
from mainspring.cli.debt import day
from mainspring.cli.options import HERE, Everywhere
from mainspring.cli.remote import call
from mainspring.ground.errors import BadInputError

if TYPE_CHECKING:
    from rich.console import Console

Endpoint = Annotated[str, Parameter(help="The endpoint's name.")]


def add(
    endpoint: Endpoint,
    name: Annotated[str, Parameter(help="A service or a team.")],
    /,
    *,
    owner: Annotated[str, Parameter(help="Who answers for it.")],
    token: Annotated[
        list[str] | None,
        Parameter(negative=(), help="The name of a token it shows; may be repeated."),
    ] = None,
    client: Annotated[
        list[str] | None,
        Parameter(negative=(), help="What it says in the header X-Client; may be repeated."),
    ] = None,
    channel: Annotated[
        str | None, Parameter(help="The channel over which it is told what goes away.")
    ] = None,
    options: Everywhere = HERE,
) -> None:
    """Declare that somebody uses an endpoint. It is known by a token or X-Client of its name."""
    done = call(
        options,
        "consumers.add",
        endpoint=endpoint,
        name=name,
        owner=owner,
        tokens=token or [],
        clients=client or [],
        channel=channel,
    )
    render.said(options, done, f"{name} uses {endpoint}; {done['owner']} answers for it.")


def listed(
    endpoint: Annotated[str | None, Parameter(help="Of this endpoint alone.")] = None,
    /,
    *,
    options: Everywhere = HERE,
) -> None:
    """List who says that they use an endpoint, and who calls it without having said so."""
    rows = call(options, "consumers.list", endpoint=endpoint)

    def draw(out: Console) -> None:
        cells = [
            (
                one["endpoint"],
                one["name"],
                "yes" if one["declared"] else "no",
                one["owner"],
                one["requests"],
                render.when(one["last"]),
            )
            for one in rows
        ]
        heads = ("ENDPOINT", "CONSUMER", "DECLARED", "OWNER", "REQUESTS>", "LAST (UTC)")
        render.table(out, heads, cells, "Nobody is declared, and nobody called in 90 days.")

    render.answer(options, rows, draw)


def remove(
    endpoint: Endpoint,
    name: Annotated[str, Parameter(help="The consumer's name.")],
    /,
    *,
    options: Everywhere = HERE,
) -> None:
    """Forget a declared consumer; if it still calls, it is an undeclared one."""
    done = call(options, "consumers.remove", endpoint=endpoint, name=name)
    render.said(options, done, f"{name} is no declared consumer of {endpoint} any more.")


def dependents(
    subject: Annotated[
        str,
        Parameter(help="dataset:NAME, feature:MODEL.COLUMN, model:NAME or endpoint:NAME."),
    ],
    /,
    *,
    options: Everywhere = HERE,
) -> None:
    """Show who stands on a dataset, feature, model or endpoint, directly or through others."""
    told = call(options, "dependents.get", subject=subject)

    def draw(out: Console) -> None:
        if told["deprecation"]:
            out.print(render.plain(render.gone(told["deprecation"])), style="yellow")
        cells = [
            (
                f"{'  ' * (one['depth'] - 1)}{one['name']}",
                one["via"],
                one["how"],
                render.when(one["at"]),
            )
            for one in told["dependents"]
        ]
        heads = ("STANDS ON IT", "BY WAY OF", "HOW IT IS KNOWN", "WHEN (UTC)")
        render.table(out, heads, cells, f"Nothing that is known here stands on {subject}.")

    render.answer(options, told, draw)


def deprecate(
    subject: Annotated[
        str | None,
        Parameter(help="MODEL/NUMBER, model:NAME, endpoint:NAME or dataset:NAME; none: list."),
    ] = None,
    /,
    *,
    until: Annotated[str | None, Parameter(help="The last day, such as 2027-01-31.")] = None,
    reason: Annotated[str | None, Parameter(help="Why: those who use it will read it.")] = None,
    use: Annotated[str, Parameter(help="What to use instead.")] = "",
    undo: Annotated[bool, Parameter(help="It stays after all.", negative=())] = False,
    options: Everywhere = HERE,
) -> None:
    """Say that something goes away, and tell those who use it; without a name, list what does.

    Answers of a deprecated endpoint carry the headers Deprecation and Sunset. Consumers are
    told over channels and by webhooks that listen for deprecation.announced.
    """
    if subject is None:
        rows = call(options, "deprecations.list")
        cells = [
            (one["subject"], render.when(one["until"]), one["use"], one["reason"], one["by"])
            for one in rows
        ]
        heads = ("GOES AWAY", "UNTIL (UTC)", "USE", "WHY", "BY")
        render.answer(
            options, rows, lambda out: render.table(out, heads, cells, "Nothing goes away.")
        )
        return
    if undo:
        done = call(options, "deprecations.withdraw", subject=subject)
        render.said(options, done, f"{subject} stays after all.", *_told(done))
        return
    for field, given in (("until", until), ("reason", reason)):
        if not given:
            raise BadInputError(
                f"{subject} goes away: give --{field}.",
                field=field,
                hint="Such as --until 2027-01-31 --reason 'A better one is there.'",
            )
    done = call(
        options,
        "deprecations.announce",
        subject=subject,
        until=day(until or ""),
        reason=reason,
        use=use,
    )
    render.said(options, done, render.gone(done["deprecation"]), *_told(done))


def _told(done: dict[str, Any]) -> list[str]:
    lines = [f"Stands on it: {', '.join(done['dependents'])}"] if done["dependents"] else []
    if done["consumers"]:
        lines.append(f"Declared consumers: {', '.join(done['consumers'])}")
    over = ", ".join(done["channels"])
    lines.append(f"Told over: {over}" if over else "No channel is there to tell anybody over.")
    return lines
