"""Channels: over what people are told, and whether it reaches them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from mainspring.cli import render
from mainspring.cli.options import HERE, Everywhere
from mainspring.cli.remote import call

if TYPE_CHECKING:
    from rich.console import Console

Name = Annotated[str, Parameter(help="The channel's name.")]


def add(
    name: Name,
    kind: Annotated[str, Parameter(help="log, webhook, mail, slack, apprise or command.")],
    /,
    *command: Annotated[str, Parameter(help="command: its words, after two dashes.")],
    at: Annotated[
        str | None,
        Parameter(
            name="--to-url",
            help="webhook, slack, apprise: where to.",
            env_var="MAINSPRING_CHANNEL_URL",
        ),
    ] = None,
    secret: Annotated[
        str | None,
        Parameter(help="webhook: signs; mail: the password.", env_var="MAINSPRING_CHANNEL_SECRET"),
    ] = None,
    host: Annotated[str | None, Parameter(help="mail: the SMTP server.")] = None,
    port: Annotated[int | None, Parameter(help="mail: 587, 465 with tls, 25 with none.")] = None,
    security: Annotated[str | None, Parameter(help="mail: starttls, tls or none.")] = None,
    user: Annotated[str | None, Parameter(help="mail: who logs in.")] = None,
    sender: Annotated[str | None, Parameter(help="mail: from whom.")] = None,
    to: Annotated[str | None, Parameter(help="mail: to whom, comma-separated.")] = None,
    endpoints: Annotated[
        str | None, Parameter(help="Only alarms of these, comma-separated.")
    ] = None,
    per_hour: Annotated[int | None, Parameter(help="Messages; more are told together.")] = None,
    options: Everywhere = HERE,
) -> None:
    """Tell people over this too, from the next page on."""
    target: dict[str, Any] = {
        "url": at,
        "host": host,
        "port": port,
        "security": security,
        "user": user,
        "sender": sender,
        "to": None if to is None else _words(to),
        "command": list(command) or None,
    }
    made = call(
        options,
        "channels.add",
        name=name,
        kind=kind,
        target={key: value for key, value in target.items() if value is not None},
        secret=secret,
        endpoints=None if endpoints is None else _words(endpoints),
        per_hour=per_hour,
    )
    render.said(
        options, made, f"{name} is told of alarms. Try it: mainspring channels test {name}"
    )


def listed(*, options: Everywhere = HERE) -> None:
    """List channels and how what they had to tell stands. Secrets are never shown."""
    rows = call(options, "channels.list")

    def draw(out: Console) -> None:
        cells = [
            (
                one["channel"]["name"],
                one["channel"]["kind"],
                _where(one["channel"]["target"]),
                "dead" if one["dead"] else "well" if one["channel"]["active"] else "rests",
                ", ".join(f"{count} {state}" for state, count in one["deliveries"].items()),
                one["trouble"],
            )
            for one in rows
        ]
        columns = ("NAME", "KIND", "WHERE", "IS", "PAGES", "TROUBLE")
        render.table(out, columns, cells, "No channels yet: mainspring channels add")

    render.answer(options, rows, draw)


def try_out(name: Name, /, *, options: Everywhere = HERE) -> None:
    """Tell an example over a channel now, and show what came back."""
    done = call(options, "channels.test", name=name)
    render.said(options, done, f"{name}: {done['said']}.")


def remove(name: Name, /, *, options: Everywhere = HERE) -> None:
    """Tell nobody over a channel any more; what waits for it is dropped."""
    done = call(options, "channels.remove", name=name)
    render.said(options, done, f"{name} is told nothing any more.")


def retry(name: Name, /, *, options: Everywhere = HERE) -> None:
    """Try again the pages that could not be told over a channel."""
    done = call(options, "channels.retry", name=name)
    render.said(options, done, f"{done['pages']} pages are tried again.")


def rest(name: Name, /, *, options: Everywhere = HERE) -> None:
    """Let a channel rest: it is told nothing until it is used again."""
    done = call(options, "channels.switch", name=name, active=False)
    render.said(options, done, f"{name} rests.")


def use(name: Name, /, *, options: Everywhere = HERE) -> None:
    """Use a channel again that rests."""
    done = call(options, "channels.switch", name=name, active=True)
    render.said(options, done, f"{name} is told of alarms again.")


def _where(target: dict[str, Any]) -> str:
    for key in ("url", "shown", "host"):
        if target.get(key):
            return str(target[key])
    return " ".join(target.get("command", []))


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]
