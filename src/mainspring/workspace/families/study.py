"""Ask optuna: which params next, whether to go on with a trial, which params matter.

The store is the truth. A study is built of its runs whenever it is asked, lives in memory and
is thrown away. Every draw has a seed of its own, made of the tuning's seed and the trial's
number, so that a tuning that was broken off goes on with the draws it would have made.
"""

from __future__ import annotations

import hashlib
import math
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.experiments.families import Family, Member, Notes
from mainspring.experiments.spaces import Dimension, grid
from mainspring.ground.errors import BadInputError
from mainspring.ground.objects import RunStatus

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler
    from optuna.study import Study
    from optuna.trial import FrozenTrial

SAMPLERS = ("tpe", "random", "grid")
PRUNERS = ("none", "median", "asha", "hyperband")
_LEAST_FOR_IMPORTANCE = 10  #: finished trials; fewer say nothing


def check(family: Family) -> None:
    """Refuse a sampler or pruner that is not known, or a space they cannot draw from.

    Raises:
        BadInputError: naming those there are.
    """
    for field, found, known in (
        ("sampler", family.sampler, SAMPLERS),
        ("pruner", family.pruner, PRUNERS),
        ("goal", family.goal, ("maximize", "minimize")),
    ):
        if found not in known:
            raise BadInputError(
                f"There is no {field} {str(found)[:40]!r}.",
                field=field,
                hint=f"There are: {', '.join(known)}.",
            )
    if family.sampler == "grid":
        grid(family.space)


def draw(family: Family, found: Sequence[Member], number: int) -> dict[str, Any]:
    """Return the params of the trial ``number``, given all trials before it."""
    if family.sampler == "grid":
        points = grid(dict(sorted(family.space.items())))
        return dict(points[number % len(points)])
    study = build(family, found)
    study.sampler = _sampler(family, number)
    # In one order, whatever the order of what was read back.
    wanted = {name: _distribution(family.space[name]) for name in sorted(family.space)}
    drawn = study.ask(fixed_distributions=wanted).params
    return {name: _value(family.space[name], drawn[name]) for name in family.space}


def judge(family: Family, found: Sequence[Member], number: int) -> tuple[bool, dict[str, Any]]:
    """Return whether to prune the trial ``number``, and what the pruner keeps of it.

    Its reports, the newest too, are in its notes.
    """
    study = build(family, found)
    place = [one.number for one in found].index(number)
    trial = study.get_trials(deepcopy=False)[place]
    verdict = study.pruner.prune(study, trial)
    kept = study.get_trials(deepcopy=False)[place].system_attrs
    return verdict, dict(kept)


def best(family: Family, found: Sequence[Member]) -> Member | None:
    """Return the finished trial with the best value; the earliest of equals."""
    better = max if family.goal == "maximize" else min
    done = [one for one in found if value_of(family, one) is not None and not one.notes.pruned]
    return better(done, key=lambda one: value_of(family, one) or 0.0) if done else None


def value_of(family: Family, member: Member) -> float | None:
    """Return the value of a finished or pruned trial; None without one, NaN counts as none."""
    if member.run.status is not RunStatus.FINISHED:
        return None
    value = member.run.metrics.get(family.metric)
    return None if value is None or math.isnan(value) else value


def stale(family: Family, found: Sequence[Member]) -> bool:
    """Return whether so many trials brought no better one that the tuning shall end."""
    if family.patience is None:
        return False
    settled = sorted((m for m in found if m.settled), key=lambda m: m.run.ended or 0.0)
    top = best(family, settled)
    if top is None:
        return False
    after = [one for one in settled if (one.run.ended or 0.0) > (top.run.ended or 0.0)]
    return len(after) >= family.patience


