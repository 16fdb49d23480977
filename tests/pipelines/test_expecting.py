import polars as pl
import pytest

import mainspring as ms
from mainspring.ground.errors import BadInputError, ContractError, StepFailedError
from mainspring.pipelines import child, outputs
from mainspring.pipelines.code import code_digest

CONTRACT = ms.Contract(columns={"x": ms.Expect(type="Integral", low=0)})
GOOD, BAD = pl.DataFrame({"x": [1, 2]}), pl.DataFrame({"x": [1, -2]})


def learn(rows, trees=3):
    return rows.height * trees


def test_a_step_called_as_plain_python_keeps_its_contract_too():
    step = ms.step(expects=CONTRACT)(learn)
    assert step(GOOD) == 6
    with pytest.raises(ContractError) as caught:
        step(rows=BAD)
    assert caught.value.field == "x"
    assert caught.value.found.violations[0].check == "range"
    assert str(caught.value) == (
        "rows of step learn breaks its contract. Column 'x', range: found 1 of 2 values (50 %)"
        " that break it, such as -2; wanted at least 0."
    )


def test_contracts_are_by_argument_and_pandas_lists_and_paths_are_tables(tmp_path):
    step = ms.step(expects={"rows": CONTRACT})(lambda_free)
    (tmp_path / "rows.csv").write_text("x\n1\n-5\n")
    assert step(trees=1, rows=GOOD.to_pandas()) == 1
    for value in (BAD.to_pandas(), BAD.to_dicts(), str(tmp_path / "rows.csv")):
        with pytest.raises(ContractError, match="range"):
            step(trees=1, rows=value)
    with pytest.raises(BadInputError, match="about a table"):
        step(trees=1, rows=3)


def lambda_free(trees, rows):
    assert rows is not None
    return trees


@pytest.mark.parametrize(
    ("expects", "said"),
    [
        ({"wrong": CONTRACT}, "no argument 'wrong'"),
        ({"rows": 3}, "not a contract"),
        (3, "expects"),
    ],
)
def test_what_cannot_be_expected_is_refused_where_it_is_written(expects, said):
    with pytest.raises(BadInputError, match=said):
        ms.step(expects=expects)(learn)


def test_a_step_that_takes_nothing_expects_nothing():
    def nothing():
        return 1

    with pytest.raises(BadInputError, match="takes nothing"):
        ms.step(expects=CONTRACT)(nothing)


def test_a_changed_contract_changes_the_digest_of_the_code_and_says_so():
    def one(rows):
        return rows

    ms.step(expects=CONTRACT)(one)
    digest, parts = code_digest(one)
    ms.step(expects=ms.Contract(columns={"x": ms.Expect(low=1)}))(one)
    other, changed = code_digest(one)
    assert digest != other
    assert [name for name in parts if parts[name] != changed[name]] == ["contract rows"]


def test_a_step_in_a_process_of_its_own_fails_before_its_function_is_called(place):
    place.write(
        """
        import mainspring as ms
        CONTRACT = ms.Contract(columns={"x": ms.Expect(low=0)})
        @ms.step(expects=CONTRACT)
        def learn(rows):
            raise RuntimeError("called")
        """
    )
    given = {"root": str(place.root), "target": "project:learn", "step": "learn", "run": "run_1"}
    stored = outputs.encode(BAD, place.objects, "rows")
    args = {"rows": {"digest": stored.digest, "type": stored.type}}
    with pytest.raises(StepFailedError) as caught:
        child.execute({**given, "args": args}, place.objects)
    assert "Column 'x', range: found 1 of 2 values" in caught.value.message
    assert "Inputs: rows=" in str(caught.value)
    stored = outputs.encode(GOOD, place.objects, "rows")
    args = {"rows": {"digest": stored.digest, "type": stored.type}}
    with pytest.raises(StepFailedError, match="RuntimeError: called"):
        child.execute({**given, "args": args}, place.objects)
