"""One contract at training, in the package, at the gate and at serving."""

import polars as pl
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

from mainspring.ground.contracts import Contract, Expect
from mainspring.ground.errors import BadInputError
from mainspring.ground.objects import Routing
from mainspring.scaling.models import load, package
from mainspring.scaling.models.model import Model
from mainspring.workspace.measuring.candidate import _unkept

CONTRACT = Contract(
    columns={
        "hour": Expect(type="Integral", low=0, high=23),
        "carrier": Expect(allowed=["AA", "B6", "UA"]),
        "distance": Expect(low=0, outside=0.01),
        "late": Expect(allowed=["late", "on time"]),  # the target: no input
    },
    extra="refuse",
    rules={"early flights are short": "hour > 0 OR distance < 5000"},
)


def fit(rows, contract):
    model = Model(
        HistGradientBoostingClassifier(max_iter=3), target="late", time="at", positive="late",
        columns=["distance", "hour", "carrier", "weekend"], contract=contract,
    )  # fmt: skip
    return model.fit(rows[:1000], rows[1000:])


def test_a_model_keeps_its_contract_and_how_its_training_rows_were(rows, objects):
    fitted = fit(rows, CONTRACT)
    assert fitted.kept.passed
    assert "late" not in fitted.contract.columns
    back = package.read(package.write(fitted, objects), objects)
    assert (back.contract, back.kept) == (fitted.contract, fitted.kept)
    assert package.contract(package.write(fit(rows, None), objects), objects) is None


def test_training_rows_that_break_it_are_told_to_the_gate_and_fresh_ones_too(rows, objects):
    bad = rows.with_columns(hour=pl.col("hour") + 10)
    fitted = fit(bad, CONTRACT)
    assert [v.check for v in fitted.kept.violations] == ["range"]
    told = package.contract(package.write(fitted, objects), objects)
    (training,) = _unkept(told, None)
    assert training.startswith("Training rows: Column 'hour', range: found")
    fresh = rows.head(200).with_columns(carrier=pl.lit("XX"), _y=pl.lit(1.0), _time=pl.lit(0.0))
    lines = _unkept(package.contract(package.write(fit(rows, CONTRACT), objects), objects), fresh)
    assert [line.partition(":")[0] for line in lines] == ["Fresh rows"]
    assert "'XX'" in lines[0]
    assert _unkept(None, fresh) == []


def test_what_is_no_contract_is_refused(rows):
    with pytest.raises(BadInputError, match="not a contract"):
        fit(rows, "contract.yaml")


ROW = {"distance": 731.0, "hour": 18, "carrier": "B6", "weekend": False}


@pytest.mark.parametrize("serving", ["refuse", "note"])
def test_a_request_that_breaks_it_is_refused_by_name_or_counted(serving, rows, objects, stage):
    import msgspec

    digest = package.write(fit(rows, msgspec.structs.replace(CONTRACT, serving=serving)), objects)
    routing = Routing(endpoint="flights", model="flights", champion=1, champion_package=digest)
    one = stage(routing=routing)
    one.predict([ROW])
    # What a share may break is only counted, whatever the contract says of requests.
    one.predict([{**ROW, "distance": -5.0}])
    bad = {"dataframe_records": [ROW, {**ROW, "hour": 25}]}
    answer = one.client.post("/invocations", json=bad)
    if serving == "refuse":
        assert answer.status_code == 400
        assert answer.json()["field"] == "hour"
        assert answer.json()["message"] == (
            "Column 'hour', row 1, breaks the model's contract: range, found 25, wanted 0 to 23."
        )
    else:
        assert answer.status_code == 200
    told = one.client.get("/status").json()["contract"]
    assert told == {"distance: range": 1, "hour: range": 1}
    metrics = one.client.get("/metrics").text
    assert (
        'mainspring_contract_broken_values_total{endpoint="flights",column="hour",check="range"} 1'
        in metrics
    )


def test_a_model_without_a_contract_asks_nothing_more(first, objects):
    assert not load.load(first, objects).asks
