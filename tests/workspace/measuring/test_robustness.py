"""What changed rows do to a version is counted, whatever the version does with them."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from mainspring.ground.contracts import Contract, Expect
from mainspring.ground.errors import BadInputError
from mainspring.ground.limits import RobustnessLimits
from mainspring.ground.objects import Column, ColumnProfile, Profile, Signature
from mainspring.numerics.rowwise import RowChecks
from mainspring.readiness.checks import robustness as check
from mainspring.readiness.declaring import Gate
from mainspring.readiness.inputs import GateInputs
from mainspring.readiness.measured import Measured
from mainspring.workspace.measuring import robustness
from mainspring.workspace.measuring.subject import Candidate

SIGNATURE = Signature(
    columns=[
        Column(name="x", type="float", nullable=False),
        Column(name="n", type="int"),
        Column(name="word", type="str"),
    ],
    kind="binary",
    target="y",
    classes=["no", "yes"],
)


class Scripted:
    """A served version that answers by a function of its rows."""

    def __init__(self, answer: Any, contract: Contract | None = None) -> None:
        self.signature = SIGNATURE
        self.asks = RowChecks(contract or Contract(), ["x", "n", "word"])
        self._answer = answer

    def score(self, rows: pl.DataFrame) -> Any:
        return np.asarray(self._answer(rows), dtype=np.float64)[:, None]


def _candidate(answer: Any, contract: Contract | None = None, rows: int = 40) -> Candidate:
    example = pl.DataFrame(
        {
            "x": np.linspace(0.0, 1.0, rows),
            "n": list(range(rows)),
            "word": ["a", "b"] * (rows // 2),
        },
        schema={"x": pl.Float64, "n": pl.Int64, "word": pl.String},
    )
    columns = [
        ColumnProfile(name=name, type="number", rows=rows, missing=0, share=share)
        for name, share in (("x", 0.5), ("n", 0.3), ("word", 0.2))
    ]
    return Candidate(
        digest="d",
        served=Scripted(answer, contract),  # type: ignore[arg-type]
        baseline=Profile(rows=rows, columns=columns, score=columns[0]),
        reference=None,
        example=example,
        objects=None,  # type: ignore[arg-type]
    )


def _judged(candidate: Candidate, **limits: Any) -> Any:
    policy = Gate(robustness=limits or True)
    assert policy.robustness is not None
    found = robustness.measure(candidate, policy.robustness)
    inputs = GateInputs(measured=Measured(robustness=found))
    (result,) = check.check(inputs, policy)
    return found, result


def _probes(found: Any) -> dict[tuple[str, str], Any]:
    return {(one.kind, one.column): one for one in found.probes}


def test_a_version_that_does_not_listen_bears_everything() -> None:
    found, result = _judged(_candidate(lambda rows: np.full(rows.height, 0.7)))
    assert result.passed
    assert set(_probes(found)) == {
        ("noise", ""),
        ("out of range", "x"),
        ("out of range", "n"),
        ("unseen", "word"),
        ("missing", "n"),
        ("missing", "word"),
        ("extreme", "x"),
        ("extreme", "n"),
    }
    assert all(one.flipped == 0 and one.moved == 0 for one in found.probes)


def test_a_column_that_may_not_be_missing_is_not_tried_without() -> None:
    found, _ = _judged(_candidate(lambda rows: np.full(rows.height, 0.7)))
    assert ("missing", "x") not in _probes(found)


def test_flips_and_moves_are_counted_by_hand() -> None:
    # Half of the rows lie above 0.5; below its range all answers are no, above it yes.
    found, _ = _judged(_candidate(lambda rows: (rows["x"] > 0.5).cast(pl.Float64).to_numpy()))
    far = _probes(found)[("out of range", "x")]
    # Rows in turn go far below and far above: 20 below, of which 10 said yes, and so on.
    assert (far.flipped, far.moved) == (20, 20)


def test_an_error_is_told_with_the_change_that_raised_it_and_the_others_are_still_tried() -> None:
    def answer(rows: pl.DataFrame) -> Any:
        if (rows["word"] == "never seen before").any():
            raise ValueError("unknown word\nand more")
        return np.full(rows.height, 0.2)

    found, result = _judged(_candidate(answer))
    assert not result.passed
    assert result.found == "unseen word: ValueError: unknown word"
    assert _probes(found)[("out of range", "x")].error == ""


def test_an_answer_that_is_no_number_is_refused() -> None:
    def answer(rows: pl.DataFrame) -> Any:
        return rows["n"].is_null().replace_strict({True: np.nan, False: 0.2}).to_numpy()

    _, result = _judged(_candidate(answer))
    assert not result.passed
    assert result.found == "missing n: 40 of 40 answers are no number"


def test_numbers_that_few_bear_are_told_and_judged_only_where_asked() -> None:
    def answer(rows: pl.DataFrame) -> Any:
        return np.where(rows["x"].abs() > 1e200, np.inf, 0.4)

    _, told = _judged(_candidate(answer))
    assert told.passed
    assert "1 columns do not bear 1e300" in told.found
    _, asked = _judged(_candidate(answer), extreme=True)
    assert not asked.passed


def test_what_its_own_contract_refuses_never_reaches_a_version() -> None:
    def answer(rows: pl.DataFrame) -> Any:
        if rows["x"].max() > 5:  # type: ignore[operator]
            raise ValueError("too far")
        return np.full(rows.height, 0.4)

    contract = Contract(columns={"x": Expect(low=0, high=1)}, serving="refuse")
    found, result = _judged(_candidate(answer, contract))
    assert result.passed
    assert _probes(found)[("out of range", "x")].refused


@pytest.mark.parametrize(("most", "passes"), [(1.0, True), (0.1, False)])
def test_small_changes_may_move_as_many_as_declared(most: float, passes: bool) -> None:
    # An answer that hangs on the last digits flips for about half of the rows.
    found, result = _judged(
        _candidate(lambda rows: ((rows["x"] * 1e6) % 2 > 1).cast(pl.Float64).to_numpy()),
        max_moved=most,
    )
    assert result.passed is passes
    assert 8 <= _probes(found)[("noise", "")].flipped <= 32


def test_one_strange_value_may_flip_as_many_as_declared() -> None:
    candidate = _candidate(lambda rows: (rows["word"] == "a").fill_null(value=False).to_numpy())
    _, calm = _judged(candidate)
    assert calm.passed
    _, strict = _judged(candidate, max_flipped=0.4)
    assert not strict.passed
    assert "missing word: 20 of 40 answers flip" in strict.found


def test_a_package_without_rows_is_not_measured_and_says_why() -> None:
    found, result = _judged(_candidate(lambda rows: np.zeros(rows.height), rows=0))
    assert result.passed
    assert found.why == "the package keeps no rows"


def test_only_the_heaviest_columns_are_tried_and_the_others_named() -> None:
    found, _ = _judged(_candidate(lambda rows: np.zeros(rows.height)), columns=1)
    assert found.untried == ["n", "word"]


def test_a_limit_that_is_misspelt_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(BadInputError, match="Did you mean 'max_moved'"):
        Gate(robustness={"max_movd": 0.1})
    assert RobustnessLimits().max_moved == 0.25
