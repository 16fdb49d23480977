from __future__ import annotations

import datetime as dt
import math
import struct
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum, Flag, auto
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from polars.testing.parametric import dataframes
from tests.pipelines.conftest import MemoryObjects

from mainspring.ground.errors import DamagedError, NotExactError, ProjectError
from mainspring.ground.identity import canonical
from mainspring.pipelines import outputs
from mainspring.pipelines.plain import from_json, is_plain, to_json

FOLDER = Path("/nonexistent")


@dataclass(frozen=True)
class Settings:
    rate: Any
    note: Any = None

    def __post_init__(self) -> None:
        if self.note == "once":
            raise AssertionError("run again")


class Point(msgspec.Struct):
    x: Any
    y: Any


quick = settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])


def there_and_back(value: Any) -> Any:
    objects = MemoryObjects()
    kept = outputs.encode(value, objects)
    assert set(kept.blobs) == set(objects.kept)
    return outputs.decode(kept.digest, kept.type, objects, FOLDER)


def digest(value: Any) -> str:
    return outputs.encode(value, MemoryObjects()).digest


def same_bits(left: pl.DataFrame, right: pl.DataFrame) -> bool:
    """Equal with types, nulls, NaN and the sign of zeros."""
    if left.schema != right.schema or not left.equals(right):
        return False
    for name, kind in left.schema.items():
        if kind == pl.Float64:
            pairs = zip(left[name].to_list(), right[name].to_list(), strict=True)
            if any(a is not None and struct.pack("d", a) != struct.pack("d", b) for a, b in pairs):
                return False
    return True


TRICKY = pl.DataFrame(
    {
        "int": [2**63 - 1, -(2**63), None, 0],
        "float": [math.nan, None, -0.0, math.inf],
        "text": ["é 漢 🎈", "", None, "a\x00b"],
        "date": [dt.date(1, 1, 1), None, dt.date(9999, 12, 31), dt.date(2013, 1, 1)],
        "time": pl.Series([dt.datetime(2013, 1, 1, tzinfo=dt.UTC), None] * 2),
        "nanos": pl.Series([1, None, 3, 4], dtype=pl.Int64).cast(pl.Datetime("ns")),
        "bool": [True, None, False, True],
        "bytes": [b"\x00\xff", None, b"", b"x"],
        "list": [[1, None], [], None, [2**63 - 1]],
        "struct": [{"a": 1, "b": None}] * 4,
        "small": pl.Series([0, 255, None, 1], dtype=pl.UInt8),
        "category": pl.Series(["a", "b", None, "a"], dtype=pl.Categorical),
        "enum": pl.Series(["a", "b", None, "a"], dtype=pl.Enum(["b", "a"])),
        "decimal": [Decimal("1.20"), None, Decimal("-3.00"), Decimal("0.01")],
        "empty": pl.Series([None] * 4, dtype=pl.Null),
        "span": [dt.timedelta(days=-1, microseconds=1), None, dt.timedelta(0), dt.timedelta.max],
    },
    strict=False,
)


def test_a_frame_of_every_type_comes_back_bit_by_bit() -> None:
    assert same_bits(there_and_back(TRICKY), TRICKY)


@quick
@given(
    dataframes(
        max_cols=4,
        max_size=20,
        allow_null=True,
        allowed_dtypes=[
            pl.Int64,
            pl.UInt64,
            pl.Int8,
            pl.Float64,
            pl.Float32,
            pl.String,
            pl.Boolean,
            pl.Date,
            pl.Datetime,
            pl.Binary,
            pl.List,
        ],
    )
)
def test_any_frame_comes_back_bit_by_bit(frame: pl.DataFrame) -> None:
    if frame.width == 0 and frame.height > 0:
        return
    assert same_bits(there_and_back(frame), frame)


@quick
@given(dataframes(max_cols=3, min_size=2, max_size=40, allowed_dtypes=[pl.Int64, pl.String]))
def test_the_same_frame_gives_the_same_bytes_however_it_was_built(frame: pl.DataFrame) -> None:
    half = frame.height // 2
    chunked = pl.concat([frame[:half], frame[half:]], rechunk=False)
    assert digest(frame) == digest(chunked) == digest(frame.clone())
    assert digest(frame.lazy()) == digest(chunked.lazy())


