"""Contracts as people use them: suggested, kept in a file, and data checked against one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from mainspring.experiments import tabular
from mainspring.ground.contracts import Checked, Contract
from mainspring.ground.errors import BadInputError, ContractError, NotFoundError
from mainspring.ground.permissions import Permission
from mainspring.ground.profiles import Profile
from mainspring.pipelines.outputs.frames import is_lazy
from mainspring.workspace import profiling

if TYPE_CHECKING:
    from mainspring.monitoring.streams import Progress
    from mainspring.workspace.opening import Workspace

_SHOWN = 5


def suggest_contract(profile: Profile) -> Contract:
    """Return the contract that data like the profiled keeps, to be edited by who knows better.

    Shares get the margin of the sample: of 1,000 rows without a gap follows a completeness of
    0.9962, not of 1. See :func:`mainspring.numerics.contracts.suggest`.

    Example:
        >>> contract = suggest_contract(profiling.profile({"ok": [True, False] * 50}))
        >>> contract.columns["ok"].allowed
        ['false', 'true']
    """
    from mainspring.numerics import contracts

    return contracts.suggest(profile)


def load_contract(path: str | os.PathLike[str]) -> Contract:
    """Return the contract in a file (.yaml, .toml, .json).

    Raises:
        BadInputError: naming the field that cannot be.
    """
    from mainspring.monitoring import constraints

    return constraints.read(path)


def save_contract(contract: Contract, path: str | os.PathLike[str]) -> None:
    """Write a contract to a file (.yaml, .json), to be edited and kept with the code.

    Raises:
        BadInputError: for another ending.
    """
    from mainspring.monitoring import constraints

    constraints.write(contract, path)


def check(
    data: Any,
    against: Contract | Profile | str | os.PathLike[str],
    *,
    now: float | None = None,
    progress: Progress | None = None,
) -> Checked:
    """Return in which ways data breaks a contract.

    ``data`` is a path or a table, as for :func:`mainspring.profile`; ``against`` a contract,
    the file of one, or a profile, of which a contract is suggested. ``now`` (UTC seconds, by
    default the clock's) is what freshness is asked against.

    Raises:
        BadInputError: if the data or the contract cannot be read.

    Example:
        >>> from mainspring.ground.contracts import Expect
        >>> found = check({"n": [1, -2]}, Contract(columns={"n": Expect(low=0)}))
        >>> found.passed, found.violations[0].check, found.violations[0].count
        (False, 'range', 1)
    """
    from mainspring.ground.clock import SystemClock
    from mainspring.monitoring import constraints, streams

    contract = contract_of(against)
    now = SystemClock().now() if now is None else now
    if isinstance(data, str | os.PathLike):
        frames = streams.frames_of(data, progress=progress)
    elif is_lazy(data):
        frames = streams.frames_of_lazy(data)
    else:
        frames = iter([tabular.frame_of(data, "data")])
    return constraints.check_frames(contract, frames, now)


def contract_of(against: Contract | Profile | str | os.PathLike[str]) -> Contract:
    """Return the contract that something stands for.

    Raises:
        BadInputError: if it stands for none.
    """
    from mainspring.monitoring import constraints

    if isinstance(against, Contract):
        return constraints.check(against)
    if isinstance(against, Profile):
        return suggest_contract(against)
    if not isinstance(against, str | os.PathLike):
        raise BadInputError(
            f"Data is checked against a contract or a profile, not {type(against).__name__}.",
            field="against",
        )
    file = Path(against).expanduser()
    if file.is_dir():
        file = file / "constraints.json"
    found = _from_json(file) if file.suffix.lower() == ".json" and file.is_file() else None
    return found or constraints.read(file)


def _from_json(file: Path) -> Contract | None:
    """Return what a JSON file stands for: a profile's contract, or one of SageMaker's.

    None if it is a contract of ours, or nothing.
    """
    from mainspring.monitoring import sagemaker

    try:
        shape = msgspec.json.decode(file.read_bytes())
    except msgspec.DecodeError as error:
        raise BadInputError(f"{file} is not JSON: {error}", field="against") from error
    if isinstance(shape, dict) and isinstance(shape.get("columns"), list):
        return suggest_contract(profiling.decode(file.read_bytes(), str(file)))
    if isinstance(shape, dict) and isinstance(shape.get("features"), list):
        if "dataset" in shape:
            return suggest_contract(sagemaker.read_statistics(shape, str(file)))
        return sagemaker.read_constraints(shape, str(file))
    return None


def decode(data: bytes) -> Contract:
    """Return a contract that was kept as JSON.

    Raises:
        BadInputError: if it is none.
    """
    from mainspring.monitoring import constraints

    try:
        return constraints.check(msgspec.json.decode(data, type=Contract))
    except msgspec.MsgspecError as error:
        raise BadInputError(f"This is no contract: {error}", field="contract") from error


def write_sagemaker(folder: Path, profile: Profile) -> list[str]:
    """Write a profile as SageMaker Model Monitor's statistics and suggested constraints."""
    from mainspring.monitoring import sagemaker

    sagemaker.write(
        folder,
        statistics=sagemaker.statistics(profile),
        constraints=sagemaker.constraints(suggest_contract(profile)),
    )
    return [sagemaker.STATISTICS, sagemaker.CONSTRAINTS]


def check_sagemaker(
    folder: Path, found: Checked, contract: Contract, data: Path, baseline: Path | None
) -> dict[str, Any]:
    """Write what a check found as SageMaker Model Monitor does, and return it.

    Where ``baseline`` holds a ``statistics.json``, columns that are further from it than the
    constraints allow are among the violations.

    Raises:
        BadInputError: if the statistics cannot be read.
    """
    from mainspring.monitoring import sagemaker

    current = profiling.profile(data)
    drifted: dict[str, str] = {}
    if baseline is not None and (baseline / sagemaker.STATISTICS).is_file():
        told = sagemaker.read(baseline / sagemaker.STATISTICS)
        drifted = sagemaker.drift(contract, sagemaker.read_statistics(told), current)
    out = sagemaker.violations(found, drifted)
    sagemaker.write(folder, statistics=sagemaker.statistics(current), violations=out)
    return out


def of_version(ws: Workspace, ref: str) -> Contract:
    """Return the contract of a version: its own, else the one its training profile suggests.

    ``ref`` is ``name/7`` or ``name@champion``.

    Raises:
        NotFoundError: if there is no such version, or it keeps no profile.
    """
    from mainspring.readiness import registry
    from mainspring.scaling.models import package

    digest = ws.read(Permission.READ, lambda tx: registry.resolve(tx, ref)).package
    try:
        told = package.contract(digest, ws.objects)
        if told is not None:
            return told.contract
        return suggest_contract(package.profile(digest, ws.objects))
    except (NotFoundError, BadInputError) as error:
        raise NotFoundError(
            f"{ref} keeps no profile of its training data.", field="version"
        ) from error


def refuse(found: Checked, what: str) -> None:
    """Raise if a check found something.

    Raises:
        ContractError: naming the first column, what was found and what was wanted.
    """
    if found.passed:
        return
    told = [violation.sentence for violation in found.violations]
    more = f" And {len(told) - _SHOWN} more." if len(told) > _SHOWN else ""
    raise ContractError(
        f"{what} breaks its contract. {' '.join(told[:_SHOWN])}{more}",
        field=found.violations[0].column,
        found=found,
    )


def keep_contract(value: Any, contract: Contract, what: str) -> None:
    """Check what a step was given: a table, or the path of one.

    Raises:
        ContractError: if it breaks the contract.
        BadInputError: if it is no table.
    """
    if not isinstance(value, str | os.PathLike) and not _is_table(value):
        raise BadInputError(
            f"{what} is a {type(value).__name__}, and a contract is about a table.",
            field="expects",
        )
    refuse(check(value, contract), what)


def _is_table(value: Any) -> bool:
    library = type(value).__module__.partition(".")[0]
    return library in ("polars", "pandas", "pyarrow") or isinstance(value, dict | list)
