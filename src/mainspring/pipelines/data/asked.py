"""A version of a dataset as a value in a pipeline's body, until the run says which it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mainspring.ground.errors import BadInputError, ConflictError

if TYPE_CHECKING:
    import polars as pl

_PARQUET = (".parquet", ".pq")
_LINES = (".jsonl", ".ndjson")
_TEXT = (".csv", ".tsv", ".txt")


class Data:
    """What ``ms.data`` gives while a pipeline is wired: good as an argument of a step.

    The step is given the version as it lies in the home: a Path, or a frame if that was asked
    for.
    """

    __slots__ = ("frame", "reference")

    def __init__(self, reference: str, frame: bool) -> None:
        self.reference, self.frame = reference, frame

    def __repr__(self) -> str:
        return f"<data {self.reference}>"

    def argument(self) -> dict[str, Any]:
        """Return it as it is written into the graph, not pinned yet; see workspace.data."""
        return {"data": {"reference": self.reference, "frame": self.frame}}


def part_of(leaf: dict[str, Any]) -> str:
    """Return what of a pinned version the result of a step depends on.

    Raises:
        ConflictError: if nobody said which version it is.
    """
    told = leaf["data"]
    if "digest" not in told:
        raise ConflictError(
            f"Data {told['reference']} was asked for after its run was planned.", field="data"
        )
    frame = " frame" if told["frame"] else ""
    return f"{told['name']} {told['kind']} {told['digest']}{frame}"


def opened(leaf: dict[str, Any]) -> Any:
    """Return a version that was put into its place, as the step is given it.

    Raises:
        ConflictError: if nobody put it there.
        BadInputError: if it is to be a frame and is no table.
    """
    if "place" not in leaf:
        raise ConflictError("The data of a step was not put into its place.", field="data")
    place = Path(leaf["place"])
    return frame_of(place) if leaf["data"]["frame"] else place


def frame_of(place: Path) -> pl.DataFrame:
    """Return the rows of a file, or of all files of a folder together: Parquet, CSV, JSON lines.

    Raises:
        BadInputError: if they are no tables that can be read, or are of several kinds.
    """
    import polars as pl

    below = place.rglob("*") if place.is_dir() else [place]
    files = sorted(file for file in below if file.is_file())
    endings = {file.suffix.lower() for file in files}
    if len(endings) != 1 or not endings <= {*_PARQUET, *_LINES, *_TEXT}:
        found = ", ".join(sorted(one or "no ending" for one in endings)) or "no file"
        raise BadInputError(
            f"{place.name} cannot be a frame: it has files of {found}.",
            field="frame",
            hint="Take it as a Path, without frame=True.",
        )
    [ending] = endings
    try:
        if ending in _PARQUET:
            return pl.read_parquet(files)
        if ending in _LINES:
            return pl.concat([pl.read_ndjson(file, infer_schema_length=None) for file in files])
        separator = "\t" if ending == ".tsv" else ","
        return pl.read_csv(
            files, separator=separator, infer_schema_length=None, try_parse_dates=True
        )
    except pl.exceptions.PolarsError as error:
        first = str(error).partition("\n")[0]
        raise BadInputError(f"{place.name} is no table: {first}", field="frame") from error