def test_a_large_frame_gives_the_same_bytes_each_time() -> None:
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({"a": rng.normal(size=300_000), "b": rng.integers(0, 9, 300_000)})
    assert len({digest(frame) for _ in range(3)}) == 1


def test_frames_without_rows_keep_their_columns() -> None:
    frame = pl.DataFrame(schema={"a": pl.Int32, "b": pl.String})
    assert there_and_back(frame).schema == frame.schema
    assert there_and_back(pl.DataFrame()).shape == (0, 0)


def test_a_frame_of_python_objects_is_refused() -> None:
    with pytest.raises(NotExactError, match="cannot be written as Parquet"):
        digest(pl.DataFrame({"a": [object()]}))


@quick
@given(
    hnp.arrays(
        st.one_of(
            hnp.floating_dtypes(),
            hnp.integer_dtypes(),
            hnp.boolean_dtypes(),
            hnp.unicode_string_dtypes(),
            hnp.datetime64_dtypes(),
        ),
        hnp.array_shapes(min_dims=0, max_dims=3, max_side=4),
    )
)
def test_any_array_comes_back_bit_by_bit(array: np.ndarray) -> None:
    back = there_and_back(array)
    assert (back.dtype, back.shape) == (array.dtype, array.shape)
    assert back.tobytes() == np.ascontiguousarray(array).tobytes()
    assert digest(np.copy(array, order="F")) == digest(array)


def test_an_array_of_objects_is_refused() -> None:
    with pytest.raises(NotExactError, match="array of objects"):
        digest(np.array([object()]))


class Colour(Enum):
    RED = 1
    BLUE = "blue"


class Level(Flag):
    LOW = auto()
    HIGH = auto()


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.dates()
    | st.datetimes(timezones=st.none() | st.just(dt.UTC))
    | st.timedeltas()
    | st.times()
    | st.datetimes(timezones=st.sampled_from([ZoneInfo("Europe/Berlin"), ZoneInfo("UTC")]))
    | st.decimals(allow_nan=False)
    | st.just(Decimal("-NaN7"))
    | st.fractions()
    | st.uuids()
    | st.complex_numbers()
    | st.builds(range, st.integers(), st.integers())
    | st.sampled_from(Colour)
    | st.sampled_from([*Level, Level.LOW | Level.HIGH])
)
plain = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.sets(scalars, max_size=4)
        | st.frozensets(scalars, max_size=4)
        | st.builds(Settings, rate=inner, note=st.none())
        | st.builds(Point, x=inner, y=inner)
        | st.dictionaries(
            st.sampled_from(["a", "$int", "$map", "$x"]) | scalars, inner, max_size=3
        )
    ),
    max_leaves=12,
)


@quick
@given(plain)
def test_plain_data_comes_back_exactly(value: Any) -> None:
    assert is_plain(value)
    back = from_json(to_json(value))
    assert told(back) == told(value)
    assert to_json(back) == to_json(value)


def told(value: Any) -> str:
    """Say a value in words, sets in an order that does not depend on how they were built."""
    if isinstance(value, set | frozenset):
        return f"{type(value).__name__}{sorted(told(one) for one in value)}"
    if type(value) in (list, tuple):
        return f"{type(value).__name__}{[told(one) for one in value]}"
    if type(value) is dict:
        return f"dict{[(told(k), told(v)) for k, v in value.items()]}"
    if isinstance(value, Settings | Point):
        names = ("rate", "note") if isinstance(value, Settings) else ("x", "y")
        return f"{type(value).__name__}{[told(getattr(value, name)) for name in names]}"
    return repr(value)


