"""Advisories hold for the releases they name, as OSV and PEP 440 say, and for no other."""

import io
import json
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from mainspring.ground.errors import BadInputError
from mainspring.ground.gates import Accepted
from mainspring.ground.objects import Evidence, Gate
from mainspring.readiness import audits
from mainspring.readiness.advisories import affected, base_score, match
from mainspring.readiness.checks import packages as checking
from mainspring.readiness.inputs import GateInputs


def entry(*events: dict[str, str], versions: tuple[str, ...] = ()) -> dict:
    ranges = [{"type": "ECOSYSTEM", "events": list(events)}] if events else []
    return {
        "package": {"ecosystem": "PyPI", "name": "Some_Package"},
        "ranges": ranges,
        "versions": list(versions),
    }


def record(*entries: dict, **more) -> dict:
    return {"id": "GHSA-1", "summary": "It falls.", "affected": list(entries), **more}


@pytest.mark.parametrize(
    ("version", "events", "hit"),
    [
        ("1.0", [{"introduced": "0"}, {"fixed": "1.0"}], False),
        ("1.0rc1", [{"introduced": "0"}, {"fixed": "1.0"}], True),
        ("0.9.9", [{"introduced": "0"}, {"fixed": "1.0"}], True),
        ("1.0.post1", [{"introduced": "0"}, {"last_affected": "1.0"}], False),
        ("1.0", [{"introduced": "0"}, {"last_affected": "1.0"}], True),
        ("1.10", [{"introduced": "1.9"}], True),
        ("1.5", [{"introduced": "2.0"}, {"fixed": "2.1"}, {"introduced": "1.0"},
                 {"fixed": "1.6"}], True),
        ("1.7", [{"introduced": "2.0"}, {"fixed": "2.1"}, {"introduced": "1.0"},
                 {"fixed": "1.6"}], False),
        ("1!0.1", [{"introduced": "0"}, {"fixed": "9"}], False),
    ],
)  # fmt: skip
def test_ranges_are_read_as_osv_says(version, events, hit) -> None:
    assert affected(version, entry(*events)) is hit


def test_listed_versions_are_met_by_value_and_other_kinds_of_ranges_not() -> None:
    assert affected("1.0.0", entry(versions=("1.0",)))
    assert affected("odd-version", entry(versions=("odd-version",)))
    assert not affected("odd-version", entry({"introduced": "0"}))
    git = {"ranges": [{"type": "GIT", "events": [{"introduced": "0"}]}]}
    assert not affected("1.0", git)


RELEASES = st.builds(lambda a, b, c: f"{a}.{b}{c}", st.integers(0, 4), st.integers(0, 4),
                     st.sampled_from(["", "a1", "rc2", ".post1", ".dev3"]))  # fmt: skip


@given(RELEASES, RELEASES, RELEASES)
def test_a_range_is_half_open(release: str, introduced: str, fixed: str) -> None:
    inside = Version(introduced) <= Version(release) < Version(fixed)
    told = entry({"introduced": introduced}, {"fixed": fixed})
    if Version(introduced) < Version(fixed):
        assert affected(release, told) is inside


def test_a_file_may_be_a_record_a_list_lines_or_a_zip() -> None:
    one = record(entry({"introduced": "0"}), database_specific={"severity": "MODERATE"})
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("GHSA-1.json", json.dumps(one))
        archive.writestr("readme.txt", "not one")
    files = [
        json.dumps(one).encode(),
        json.dumps([one, one]).encode(),
        json.dumps({"vulns": [one]}).encode(),
        b"\n".join([json.dumps(one).encode()] * 2),
        held.getvalue(),
    ]
    for data in files:
        found, count = match(data, {"some.package": "1.0", "other": "2"})
        assert [(k.id, k.package, k.version, k.severity) for k in found] == [
            ("GHSA-1", "some.package", "1.0", "moderate")
        ]
        assert count in (1, 2)
    for data in (b"nothing", b"[]", b"{}"):
        with pytest.raises(BadInputError):
            match(data, {})


