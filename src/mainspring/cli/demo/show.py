"""Show the demo as it goes: a line a fact, a bar for the year, two tables at the end."""

from __future__ import annotations

import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mainspring.cli.render import console, plain

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class Show:
    """Tells people on standard error (or the terminal) and programs on standard output."""

    def __init__(self, *, as_json: bool, live: bool) -> None:
        self._json = as_json
        self._out = console(stderr=as_json or not live)
        self._live = live
        self._begun = time.monotonic()
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._last = 0.0

    def say(self, text: str) -> None:
        """Print one line with the seconds since the start."""
        line = plain(f"{time.monotonic() - self._begun:6.1f} s  {text}")
        if self._bar is not None:
            self._bar.console.print(line, markup=False, highlight=False)
        else:
            self._out.print(line)

    def decided(self, decision: dict[str, Any]) -> None:
        """Print one decision of the loop."""
        at = decision["at"]  # 0 before the loop has seen its first row
        day = datetime.fromtimestamp(at, UTC).strftime("%d %b") if at else "start "
        self.say(
            f"{day}  {decision['kind'].upper():<9} {decision['subject']}  {decision['reason']}"
        )

    def begin(self, days: int) -> None:
        """Begin the bar of the replay."""
        if not self._live:
            return
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:.0f}/{task.total:.0f} days  {task.fields[told]}"),
            TimeElapsedColumn(),
            console=self._out,
        )
        self._task = self._bar.add_task("replay", total=days, told="")
        self._bar.start()

    def day(self, number: int, rows: int, failed: int) -> None:
        """Move the bar on; without a terminal say a line every ten seconds."""
        told = f"{rows:,} requests, {failed} failed"
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=number, told=told)
        elif time.monotonic() - self._last > 10:
            self._last = time.monotonic()
            self.say(f"day {number} of the replay: {told}")

    def end(self) -> None:
        """End the bar."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def result(self, result: dict[str, Any], home: Path) -> None:
        """Print what came of it: one JSON object, or tables."""
        if self._json:
            sys.stdout.write(json.dumps(result) + "\n")
            sys.stdout.flush()
            return
        from rich.table import Table

        out = self._out
        table = Table(title="Static model against the loop, month by month")
        for head in ("month", "rows", "AUC static", "AUC loop", "log loss static", "loop"):
            table.add_column(head, justify="left" if head == "month" else "right")
        for still, live in zip(
            result["static"]["by_month"], result["loop"]["by_month"], strict=True
        ):
            table.add_row(
                still["month"],
                f"{still['rows']:,}",
                f"{still['auc']:.3f}",
                f"{live['auc']:.3f}",
                f"{still['log_loss']:.4f}",
                f"{live['log_loss']:.4f}",
            )
        table.add_row(
            "all",
            f"{result['requests']:,}",
            f"{result['static']['auc']:.4f}",
            f"{result['loop']['auc']:.4f}",
            f"{result['static']['log_loss']:.4f}",
            f"{result['loop']['log_loss']:.4f}",
            style="bold",
        )
        out.print(table)
        gain, saved = result["auc_gain"], result["log_loss_saved"]
        for line in (
            f"AUC gained {gain['estimate']:+.4f} (95 % interval {gain['low']:+.4f} to"
            f" {gain['high']:+.4f}), log loss saved {saved['estimate']:+.4f}"
            f" ({saved['low']:+.4f} to {saved['high']:+.4f}, days as blocks)",
            f"{result['requests']:,} requests in {result['calls']:,} calls, {result['failed']}"
            f" failed; {result['retrains']} retrainings, {result['promoted']} promoted,"
            f" {result['rolled_back']} rolled back, {result['refused_by_gate']} refused by the"
            f" gate; {result['kills_survived']} kill survived; {result['wall_s']:.0f} s in all",
            f"Ask why: mainspring why champion --home {home}",
        ):
            out.print(plain(line), soft_wrap=True)

    def keeping(self, url: str) -> None:
        """Say that the pages stay up."""
        self._out.print(f"The pages stay up at {url} until you press Ctrl-C.")
