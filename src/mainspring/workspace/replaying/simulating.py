"""Put several policies to one history, and say how each of them fared."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import polars as pl

from mainspring.ground.errors import BadInputError
from mainspring.ground.objects import Gate, Kind, MonitorPolicy
from mainspring.numerics.scores import HIGHER_IS_BETTER
from mainspring.retraining.contenders import Contender, Pace, named, parse
from mainspring.retraining.outcomes import Progress, Simulation, unheard
from mainspring.retraining.replay import HEADLINE, Answers, Replay, first_period
from mainspring.retraining.table import Stream, prepare
from mainspring.workspace.replaying.noticing import Counted, Noticing
from mainspring.workspace.replaying.turning import Turned

#: What is compared if nothing is asked for.
USUAL = ("static", "every-period", "default")
#: Where periods hold fewer rows than a monitor asks for, it judges from so many on.
_FEW_ROWS = 30

_METHOD = (
    "What decides is the loop itself; the models are the same small trees on at most 50,000 rows "
    "for every policy, and training takes no time."
)


def simulate(
    frame: pl.DataFrame,
    target: str,
    time: str | None = None,
    kind: Kind | None = None,
    policies: Sequence[str] = USUAL,
    period_s: float | None = None,
    delay_s: float | None = None,
    progress: Progress | None = None,
) -> Simulation:
    """Replay a table through policies and return how each of them fared.

    ``time`` names the column of event time; without one the order of the rows is time.
    ``policies`` are texts as :func:`mainspring.retraining.contenders.parse` reads them.
    ``kind`` and ``period_s`` are found from the data if they are not given; labels are known
    ``delay_s`` after their rows, by default one window. ``progress`` is told the share done, 0
    to 1, and what is being done.

    Raises:
        BadInputError: if the table cannot be replayed, or a policy is not known.
    """
    (progress or unheard)(0.0, "reading the table")
    for text in policies:
        parse(text, Pace())  # before the table is read, which takes a while
    stream = prepare(frame, target, time, kind, period_s)
    pace = Pace(stream.length_s, stream.length_s)
    contenders = [parse(text, pace) for text in policies]
    return replayed(stream, contenders, delay_s=delay_s, progress=progress)


def replayed(
    stream: Stream,
    contenders: Sequence[Contender],
    *,
    windows: int = 1,
    delay_s: float | None = None,
    monitor: MonitorPolicy | None = None,
    gate: Gate | None = None,
    progress: Progress | None = None,
) -> Simulation:
    """Replay a stream through policies; see :func:`simulate`.

    Raises:
        BadInputError: if two policies bear one name, there is none, or the delay cannot be.
    """
    names = [one.name for one in contenders]
    if not names or len(set(names)) < len(names):
        raise BadInputError(
            f"Each policy needs a name of its own, found {', '.join(names) or 'none'}.",
            field="policy",
        )
    tell = progress or unheard
    replay = Replay(stream, first_period(stream), delay_s, windows)
    notices = [*stream.notices, _METHOD]
    watching = monitor or _watching(replay, notices)
    counted = Counted(replay)
    never = named("static", Pace(stream.length_s, replay.window_s))
    runs: dict[str, Answers] = {}
    todo = [never, *(one for one in contenders if one.name != never.name)]
    for place, one in enumerate(todo):

        def step(share: float, place: int = place, name: str = one.name) -> None:
            tell((place + share) / len(todo), f"replaying {name}")

        turned = Turned(replay, one, Noticing(counted, watching), gate or Gate())
        runs[one.name] = turned.live(step)
    tell(1.0, "done")
    metric = HEADLINE[stream.kind]
    return Simulation(
        kind=stream.kind,
        metric=metric,
        higher_is_better=HIGHER_IS_BETTER[metric],
        rows=stream.rows.height,
        dropped=stream.dropped,
        columns=stream.rows.columns,
        trained_on=replay.first_row,
        begin=float(stream.begins[replay.first]),
        period_s=stream.length_s,
        window_s=replay.window_s,
        delay_s=replay.delay_s,
        periods=stream.starts[replay.first :],
        period_rows=np.diff(replay.bounds[replay.first :]).tolist(),
        policies=[replay.result(one, runs[one.name], runs[never.name]) for one in contenders],
        notices=notices,
    )


def _watching(replay: Replay, notices: list[str]) -> MonitorPolicy:
    """Return a monitor as it is by default, made for the periods of this stream."""
    stream = replay.stream
    policy = MonitorPolicy(window_s=replay.window_s, label_delay_s=replay.delay_s)
    usual = float(np.median(np.bincount(stream.period))) / replay.windows
    if usual >= policy.min_rows:
        return policy
    notices.append(
        f"A window holds about {usual:.0f} rows: the monitors here judge from {_FEW_ROWS} "
        f"rows on, where by default they ask for {policy.min_rows}."
    )
    return msgspec.structs.replace(policy, min_rows=_FEW_ROWS)
