"""Say which predictions a thing touched: how many of each endpoint, version and day."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mainspring.ground.clock import iso
from mainspring.ground.errors import BadInputError
from mainspring.ground.permissions import Permission
from mainspring.ground.records import Record
from mainspring.scaling.serving import capture, counted, endpoints
from mainspring.workspace.lineage.asking import MOST_ASKED, lineage_of
from mainspring.workspace.lineage.shapes import Lineage

if TYPE_CHECKING:
    from mainspring.workspace.opening import Workspace

WEEK_S = 7 * 86_400.0
MOST_IDS = 1000
MOST_IN_FILE = 100_000  #: ids of a version that a file lists
MOST_ROWS = 20_000_000  #: rows of an endpoint that are counted, so that an answer comes


class OfDay(Record, frozen=True, kw_only=True):
    """What one version answered on one UTC day."""

    day: str  #: as 2026-11-29
    predictions: int


class Answered(Record, frozen=True, kw_only=True):
    """What one version answered at one endpoint."""

    endpoint: str
    version: str  #: as model/number
    predictions: int  #: captured rows that it answered
    first: float  #: event time, UTC seconds
    last: float
    newest: list[str]  #: ids of predictions, the newest first
    days: list[OfDay] = []  #: the oldest first


class Touched(Record, frozen=True, kw_only=True):
    """The predictions that came of a thing, as far as they are captured."""

    subject: str
    since: float  #: event time from which captures were read
    versions: list[str]  #: that came of it, whether they answered or not
    answered: list[Answered]
    predictions: int
    left_out: int = 0  #: things on the way that were not followed
    cut: dict[str, float] = {}  #: endpoints with more rows than are counted: from when they are


def touched(
    ws: Workspace,
    subject: str,
    *,
    since_s: float = WEEK_S,
    most: int = 20,
    most_rows: int = MOST_ROWS,
) -> Touched:
    """Return which captured predictions came of a thing, such as a version of data.

    ``since_s`` says how many seconds of event time are read, back from the newest capture of each
    endpoint. ``most`` (0 to 1,000) bounds the ids that are named of each version; counts are
    whole, unless an endpoint captured more than ``most_rows`` rows in that time: then the newest
    are counted, and ``cut`` says from when on.

    Raises:
        BadInputError: if it is of no kind that can be asked about, or a limit cannot be.
        NotFoundError: if there is no such thing.
    """
    if not 0 <= most <= MOST_IDS:
        raise BadInputError(f"most is from 0 to {MOST_IDS:,}, found {most}.", field="most")
    found, versions = _followed(ws, subject)
    answered: list[Answered] = []
    cut: dict[str, float] = {}
    begins: list[float] = []
    for endpoint, told in _counted(ws, versions, since_s, most, most_rows):
        begins.append(told.since)
        if not told.whole:
            cut[endpoint.name] = told.since
        answered += [
            Answered(
                endpoint=endpoint.name,
                version=f"{endpoint.model}/{one.number}",
                predictions=one.rows,
                first=one.first,
                last=one.last,
                newest=[name for name, _ in one.newest],
                days=[OfDay(day=iso(at)[:10], predictions=n) for at, n in one.days.items()],
            )
            for one in told.versions
        ]
    return Touched(
        subject=found.subject,
        since=min(begins, default=0.0),
        versions=versions,
        answered=answered,
        predictions=sum(one.predictions for one in answered),
        left_out=found.left_out,
        cut=cut,
    )


def listed(
    ws: Workspace, subject: str, *, since_s: float = WEEK_S, most: int = MOST_IN_FILE
) -> Iterator[tuple[str, str, str, str]]:
    """Yield endpoint, version, prediction and event time: the newest ``most`` of each version.

    Raises:
        BadInputError: if it is of no kind that can be asked about, or a limit cannot be.
        NotFoundError: if there is no such thing.
    """
    _, versions = _followed(ws, subject)
    for endpoint, told in _counted(ws, versions, since_s, most, MOST_ROWS):
        for one in told.versions:
            version = f"{endpoint.model}/{one.number}"
            yield from ((endpoint.name, version, name, _time(at)) for name, at in one.newest)


def _time(at: float) -> str:
    low, high = counted.CALENDAR
    return iso(min(max(at, low), high))


def _followed(ws: Workspace, subject: str) -> tuple[Lineage, list[str]]:
    """Return what came of a thing, and the versions among it as model/number."""
    found = lineage_of(ws, subject, "down", most=MOST_ASKED, kinds=["version"])
    refs = [one.ref for one in found.things if one.kind == "version"]
    return found, [ref.partition(":")[2] for ref in refs]


def _counted(
    ws: Workspace, versions: list[str], since_s: float, most: int, most_rows: int
) -> Iterator[tuple[endpoints.Endpoint, counted.Count]]:
    """Yield each endpoint of their models that captured something, and what they answered."""
    if not since_s > 0:
        raise BadInputError(f"since_s is above 0, found {since_s:g}.", field="since_s")
    of: dict[str, list[int]] = {}
    for one in versions:
        model, _, number = one.rpartition("/")
        of.setdefault(model, []).append(int(number))
    for endpoint in ws.read(Permission.READ, endpoints.list_endpoints):
        folder = ws.captures(endpoint.name)
        newest = capture.watermark(folder) if endpoint.model in of else None
        if newest is not None:
            since, numbers = newest - since_s, of[endpoint.model]
            yield endpoint, counted.count(folder, since, numbers, ids=most, most_rows=most_rows)
