"""Families are written as Prometheus reads them, and read back as they were written."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from mainspring.ground.exposition import Family, gauge, histogram, read, text_of

# Of the format's own description: a label's value escapes backslash, quote and line feed.
LABEL = re.compile(r'([a-zA-Z_]\w*)="((?:[^"\\\n]|\\[\\n"])*)"(?:,|$)')
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


def labels_of(line: str) -> dict[str, str]:
    """Read the labels of a sample back, by the rules of the text format alone."""
    inside = line[line.index("{") + 1 : line.rindex("}")]
    found = LABEL.findall(inside)
    assert ",".join(f'{k}="{v}"' for k, v in found) == inside
    back = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}
    return {k: re.sub(r'\\[\\"n]', lambda one: back[one[0]], v) for k, v in found}


@given(TEXT, TEXT)
def test_any_text_comes_back_out_of_a_label(first: str, second: str) -> None:
    [line] = gauge("m", "Told.", [({"a": first, "b": second}, 1)]).lines
    assert "\n" not in line
    assert labels_of(line) == {"a": first, "b": second}


@given(TEXT)
def test_any_help_is_one_line_and_comes_back(told: str) -> None:
    text = text_of([gauge("m", told, [({}, 1)])])
    assert text.count("\n") == (3 if told else 2)
    assert [one.told for one in read(text)] == [told]


@given(st.lists(st.integers(0, 10**9), min_size=4, max_size=4), st.floats(0, 1e6))
def test_buckets_only_rise_and_the_last_is_the_count(counts: list[int], total: float) -> None:
    one = histogram("took_seconds", "Told.", [({"of": "a"}, counts, total)], [0.1, 0.5, 2.0])
    buckets = [int(line.split()[-1]) for line in one.lines[:4]]
    assert buckets == sorted(buckets)
    assert [labels_of(line)["le"] for line in one.lines[:4]] == ["0.1", "0.5", "2", "+Inf"]
    assert buckets[-1] == sum(counts)
    assert one.lines[-1] == f'took_seconds_count{{of="a"}} {sum(counts)}'


def test_what_was_written_is_read_back_whole() -> None:
    found = [
        gauge("up", "Is it?", [({"endpoint": 'a"b\\n'}, 1)]),
        gauge("asked_total", "How often.", [({}, 3)], kind="counter"),
        histogram("took", "How long.", [({}, [1, 2], 0.5)], [1.0]),
    ]
    assert read(text_of(found)) == found
    assert read("nonsense\n") == []
    joined = text_of([*found, Family(name="up", kind="gauge", lines=['up{endpoint="c"} 0'])])
    assert joined.count("# TYPE up gauge") == joined.count("# HELP up ") == 1
