"""The rows of a run's graph as it grows: planted, standing, ended; and the tasks for them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Select, distinct, func, insert, select, update

from mainspring.ground.errors import BadInputError
from mainspring.ground.identity import canonical
from mainspring.ground.locks import Lock
from mainspring.ground.objects import StepRecord, StepState
from mainspring.ground.ports import Tx
from mainspring.pipelines import environments, texts
from mainspring.pipelines.controls import Broken, Lot
from mainspring.pipelines.declare import Options
from mainspring.pipelines.graph import RUN_END, STEP, WAITS, Argument, Block, Node, leaves
from mainspring.pipelines.reading import FINAL, here, row_of
from mainspring.pipelines.tables import steps
from mainspring.pipelines.texts import CodeText

_LONGEST = 250  # of a step's name, as the table has it
_MOST_NAMED = 500  # SQLite takes a bounded number of variables
DEEPEST = 20  #: controllers over one step: dynamic functions may wire themselves
_BAD = (str(StepState.FAILED), str(StepState.SKIPPED))


class Seed(msgspec.Struct, frozen=True, kw_only=True):
    """What all steps of a run's plan share, kept by controllers for what they plant."""

    pipeline: str
    env: str  #: digest
    apart: dict[str, str] = {}  #: target -> digest of the environment of its own
    code: dict[str, Any] = {}  #: target -> what ``code_digest`` said of it
    texts: dict[str, str] = {}  #: target -> JSON: what its code says, as the row keeps it
    fresh: list[str] = []  #: names that are to run anew
    anew: bool = False  #: all of them are
    chance: int = 0  #: the run's seed, for what steps draw
    depth: int = 0  #: controllers that stand over these steps


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """The code of steps that are known only now, by target."""

    code: dict[str, Any]
    texts: dict[str, dict[str, CodeText]]
    locks: dict[str, Lock]  #: of those with an environment of their own


class Spec(msgspec.Struct, frozen=True, kw_only=True):
    """A controller as it is kept with its row."""

    blocks: dict[str, Block]
    settings: dict[str, Any]
    seed: Seed


class Controller(msgspec.Struct, frozen=True, kw_only=True):
    """A controller and what it noted."""

    run: str
    name: str
    kind: str
    target: str
    position: int
    state: str
    args: dict[str, Argument]
    options: Options
    code: str
    spec: Spec
    memo: dict[str, Any]


def row(
    run: str,
    node: Node,
    seed: Seed,
    position: int,
    *,
    within: str | None = None,
    lot: int = 0,
    untaken: str = "",
) -> dict[str, Any]:
    """Return the row of a step that waits, or of one that is not taken."""
    _check_name(node.name)
    # Who is handed a token is told of this very wait: what an earlier one was told is no use.
    fresh = seed.anew or node.name in seed.fresh or _takes_token(node)
    own = seed.code.get(node.target, ["", {}])
    spec = None
    if node.kind != STEP:
        kept = msgspec.structs.replace(
            seed,
            code={t: seed.code[t] for t in node.targets if t in seed.code},
            texts={t: seed.texts[t] for t in node.targets if t in seed.texts},
            anew=fresh,
        )
        spec = Spec(blocks=node.blocks, settings=node.settings, seed=kept)
    return {
        "run": run,
        "step": node.name,
        "position": position,
        "seed": seed.chance,
        "pipeline": seed.pipeline,
        "target": node.target,
        "args": canonical(node.args).decode(),
        "options": canonical(node.options).decode(),
        "needs": canonical(node.needs).decode(),
        "code": own[0],
        "code_parts": canonical(dict(own[1])).decode(),
        "code_texts": seed.texts.get(node.target),
        "env": seed.apart.get(node.target, seed.env),
        "fresh": fresh,
        "state": str(StepState.SKIPPED if untaken else StepState.WAITING),
        "why": untaken,
        "kind": node.kind,
        "within": within,
        "lot": lot,
        "handled": bool(untaken),
        "spec": None if spec is None else msgspec.json.encode(spec).decode(),
    }


