"""``mainspring demo``: the whole loop on real flights, in front of your eyes."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from mainspring.cli.options import HERE, Everywhere


def demo(
    *,
    clean: Annotated[
        bool, Parameter(help="Take away an earlier demo of this home first.", negative=())
    ] = False,
    keep: Annotated[
        bool | None,
        Parameter(help="Leave the pages up at the end. Default: if a terminal is attached."),
    ] = None,
    port: Annotated[int, Parameter(help="Where the pages are; 0 takes a free port.")] = 0,
    days: Annotated[
        int | None, Parameter(help="Replay only so many days from March on, for a quick look.")
    ] = None,
    options: Everywhere = HERE,
) -> int:
    """Train, serve, watch, retrain, canary, promote and roll back on a year of real flights."""
    from mainspring.cli.demo.show import Show
    from mainspring.cli.demo.story import Story

    home = Path(options.home or "mainspring-demo/.mainspring").resolve()
    # However it is asked to end, it ends its server first; also where Ctrl-C was shut off.
    for asked in (signal.SIGINT, signal.SIGTERM):
        signal.signal(asked, signal.default_int_handler)
    terminal = sys.stdout.isatty() and not options.json
    show = Show(as_json=options.json, live=terminal)
    story = Story(home, port=port, days=days, show=show)
    story.prepare(clean=clean)
    with story.server():
        result = story.run()
        show.result(result, home)
        if terminal if keep is None else keep:
            show.keeping(story.url)
            story.wait()
    return 0
