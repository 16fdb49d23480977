"""What the forms of an endpoint's page do: move a share, end a rollout, roll back.

Each says what it was when the person looked: if that moved meanwhile nothing is done.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote

from mainspring.ground.errors import BadInputError, ConflictError, NotFoundError
from mainspring.ground.objects import Rollout
from mainspring.ground.permissions import Permission
from mainspring.web.pages.fields import Asked
from mainspring.workspace.opening import Workspace

_NEAR = 1e-6  #: shares as a page shows them


def move_share(ws: Workspace, given: Asked) -> str:
    """Let the challenger answer another share of the rows."""
    from mainspring.workspace import rollingout

    name, share = given["name"], _number(given, "share") / 100
    _unmoved(ws, given, share=_number(given, "from") / 100)
    rollingout.change(ws, name, given.get("reason", ""), share=share)
    return _page(name)


def move_weights(ws: Workspace, given: Asked) -> str:
    """Give the versions of an A/B rollout other weights."""
    from mainspring.workspace import rollingout

    name = given["name"]
    _unmoved(ws, given)
    weights = {
        int(key.removeprefix("weight-")): _number(given, key)
        for key in given
        if key.startswith("weight-") and key.removeprefix("weight-").isdecimal()
    }
    rollingout.change(ws, name, given.get("reason", ""), weights=weights)
    return _page(name)


def end(ws: Workspace, given: Asked) -> str:
    """End a rollout: the champion stays, or the version named is promoted."""
    from mainspring.workspace import rollingout

    name, promote = given["name"], given.get("promote", "")
    _unmoved(ws, given)
    chosen = int(_number(given, "promote")) if promote else None
    rollingout.end(ws, name, given.get("reason", ""), promote=chosen)
    return _page(name)


def roll_back(ws: Workspace, given: Asked) -> str:
    """Give the alias back to the champion before."""
    from mainspring.readiness import registry
    from mainspring.scaling.serving import endpoints
    from mainspring.workspace import acts

    name, seen = given["name"], int(_number(given, "from"))
    place = ws.read(Permission.READ, lambda tx: endpoints.get(tx, name))
    now = ws.read(Permission.READ, lambda tx: registry.champion(tx, place.model))
    if now != seen:
        raise ConflictError(f"Version {now} serves by now, and no more {seen}. Nothing was done.")
    acts.roll_back(ws, place.model, given.get("reason", ""))
    return _page(name)


def _unmoved(ws: Workspace, given: Asked, share: float | None = None) -> Rollout:
    """Return the rollout that the form was made for.

    Raises:
        NotFoundError: if nothing rolls out there any more.
        ConflictError: if another does, or its share has moved.
    """
    from mainspring.scaling.serving import rollouts

    now = ws.read(Permission.READ, lambda tx: rollouts.running(tx, given["name"]))
    if now is None:
        raise NotFoundError("Nothing rolls out there any more.", field="rollout")
    if now.id != given.get("rollout"):
        raise ConflictError("Another rollout has begun meanwhile. Nothing was done.")
    if share is not None and abs(now.share - share) > _NEAR:
        raise ConflictError(
            f"The share is {now.share:.3%} by now, and no more {share:.3%}. Nothing was done."
        )
    return now


def _number(given: Asked, field: str) -> float:
    try:
        return float(given.get(field, ""))
    except ValueError as error:
        raise BadInputError(
            f"{field} must be a number, found {given.get(field, '')[:40]!r}.", field=field
        ) from error


def _page(name: str) -> str:
    return f"/endpoints/{quote(name, safe='')}/serving"


#: Path -> what a form that is sent there does.
ACTS: dict[str, Callable[[Workspace, Asked], str]] = {
    "/endpoints/{name}/rollout/share": move_share,
    "/endpoints/{name}/rollout/weights": move_weights,
    "/endpoints/{name}/rollout/end": end,
    "/endpoints/{name}/rollback": roll_back,
}
