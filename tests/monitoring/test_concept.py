"""Each label counts once, whatever is judged again; a broken relation is found and dated."""

from dataclasses import replace
from itertools import pairwise

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.monitoring.labelled import POLICY, loss_of, rows, sight, window

from mainspring.monitoring.concept import concept_drift
from mainspring.monitoring.shares import alpha_of
from mainspring.numerics.sequential import EDetector


def cut(frame: pl.DataFrame, places: list[int]) -> list[pl.DataFrame]:
    ends = [0, *sorted(places), frame.height]
    return [frame[a:b] for a, b in pairwise(ends)]


def watched(parts, before=None, policy=POLICY):
    """Feed windows one after the other, newest first in what each looks back on."""
    earlier, found = [], []
    for number, part in enumerate(parts):
        seen = sight(part, before, policy=policy, earlier=tuple(earlier), number=number)
        [one] = concept_drift(seen)
        [again] = concept_drift(seen)  # judged once more, as after a crash
        assert again == one
        assert msgspec.json.decode(msgspec.json.encode(one), type=type(one)) == one
        earlier.insert(0, window(number, found=[one]))
        found.append(one)
    return found


def test_a_relation_that_breaks_is_found_at_a_label_and_dated():
    good, bad = rows(2_000, 1), rows(3_000, 2, broken=pl.col("hour") > 16)
    parts = [good, bad]
    first, second = watched(parts)
    assert first.verdict == "quiet"
    assert second.verdict == "alarm"
    detail = second.detail
    assert 2_000 < detail["label"] < 2_700
    assert bad["_id"][detail["label"] - 2_001] == detail["id"]
    label, at = detail["since"]
    assert abs(label - 2_000) < 250
    assert f"label {detail['label']:,}" in second.why
    assert at is None or at < detail["at"] or label <= 2_000


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, 1_200), max_size=5), st.integers(0, 50))
def test_how_labels_are_cut_into_windows_changes_nothing(places, seed):
    frame = rows(1_200, seed, broken=pl.col("hour") > 19)
    kept = rows(4_000, 99)
    policy = msgspec.structs.replace(
        POLICY, run_length=1e8
    )  # more than any of these windows needs
    [whole] = watched([frame], kept, policy)
    parts = watched(cut(frame, places), kept, policy)
    seen = [one.detail["state"]["detector"] for one in parts if "state" in one.detail]
    assert seen[-1][2] == 1_200  # every label once
    effects = [one.detail["state"].get("effect", 1) for one in [whole, *parts] if one.detail]
    assume(set(effects) == {1})  # by chance neighbours may look alike
    assert np.allclose(seen[-1], whole.detail["state"]["detector"])
    assert np.allclose(
        [one.detail["state"]["scores"] for one in parts if "state" in one.detail][-1],
        whole.detail["state"]["scores"],
    )


def test_the_order_of_rows_does_not_matter():
    frame = rows(1_500, 4)
    [one] = concept_drift(sight(frame))
    [other] = concept_drift(sight(frame.sample(fraction=1.0, shuffle=True, seed=1)))
    assert one == other


def test_another_version_starts_afresh():
    [first] = watched([rows(1_000, 5)])
    other = rows(800, 6).with_columns(_version=pl.lit(4, dtype=pl.Int64))
    seen = sight(other, earlier=(window(0, found=[first]),))
    [one] = concept_drift(replace(seen, version=4))
    assert one.detail["labels_watched"] == 800


def test_where_neighbours_are_alike_a_burst_is_no_alarm_and_a_lasting_rise_is():
    kept = rows(8_000, 99)
    rng = np.random.default_rng(0)

    def bursts(seed, share):
        """Turn the truth of runs of 60 rows around, as bad evenings do."""
        frame = rows(3_000, seed)
        bad = np.repeat(rng.random(50) < share, 60)
        truth = np.where(bad, 1 - frame["_y"].to_numpy(), frame["_y"].to_numpy())
        return frame.with_columns(_y=truth)

    usual = [bursts(seed, 0.1) for seed in range(6)]
    kept = pl.concat([kept, *usual])  # training had such evenings, too
    found = watched([*usual, *(bursts(seed, 0.6) for seed in range(10, 13))], kept)
    assert [one.verdict for one in found[:6]] == ["quiet"] * 6
    assert found[5].detail["state"]["effect"] > 3
    assert "labels count as one" in found[5].why
    assert "alarm" in [one.verdict for one in found[6:]]


def test_a_window_without_labels_hands_on_what_it_was_given():
    first, empty, third = watched([rows(1_000, 7), rows(0, 8), rows(500, 9)])
    assert empty.verdict == "not judged"
    assert empty.value is None
    assert empty.detail["state"] == first.detail["state"]
    assert third.detail["labels_watched"] == 1_500


def test_without_a_baseline_it_says_so():
    [one] = concept_drift(sight(rows(500, 1), loss=None))
    assert (one.verdict, one.value) == ("not judged", None)
    assert "no holdout loss" in one.why
    assert concept_drift(sight(rows(500, 1), labelled=False)) == []


def test_a_false_alarm_is_as_rare_for_windows_of_any_size():
    small = watched([rows(300, 1)])[0]
    large = watched([rows(20_000, 1)])[0]
    assert small.detail["run_length"] == pytest.approx(300 / alpha_of("concept", 0.001))
    assert large.detail["run_length"] == pytest.approx(20_000 / alpha_of("concept", 0.001))


def test_stable_windows_raise_nothing():
    raised = 0
    kept = rows(8_000, 99)
    truth = loss_of(rows(200_000, 98))
    for seed in range(4):
        found = watched([rows(1_000, 1_000 * seed + n) for n in range(25)], kept)
        raised += sum(one.verdict == "alarm" for one in found)
        assert truth < EDetector.from_list(found[0].detail["state"]["detector"]).base
    assert raised == 0
