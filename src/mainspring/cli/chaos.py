"""Break a copy of the home on purpose: ``mainspring doctor --chaos``."""

from __future__ import annotations

import tempfile
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from mainspring.cli import render
from mainspring.cli.options import Everywhere
from mainspring.ground.errors import BadInputError
from mainspring.ground.settings import Settings

if TYPE_CHECKING:
    from rich.console import Console


def broken_on_purpose(
    settings: Settings, rounds: int, seed: int, keep: Path | None, options: Everywhere
) -> int:
    """Run the chaos and print what came of it; return the exit code."""
    from mainspring.workspace.chaos.rounds import chaos

    if not 1 <= rounds <= 1000:
        raise BadInputError(f"rounds must be 1 to 1000, found {rounds}.", field="rounds")
    if keep is not None:
        _empty(keep)
    out = render.console(stderr=True)
    shown = not options.json and out.is_terminal
    place = tempfile.TemporaryDirectory(prefix="mainspring-chaos-") if keep is None else None
    with (
        place or nullcontext(str(keep)) as folder,
        out.status("copying the home") if shown else nullcontext() as status,
    ):
        found = chaos(
            settings,
            Path(folder).resolve(),
            rounds=rounds,
            seed=seed,
            tell=status.update if status is not None else lambda _: None,
        )
    document = msgspec.to_builtins(found) | {"home": str(keep) if keep is not None else None}

    def draw(out: Console) -> None:
        rows = [
            (
                one.number,
                f"{one.lived_s:.1f} s",
                ", ".join(one.killed),
                one.rows,
                one.labels,
                "; ".join(one.broken) or "all promises kept",
            )
            for one in found.rounds
        ]
        render.table(out, ("ROUND>", "LIVED>", "KILLED", "ROWS>", "LABELS>", ""), rows)
        for line in found.before:
            out.print(render.plain(f"broken before: {line}"))
        for line in found.broken:
            out.print(render.plain(f"broken: {line}"))
        verdict = "It kept everything" if found.survived else "It did not keep its promises"
        told = (
            f"{verdict}: {found.rows:,} rows, {found.labels:,} labels, {found.windows} windows"
            f" judged after {rounds} kills (seed {seed})."
        )
        out.print(told)

    render.answer(options, document, draw)
    return 0 if found.survived else 1


def _empty(folder: Path) -> None:
    """Make sure that a folder is there and empty.

    Raises:
        BadInputError: if something is in it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise BadInputError(f"{folder} is not empty.", field="keep", hint="Name a new folder.")