def _takes_token(node: Node) -> bool:
    return any("token" in leaf for _, leaf in leaves(node.args))


def _check_name(name: str) -> None:
    if len(name) > _LONGEST:
        raise BadInputError(
            f"The step {name[:80]}... has too long a name: at most {_LONGEST} letters.",
            field="name",
        )


def check(controller: Controller, lots: Sequence[Lot]) -> None:
    """Refuse to plant what stands too deep, or is called by too long a name.

    Raises:
        BadInputError: saying which.
    """
    if controller.spec.seed.depth >= DEEPEST:
        raise BadInputError(
            f"{controller.name[:80]} would grow more than {DEEPEST} levels deep: does a dynamic"
            " function wire itself without end?",
            field="step",
            hint="Use ms.iterate with a bound.",
        )
    for lot in lots:
        for node in lot.block.nodes:
            _check_name(node.name)


def task(run: str, node: Node) -> dict[str, Any]:
    """Return the task that carries a node out, as the engine takes it.

    It is tried again when its worker dies, whatever the step's own retries.
    """
    return {
        "id": task_id(run, node.name),
        "kind": "step" if node.kind == STEP else "control",
        "payload": {"run": run, "step": node.name},
        "group": run,
        "needs": [task_id(run, name) for name in node.needs],
        "always": False,
        "max_attempts": 3 + sum(rule.most for rule in node.options.rules),
        "backoff_s": node.options.backoff_s,
    }


def task_id(run: str, step: str) -> str:
    """Return the id of the task that runs a step."""
    return f"{run}:{step}"


def end_id(run: str) -> str:
    """Return the id of the task that notes a run's end."""
    return f"{run}:{RUN_END}"


def after_id(run: str, what: str) -> str:
    """Return the id of what follows on a run's end: of no step, for a step's name has no colon.

    >>> after_id("run_1", "register")
    'run_1::register'
    """
    return f"{run}::{what}"


def load(tx: Tx, run: str, step: str) -> Controller:
    """Return a controller as it stands.

    Raises:
        NotFoundError: if there is no such step.
    """
    found = row_of(tx, run, step)
    return Controller(
        run=run,
        name=step,
        kind=found.kind,
        target=found.target,
        position=found.position,
        state=found.state,
        args=msgspec.json.decode(found.args),
        options=msgspec.json.decode(found.options, type=Options),
        code=found.code,
        spec=msgspec.json.decode(found.spec, type=Spec),
        memo=msgspec.json.decode(found.memo) if found.memo else {},
    )


def broken(tx: Tx, run: str, step: str) -> dict[int, list[Broken]]:
    """Return what failed of all that a controller planted, by lot; failed ones come first."""
    mine = (steps.c.run == run) & (steps.c.within == step)
    query = select(
        steps.c.lot, steps.c.step, steps.c.state, steps.c.error, steps.c.why, steps.c.error_types
    ).where(mine, steps.c.state.in_(_BAD), steps.c.handled.is_(False))
    found: dict[int, list[Broken]] = {}
    rows = tx.all(query.order_by(steps.c.lot, steps.c.position, steps.c.id))
    for one in sorted(rows, key=lambda one: (one.lot, one.state != StepState.FAILED)):
        types = msgspec.json.decode(one.error_types, type=list[str])
        skipped = one.state == StepState.SKIPPED
        told = one.error or one.why or one.state
        kept = Broken(step=one.step, error=told, types=types, skipped=skipped)
        found.setdefault(one.lot, []).append(kept)
    return found


def unended(tx: Tx, run: str, step: str) -> list[str]:
    """Return what a controller planted and whose rows do not say yet how it ended."""
    mine = (steps.c.run == run) & (steps.c.within == step)
    query = select(steps.c.step).where(mine, steps.c.state.not_in([str(one) for one in FINAL]))
    return [one.step for one in tx.all(query)]