def importance(family: Family, found: Sequence[Member]) -> dict[str, float]:
    """Return the share of the value's variance that each param explains, largest first.

    Empty below ten finished trials, or where the value never changed.

    Source: Hutter, Hoos and Leyton-Brown, An efficient approach for assessing hyperparameter
    importance (fANOVA), ICML 2014, as optuna has it.
    """
    done = [value for one in found if (value := value_of(family, one)) is not None]
    varied = [n for n, one in family.space.items() if one.kind != "choice" or len(one.choices) > 1]
    if len(done) < _LEAST_FOR_IMPORTANCE or len(set(done)) < 2 or not varied:
        return {}
    import optuna

    study = build(family, found)
    told = optuna.importance.get_param_importances(
        study,
        evaluator=optuna.importance.FanovaImportanceEvaluator(seed=family.seed),
        params=varied,
    )
    return {name: float(share) for name, share in told.items()}


def build(family: Family, found: Sequence[Member]) -> Study:
    """Return a study in memory that holds what the store holds."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        direction=family.goal,
        sampler=optuna.samplers.RandomSampler(seed=0),
        pruner=_pruner(family),
        study_name="tuning",  # the brackets of hyperband hash it
    )
    for one in found:
        study.add_trial(_frozen(family, one))
    return study


def _frozen(family: Family, member: Member) -> FrozenTrial:
    import optuna
    from optuna.trial import TrialState

    notes = member.notes
    reports = {step: float(value) for step, value in notes.reports}
    value = value_of(family, member)
    state = TrialState.RUNNING
    if member.settled:
        state = TrialState.FAIL if value is None else TrialState.COMPLETE
        if notes.pruned:
            state = TrialState.PRUNED
    wanted = {name: _distribution(one) for name, one in family.space.items()}
    finished = state in (TrialState.COMPLETE, TrialState.PRUNED)
    return optuna.create_trial(
        state=state,
        value=value if finished else None,
        params={
            name: _shown(family.space[name], drawn)
            for name, drawn in notes.params.items()
            if name in wanted
        },
        distributions={name: wanted[name] for name in notes.params if name in wanted},
        system_attrs=notes.attrs,
        intermediate_values=reports,
    )


def _sampler(family: Family, number: int) -> BaseSampler:
    import optuna

    digest = hashlib.sha256(f"{family.seed}:{number}".encode()).digest()
    seed = int.from_bytes(digest[:4], "big")
    if family.sampler == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.samplers.TPESampler(seed=seed, constant_liar=True)


def _pruner(family: Family) -> BasePruner:
    import optuna

    made: BasePruner = optuna.pruners.NopPruner()
    if family.pruner == "median":
        made = optuna.pruners.MedianPruner()
    elif family.pruner == "asha":
        made = optuna.pruners.SuccessiveHalvingPruner()
    elif family.pruner == "hyperband":
        made = optuna.pruners.HyperbandPruner()
    return made


def _distribution(one: Dimension) -> BaseDistribution:
    from optuna import distributions

    if one.kind == "choice":
        # By place, so that 1, 1.0 and true stay three choices.
        return distributions.CategoricalDistribution(list(range(len(one.choices))))
    high = one.high
    if one.step is not None:
        high = one.low + math.floor((one.high - one.low) / one.step + 1e-9) * one.step
    if one.kind == "int":
        step = 1 if one.step is None else int(one.step)
        return distributions.IntDistribution(int(one.low), int(high), log=one.log, step=step)
    return distributions.FloatDistribution(one.low, high, log=one.log, step=one.step)


def _value(one: Dimension, drawn: Any) -> Any:
    return one.choices[int(drawn)] if one.kind == "choice" else drawn


def _shown(one: Dimension, value: Any) -> Any:
    """Return a param's value as optuna drew it."""
    if one.kind != "choice":
        return value
    same = [n for n, c in enumerate(one.choices) if c == value and type(c) is type(value)]
    return same[0]


def reported(notes: Notes, value: float, step: int) -> Notes:
    """Return notes with one more report."""
    told: float | str = value if math.isfinite(value) else repr(value)
    return msgspec.structs.replace(notes, reports=[*notes.reports, (step, told)])
