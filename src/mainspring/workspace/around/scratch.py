"""Give a script a copy of its project in which the rows it reads are the loop's."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

from mainspring.ground.errors import BadInputError
from mainspring.pipelines.programs.placing import write_frame
from mainspring.pipelines.programs.program import LEFT, MOST_BYTES, MOST_FILES
from mainspring.workspace.around.scripts import Script
from mainspring.workspace.tables import read

if TYPE_CHECKING:
    import polars as pl


@contextmanager
def prepared(
    root: Path, home: Path, script: Script, rows: pl.DataFrame | None
) -> Iterator[tuple[Path, Path]]:
    """Give a copy of the project and the path of the rows in it; it is gone afterwards.

    A copy, because a script writes beside itself: what stands in the project stays as it is.
    Hidden folders, environments and the home are not copied, nor the model file that the script
    is to write. Without ``rows`` the file is the project's own.

    Raises:
        BadInputError: if the project is too large to be copied.
    """
    folder = Path(mkdtemp(prefix="mainspring-script-"))
    try:
        place = folder / "project"
        here = place / script.rows
        leave = {root / script.writes} if script.writes else set()
        _copy(root, place, leave if rows is None else leave | {root / script.rows}, home)
        if rows is not None:
            here.parent.mkdir(parents=True, exist_ok=True)
            here.unlink(missing_ok=True)  # a link would lead back to the project's own rows
            write_frame(shaped(rows, root / script.rows), here)
        yield place, here
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def shaped(rows: pl.DataFrame, like: Path) -> pl.DataFrame:
    """Return rows with the columns of a file, in its order and, where they fit, in its types.

    Columns that the rows do not have are empty; those that the file does not have are left out.
    Without such a file the rows stay as they are.
    """
    import polars as pl

    if not like.exists():
        return rows
    known = read(like, "rows").schema
    columns = []
    for name, kind in known.items():
        if name not in rows.columns:
            columns.append(pl.lit(None, dtype=kind).alias(name))
            continue
        cast = rows[name].cast(kind, strict=False)
        same = cast.null_count() == rows[name].null_count()
        # Captured whole numbers come back as decimals; a script may want them whole.
        whole = not (kind.is_integer() and rows.schema[name].is_float()) or bool(
            (cast.cast(pl.Float64) == rows[name]).fill_null(value=True).all()
        )
        columns.append(pl.lit(cast if same and whole else rows[name]).alias(name))
    return rows.select(columns)


def _copy(root: Path, place: Path, leave: set[Path], home: Path) -> None:
    left = {one.resolve() for one in leave}
    size = count = 0

    def unwanted(folder: str, names: list[str]) -> set[str]:
        nonlocal size, count
        out = set()
        for name in names:
            path = Path(folder) / name
            if _is_left(path, home) or path.resolve() in left:
                out.add(name)
            elif path.is_file():
                size += path.stat().st_size
                count += 1
        if size > MOST_BYTES or count > MOST_FILES:
            raise BadInputError(
                f"The project in {root} is too large to be copied for its script: more than"
                f" {MOST_BYTES >> 20:,} MB or {MOST_FILES:,} files.",
                field="script",
                hint="Put the script and what it needs into a folder of their own.",
            )
        return out

    shutil.copytree(root, place, ignore=unwanted, symlinks=True)


def _is_left(path: Path, home: Path) -> bool:
    if path.name.startswith(".") or path.name in LEFT:
        return True
    return path.is_dir() and (path.resolve() == home or (path / "pyvenv.cfg").exists())


def variables(script: Script, rows: Path, more: dict[str, str]) -> dict[str, Any]:
    """Return the environment of a script: ours, what it is told, and where its rows are."""
    told = {name: text.replace("{rows}", str(rows)) for name, text in script.env.items()}
    return {**os.environ, **more, "MAINSPRING_ROWS": str(rows), **told}