def test_what_was_withdrawn_or_is_of_another_ecosystem_does_not_hold() -> None:
    gone = record(entry({"introduced": "0"}), withdrawn="2026-01-01T00:00:00Z")
    other = record({**entry({"introduced": "0"}), "package": {"ecosystem": "npm", "name": "x"}})
    assert match(json.dumps([gone, other]).encode(), {"some-package": "1", "x": "1"}) == ([], 2)


def test_a_release_that_was_taken_back_is_named() -> None:
    data = json.dumps({"vulns": [], "yanked": {"Some-Package": {"1.0": "it broke"}}}).encode()
    [found] = match(data, {"some_package": "1.0.0"})[0]
    assert (found.severity, "it broke" in found.summary) == ("moderate", True)


@pytest.mark.parametrize(
    ("vector", "score"),
    [  # worked examples of the CVSS 3.1 document of examples
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N", 6.1),
        ("CVSS:3.1/AV:N/AC:L/PR:L/UI:N/S:C/C:L/I:L/A:N", 6.4),
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N", 7.5),
        ("CVSS:3.1/AV:L/AC:L/PR:N/UI:R/S:U/C:H/I:H/A:H", 7.8),
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H", 10.0),
        ("CVSS:3.1/AV:P/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N", 0.0),
        ("CVSS:4.0/AV:N", None),
        ("CVSS:3.1/AV:X/AC:L", None),
    ],
)
def test_scores_are_those_of_the_standard(vector: str, score: float | None) -> None:
    assert base_score(vector) == score


def known(word: str, **more):
    told = record(entry({"introduced": "0"}, {"fixed": "2.0"}), **more)
    if word != "unknown":
        told["database_specific"] = {"severity": word}
    return match(json.dumps(told).encode(), {"some-package": "1.0"})[0]


def test_what_counts_depends_on_how_grave_it_is_and_on_who_accepted_it_until_when() -> None:
    def judged(found, least="high", accepted=None, now=100.0):
        return audits.verdict(found, least, accepted or {}, now, 5, 9)

    assert judged(known("MODERATE"))[0]
    assert not judged(known("HIGH"))[0]
    assert not judged(known("unknown"))[0], "nobody said that it is harmless"
    told = judged(known("CRITICAL"))[1]
    assert told == (
        "5 packages against 9 advisories, 1 from high on: some-package 1.0: GHSA-1 (critical,"
        " mended in 2.0)"
    )
    word = {"CVE-1": Accepted(reason="We never parse XML.", until=200.0)}
    aliased = known("HIGH", aliases=["CVE-1"])
    assert judged(aliased, accepted=word)[1].endswith("none from high on, 1 accepted")
    over = judged(aliased, accepted=word, now=200.0)
    assert (over[0], "accepted until 1970-01-01, which is over" in over[1]) == (False, True)
    assert judged([], "low")[1] == "5 packages against 9 advisories, none from low on"


def test_severity_comes_from_the_score_where_no_word_is_given() -> None:
    vector = {"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}
    assert known("unknown", severity=[vector])[0].severity == "critical"


def test_the_check_reads_the_newest_comparison() -> None:
    policy = Gate(advisories="osv.zip")
    assert checking.check(GateInputs(), Gate()) == []
    [missing] = checking.check(GateInputs(), policy)
    assert not missing.passed
    told = {"kind": "advisories", "subject": "tide/1", "by": "engine"}
    old = Evidence(id="ev_1", passed=True, found="none", at=1.0, **told)
    new = Evidence(id="ev_2", passed=False, found="one", at=2.0, **told)
    [found] = checking.check(GateInputs(evidence=[old, new]), policy)
    assert (found.passed, found.found, found.opens) == (False, "one", ["evidence:ev_2"])
