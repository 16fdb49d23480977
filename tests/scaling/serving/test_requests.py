"""What a request may look like: MLflow's forms, our own, and how each wrong field is named."""

from __future__ import annotations

import io

import msgspec
import polars as pl
import pytest

from mainspring.ground.objects import Routing
from mainspring.scaling.models import carried, package
from mainspring.scaling.models.model import Model
from mainspring.scaling.serving import capture

ROW = {"distance": 731.0, "hour": 18, "carrier": "B6", "weekend": False}
NAMES = list(ROW)
HEADER = ",".join(NAMES) + "\n"


def parquet(frame: pl.DataFrame) -> bytes:
    out = io.BytesIO()
    frame.write_parquet(out)
    return out.getvalue()


def post(stage, body, kind="application/json", **headers):
    data = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return stage.client.post(
        "/invocations", content=data, headers={"content-type": kind, **headers}
    )


def test_the_same_row_is_read_in_every_form(stage) -> None:
    one = stage()
    by_place = list(ROW.values())
    frame = pl.DataFrame([ROW])
    narrow = frame.with_columns(pl.col("distance").cast(pl.Float32), pl.col("hour").cast(pl.Int8))
    forms = [
        ({"dataframe_records": [ROW]}, "application/json"),
        ({"dataframe_split": {"columns": NAMES, "data": [by_place]}}, "application/json"),
        (
            {"dataframe_split": {"columns": NAMES, "index": [7], "data": [by_place]}},
            "application/json; charset=utf-8",
        ),
        ({"instances": [ROW]}, "application/json"),
        ({"instances": [by_place]}, "application/json; charset=UTF-8"),
        ({"instances": [{k: [v] for k, v in ROW.items()}]}, "application/json"),
        ({"inputs": {k: [v] for k, v in ROW.items()}}, "application/json"),
        ({"inputs": {k: [[v]] for k, v in ROW.items()}}, "application/json"),
        ({"inputs": ROW, "params": {}}, "application/json"),
        ({"inputs": [by_place]}, "application/json"),
        ((HEADER + "731.0,18,B6,false\n").encode(), "text/csv"),
        (b"731,18,B6,False", "text/csv"),
        (b"731,18,B6,0", "text/csv; header=absent"),
        (b"weekend,carrier,hour,distance\n0,B6,18,731", "text/csv; header=present"),
        (parquet(frame), "application/vnd.apache.parquet"),
        (parquet(narrow), "application/x-parquet"),
    ]
    answers = [post(one, body, kind) for body, kind in forms]
    assert [a.status_code for a in answers] == [200] * len(forms), [a.text for a in answers]
    assert len({a.json()["scores"][0] for a in answers}) == 1


def test_a_model_of_one_column_takes_single_values(stage, rows, objects) -> None:
    from sklearn.linear_model import LogisticRegression

    model = Model(
        LogisticRegression(), target="late", time="at", positive="late", columns=["hour"]
    )
    digest = package.write(model.fit(rows[:1000], rows[1000:]), objects)
    one = stage(
        routing=Routing(endpoint="flights", model="flights", champion=1, champion_package=digest)
    )
    whole = post(one, {"instances": [[18], [3]]}).json()["scores"]
    for body in ({"instances": [18, 3]}, {"inputs": [18, 3]}, {"inputs": {"hour": [[18], [3]]}}):
        assert post(one, body).json()["scores"] == whole
    assert post(one, {"inputs": [18, [3]]}).status_code == 400


