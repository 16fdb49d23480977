"""Files of two versions: what came, went, changed and was renamed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mainspring.pipelines.data.differing import differences
from mainspring.pipelines.data.manifest import Entry


def entry(path: str, letter: str, size: int = 3, executable: bool = False) -> Entry:
    return Entry(path, size, letter * 64, executable)


def test_each_change_is_told_once() -> None:
    before = [entry("a", "1"), entry("b", "2"), entry("c", "3"), entry("d", "4"), entry("e", "5")]
    after = [
        entry("a", "1"),
        entry("b", "6", 5),
        entry("moved/c", "3"),
        entry("e", "5", executable=True),
        entry("new", "7"),
    ]
    found = differences(before, after)
    assert [one.path for one in found.added] == ["new"]
    assert [one.path for one in found.removed] == ["d"]
    changed = [(one.path, one.size_before, one.size_after) for one in found.changed]
    assert changed == [("b", 3, 5), ("e", 3, 3)]
    assert [(one.before, one.after) for one in found.renamed] == [("c", "moved/c")]
    assert (found.same, found.none) == (1, False)


def test_of_two_copies_one_may_move_and_an_empty_file_is_nobody() -> None:
    before = [entry("a", "1"), entry("b", "1"), entry("empty", "0", 0)]
    after = [entry("b", "1"), entry("c", "1"), entry("hollow", "0", 0)]
    found = differences(before, after)
    assert [(one.before, one.after) for one in found.renamed] == [("a", "c")]
    assert [one.path for one in found.added] == ["hollow"]
    assert [one.path for one in found.removed] == ["empty"]


files = st.dictionaries(st.sampled_from("abcdef"), st.sampled_from("123"), max_size=6).map(
    lambda held: [entry(path, letter) for path, letter in held.items()]
)


@given(files, files)
def test_every_file_is_in_exactly_one_place(before: list[Entry], after: list[Entry]) -> None:
    found = differences(before, after)
    both = found.same + len(found.changed)
    assert both + len(found.removed) + len(found.renamed) == len(before)
    assert both + len(found.added) + len(found.renamed) == len(after)
    back = differences(after, before)
    assert len(back.renamed) == len(found.renamed)
    assert {one.path for one in back.changed} == {one.path for one in found.changed}
    assert differences(before, before).none
