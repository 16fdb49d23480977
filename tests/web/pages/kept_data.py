"""A home with versions of data: a folder of tables that changed, and names that attack."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from mainspring.workspace.data import adding, tables
from mainspring.workspace.opening import Workspace

ATTACK = "<img src=x onerror=alert(1)>"


def furnish(ws: Workspace, place: Path) -> None:
    folder = place / "flights"
    folder.mkdir()
    (folder / "README").write_text("late flights")
    (folder / ATTACK.replace("/", "")).write_text("x")
    rows = pl.DataFrame(
        {"late": [n * n / 100 for n in range(300)], "carrier": ["AA", "UA", ATTACK] * 100}
    )
    rows.write_parquet(folder / "rows.parquet")
    adding.add(ws, folder, name="flights", message=f"April {ATTACK}")
    rows.with_columns(pl.col("late") + 5, new=pl.lit(1)).head(200).write_parquet(
        folder / "rows.parquet"
    )
    (folder / "README").rename(folder / "README.md")
    adding.add(ws, folder, name="flights", message="May")
    tables.add_frame(ws, "features", pl.DataFrame({"x": range(50)}), message="x" * 3_000)