def test_event_time_may_stand_in_every_table(stage) -> None:
    one = stage()
    frame = pl.DataFrame([{**ROW, "at": 1.5e9}])
    times = frame.with_columns(pl.from_epoch("at", time_unit="s"))
    for body, kind in (
        (f"{HEADER[:-1]},at\n731.0,18,B6,false,1.5e9".encode(), "text/csv"),
        (f"{HEADER[:-1]},at\n731.0,18,B6,false,2017-07-14T02:40:00".encode(), "text/csv"),
        (parquet(frame), "application/vnd.apache.parquet"),
        (parquet(times), "application/vnd.apache.parquet"),
    ):
        answer = post(one, body, kind)
        assert answer.status_code == 200, answer.text
    assert one.captures.flush()
    assert capture.read(one.folder, None, None)["_time"].to_list() == [1.5e9] * 4


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        ({"instances": [ROW], "params": {"k": 3}}, "application/json", "takes no params, found k"),
        ({"instances": [ROW], "inputs": [ROW]}, "application/json", "exactly one of"),
        ({"inputs": {**ROW, "hour": [[1, 2]]}}, "application/json", "wanted one value"),
        ({"instances": [ROW], "rows": 1}, "application/json", "rows"),
        (b"1,2,3", "text/csv; header=absent", "has 3 columns and no header"),
        (b"a,b\n1,2", "text/csv", "Unknown column 'a'"),
        (b"PAR1 but not really", "application/vnd.apache.parquet", "Parquet file cannot be read"),
        (b"", "application/vnd.apache.parquet", "Parquet file cannot be read"),
        (parquet(pl.DataFrame([{**ROW, "hour": "x"}])), "application/x-parquet", "'hour', row 0"),
        (parquet(pl.DataFrame([{**ROW, "x": 1}])), "application/x-parquet", "column 'x'"),
    ],
    ids=[
        "params",
        "two",
        "nested",
        "extra",
        "narrow",
        "names",
        "damaged",
        "empty",
        "text",
        "more",
    ],
)
def test_a_body_that_is_wrong_is_told_how(stage, body, kind, words) -> None:
    answer = post(stage(), body, kind)
    assert (answer.status_code, answer.json()["error_code"]) == (400, "BAD_REQUEST")
    assert words in answer.json()["message"]


def test_a_parquet_file_that_unpacks_to_too_much_is_refused(stage, monkeypatch) -> None:
    from mainspring.scaling.serving import sheets

    one = stage()
    many = pl.DataFrame(
        {"distance": [1.0] * 100_001, "hour": 1, "carrier": "B6", "weekend": False}
    )
    assert post(one, parquet(many), "application/x-parquet").status_code == 413
    monkeypatch.setattr(sheets, "MOST_TEXT_BYTES", 1000)
    long = pl.DataFrame([{**ROW, "carrier": "x" * 1001}])
    answer = post(one, parquet(long), "application/x-parquet")
    assert (answer.status_code, answer.json()["error"]) == (413, "TOO_LARGE")


def test_an_unknown_type_is_refused_in_plain_text(stage) -> None:
    answer = post(stage(), b"x", "image/png")
    assert answer.status_code == 415
    assert answer.headers["content-type"].startswith("text/plain")
    assert "text/csv" in answer.text


def test_the_release_is_told_at_the_endpoints_own_port(stage) -> None:
    from mainspring.ground.version import __version__

    assert stage().client.get("/version").text == __version__


WRONG = {"distanse": 1.0, "hour": "noon", "carrier": 7, "extra": 1}


@pytest.mark.parametrize("protocol", ["invocations", "predict", "oip"])
def test_every_wrong_field_is_named_at_once_with_what_was_meant(stage, protocol) -> None:
    one = stage()
    if protocol == "oip":
        types = {"hour": "BYTES", "carrier": "INT64", "distanse": "FP64", "extra": "INT8"}
        tensors = [
            {"name": name, "shape": [1], "datatype": types[name], "data": [value]}
            for name, value in WRONG.items()
        ]
        answer = one.client.post("/v2/models/flights/infer", json={"inputs": tensors})
        told = answer.json()["error"]
    else:
        body = {"dataframe_records": [WRONG]} if protocol == "invocations" else {"rows": [WRONG]}
        answer = one.client.post(f"/{protocol}", json=body)
        told = answer.json()["message"]
        fields = [one["field"] for one in answer.json()["problems"]]
        assert fields == ["distanse", "extra", "distance", "hour", "carrier", "weekend"]
    assert answer.status_code == 400
    for words in (
        "Unknown column 'distanse'. Did you mean 'distance'?",
        "Unknown column 'extra'",
        "Column 'distance' is missing",
        "Column 'weekend' is missing",
        "'hour', row 0: wanted a whole number, found 'noon'",
        "'carrier', row 0: wanted a text, found 7",
    ):
        assert words in told


