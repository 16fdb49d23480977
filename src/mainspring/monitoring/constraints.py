"""Read and write contracts, and count in which ways the rows of a table break one."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from mainspring.ground.contracts import CONTRACT_FORMAT, Checked, Contract, Expect
from mainspring.ground.errors import BadInputError
from mainspring.monitoring.counting import Column, Rule
from mainspring.numerics import contracts
from mainspring.numerics.contracts import Seen

YAML, JSON, TOML = (".yaml", ".yml"), (".json",), (".toml",)
_MOST_BYTES = 4 * 2**20
_SHARES = ("wrong", "completeness", "outside", "unseen", "unmatched")
_HEAD = (
    "# A contract of Mainspring. What is left out is not checked; docs: howto/keep-a-contract\n"
)


def read(path: str | os.PathLike[str]) -> Contract:
    """Return the contract in a file: YAML, TOML or JSON.

    In YAML every value is read as it is written: ``NO`` and ``1`` in ``allowed`` are texts.

    Raises:
        BadInputError: if there is no such file, or it says what a contract cannot: naming the
            field.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise BadInputError(f"There is no file {file}.", field="contract")
    if file.stat().st_size > _MOST_BYTES:
        raise BadInputError(f"{file} is larger than 4 MB, and no contract.", field="contract")
    suffix = file.suffix.lower()
    if suffix not in (*YAML, *JSON, *TOML):
        raise BadInputError(
            f"A contract is .yaml, .toml or .json, found {file.name!r}.", field="contract"
        )
    try:
        text = file.read_text("utf-8")
        if suffix in YAML:
            return check(msgspec.convert(_plain(text, file), Contract, strict=False))
        found = tomllib.loads(text) if suffix in TOML else msgspec.json.decode(text)
        return check(msgspec.convert(found, Contract))
    except (msgspec.MsgspecError, ValueError) as error:
        raise BadInputError(f"{file} is no contract: {error}", field="contract") from error


def write(contract: Contract, path: str | os.PathLike[str]) -> None:
    """Write a contract as YAML or JSON, by the file's name; :func:`read` gives it back.

    Raises:
        BadInputError: for another ending.
    """
    file = Path(path).expanduser()
    if file.suffix.lower() in JSON:
        told = msgspec.json.encode(_brief(contract))
        file.write_bytes(msgspec.json.format(told, indent=2) + b"\n")
        return
    if file.suffix.lower() not in YAML:
        raise BadInputError(
            f"A contract is written as .yaml or .json, found {file.name!r}.", field="contract"
        )
    import yaml

    text = yaml.safe_dump(_brief(contract), sort_keys=False, allow_unicode=True, width=99)
    file.write_text(_HEAD + text, "utf-8")


def check(contract: Contract) -> Contract:
    """Return a contract that can be asked.

    Raises:
        BadInputError: naming the column or rule, and what of it cannot be.
    """
    if contract.format > CONTRACT_FORMAT:
        raise BadInputError(
            f"This contract has format {contract.format}; this release reads {CONTRACT_FORMAT}.",
            field="format",
        )
    if not 0.5 <= contract.confidence < 1:
        raise BadInputError(
            f"confidence lies between 0.5 and 1, found {contract.confidence}.", field="confidence"
        )
    for name, expect in contract.columns.items():
        _check_expect(name, expect)
    for name, text in contract.rules.items():
        Rule(name, text)
    return contract


