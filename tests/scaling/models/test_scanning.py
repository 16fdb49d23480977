"""Files that do harm are found without being loaded; models of known libraries pass."""

from __future__ import annotations

import bz2
import collections
import gzip
import io
import json
import lzma
import pickle
import pickletools
import stat
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import onnx
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mainspring.ground.identity import canonical
from mainspring.scaling.models import package
from mainspring.scaling.models.model import Model
from mainspring.scaling.models.scanning import archives, pickles, whole
from mainspring.scaling.models.scanning.findings import Budget, Found, Grave


class Trap:
    """Unpickling it would touch a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        import os

        return (os.system, (f"touch {self.mark}",))


def scanned(objects: Any, **files: bytes) -> whole.Scanned:
    named = {name.replace("__", "."): objects.put(data) for name, data in files.items()}
    manifest = package.Manifest(format=1, files=named)
    return whole.scan(objects.put(canonical(manifest)), objects)


def told(found: whole.Scanned, grave: Grave) -> list[str]:
    return [f"{one.path}: {one.told}" for one in found.found if one.grave is grave]


# ---------------------------------------------------------------- pickles


@pytest.mark.parametrize("protocol", range(6))
def test_a_hostile_pickle_is_seen_and_never_run(
    objects: Any, tmp_path: Path, protocol: int
) -> None:
    mark = tmp_path / "touched"
    found = scanned(objects, model__pkl=pickle.dumps(Trap(mark), protocol))
    assert found.pickled == ["model.pkl"]
    assert told(found, Grave.DANGER) == ["model.pkl: unpickling it would call posix.system"]
    assert not mark.exists()


HIDDEN = {
    "memo": b"\x80\x04\x8c\x05posix\x94\x8c\x06system\x940h\x00h\x01\x93.",
    "dup": b"\x80\x04\x8c\x05posix20\x8c\x06system\x93.",
    "pop": b"\x80\x04\x8c\x05posix\x8c\x01x0\x8c\x06system\x93.",
    "marked": b"\x80\x04\x8c\x05posix(\x8c\x01x1\x8c\x06system\x93.",
    "old": b"(S'true'\niposix\nsystem\n.",
    "second": pickle.dumps([1, 2]) + b"cposix\nsystem\n.",
    "dotted": b"\x80\x04\x8c\x07sklearn\x8c\x14externals.os.system_\x93.",
}


@pytest.mark.parametrize("name", sorted(HIDDEN))
def test_detours_do_not_hide_a_name(name: str) -> None:
    found = list(pickles.judged("x", HIDDEN[name]))
    assert Grave.DANGER in [one.grave for one in found], (name, found)


def test_a_name_that_is_computed_is_a_danger() -> None:
    # The module's name is what a call returns: str(b"posix"), say.
    data = b"\x80\x04c__builtin__\nstr\n(\x8c\x05posixtR\x8c\x06system\x93."
    [found] = pickles.judged("x", data)
    assert (found.grave, "computed" in found.told) == (Grave.DANGER, True)


def test_a_pickle_that_breaks_off_is_not_called_harmless() -> None:
    [found] = pickles.judged("x", pickle.dumps([1, 2, 3])[:-1])
    assert (found.grave, "cannot be followed" in found.told) == (Grave.UNKNOWN, True)


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner),
    max_leaves=20,
)


@settings(max_examples=60)
@given(PLAIN, st.integers(0, 5))
def test_plain_data_is_followed_to_its_end_and_calls_nothing_unknown(
    value: Any, protocol: int
) -> None:
    data = pickle.dumps(value, protocol)
    called, stopped = pickles.names(data)
    assert stopped == ""
    assert [name for name in called if pickles.gravity(name) is not None] == []


@given(st.lists(st.sampled_from(["OrderedDict", "deque", "Counter"]), max_size=6))
def test_every_name_of_a_pickle_is_found_as_pickletools_sees_it(kinds: list[str]) -> None:
    data = pickle.dumps([getattr(collections, kind)() for kind in kinds], 2)
    by_tools = {
        str(arg).replace(" ", ".") for code, arg, _ in pickletools.genops(data)
        if code.name == "GLOBAL"
    }  # fmt: skip
    assert set(pickles.names(data)[0]) == by_tools


def test_models_of_known_libraries_are_let_pass() -> None:
    rows = np.random.default_rng(0).normal(size=(60, 2))
    truth = rows.sum(axis=1) > 0
    for estimator in (
        make_pipeline(StandardScaler(), LogisticRegression()),
        RandomForestClassifier(5, random_state=0),
    ):
        assert list(pickles.judged("model.pkl", pickle.dumps(estimator.fit(rows, truth)))) == []


def test_a_class_nobody_knows_asks_for_a_person() -> None:
    name = pickle.dumps(Budget(), 2)
    [found] = pickles.judged("x", name)
    assert (found.grave, "findings.Budget" in found.told) == (Grave.UNKNOWN, True)


def test_a_pickle_is_known_by_its_content_whatever_it_is_called(
    objects: Any, tmp_path: Path
) -> None:
    for protocol in (0, 4):
        data = pickle.dumps(Trap(tmp_path / "x"), protocol)
        found = scanned(objects, readme__txt=data)
        assert found.pickled == ["readme.txt"], protocol
        assert told(found, Grave.DANGER)
    plain = scanned(objects, notes__txt=b"12.", a__json=b'{"a": [1.5]}', b__json=b"[1]")
    assert (plain.pickled, plain.found) == ([], [])


def test_arrays_of_objects_hold_a_pickle_and_others_none(objects: Any, tmp_path: Path) -> None:
    def saved(array: Any) -> bytes:
        held = io.BytesIO()
        np.save(held, array)
        return held.getvalue()

    bad = np.empty(1, dtype=object)
    bad[0] = Trap(tmp_path / "x")
    found = scanned(objects, good__npy=saved(np.arange(3.0)), bad__npy=saved(bad))
    assert found.pickled == ["bad.npy"]
    assert len(told(found, Grave.DANGER)) == 1


# ---------------------------------------------------------------- archives


def zipped(*members: tuple[str, bytes], mode: int = 0) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, data)
    return held.getvalue()


def tarred(*infos: tarfile.TarInfo) -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as archive:
        for info in infos:
            archive.addfile(info, io.BytesIO(b"x" * info.size))
    return held.getvalue()


def link(kind: bytes) -> tarfile.TarInfo:
    info = tarfile.TarInfo("passwords")
    info.type, info.linkname = kind, "/etc/passwd"
    return info


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (zipped(("../../evil", b"x")), "leads outside"),
        (zipped(("/etc/cron.d/evil", b"x")), "leads outside"),
        (zipped(("C:\\evil", b"x")), "leads outside"),
        (zipped(("a", b"/etc/passwd"), mode=stat.S_IFLNK | 0o777), "it is a link"),
        (tarred(tarfile.TarInfo("../evil")), "leads outside"),
        (tarred(link(tarfile.SYMTYPE)), "a link to /etc/passwd"),
        (tarred(link(tarfile.LNKTYPE)), "a link to /etc/passwd"),
        (tarred(link(tarfile.CHRTYPE)), "a device"),
    ],
    ids=["up", "root", "drive", "zip link", "tar up", "tar link", "hard link", "device"],
)
def test_archives_that_reach_outside_are_found(objects: Any, data: bytes, words: str) -> None:
    [found] = told(scanned(objects, data__bin=data), Grave.DANGER)
    assert words in found


ZEROS = bytes(40 << 20)


@pytest.mark.parametrize(
    "data",
    [zipped(("zeros", ZEROS)), gzip.compress(ZEROS), bz2.compress(ZEROS), lzma.compress(ZEROS)],
    ids=["zip", "gzip", "bz2", "xz"],
)
def test_a_bomb_is_found_before_it_is_unpacked(objects: Any, data: bytes) -> None:
    [found] = told(scanned(objects, data__bin=data), Grave.DANGER)
    assert "it is a bomb" in found


def test_a_budget_holds_for_all_archives_together() -> None:
    noise = np.random.default_rng(0).bytes(1000)
    budget = Budget(left=1500)
    first = list(archives.unpacked("a", zipped(("x", noise)), budget))
    second = list(archives.unpacked("b", zipped(("x", noise)), budget))
    assert first == [("a!x", noise)]
    assert isinstance(second[0], Found)


def test_what_lies_in_archives_in_archives_is_looked_at(objects: Any, tmp_path: Path) -> None:
    trap = pickle.dumps(Trap(tmp_path / "x"))
    deep = gzip.compress(zipped(("model/data.pkl", trap)))
    [found] = told(scanned(objects, data__gz=deep), Grave.DANGER)
    assert found.startswith("data.gz!data!model/data.pkl: unpickling it would call")
    for _ in range(6):
        deep = zipped(("inner", deep))
    assert "deep" in told(scanned(objects, data__zip=deep), Grave.DANGER)[0]


def test_a_zip_behind_other_bytes_and_two_files_of_one_name_are_found(
    objects: Any, tmp_path: Path
) -> None:
    trap = pickle.dumps(Trap(tmp_path / "x"))
    hidden = b"\x00" * 100 + zipped(("data.pkl", trap))
    assert told(scanned(objects, weights__dat=hidden), Grave.DANGER)
    with pytest.warns(UserWarning, match="Duplicate name"):
        twice = zipped(("a", b"1"), ("a", b"2"))
    assert "two files" in told(scanned(objects, twice__zip=twice), Grave.DANGER)[0]


@given(
    st.binary(max_size=400), st.sampled_from([b"", b"PK\x03\x04", b"\x1f\x8b\x08", b"\x80\x04"])
)
def test_any_bytes_are_scanned_without_an_error(data: bytes, start: bytes) -> None:
    held = start + data
    for one in archives.unpacked("x", held, Budget()):
        assert one
    list(pickles.judged("x", held))
    pickles.looks_like_one(held)


# ---------------------------------------------------------------- models


def onnx_model(location: str | None = None, domain: str = "") -> bytes:
    weight = helper.make_tensor("w", TensorProto.FLOAT, [1], [1.0])
    if location is not None:
        weight.ClearField("float_data")
        weight.data_location = TensorProto.EXTERNAL
        entry = weight.external_data.add()
        entry.key, entry.value = "location", location
    shape = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
    inner = helper.make_graph([], "inner", [], [out], [weight])
    nodes = [
        helper.make_node("If", ["x"], ["y"], then_branch=inner, else_branch=inner, domain=domain)
    ]
    graph = helper.make_graph(nodes, "g", [shape], [out])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid(domain, 13)])
    return bytes(model.SerializeToString())


def test_onnx_that_reads_other_files_or_asks_for_strange_operators_is_found(objects: Any) -> None:
    assert scanned(objects, model__onnx=onnx_model()).found == []
    outside = scanned(objects, model__onnx=onnx_model("../../etc/passwd"))
    assert told(outside, Grave.DANGER) == ["model.onnx: its weights lie in ../../etc/passwd"]
    assert told(scanned(objects, model__onnx=onnx_model("w.bin")), Grave.UNKNOWN)
    strange = scanned(objects, model__onnx=onnx_model(domain="com.evil"))
    assert told(strange, Grave.UNKNOWN) == ["model.onnx: it asks for operators of com.evil"]
    assert "no ONNX" in told(scanned(objects, model__onnx=b"\xff\xff"), Grave.UNKNOWN)[0]
    assert onnx.__version__


def test_types_that_a_skops_file_names_are_looked_at(objects: Any) -> None:
    def skops(module: str, kind: str) -> bytes:
        schema = {"__module__": module, "__class__": kind, "__loader__": "ObjectNode"}
        return zipped(("schema.json", json.dumps(schema).encode()))

    assert scanned(objects, model__skops=skops("sklearn.tree", "Tree")).found == []
    bad = scanned(objects, model__skops=skops("os", "system"))
    assert told(bad, Grave.DANGER) == ["model.skops: it names os.system, which may not be built"]
    assert told(scanned(objects, model__skops=skops("project", "Mine")), Grave.UNKNOWN)


def test_programs_and_libraries_are_found(objects: Any) -> None:
    found = scanned(objects, lib__so=b"\x7fELF" + bytes(20), other=b"\x7fELF" + bytes(20))
    assert len(told(found, Grave.DANGER)) == 2


def test_our_own_packages_and_joblib_files_are_told_as_they_are(objects: Any) -> None:
    a, b = np.random.default_rng(0).normal(size=(2, 300))
    rows = pl.DataFrame({"a": a, "b": b, "y": a + b > 0})
    model = Model(RandomForestClassifier(5), "y", "binary", columns=["a", "b"])
    digest = package.write(model.fit(rows.head(200), holdout=rows.tail(100)), objects)
    found = whole.scan(digest, objects)
    assert (found.pickled, found.damaged, found.forms) == ([], [], ["onnx", "skops"])
    assert [(o.path, o.grave) for o in found.found] == [
        ("code/mainspring_loader_2.py", Grave.NOTE)
    ], found  # the loader is Python
    held = io.BytesIO()
    joblib.dump({"weights": np.arange(1000.0)}, held)
    jobs = scanned(objects, model__joblib=held.getvalue())
    assert jobs.pickled == ["model.joblib"]


def test_a_file_whose_bytes_were_changed_or_are_gone_is_named(
    objects: Any, tmp_path: Path
) -> None:
    good = objects.put(b"good")
    manifest = package.Manifest(format=1, files={"a": good, "b": "0" * 64})
    digest = objects.put(canonical(manifest))
    assert whole.scan(digest, objects).damaged == ["b"]
