"""What a scan found decides: pickles that nobody trusts, digests that are wrong, what harms."""

from typing import Any

import msgspec
import pytest

from mainspring.ground.objects import Evidence, Gate, Signature, Version
from mainspring.readiness import scans
from mainspring.readiness.checks import security
from mainspring.readiness.inputs import GateInputs

VERSION = Version(
    model="tide",
    number=1,
    run=None,
    package="aa",
    signature=Signature(columns=[], kind="binary", target="y"),
    card=None,
    metrics={},
    created=0.0,
    by="ada",
)
GOOD: dict[str, Any] = {
    "package": "aa",
    "files": 3,
    "size": 2_000_000,
    "damaged": [],
    "pickled": [],
    "forms": ["onnx", "skops"],
    "found": [{"path": "code/x.py", "grave": "note", "told": "it is Python"}],
}
HOSTILE = {
    **GOOD,
    "pickled": ["model.pkl"],
    "forms": ["pickle"],
    "found": [{"path": "model.pkl", "grave": "danger", "told": "it would call os.system"}],
}
MINE = {**HOSTILE, "found": [{"path": "model.pkl", "grave": "unknown", "told": "project.Mine"}]}
GRANTED = {"aa": "ada trusts it: Our own."}


def judged(scanned: dict[str, Any] | None, granted: dict[str, str] | None = None):
    known = []
    if scanned is not None:
        detail = {"packages": [scanned], "granted": granted or {}}
        told = {"kind": "scan", "subject": "tide/1", "passed": True, "found": "x", "by": "engine"}
        known = [Evidence(id="ev_1", at=1.0, detail=detail, **told)]
    found = security.check(GateInputs(version=VERSION, evidence=known), Gate())
    return {one.name.removeprefix("security: "): (one.passed, one.found) for one in found}


def test_a_version_of_plain_forms_passes() -> None:
    assert judged(GOOD) == {
        "format": (True, "kept as onnx and skops, nothing pickled"),
        "digests": (True, "3 files, 2.0 MB: every digest is that of the manifest"),
        "scan": (True, "nothing dangerous in 3 files"),
    }
    assert scans.verdict([GOOD], {}) == (
        True,
        "nothing found against 3 files: kept as onnx and skops, nothing pickled",
    )


def test_a_pickle_needs_a_person_and_a_danger_has_no_remedy() -> None:
    assert [passed for passed, _ in judged(MINE).values()] == [False, True, False]
    trusted = judged(MINE, GRANTED)
    assert all(passed for passed, _ in trusted.values())
    assert "model.pkl is pickled, ada trusts it: Our own." in trusted["format"][1]
    still = judged(HOSTILE, GRANTED)
    assert still["format"][0]
    assert still["scan"] == (False, "model.pkl: it would call os.system")


def test_a_damaged_file_and_files_that_are_elsewhere_do_not_pass() -> None:
    assert judged({**GOOD, "damaged": ["a"]})["digests"] == (
        False,
        "a is not what the manifest says",
    )
    assert judged({**GOOD, "files": 0, "size": 0})["digests"] == (False, "its files are not here")


def test_what_was_not_scanned_does_not_pass_and_what_was_not_asked_is_not_said() -> None:
    assert judged(None)["scan"] == (False, "it was not scanned")
    off = msgspec.structs.replace(Gate(), security=False)
    assert security.check(GateInputs(version=VERSION), off) == []


@pytest.mark.parametrize("count", [1, 3, 7])
def test_long_lists_are_cut_and_counted(count: int) -> None:
    many = [{"path": f"f{n}", "grave": "danger", "told": "bad"} for n in range(count)]
    told = scans.content([{**GOOD, "found": many}], {})[1]
    assert told.count("bad") == min(count, 3)
    assert ("more" in told) == (count > 3)
