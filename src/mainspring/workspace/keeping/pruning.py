"""Reclaim the space of data that no version, run or step needs, and nothing else."""

from __future__ import annotations

import msgspec

from mainspring.ground.errors import ConflictError
from mainspring.ground.permissions import Permission, authorise
from mainspring.workspace.data import pruning
from mainspring.workspace.data.pruning import UNUSED_S
from mainspring.workspace.keeping import reclaiming
from mainspring.workspace.keeping.collecting import YOUNG_S, Tell
from mainspring.workspace.opening import Workspace
from mainspring.workspace.tracking.catching_up import catch_up


class Pruned(msgspec.Struct, frozen=True, kw_only=True):
    """What a collection of data did, or would do."""

    dry_run: bool
    trees: int  #: copies that runs read, and no one needed lately
    packs: int  #: that were mostly dead, and were packed anew
    objects: int  #: that nothing needed
    bytes: int  #: of them
    young: int  #: objects that nothing names, and that are too young to go


def prune(
    ws: Workspace,
    *,
    unused_s: float = UNUSED_S,
    young_s: float = YOUNG_S,
    dry_run: bool = False,
    tell: Tell = lambda _what, _at, _of: None,
) -> Pruned:
    """Reclaim the space of data; runs are not looked at, nor what they need.

    Args:
        ws: The workspace.
        unused_s: Copies that runs read go after so long without use.
        young_s: Objects put within this time stay. Less than a day is safe only while nobody
            else writes.
        dry_run: Change nothing, only say what would go.
        tell: Is told how far it is.

    Raises:
        PermissionDeniedError: if the principal is no admin.
        ConflictError: if journals cannot be folded, and so what they need could not be told.
    """
    authorise(ws.who, Permission.ADMIN)
    if waits := catch_up(ws):
        raise ConflictError(
            f"Nothing is reclaimed while journals wait, which may name objects: {waits[0]}",
            hint="mainspring doctor says more. A damaged file may be moved out of the home.",
        )
    tidied = pruning.tidy(ws, unused_s=unused_s, dry_run=dry_run, tell=tell)
    tell("listing objects", 0, 0)
    there = reclaiming.listed(ws)
    gone = reclaiming.unneeded(ws, there)
    before = ws.clock.now() - young_s
    old = [one for one in gone if one.at < before]
    if not dry_run:
        old = reclaiming.sweep(ws, old, before, lambda n: tell("deleting", n, len(gone)))
        pruning.forget(ws, [one.digest for one in old])
    return Pruned(
        dry_run=dry_run,
        trees=tidied.trees,
        packs=tidied.packs,
        objects=len(old),
        bytes=sum(one.size for one in old),
        young=len(gone) - len(old),
    )