def test_a_million_unknown_columns_are_told_in_twenty(stage) -> None:
    many = {f"c{number}": 1 for number in range(50_000)}
    answer = stage().client.post("/predict", json={"rows": [{**ROW, **many}]})
    assert answer.status_code == 400
    assert len(answer.json()["problems"]) == 20
    assert answer.json()["message"].endswith("And 49980 more.")


def test_our_own_form_takes_ids_a_key_and_a_version(stage, second) -> None:
    one = stage()
    one.route(challenger=2, challenger_package=second, strategy="canary", share=0.0, rollout="r1")
    asked = {"rows": [ROW, ROW], "ids": ["order-1", "order:2"], "sticky": "customer-4"}
    found = one.client.post("/predict", json=asked).json()
    assert found["prediction_ids"] == ["order-1", "order:2"]
    assert found["versions"] == [1, 1]
    for version in (2, "2", "challenger"):
        told = one.client.post("/predict", json={"rows": [ROW], "version": version}).json()
        assert told["model_version"] == "flights/2"
    columns = {name: [value, value] for name, value in ROW.items()}
    assert (
        one.client.post("/predict", json={"columns": columns}).json()["scores"] == found["scores"]
    )
    assert one.captures.flush()
    kept = capture.read(one.folder, None, None)
    assert {"order-1", "order:2"} <= set(kept["_id"])


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        ({"ids": ["a"]}, 400, "1 ids for 2 rows"),
        ({"ids": ["a", "a"]}, 400, "'a' is there twice"),
        ({"ids": ["a", "b c"]}, 400, "Id 1 is 'b c'"),
        ({"version": 9}, 404, "'9'"),
        ({"version": "best"}, 404, "'best'"),
        ({"columns": {}}, 400, "rows or columns"),
        ({"explain": "yes"}, 400, "explain"),
        ({"nonsense": 1}, 400, "nonsense"),
        ({"explain": True}, 400, "explains nothing"),
    ],
    ids=["few", "twice", "odd", "number", "word", "both", "type", "field", "explain"],
)
def test_our_own_form_is_strict(stage, change, status, words) -> None:
    answer = stage().client.post("/predict", json={"rows": [ROW, ROW], **change})
    assert answer.status_code == status
    assert words in answer.json()["message"]


def test_an_answer_explains_itself_on_request(stage, objects, first, second) -> None:
    one = stage(usual=lambda digest: carried.usual(digest, objects))
    one.route(
        challenger=2, challenger_package=second, strategy="blue_green", share=1.0, rollout="r1"
    )
    for version, digest in ((1, first), (2, second)):
        asked = {"rows": [ROW, {**ROW, "hour": 2}], "explain": True, "version": version}
        found = one.client.post("/predict", json=asked).json()
        assert [told["of"] for told in found["explanations"]] == ["late", "late"]
        # By hand: the score, less its mean with the usual hours.
        served = one.load(digest)
        usual = carried.usual(digest, objects)
        for row, told, score in zip(
            asked["rows"], found["explanations"], found["scores"], strict=True
        ):
            assert told["score"] == score
            many = pl.DataFrame([row] * usual.height).with_columns(usual["hour"])
            wanted = score - float(served.score(many)[:, 0].mean())
            assert told["carried"]["hour"] == pytest.approx(wanted, abs=1e-6)
        late, early = (told["carried"]["hour"] for told in found["explanations"])
        assert late > 0 > early
    many = {"rows": [ROW] * 33, "explain": True}
    assert one.client.post("/predict", json=many).status_code == 400
