"""The queue: add runs, list them, cancel them, work on them."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from mainspring.cli import render
from mainspring.cli.options import HERE, Everywhere
from mainspring.cli.pipelines import pair
from mainspring.cli.remote import Local, asking, settings_of
from mainspring.cli.runs import full_id
from mainspring.ground.errors import BadInputError

if TYPE_CHECKING:
    from rich.console import Console


def add(
    *command: Annotated[str, Parameter(help="A command, after two dashes.")],
    target: Annotated[str | None, Parameter(help="Or a pipeline, or module:function.")] = None,
    params: Annotated[
        list[str] | None,
        Parameter(name=["--param", "-p"], negative=(), help="The target's, as name=value."),
    ] = None,
    priority: Annotated[int, Parameter(help="Higher goes first.")] = 0,
    experiment: Annotated[str | None, Parameter(help="Where its run stands.")] = None,
    options: Everywhere = HERE,
) -> None:
    """Put a run into the queue: a command after two dashes, or a target."""
    if bool(command) == (target is not None):
        raise BadInputError(
            "Either a command or a --target is queued.",
            field="target",
            hint="For example: mainspring queue add -- python train.py --lr 0.1",
        )
    with asking(options, create=True) as house:
        run = house.call(
            "queue.add",
            target=target,
            params=dict(pair(text) for text in params or []),
            command=list(command) or None,
            # What is typed is meant from where one stands; a server has folders of its own.
            folder=str(Path.cwd()) if command and isinstance(house, Local) else None,
            priority=priority,
            experiment=experiment,
        )["run"]
    render.said(options, {"run": run}, f"{run} waits for a slot.")


def listed(
    *,
    every: Annotated[
        bool, Parameter(name="--all", negative=(), help="What ended too, newest first.")
    ] = False,
    limit: Annotated[int, Parameter(help="How many at most.")] = 100,
    options: Everywhere = HERE,
) -> None:
    """List what runs and what waits, in the order it will be taken."""
    with asking(options) as house:
        rows = house.call("queue.list", every=every, limit=limit)

    def draw(out: Console) -> None:
        cells = [
            (
                one["run"],
                one["state"],
                one["priority"],
                one["attempt"],
                render.when(one["added"]),
                one["what"],
                one["error"],
            )
            for one in rows
        ]
        columns = ("RUN", "STATE", "PRIORITY>", "TRY>", "ADDED (UTC)", "WHAT", "")
        render.table(
            out, columns, cells, "The queue is empty. Add to it: mainspring queue add -- COMMAND"
        )

    render.answer(options, rows, draw)


def cancel(
    run: Annotated[str, Parameter(help="The run's id, its first characters, or 'last'.")],
    /,
    *,
    options: Everywhere = HERE,
) -> None:
    """Take an entry out of the queue, or stop it if it runs."""
    with asking(options) as house:
        name = full_id(house, run)
        done = house.call("queue.cancel", run=name)
    render.said(options, done | {"run": name}, f"{name} is cancelled.")


def work(
    *,
    slots: Annotated[
        int | None, Parameter(help="How many runs at once; else the setting slots.")
    ] = None,
    drain: Annotated[bool, Parameter(negative=(), help="End once the queue is empty.")] = False,
    options: Everywhere = HERE,
) -> None:
    """Work on the queue without a server, until Ctrl-C; what is unfinished goes back."""
    from mainspring.workspace import queue

    settings = settings_of(options)
    if settings.url is not None:
        raise BadInputError(
            "A worker works on a home, not over a URL.",
            field="url",
            hint="Name the home with --home; a shared database makes several machines one queue.",
        )
    house = Local(settings, create=True)
    stop = threading.Event()
    before = {
        number: signal.signal(number, lambda *_: stop.set())
        for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        queue.work(house.workspace, slots or settings.slots, stop, drain=drain)
    finally:
        for number, handler in before.items():  # who called this may have signals of their own
            signal.signal(number, handler)
        house.close()
