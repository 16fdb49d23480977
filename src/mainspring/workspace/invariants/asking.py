"""Ask the store whether it keeps what it promises, all in one moment of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

from mainspring.ground.permissions import Permission
from mainspring.ground.ports import Tx
from mainspring.ground.records import Record
from mainspring.workspace.invariants import bytes_, loops, versions, work
from mainspring.workspace.opening import Workspace

#: Of one promise that is broken everywhere, this many places are named.
MOST = 20

Question = Callable[[Workspace, Tx], Iterator[str]]


class Promise(Record, frozen=True, kw_only=True):
    """One promise of the store, and in which ways it is broken; in none if it is kept."""

    name: str
    says: str  #: the promise, in one sentence
    broken: list[str]
    advice: str = ""  #: what to do where it is broken


_RUN_AGAIN = "mainspring up carries on from here; if it stays, restore a backup."
_RESTORE = "Restore the home from a backup; somebody changed the database by hand."

#: (name, promise, question, what to do)
PROMISES: tuple[tuple[str, str, Question, str], ...] = (
    (
        "aliases",
        "Every alias names a version that is there, and its history ends with it.",
        versions.aliases,
        _RESTORE,
    ),
    (
        "champions",
        "Every champion once passed a gate.",
        versions.champions,
        "Judge it (mainspring gate run), or promote one that passed.",
    ),
    (
        "numbers",
        "The versions of a model are numbered from 1 without a hole.",
        versions.numbers,
        _RESTORE,
    ),
    (
        "views",
        "A loop's view can be read, and its champion is the registry's once it has reacted.",
        loops.views,
        _RUN_AGAIN,
    ),
    (
        "commands",
        "What a loop waits for is being done, or its answer is on its way.",
        loops.commands,
        "Read why: mainspring logs --process engine. Then ask anew: mainspring loop retrain.",
    ),
    (
        "single flight",
        "A loop makes at most one new version at a time.",
        loops.single_flight,
        "Cancel the younger run: mainspring cancel RUN.",
    ),
    (
        "rollouts",
        "An endpoint has at most one rollout, against its own champion.",
        loops.rollouts,
        _RUN_AGAIN,
    ),
    (
        "alarms",
        "An alarm that ended has one outcome; one that a loop holds is open.",
        loops.alarms,
        _RUN_AGAIN,
    ),
    (
        "promotions",
        "Every move of a champion has a decision or a hand that gave its reason.",
        loops.promotions,
        _RESTORE,
    ),
    (
        "tasks",
        "A task waits only for tasks that are there, and knows how many.",
        work.tasks,
        _RUN_AGAIN,
    ),
    (
        "leases",
        "A task at work has an owner and a lease.",
        work.leases,
        _RUN_AGAIN,
    ),
    (
        "runs",
        "A run of a pipeline that is running has work left.",
        work.runs,
        "Go on with it: mainspring resume RUN.",
    ),
    (
        "packages",
        "The bytes of every version that may serve are here.",
        bytes_.packages,
        "Restore the objects from a backup, or train again.",
    ),
    (
        "artifacts",
        "The bytes of every artifact are here.",
        bytes_.artifacts,
        "Restore the objects from a backup.",
    ),
    (
        "captures",
        "The index of an endpoint's captures names files that are there.",
        bytes_.captures,
        "Restore the captures from a backup.",
    ),
)


def ask(ws: Workspace) -> list[Promise]:
    """Return every promise with what breaks it, as of one moment.

    A promise whose question cannot be asked (a record that cannot be read) is broken by that.
    """

    def work_(tx: Tx) -> list[Promise]:
        return [
            Promise(name=name, says=says, broken=_asked(question, ws, tx), advice=advice)
            for name, says, question, advice in PROMISES
        ]

    return ws.read(Permission.ADMIN, work_)


def _asked(question: Question, ws: Workspace, tx: Tx) -> list[str]:
    try:
        found = list(islice(question(ws, tx), MOST + 1))
    except (ValueError, KeyError, TypeError, OSError) as error:
        return [f"It cannot be asked: {type(error).__name__}: {error}"]
    return [*found[:MOST], "and more"] if len(found) > MOST else found
