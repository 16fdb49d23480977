"""Check a table against a contract, and write the contract that a table suggests."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from cyclopts import Parameter

from mainspring.cli import render
from mainspring.cli.options import HERE, Everywhere
from mainspring.cli.profiling import progress
from mainspring.cli.remote import call
from mainspring.ground.errors import BadInputError, NotFoundError

if TYPE_CHECKING:
    from rich.console import Console

    from mainspring.ground.contracts import Checked, Contract

_ENDINGS = (".yaml", ".yml", ".toml", ".json")
_TABLES = (".csv", ".tsv", ".txt", ".jsonl", ".ndjson", ".parquet", ".pq")


def check(
    data: Annotated[str, Parameter(help="A table: CSV, JSON lines, Parquet.")],
    /,
    *,
    against: Annotated[
        str,
        Parameter(
            help="A contract (.yaml, .toml, .json), a profile (.json), another table, a version"
            " (MODEL/NUMBER), a dataset that a run logged (NAME or NAME@DIGEST), or SageMaker's"
            " constraints.json or the folder of it."
        ),
    ],
    suggest: Annotated[
        Path | None, Parameter(help="Write the contract that was used to this file, to edit it.")
    ] = None,
    sagemaker: Annotated[
        Path | None,
        Parameter(help="Write SageMaker Model Monitor's statistics and violations here."),
    ] = None,
    options: Everywhere = HERE,
) -> int:
    """Say in which ways a table breaks a contract. Exit code 1 if it breaks it, 2 for bad use.

    Against a profile, a table, a dataset or a version the contract is the one that these
    suggest: the types, gaps, ranges and values that they have, within the margin of their size.
    """
    from mainspring.workspace import contracts

    contract = _contract(against, options)
    if suggest is not None:
        contracts.save_contract(contract, suggest)
    with progress(f"checking {Path(data).name}", shown=not options.json) as tell:
        found = contracts.check(Path(data), contract, progress=tell)
    document = {"passed": found.passed, **msgspec.to_builtins(found)}
    if sagemaker is not None:
        place = Path(against).expanduser()
        baseline = place if place.is_dir() else place.parent if place.is_file() else None
        written = contracts.check_sagemaker(sagemaker, found, contract, Path(data), baseline)
        document["sagemaker"] = written["violations"]
        document["passed"] = found.passed and not written["violations"]
    render.answer(options, document, lambda out: _draw(out, found, document))
    return 0 if document["passed"] else 1


def _contract(against: str, options: Everywhere) -> Contract:
    from mainspring.workspace import contracts, profiling

    file = Path(against).expanduser()
    suffix = file.suffix.lower()
    if suffix in _TABLES:
        with progress(f"reading {file.name}", shown=not options.json) as tell:
            return contracts.suggest_contract(profiling.profile(file, progress=tell))
    if suffix in _ENDINGS or file.exists():
        return contracts.contract_of(file)
    try:
        return _kept(against, options)
    except NotFoundError as error:
        raise BadInputError(
            f"{error.message} Nothing can be checked against {against!r}.",
            field="against",
            hint=error.hint,
        ) from error


def _kept(against: str, options: Everywhere) -> Contract:
    """Return the contract of what is kept in the home or by the server."""
    from mainspring.workspace import contracts, profiling

    if "/" in against or ("@" in against and not _is_digest(against.partition("@")[2])):
        answer: Any = call(options, "models.contract", ref=against)
        return contracts.decode(msgspec.json.encode(answer))
    name, _, digest = against.partition("@")
    asked = {"name": name} | ({"digest": digest} if digest else {})
    found = call(options, "datasets.profile", **asked)["profile"]
    return contracts.suggest_contract(profiling.decode(msgspec.json.encode(found)))


def _is_digest(text: str) -> bool:
    return bool(text) and set(text) <= set("0123456789abcdef")


def _draw(out: Console, found: Checked, document: dict[str, Any]) -> None:
    rows = [
        (one.column or "(table)", one.check, one.found, one.wanted, ", ".join(one.examples))
        for one in found.violations
    ]
    if rows:
        render.table(out, ("COLUMN", "CHECK", "FOUND", "WANTED", "SUCH AS"), rows)
        out.print()
    for one in document.get("sagemaker", ()):
        if one["constraint_check_type"] == "baseline_drift_check":
            out.print(render.plain(f"{one['feature_name']}: {one['description']}"))
    for line in found.not_judged:
        out.print(render.plain(f"note: {line}"), style="dim")
    many = len(rows)
    told = "keep the contract" if not many else f"break the contract in {many} way"
    out.print(f"{found.rows:,} rows {told}{'s' if many > 1 else ''}.")