@pytest.mark.parametrize(
    "value",
    [
        np.float64(-0.0),
        np.float32(0.1),
        np.float16("inf"),
        np.int64(3),
        np.uint8(255),
        np.bool_(True),
        np.complex64(1 - 2j),
        np.datetime64("2013-01-01T00:00:00.000000001"),
        np.datetime64("NaT"),
        np.timedelta64(-3, "D"),
        np.str_("é"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_numbers_of_numpy_come_back_with_their_type(value: Any) -> None:
    back = there_and_back({"n": value})["n"]
    assert (type(back), back.dtype, back.tobytes()) == (type(value), value.dtype, value.tobytes())


@pytest.mark.parametrize("value", ["", "é\x00漢", b"", b"\x00\xff", None, 0, math.inf, (), [], {}])
def test_text_bytes_and_single_values_come_back(value: Any) -> None:
    back = there_and_back(value)
    assert (type(back), back) == (type(value), value)


def test_values_that_look_alike_have_different_digests() -> None:
    alike = [1, 1.0, True, "1", b"1", [1], (1,), {"a": 1}, {"a": 1.0}, None, "null", np.array(1)]
    kept = [outputs.encode(value, MemoryObjects()) for value in alike]
    assert len({(one.type, one.digest) for one in kept}) == len(alike)


def test_lists_tuples_and_dicts_of_frames_are_kept_part_by_part() -> None:
    frame, array = pl.DataFrame({"a": [1]}), np.arange(3)
    value = {"rows": frame, "more": (array, [frame, {"deep": b"x"}]), "n": 3}
    back = there_and_back(value)
    assert list(back) == ["rows", "more", "n"]
    assert back["rows"].equals(frame)
    assert isinstance(back["more"], tuple)
    assert back["more"][1][0].equals(frame)
    assert back["more"][1][1] == {"deep": b"x"}


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (object(), "builtins.object"),
        ({b"x"}, "builtins.set"),
        ([pl.DataFrame(), object()], "object"),
        (lambda: 1, "function"),
        (math, "module"),
    ],
)
def test_a_value_without_codec_is_refused_by_its_type(value: Any, kind: str) -> None:
    with pytest.raises(ProjectError, match=kind):
        outputs.encode(value, MemoryObjects(), "Step train returned")


def test_what_is_too_many_or_has_no_plain_keys_is_refused() -> None:
    with pytest.raises(ProjectError, match="1,000 parts"):
        digest([b"x"] * 1_001)
    with pytest.raises(ProjectError, match=r"builtins\.dict"):
        digest({b"x": 1})
    deep: Any = b"x"
    for _ in range(20):
        deep = [deep]
    with pytest.raises(ProjectError, match="nested deeper"):
        digest(deep)


@pytest.mark.parametrize("value", ["\ud800", ["\ud800"], {"\ud800": 1}])
def test_half_a_surrogate_pair_is_refused(value: Any) -> None:
    with pytest.raises(NotExactError):
        digest(value)


def test_a_file_comes_back_by_its_name(tmp_path: Path) -> None:
    objects = MemoryObjects()
    file = tmp_path / "model é.csv"
    file.write_bytes(b"a,b\n")
    kept = outputs.encode(file, objects)
    assert len(kept.blobs) == 2
    back = outputs.decode(kept.digest, kept.type, objects, tmp_path / "in")
    assert (back.name, back.read_bytes()) == (file.name, b"a,b\n")
    with pytest.raises(ProjectError, match="no file"):
        outputs.encode(tmp_path / "nothing", objects)


@pytest.mark.parametrize("name", ["../x", "/etc/x", "..", ".hidden"])
def test_the_name_of_a_file_never_becomes_a_path(tmp_path: Path, name: str) -> None:
    objects = MemoryObjects()
    bad = objects.put(canonical({"name": name, "content": objects.put(b"x")}))
    with pytest.raises(DamagedError):
        outputs.decode(bad, "file", objects, tmp_path)


def test_a_registered_codec_is_asked_first_and_tells_its_objects(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(outputs.keeping, "_registered", {})

    class Fitted:
        def __init__(self, weight: int) -> None:
            self.weight = weight

    def write(value: Any, objects: Any) -> str:
        return str(objects.put(b"%d" % value.weight))

    codec = outputs.Codec(
        "model", Fitted, write, lambda d, o: Fitted(int(o.get(d))), lambda d, o: ["f" * 64]
    )
    outputs.register(codec)
    objects = MemoryObjects()
    kept = outputs.encode(Fitted(7), objects)
    assert kept.type == "model"
    assert kept.blobs == [kept.digest, "f" * 64]
    assert outputs.decode(kept.digest, "model", objects, FOLDER).weight == 7
    with pytest.raises(ProjectError, match="No codec"):
        outputs.decode(kept.digest, "marshal", objects, FOLDER)