class Checker:
    """Takes rows portion by portion, and says in which ways they break a contract.

    Example:
        >>> checker = Checker(Contract(columns={"n": Expect(type="Integral", low=0)}))
        >>> checker.add(pl.DataFrame({"n": [1, 2, -3]}))
        >>> checker.found().violations[0].sentence
        "Column 'n', range: found 1 of 3 values (33.3 %) that break it, such as -3; wanted at\
 least 0."
    """

    def __init__(self, contract: Contract) -> None:
        self.contract = check(contract)
        self.rows = 0
        self._columns: dict[str, Column] = {}
        self._rules = [Rule(name, text) for name, text in contract.rules.items()]

    def add(self, frame: pl.DataFrame) -> None:
        """Take further rows."""
        typed: dict[str, pl.Series] = {}
        for name in frame.columns:
            column = self._columns.get(name)
            if column is None:
                expect = self.contract.columns.get(name, Expect())
                column = self._columns[name] = Column(name, expect, before=self.rows)
            typed[name] = column.add(frame[name])
        for name, column in self._columns.items():
            if name not in typed:
                column.skip(frame.height)
        if self._rules:
            rows = pl.DataFrame(list(typed.values()))
            for rule in self._rules:
                rule.add(rows, self.rows)
        self.rows += frame.height

    def found(self, now: float | None = None) -> Checked:
        """Return what was found; ``now``, UTC seconds, is what freshness is asked against."""
        return contracts.judge(
            self.contract,
            Seen(
                rows=self.rows,
                columns=[column.counted() for column in self._columns.values()],
                broken={rule.name: rule.broken for rule in self._rules if not rule.why},
                examples={rule.name: rule.examples for rule in self._rules},
                unreadable={rule.name: rule.why for rule in self._rules if rule.why},
            ),
            now,
        )


def check_frames(
    contract: Contract, frames: Iterable[pl.DataFrame], now: float | None = None
) -> Checked:
    """Return in which ways a stream of frames breaks a contract.

    >>> check_frames(Contract(least_rows=2), [pl.DataFrame({"x": [1]})]).violations[0].check
    'rows'
    """
    checker = Checker(contract)
    for frame in frames:
        checker.add(frame)
    return checker.found(now)


def _brief(record: Any) -> Any:
    """Return a record as plain values, without what is as it would be anyway."""
    if isinstance(record, msgspec.Struct):
        fields = msgspec.structs.fields(type(record))
        kept = {field.name: getattr(record, field.name) for field in fields}
        usual = type(record)()
        return {
            name: _brief(value) for name, value in kept.items() if value != getattr(usual, name)
        }
    if isinstance(record, dict):
        return {name: _brief(value) for name, value in record.items()}
    return record


def _check_expect(name: str, expect: Expect) -> None:
    def refuse(what: str) -> BadInputError:
        return BadInputError(f"Column {name!r} of the contract: {what}", field=name)

    for part in _SHARES:
        share = getattr(expect, part)
        if share is not None and not 0 <= share <= 1:
            raise refuse(f"{part} is a share from 0 to 1, found {share}.")
    if expect.low is not None and expect.high is not None and expect.low > expect.high:
        raise refuse(f"low is {expect.low:g}, above high, {expect.high:g}.")
    if expect.type in ("String", "Boolean") and (expect.low, expect.high) != (None, None):
        raise refuse(f"a {expect.type} has no range.")
    if expect.newest_within_s is not None and expect.newest_within_s < 0:
        raise refuse("newest_within_s is 0 or more seconds.")
    if expect.pattern is not None:
        try:
            pl.Series([""]).str.contains(f"^(?:{expect.pattern})$")
        except pl.exceptions.PolarsError as error:
            told = re.sub(r"\s+", " ", str(error))[:200]
            raise refuse(f"pattern {expect.pattern!r} cannot be read: {told}") from error


def _plain(text: str, file: Path) -> Any:
    """Return YAML with every scalar as the text that was written."""
    import yaml

    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    try:
        # A few lines of aliases can stand for gigabytes.
        for event in yaml.parse(text, Loader=loader):
            if isinstance(event, yaml.AliasEvent):
                raise BadInputError(f"{file} uses an alias; write it out.", field="contract")
        found = yaml.load(text, Loader=loader)  # noqa: S506  texts, lists and mappings alone
    except yaml.YAMLError as error:
        told = re.sub(r"\s+", " ", str(error))
        raise BadInputError(f"{file} is not YAML: {told}", field="contract") from error
    return found or {}
