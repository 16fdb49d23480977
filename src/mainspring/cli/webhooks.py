"""Webhooks: tell others what happens to the registry, and see whether it arrived."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from mainspring.cli import render
from mainspring.cli.options import HERE, Everywhere
from mainspring.cli.remote import call

if TYPE_CHECKING:
    from rich.console import Console

Hook = Annotated[str, Parameter(help="The webhook's id.")]


def listed(*, options: Everywhere = HERE) -> None:
    """List webhooks and how their deliveries stand. Secrets are never shown."""
    rows = call(options, "webhooks.list")

    def draw(out: Console) -> None:
        cells = [
            (
                hook["id"],
                hook["name"],
                hook["url"],
                ", ".join(hook["events"]),
                ", ".join(f"{count} {state}" for state, count in hook["deliveries"].items()),
                hook["trouble"],
            )
            for hook in rows
        ]
        columns = ("ID", "NAME", "URL", "EVENTS", "DELIVERIES", "TROUBLE")
        render.table(out, columns, cells, "No webhooks yet: mainspring webhook add")

    render.answer(options, rows, draw)


def add(
    name: Annotated[str, Parameter(help="What to call it.")],
    url: Annotated[str, Parameter(help="Where deliveries are posted.")],
    /,
    *,
    events: Annotated[str, Parameter(help="Such as version.created,alias.set.")],
    secret: Annotated[
        str | None, Parameter(help="Signs deliveries.", env_var="MAINSPRING_WEBHOOK_SECRET")
    ] = None,
    options: Everywhere = HERE,
) -> None:
    """Tell somebody what happens to the registry, from now on."""
    wanted = [event.strip() for event in events.split(",") if event.strip()]
    done = call(options, "webhooks.add", name=name, url=url, events=wanted, secret=secret)
    render.said(options, done, f"{done['id']} is told of {', '.join(done['events'])}.")


def remove(webhook: Hook, /, *, options: Everywhere = HERE) -> None:
    """Tell a webhook nothing any more; what waits for it is cancelled."""
    done = call(options, "webhooks.remove", webhook=webhook)
    render.said(options, done, f"{webhook} is told nothing any more.")


def retry(webhook: Hook, /, *, options: Everywhere = HERE) -> None:
    """Try again the deliveries that were given up."""
    done = call(options, "webhooks.retry", webhook=webhook)
    render.said(options, done, f"{done['deliveries']} deliveries are tried again.")