def outputs(tx: Tx, run: str, step: str) -> dict[str, tuple[str, str]]:
    """Return digest and type of what the steps that a controller planted, or needs, gave."""
    needs = msgspec.json.decode(row_of(tx, run, step).needs, type=list[str])
    columns = select(steps.c.step, steps.c.output, steps.c.output_type)
    there = columns.where(steps.c.run == run, steps.c.output.is_not(None))
    rows = [*tx.all(there.where(steps.c.within == step)), *named(tx, there, needs)]
    return {one.step: (one.output, one.output_type) for one in rows}


def named(
    tx: Tx, query: Select[Any], names: Collection[str], column: Any = steps.c.step
) -> list[Any]:
    """Return what a query finds of the steps with these names, however many those are."""
    wanted, found = list(names), list[Any]()
    for start in range(0, len(wanted), _MOST_NAMED):
        found += tx.all(query.where(column.in_(wanted[start : start + _MOST_NAMED])))
    return found


def plant(
    tx: Tx, controller: Controller, lots: Sequence[Lot], written: Written | None = None
) -> None:
    """Write down the steps of lots, as waiting, or as skipped where they are not taken.

    ``written`` is what is known of their code and environments besides the controller's own.
    """
    seed = controller.spec.seed
    seed = msgspec.structs.replace(seed, depth=seed.depth + 1)
    if written is not None:
        locks, shown = written.locks.items(), written.texts.items()
        apart = {t: environments.keep(tx, one.listing, one) for t, one in locks}
        told = {t: canonical(texts.keep(tx, found)).decode() for t, found in shown}
        seed = msgspec.structs.replace(
            seed,
            apart={**seed.apart, **apart},
            texts={**seed.texts, **told},
            code={**seed.code, **written.code},
        )
    rows = [
        row(
            controller.run,
            node,
            seed,
            controller.position,
            within=controller.name,
            lot=lot.number,
            untaken=lot.untaken,
        )
        for lot in lots
        for node in lot.block.nodes
    ]
    if rows:
        tx.run(insert(steps), rows)


def tasks(controller: Controller, lots: Sequence[Lot], limit: int | None) -> list[dict[str, Any]]:
    """Return the tasks of lots that are taken; the run's end waits for them as well."""
    pool = {"pool": task_id(controller.run, controller.name), "pool_size": limit} if limit else {}
    before = {"before": [end_id(controller.run)]}
    return [
        {**task(controller.run, node), **before, **pool, **({"lot": lot.number} if pool else {})}
        for lot in lots
        if not lot.untaken
        for node in lot.block.nodes
    ]


def goes_on(
    tx: Tx,
    controller: Controller,
    memo: Mapping[str, Any],
    why: str,
    at: float,
    stops: int | None = None,
) -> None:
    """Note that a controller is at work, what it knows, and why it waits.

    More failed lots of it than ``stops`` stop the others.
    """
    cells: dict[str, Any] = {
        "state": str(StepState.RUNNING),
        "memo": canonical(dict(memo)).decode(),
        "why": why,
        "error": "",
        "trace": "",
    }
    if controller.state != StepState.RUNNING:
        cells["started"] = at
    if stops is not None:
        cells["stops"] = stops
    tx.run(update(steps).where(here(controller.run, controller.name)).values(**cells))


def ended(
    tx: Tx, controller: Controller, output: str, output_type: str, why: str, at: float
) -> None:
    """Note that a controller has ended, and with what."""
    cells = {
        "state": str(StepState.DONE),
        "output": output,
        "output_type": output_type,
        "why": why,
        "ended": at,
        "error": "",
        "trace": "",
    }
    if controller.state != StepState.RUNNING:
        cells["started"] = at
    tx.run(update(steps).where(here(controller.run, controller.name)).values(**cells))


def handle(tx: Tx, run: str, step: str, lots: Collection[int]) -> None:
    """Note that somebody has dealt with what failed in lots of a controller, deep down as well."""
    wanted = set(lots)
    found = [one for one in beneath(tx, run, step) if one.within != step or one.lot in wanted]
    kept, names = {step}, []
    for one in found:  # what is planted comes after what planted it
        if one.within in kept:
            kept.add(one.step)
            names += [one.step] if one.state in _BAD else []
    for start in range(0, len(names), _MOST_NAMED):
        some = steps.c.step.in_(names[start : start + _MOST_NAMED])
        tx.run(update(steps).where(steps.c.run == run, some).values(handled=True))


