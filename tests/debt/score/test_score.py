"""The 28 tests: with evidence a point, without it none, and none for what has aged out."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.debt.score import facts as f
from mainspring.debt.score.table import SECTIONS, TESTS
from mainspring.debt.score.total import Score, band, judge
from mainspring.ground.objects import DAY_S, Evidence

sys.path.insert(0, str(Path(__file__).parent))

from proven import EVIDENCE, NOW, THEN, ev, facts, found, judged, made, window, without

NUMBERS = [test.number for test in TESTS]


def points(given: f.Facts) -> dict[str, float]:
    return {one.test: one.points for one in judge(given).points}


def said(given: f.Facts, test: str) -> str:
    return next(one.found for one in judge(given).points if one.test == test)


def test_there_are_seven_tests_in_each_of_four_sections() -> None:
    assert [f"{s} {n}" for s in SECTIONS for n in range(1, 8)] == NUMBERS


def test_all_that_ran_lately_gives_28_points_each_with_something_to_open() -> None:
    score = judge(facts())
    assert [(one.test, one.found) for one in score.points if one.points != 1] == []
    assert score.sums == dict.fromkeys(SECTIONS, 7.0)
    assert (score.score, score.band) == (7.0, "exceptional")
    assert all(one.opens and one.until == THEN + 30 * DAY_S for one in score.points)
    assert score.falls == THEN + 30 * DAY_S


def test_nothing_that_ran_gives_nothing_and_says_what_to_do() -> None:
    score = judge(f.Facts(model="tide", now=NOW))
    assert set(points(f.Facts(model="tide", now=NOW)).values()) == {0.0}
    assert score.band == "more a research project than a productionized system"
    assert all(one.found and one.earn and not one.opens for one in score.points)
    assert score.falls is None


#: Of each test: facts in which what it asks for did not run.
LACKS: dict[str, dict[str, Any]] = {
    "Data 1": {"schema": None},
    "Data 2": {"evidence": without("ablation")},
    "Data 3": {"evidence": without("feature_costs")},
    "Data 4": {"evidence": without("feature_policy")},
    "Data 5": {"evidence": without("privacy")},
    "Data 6": {"arrived": []},
    "Data 7": {"evidence": without("tests")},
    "Model 1": {"evidence": without("approval")},
    "Model 2": {"versions": [made(2), made(1)]},
    "Model 3": {"tunings": []},
    "Model 4": {"evidence": without("staleness")},
    "Model 5": {"versions": [made(2, gate=judged(2, checks=[]))]},
    "Model 6": {"versions": [made(2, gate=judged(2, checks=[]))]},
    "Model 7": {"evidence": without("bias")},
    "Infra 1": {"evidence": without("reproduced")},
    "Infra 2": {"evidence": without("tests")},
    "Infra 3": {"evidence": without("smoke")},
    "Infra 4": {"versions": [made(2, gate=None), made(1)]},
    "Infra 5": {"evidence": without("debuggable")},
    "Infra 6": {"moves": [f.Move(number=2, previous=1, at=THEN, gate="gate_2")]},
    "Infra 7": {"evidence": without("rollback_drill")},
    "Monitor 1": {"evidence": without("dependency_drill")},
    "Monitor 2": {"windows": [window(drift=0)]},
    "Monitor 3": {"windows": [window(found=[])]},
    "Monitor 4": {"windows": [window(found=[])]},
    "Monitor 5": {"finite": None},
    "Monitor 6": {"versions": [made(2)]},
    "Monitor 7": {"windows": [window(performance=None)]},
}


@pytest.mark.parametrize("test", NUMBERS)
def test_without_its_evidence_a_test_gives_nothing(test: str) -> None:
    assert points(facts(**LACKS[test]))[test] == 0.0


@pytest.mark.parametrize("test", NUMBERS)
def test_evidence_that_aged_out_gives_nothing_and_says_so(test: str) -> None:
    last = THEN + 30 * DAY_S
    assert points(facts(now=last - 1))[test] == 1.0
    assert points(facts(now=last))[test] == 0.0
    assert "30 days ago and has aged out" in said(facts(now=last), test)
    assert points(facts(now=last, max_age_s=31 * DAY_S))[test] == 1.0


def told(name: str, **figures: Any) -> f.Judged:
    check = f.Check(name=name, passed=True, found="it is fine", evidence=figures)
    return judged(2, checks=[check])


#: Of each test that a failure can be of: facts in which it ran and did not hold, and what is said.
FAILS: dict[str, tuple[dict[str, Any], str]] = {
    "Data 6": ({"arrived": [f.Arrived(column="b", seconds=9 * DAY_S)]}, "b took 9 days"),
    "Data 7": (
        {"evidence": [ev("tests", detail={"lines": {"project:load": [7, 10]}})]},
        "They do not run 80% of the lines of load.",
    ),
    "Infra 2": (
        {"evidence": [ev("tests", detail={"lines": {"project:load": [8, 10]}})]},
        "They do not run 80% of the lines of train.",
    ),
    "Model 2": (
        {"versions": [made(n, online=1 - n / 10) for n in range(1, 6)]},
        "correlate by -1.00; 0.5 is wanted",
    ),
    "Model 3": ({"versions": [made(2, params={"depth": 3.0, "trees": 1.0})]}, "for depth"),
    "Model 5": (
        {
            "versions": [
                made(
                    2, gate=judged(2, checks=[f.Check(name="baselines", passed=False, found="x")])
                )
            ]
        },
        "The gate refused it: baselines: x.",
    ),
    "Model 6": (
        {"versions": [made(2, gate=told("slices", slices=[{"loss": 0.1, "difference": None}]))]},
        "No slice was held against a line or a champion",
    ),
    "Infra 4": (
        {"moves": [f.Move(number=2, previous=1, at=THEN)]},
        "tide/2 became champion without a passed gate",
    ),
    "Infra 6": (
        {"moves": [f.Move(number=2, previous=1, at=THEN, gate="g", decision="d")]},
        "tide/2 became champion without meeting traffic",
    ),
    "Monitor 3": (
        {"windows": [window(found=[found("skew", 0.2, verdict="alarm")])]},
        "Training and serving differ",
    ),
    "Monitor 4": (
        {"windows": [window(found=[found("age", 90.0, line=30.0, verdict="alarm")])]},
        "too old",
    ),
    "Monitor 5": (
        {"finite": f.Finite(trained=3, trained_bad=1, served=9, served_bad=2, at=THEN)},
        "1 of 3 figures of its training and 2 of its 9 newest answers",
    ),
    "Monitor 6": (
        {"versions": [made(2, latency_ms=9.0), made(1)]},
        "From 1 to 2: latency 0.5 to 9 ms",
    ),
    "Monitor 7": (
        {
            "biases": [
                f.SliceBias(window="tide:1", slice="a=x", said=0.5, came=0.2, rows=90, biased=True)
            ]
        },
        "in a=x 0.5 was said on average and 0.2 came, 90 rows",
    ),
}


@pytest.mark.parametrize("test", sorted(FAILS))
def test_what_ran_and_failed_gives_nothing_and_is_told(test: str) -> None:
    given, words = FAILS[test]
    assert points(facts(**given))[test] == 0.0
    assert words in said(facts(**given), test)


BY_KIND = {
    "Data 2": "ablation", "Data 3": "feature_costs", "Data 4": "feature_policy",
    "Data 5": "privacy", "Data 7": "tests", "Model 4": "staleness", "Model 7": "bias",
    "Infra 1": "reproduced", "Infra 2": "tests", "Infra 3": "smoke", "Infra 5": "debuggable",
    "Infra 7": "rollback_drill", "Monitor 1": "dependency_drill",
}  # fmt: skip


@pytest.mark.parametrize("test", sorted(BY_KIND))
def test_a_newer_failure_takes_a_point_away_and_a_newer_success_gives_it_back(test: str) -> None:
    kind = BY_KIND[test]
    old = next(one for one in EVIDENCE if one.kind == kind)
    failed = ev(kind, old.subject, at=THEN + 5, passed=False, found=f"{kind} went wrong.")
    again = msgspec.structs.replace(old, id="ev_again", at=THEN + 9)
    assert points(facts(evidence=[*EVIDENCE, failed]))[test] == 0.0
    assert said(facts(evidence=[*EVIDENCE, failed]), test).startswith(f"{kind} went wrong.")
    assert points(facts(evidence=[*EVIDENCE, failed, again]))[test] == 1.0


@pytest.mark.parametrize("test", sorted(BY_KIND))
def test_what_a_person_did_gives_half(test: str) -> None:
    kind = BY_KIND[test]
    old = next(one for one in EVIDENCE if one.kind == kind)
    by_hand = msgspec.structs.replace(old, automatic=False)
    assert points(facts(evidence=[*without(kind), by_hand]))[test] == 0.5
    assert "by hand" in said(facts(evidence=[*without(kind), by_hand]), test)
    # A newer hand never lowers what came by itself, as long as that counts.
    newer = msgspec.structs.replace(by_hand, id="ev_hand", at=THEN + 9)
    assert points(facts(evidence=[*EVIDENCE, newer]))[test] == 1.0


@pytest.mark.parametrize(
    ("test", "given", "words"),
    [
        ("Model 1", {"versions": [made(2, commit="")]}, "in no repository"),
        ("Model 1", {"versions": [made(2, dirty=True)]}, "changes that commit abababab"),
        ("Model 1", {"versions": [made(2, branch="try")]}, "on try, not on main"),
        ("Model 7", {"evidence": without("approval")}, "Nobody has signed it."),
        ("Monitor 2", {"channels": []}, "a person has to look"),
    ],
)
def test_what_a_person_must_still_do_gives_half(
    test: str, given: dict[str, Any], words: str
) -> None:
    assert points(facts(**given))[test] == 0.5
    assert words in said(facts(**given), test)


@pytest.mark.parametrize(
    ("test", "gate", "words"),
    [
        ("Model 5", told("baselines", why="few rows"), "compared it with no simpler model"),
        ("Model 5", told("baselines", models=[{"name": "tree", "low": 0.1}]), "A tree model is"),
        ("Model 5", told("baselines", models=[{"name": "constant", "low": -1.0}]), "no simpler"),
        ("Model 6", told("slices", slices=[{"loss": None}]), "No slice has rows enough"),
    ],
)
def test_a_check_that_passed_without_looking_proves_nothing(
    test: str, gate: f.Judged, words: str
) -> None:
    given = facts(versions=[made(2, gate=gate)])
    assert points(given)[test] == 0.0
    assert words in said(given, test)


def test_a_search_through_slices_beside_the_champion_has_looked() -> None:
    searched = told("slices", slices=[], looked=4)
    champion = f.Check(name="champion", passed=True, found="as good", evidence={"rows": 300})
    both = msgspec.structs.replace(searched, checks=[*searched.checks, champion])
    assert points(facts(versions=[made(2, gate=searched)]))["Model 6"] == 0.0
    assert points(facts(versions=[made(2, gate=both)]))["Model 6"] == 1.0


def test_a_slice_may_be_held_against_a_line_where_there_is_no_champion() -> None:
    gate = msgspec.structs.replace(told("slices", slices=[{"loss": 0.1}]), worst_slice=0.25)
    assert points(facts(versions=[made(2, gate=gate)]))["Model 6"] == 1.0


def test_a_staleness_curve_is_a_figure_that_nobody_judges() -> None:
    curve = ev("staleness", "model:tide", passed=None, found="It loses 0.01 a week")
    assert points(facts(evidence=[*without("staleness"), curve]))["Model 4"] == 1.0
    assert said(facts(evidence=[*without("staleness"), curve]), "Model 4").endswith("a week.")
    unjudged = ev("ablation", passed=None)
    assert points(facts(evidence=[*without("ablation"), unjudged]))["Data 2"] == 0.0


def test_nobody_approves_what_they_made_themselves() -> None:
    own = [*without("approval"), ev("approval", by="grace", detail={"authors": ["grace"]})]
    assert points(facts(evidence=own))["Model 1"] == 0.0
    assert said(facts(evidence=own), "Model 1").startswith("Nobody but grace")


def test_a_newer_refusal_takes_an_approval_back() -> None:
    given = ev("approval", by="alan", passed=False, at=THEN + 5)
    assert points(facts(evidence=[*EVIDENCE, given]))["Model 1"] == 0.0
    assert points(facts(evidence=[*EVIDENCE, given]))["Model 7"] == 0.5


def test_what_names_nothing_to_open_or_no_time_is_no_evidence() -> None:
    assert points(facts(windows=[window(at=None)]))["Monitor 2"] == 0.0
    blind = f.Finite(trained=3, trained_bad=0, served=9, served_bad=0, at=None, page="/x")
    assert points(facts(finite=blind))["Monitor 5"] == 0.0


def test_roll_backs_and_the_first_champion_need_no_canary() -> None:
    back = f.Move(number=1, previous=2, at=THEN, gate="gate_1", back=True)
    assert points(facts(moves=[back, *facts().moves], champion=1))["Infra 6"] == 1.0
    assert points(facts(moves=facts().moves[1:]))["Infra 6"] == 0.0


@pytest.mark.parametrize(
    ("score", "words"),
    [
        (0.0, "more a research"), (0.5, "not totally"), (1.0, "not totally"), (1.5, "first pass"),
        (2.0, "first pass"), (2.5, "reasonably"), (3.0, "reasonably"), (3.5, "strong"),
        (5.0, "strong"), (5.5, "exceptional"), (7.0, "exceptional"),
    ],
)  # fmt: skip
def test_the_bands_are_those_of_the_paper(score: float, words: str) -> None:
    assert band(score).startswith(words)


# ---------------------------------------------------------------- laws

KINDS = sorted({one.kind for one in EVIDENCE})
ANY = st.builds(
    lambda kind, age, passed, automatic, number: msgspec.structs.replace(
        next(one for one in EVIDENCE if one.kind == kind),
        id=f"ev_{number}",
        at=NOW - age * DAY_S,
        passed=passed,
        automatic=automatic,
    ),
    st.sampled_from(KINDS),
    st.integers(0, 60),
    st.booleans(),
    st.booleans(),
    st.integers(0, 10**9),
)
SOME = st.lists(ANY, max_size=12)


@settings(max_examples=60, deadline=None)
@given(known=SOME, more=ANY)
def test_more_that_went_well_never_lowers_a_point(known: list[Evidence], more: Evidence) -> None:
    more = msgspec.structs.replace(more, passed=True)
    before = points(facts(evidence=known))
    after = points(facts(evidence=[*known, more]))
    assert all(after[test] >= before[test] for test in NUMBERS)


@settings(max_examples=60, deadline=None)
@given(known=SOME, days=st.floats(0, 90))
def test_ageing_never_raises_a_point(known: list[Evidence], days: float) -> None:
    now = judge(facts(evidence=known))
    later = judge(facts(evidence=known, now=NOW + days * DAY_S))
    assert all(b.points <= a.points for a, b in zip(now.points, later.points, strict=True))
    assert later.score <= now.score
    if now.falls is not None and now.falls > NOW + days * DAY_S:
        assert later.sums == now.sums


@settings(max_examples=60, deadline=None)
@given(known=SOME)
def test_the_score_is_the_smallest_sum_and_every_point_can_be_opened(
    known: list[Evidence],
) -> None:
    score: Score = judge(facts(evidence=known))
    for section in SECTIONS:
        own = [one.points for one in score.points if one.test.startswith(section)]
        assert score.sums[section] == sum(own)
    assert score.score == min(score.sums.values())
    assert all(one.opens for one in score.points if one.points)
