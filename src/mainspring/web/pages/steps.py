"""The steps on the page of a run: the graph that goes with it, and what was chosen in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import msgspec
from markupsafe import Markup

from mainspring.ground.errors import BadInputError
from mainspring.ground.objects import Record, StepRecord, StepState
from mainspring.pipelines import boxes, gantt, picture
from mainspring.pipelines.picture import Box
from mainspring.web.pages.fields import Asked
from mainspring.workspace.opening import Workspace
from mainspring.workspace.views.tracked import RunBoard

if TYPE_CHECKING:
    from mainspring.workspace.views.steps import StepDetail

_MOST_ITEMS = 200  #: of a map that are listed
_FIRST = ("failed", "running", "waiting", "skipped", "done", "reused")  #: the order of a list


class Item(Record, frozen=True, kw_only=True):
    """An item of a map, a round of a loop, or one of several steps of a name."""

    name: str
    state: str
    steps: list[StepRecord]
    error: str
    lasted: float | None  #: seconds from its first start to its last end


class Items(Record, frozen=True, kw_only=True):
    """What is folded into a box."""

    told: str  #: how many are done
    shown: list[Item]
    more: int  #: that are not shown


def gather(ws: Workspace, board: RunBoard, asked: Asked) -> dict[str, Any]:
    """Return the graph of a run, the list of its steps, and what is known of the chosen one.

    Raises:
        NotFoundError: if a step is chosen that is not there.
    """
    name = asked.get("step") or None
    if not board.steps and name is None:
        return dict.fromkeys(("graph", "timeline", "panel", "items", "chosen")) | {"listed": []}
    drawn = boxes.boxes(board.steps, ws.clock.now(), board.items)
    # A group has the name of its first step: another word tells the two apart.
    group = next((one for one in drawn if one.several and one.name == asked.get("group")), None)
    chosen = _box_of(drawn, name) if name else group
    folded = {member for one in drawn if not one.several for member in one.members}
    line = gantt.svg(gantt.rows(drawn, board.steps, ws.clock.now()), _to_step)
    svg = picture.drawn(drawn, _link, chosen.name if chosen else None)
    own = group if group is not None and name is None else _exactly(drawn, name)
    return {
        "graph": Markup(svg),  # noqa: S704  every text in it is escaped
        "timeline": Markup(line) if line else None,  # noqa: S704
        "listed": [
            one for one in board.steps if one.step not in folded or one.state is StepState.FAILED
        ],
        "panel": _detail(ws, board, name) if name else None,
        "items": _items(own, board) if own is not None and own.members else None,
        "chosen": name or (group.name if group else None),
    }


def _detail(ws: Workspace, board: RunBoard, name: str) -> StepDetail:
    from mainspring.workspace.views.steps import step_detail  # with all handlers: 0.3 s

    return step_detail(ws, board.steps, board.run.id, name)


def _link(box: Box) -> str:
    return f"?{urlencode({'group' if box.several else 'step': box.name})}#step"


def _to_step(name: str) -> str:
    return f"?{urlencode({'step': name})}#step"


def _box_of(drawn: list[Box], name: str) -> Box | None:
    for one in drawn:
        if name == one.name or name in one.members:
            return one
    return None


def _exactly(drawn: list[Box], name: str | None) -> Box | None:
    return next((one for one in drawn if one.name == name and not one.several), None)


def _items(box: Box, board: RunBoard) -> Items:
    known = {one.step: one for one in board.steps}
    members = [known[name] for name in box.members]
    found = (
        {one.step: [one] for one in members} if box.several else boxes.items_of(box.name, members)
    )
    items = [_item(name, several) for name, several in found.items()]
    items.sort(key=lambda one: _FIRST.index(one.state))  # which keeps the order of equals
    counted = None if box.several else board.items.get(box.name)
    counts: Mapping[str, int] = counted or Counter(one.state for one in items)
    return Items(
        told=boxes.told_of(counts),
        shown=items[:_MOST_ITEMS],
        more=max(0, sum(counts.values()) - len(items[:_MOST_ITEMS])),
    )


def _item(name: str, several: list[StepRecord]) -> Item:
    starts = [one.started for one in several if one.started is not None]
    ends = [one.ended for one in several if one.ended is not None]
    return Item(
        name=name,
        state=boxes.state_of(several),
        steps=several,
        error=next((one.error for one in several if one.error), ""),
        lasted=max(ends) - min(starts) if starts and ends else None,
    )


# ---------------------------------------------------------------- forms


def approve(ws: Workspace, given: Asked) -> str:
    """Say yes to a step that waits for an approval."""
    from mainspring.workspace import waiting

    waiting.approve(ws, given["run"], given["step"], given.get("reason", ""))
    return _back(given)


def reject(ws: Workspace, given: Asked) -> str:
    """Say no to a step that waits for an approval."""
    from mainspring.workspace import waiting

    waiting.reject(ws, given["run"], given["step"], given.get("reason", ""))
    return _back(given)


def signal(ws: Workspace, given: Asked) -> str:
    """Bring news to a step that waits for an event; the value is JSON."""
    from mainspring.workspace import waiting

    text = given.get("value", "").strip()
    try:
        value = msgspec.json.decode(text) if text else None
    except msgspec.DecodeError as error:
        raise BadInputError(
            f"The value is JSON, found {text[:80]!r}.",
            field="value",
            hint='For example 42, "ready" or {"rows": 10}.',
        ) from error
    waiting.signal(ws, given["run"], given["step"], value)
    return _back(given)


def _back(given: Asked) -> str:
    run = quote(given["run"], safe="")
    return f"/runs/{run}?{urlencode({'step': given['step']})}#step"


#: Path -> what a form that is sent there does.
ACTS: dict[str, Callable[[Workspace, Asked], str]] = {
    "/runs/{run}/steps/{step}/approve": approve,
    "/runs/{run}/steps/{step}/reject": reject,
    "/runs/{run}/steps/{step}/signal": signal,
}