def beneath(tx: Tx, run: str, step: str) -> list[Any]:
    """Return what a controller planted, and what that planted, level by level."""
    columns = select(
        steps.c.step, steps.c.within, steps.c.lot, steps.c.state, steps.c.kind, steps.c.handled
    )
    mine = columns.where(steps.c.run == run).order_by(steps.c.id)
    found, above = [], [step]
    while above:
        level = named(tx, mine, above, steps.c.within)
        found += level
        above = [one.step for one in level if one.kind != STEP]
    return found


def broken_below(tx: Tx, run: str, step: str, lots: Collection[int]) -> list[str]:
    """Return what failed or was not run of lots of a controller, deep down, and nobody minds."""
    wanted, kept, found = set(lots), {step}, []
    for one in beneath(tx, run, step):  # what is planted comes after what planted it
        if one.within in kept and (one.within != step or one.lot in wanted):
            kept.add(one.step)
            found += [one.step] if one.state in _BAD and not one.handled else []
    return found


def wants_no_more(tx: Tx, run: str, step: str) -> str | None:
    """Return the controller that planted a step which failed, if its others are to stop now."""
    own = tx.one(select(steps.c.within).where(here(run, step)))
    if own is None or own.within is None:
        return None
    row_ = tx.one(select(steps.c.stops).where(here(run, own.within)))
    if row_ is None or row_.stops is None:
        return None
    mine = (steps.c.run == run) & (steps.c.within == own.within)
    bad = (steps.c.state == str(StepState.FAILED)) & steps.c.handled.is_(False)
    count = tx.one(select(func.count(distinct(steps.c.lot)).label("n")).where(mine, bad))
    return str(own.within) if count is not None and count.n > row_.stops else None


def handled(tx: Tx, run: str) -> list[str]:
    """Return the steps of a run that failed or were skipped, and that somebody dealt with."""
    rows = tx.all(select(steps.c.step).where(steps.c.run == run, steps.c.handled.is_(True)))
    return [one.step for one in rows]


def of_kind(tx: Tx, run: str, kind: str) -> list[Controller]:
    """Return the controllers of a run that are of one kind."""
    mine = (steps.c.run == run) & (steps.c.kind == kind)
    rows = tx.all(select(steps.c.step).where(mine).order_by(steps.c.position, steps.c.id))
    return [load(tx, run, one.step) for one in rows]


def undecided(tx: Tx, run: str) -> list[Controller]:
    """Return the controllers of a run's own graph that have planted nothing yet."""
    mine = (steps.c.run == run) & steps.c.spec.is_not(None) & steps.c.within.is_(None)
    new = (steps.c.state == str(StepState.WAITING)) & steps.c.memo.is_(None)
    query = select(steps.c.step).where(mine, new).order_by(steps.c.position, steps.c.id)
    return [load(tx, run, one.step) for one in tx.all(query)]


def waiting(tx: Tx, run: str | None, most: int) -> list[tuple[Controller, float | None]]:
    """Return the controllers that wait for a person, an event or a time, and since when."""
    kinds = steps.c.kind.in_(WAITS)
    mine = kinds & (steps.c.state == str(StepState.RUNNING))
    if run is not None:
        mine &= steps.c.run == run
    query = select(steps.c.run, steps.c.step, steps.c.started).where(mine).order_by(steps.c.id)
    return [(load(tx, r.run, r.step), r.started) for r in tx.all(query.limit(most))]


def still_asks(tx: Tx, run: str, step: StepRecord) -> bool:
    """Return whether a step that was stopped had asked for news, and has no answer yet."""
    if step.kind not in WAITS:
        return False
    memo = load(tx, run, step.step).memo
    return bool(memo) and not memo.get("over")


def news_id(run: str, step: str, asked: int) -> str:
    """Return the id of the task that stands for the news a step waits for."""
    return f"{run}:{step}:news{asked}"
