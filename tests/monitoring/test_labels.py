"""Labels come late, twice, for nobody, or wrong; each is kept, counted or refused by name."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.ground.errors import BadInputError, DamagedError, NotExactError, TooLargeError
from mainspring.ground.objects import Signature
from mainspring.monitoring import labels
from mainspring.monitoring.tables import label_batches
from mainspring.monitoring.truth import targets

BINARY = Signature(columns=[], kind="binary", target="late", classes=["false", "true"])
COLOURS = Signature(columns=[], kind="multiclass", target="c", classes=["red", "green", "7"])
NUMBER = Signature(columns=[], kind="regression", target="y")

IDS = st.one_of(
    st.builds(lambda boot, n: f"{boot:08x}-{n}", st.integers(0, 3), st.integers(0, 10**20)),
    st.text(min_size=1, max_size=64),
)
VALUES = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20),
)


def captured(ids) -> pl.DataFrame:
    return pl.DataFrame({"_id": ids, "_time": np.arange(len(ids), dtype=float)})


def table(frame: pl.DataFrame) -> dict:
    return dict(zip(frame["_id"], frame["_label"], strict=True))


@given(st.dictionaries(IDS, VALUES, min_size=1, max_size=20))
def test_every_label_comes_back_with_its_type(batch):
    ids, values = labels.decode(labels.encode(list(batch), list(batch.values())))
    assert ids == list(batch)
    assert values == list(batch.values())
    assert list(map(type, values)) == list(map(type, batch.values()))


@pytest.mark.parametrize("values", [[True, False], [1, 2], [0.5, 2.0], ["a", "b"], [True, "b"]])
def test_labels_are_read_as_text_in_batch_order(tx, values):
    number = labels.add(tx, "e", ["0a-1", "0a-2"], values, at=5.0)
    frame = labels.read(tx, "e")
    assert frame.schema == labels._SCHEMA
    assert frame["_arrived"].to_list() == [5.0, 5.0]
    assert frame["_id"].to_list() == ["0a-1", "0a-2"]
    assert frame["_label"].to_list() == [labels.written(value) for value in values]
    assert frame["_batch"].to_list() == [number, number]


@given(ids=st.lists(IDS, min_size=1, max_size=10, unique=True))
def test_reading_gives_the_ids_that_decoding_gives(ids):
    payload = labels.encode(ids, [1] * len(ids))
    assert labels._decode(1, payload)["_id"].to_list() == labels.decode(payload)[0] == ids


def test_reading_goes_on_where_it_stopped(tx):
    first = labels.add(tx, "e", ["a"], [1], at=1.0)
    labels.add(tx, "other", ["a"], [9], at=1.0)
    second = labels.add(tx, "e", ["b"], [2], at=2.0)
    assert first < second
    assert table(labels.read(tx, "e", after=first)) == {"b": "2"}
    assert table(labels.read(tx, "e", until=first)) == {"a": "1"}
    assert labels.read(tx, "e", after=second).is_empty()
    assert labels.read(tx, "e", after=second).schema == labels._SCHEMA


def test_the_last_writer_wins(tx):
    labels.add(tx, "e", ["a", "b", "a"], [1, 2, 3], at=1.0)
    labels.add(tx, "e", ["b"], [4], at=2.0)
    assert table(labels.read(tx, "e")) == {"a": "3", "b": "4"}
    seen = labels.received(tx, "e")
    assert (seen.batches, seen.labels, seen.duplicates, seen.newest_at) == (2, 3, 1, 2.0)
    assert labels.received(tx, "other").newest_batch == 0


def test_columns_of_numpy_and_polars_are_taken(tx):
    labels.add(tx, "e", pl.Series(["a", "b"]), np.array([1.5, 2.0]), at=1.0)
    labels.add(tx, "e", ["a"], [np.bool_(True)], at=1.0)
    assert table(labels.read(tx, "e")) == {"a": "true", "b": "2.0"}


@pytest.mark.parametrize(
    ("ids", "values", "error", "field"),
    [
        (["a"], [float("nan")], BadInputError, "labels[0]"),
        (["a", "b"], [1.0, float("inf")], BadInputError, "labels[1]"),
        (["a"], [None], BadInputError, "labels[0]"),
        (["a"], [[1]], BadInputError, "labels[0]"),
        (["a"], [2**63], NotExactError, "labels[0]"),
        (["a"], ["x" * 1001], TooLargeError, "labels[0]"),
        (["a", ""], [1, 1], BadInputError, "ids[1]"),
        (["x" * 65], [1], BadInputError, "ids[0]"),
        ([7], [1], BadInputError, "ids[0]"),
        (["a", "b"], [1], BadInputError, "labels"),
        ([], [], BadInputError, "labels"),
    ],
)
def test_what_is_no_label_is_refused_by_name(tx, ids, values, error, field):
    with pytest.raises(error) as refused:
        labels.add(tx, "e", ids, values, at=1.0)
    assert refused.value.field == field
    assert labels.received(tx, "e").batches == 0


def test_a_full_batch_is_small_and_one_more_label_is_refused(tx):
    ids = [f"1f2e3d4c-{n}" for n in range(labels.MOST_LABELS)]
    assert len(labels.encode(ids, [n % 3 == 0 for n in range(len(ids))])) < 8 * len(ids)
    labels.add(tx, "e", ids, [True] * len(ids), at=1.0)
    assert labels.read(tx, "e").height == len(ids)
    with pytest.raises(TooLargeError):
        labels.add(tx, "e", [*ids, "x"], [True] * (len(ids) + 1), at=1.0)


def test_a_damaged_batch_is_named(tx):
    number = labels.add(tx, "e", ["a-1"], [1], at=1.0)
    payload = labels.encode(["a-1"], [1])
    for broken in (payload[:-1] + b"\xff", payload[:5]):
        tx.run(label_batches.update().values(payload=broken))
        with pytest.raises(DamagedError, match=f"batch {number}"):
            labels.read(tx, "e")


def test_a_late_label_joins_the_row_of_its_prediction(tx):
    labels.add(tx, "e", ["p-2"], [True], at=1.0)
    early = labels.join(captured(["p-1", "p-2"]), labels.read(tx, "e"), BINARY)
    labels.add(tx, "e", ["p-1"], [False], at=1e9)
    late = labels.join(captured(["p-1", "p-2"]), labels.read(tx, "e"), BINARY)
    assert early.select("_id", "_y").rows() == [("p-2", 1)]
    assert late.select("_id", "_time", "_y").rows() == [("p-1", 0.0, 0), ("p-2", 1.0, 1)]


def test_what_cannot_be_joined_is_counted(tx):
    labels.add(tx, "e", ["p-1", "p-2", "p-3", "ghost"], ["red", "blue", "blue", "red"], at=1.0)
    first = labels.read(tx, "e")
    labels.add(tx, "e", ["p-1"], [7], at=2.0)
    both = pl.concat([labels.read(tx, "e", after=1), first])  # in any order
    found = labels.join_counted(captured(["p-1", "p-2", "p-3", "p-4"]), both, COLOURS)
    assert found.rows.select("_id", "_y").rows() == [("p-1", 2)]
    assert found.foreign == {"blue": 2}
    assert (found.labels, found.unmatched, found.replaced) == (4, 1, 1)


def test_joining_nothing_gives_nothing():
    none = pl.DataFrame(schema=labels._SCHEMA)
    for rows in (captured(["a"]), captured([]), captured(["a"]).clear()):
        found = labels.join_counted(rows, none, NUMBER)
        assert found.rows.is_empty()
        assert found.foreign == {}
        assert "_y" in found.rows.columns


def test_classes_are_met_by_meaning_where_it_is_clear():
    def of(values, classes, kind="binary"):
        signature = Signature(columns=[], kind=kind, target="y", classes=classes)
        return targets(pl.Series(values, dtype=pl.String), signature).to_list()

    assert of(["true", "1", "0", "1.0", "2", "yes", None], ["0", "1"]) == [1, 1, 0, 1] + [None] * 3
    assert of(["true", "False", "0", "1.0"], ["False", "True"]) == [1, 0, 0, 1]
    assert of(["true", "0"], []) == [1, 0]
    assert of(["no", "yes", "1"], ["no", "yes"]) == [0, 1, None]
    # Two classes of one meaning are told apart by how they are written, or not at all.
    assert of(["1", "1.0", "1.00"], ["1", "1.0"], "multiclass") == [0, 1, None]
    assert of([], ["a", "b"]) == []


def test_regression_takes_finite_numbers_only():
    found = targets(pl.Series(["1.5", "-3", "1e400", "nan", "true", "x", None]), NUMBER)
    assert found.to_list() == [1.5, -3.0, None, None, None, None, None]
