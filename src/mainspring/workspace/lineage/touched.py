"""Say which predictions a thing touched: how many of each endpoint and version, and the newest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from mainspring.ground.errors import BadInputError
from mainspring.ground.permissions import Permission
from mainspring.ground.records import Record
from mainspring.scaling.serving import capture, endpoints
from mainspring.workspace.lineage.asking import MOST_ASKED, lineage_of

if TYPE_CHECKING:
    from mainspring.workspace.opening import Workspace

WEEK_S = 7 * 86_400.0
MOST_IDS = 1000


class Answered(Record, frozen=True, kw_only=True):
    """What one version answered at one endpoint."""

    endpoint: str
    version: str  #: as model/number
    predictions: int  #: captured rows that it answered
    first: float  #: event time, UTC seconds
    last: float
    newest: list[str]  #: ids of predictions, the newest first


class Touched(Record, frozen=True, kw_only=True):
    """The predictions that came of a thing, as far as they are captured."""

    subject: str
    since: float  #: event time from which captures were read
    versions: list[str]  #: that came of it, whether they answered or not
    answered: list[Answered]
    predictions: int
    left_out: int = 0  #: things on the way that were not followed


def touched(ws: Workspace, subject: str, *, since_s: float = WEEK_S, most: int = 20) -> Touched:
    """Return which captured predictions came of a thing, such as a version of data.

    ``since_s`` says how many seconds of event time are read, back from the newest capture of each
    endpoint. ``most`` (0 to 1,000) bounds the ids that are named of each version; counts are
    whole.

    Raises:
        BadInputError: if it is of no kind that can be asked about, or a limit cannot be.
        NotFoundError: if there is no such thing.
    """
    if not 0 <= most <= MOST_IDS:
        raise BadInputError(f"most is from 0 to {MOST_IDS:,}, found {most}.", field="most")
    if not since_s > 0:
        raise BadInputError(f"since_s is above 0, found {since_s:g}.", field="since_s")
    found = lineage_of(ws, subject, "down", most=MOST_ASKED, kinds=["version"])
    versions = [
        one.ref.partition(":")[2] for one in found.things if one.ref.startswith("version:")
    ]
    of: dict[str, list[int]] = {}
    for one in versions:
        model, _, number = one.rpartition("/")
        of.setdefault(model, []).append(int(number))
    answered: list[Answered] = []
    begins: list[float] = []
    for endpoint in ws.read(Permission.READ, endpoints.list_endpoints):
        folder = ws.captures(endpoint.name)
        newest = capture.watermark(folder) if endpoint.model in of else None
        if newest is None:
            continue
        begins.append(newest - since_s)
        rows = capture.read(folder, begins[-1], None, [])
        answered += _of_endpoint(rows, endpoint.name, endpoint.model, of[endpoint.model], most)
    return Touched(
        subject=found.subject,
        since=min(begins, default=0.0),
        versions=versions,
        answered=answered,
        predictions=sum(one.predictions for one in answered),
        left_out=found.left_out,
    )


def _of_endpoint(
    rows: pl.DataFrame, endpoint: str, model: str, numbers: list[int], most: int
) -> list[Answered]:
    told = []
    for number in sorted(numbers):
        mine = rows.filter(pl.col("_version") == number).sort("_time", descending=True)
        if mine.is_empty():
            continue
        told.append(
            Answered(
                endpoint=endpoint,
                version=f"{model}/{number}",
                predictions=mine.height,
                first=float(mine["_time"][-1]),
                last=float(mine["_time"][0]),
                newest=[str(one) for one in mine["_id"].head(most).to_list()],
            )
        )
    return told
