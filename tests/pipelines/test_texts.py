"""Why names the line that differs, comments aside, and keeps each text once."""

from __future__ import annotations

from sqlalchemy import func, select

from mainspring.pipelines import texts
from mainspring.pipelines.tables import code_texts
from mainspring.pipelines.texts import CodeText

OLD = """def train(rows):
    C = 1.0  # strength
    return fit(rows, C)
"""


def text(code: str, line: int = 13) -> CodeText:
    return CodeText("project.py", line, code)


def test_a_changed_line_is_named_by_its_number_in_the_file() -> None:
    new = OLD.replace("1.0  # strength", "2.0  # more of it")
    assert texts.differing(text(OLD), text(new)) == ["line 14: C = 1.0 -> C = 2.0"]


def test_comments_and_empty_lines_are_no_difference() -> None:
    new = OLD.replace("# strength", "# of the penalty").replace("    return", "\n    return")
    assert texts.differing(text(OLD), text(new, 40)) == []


def test_new_and_gone_lines_are_told_apart_and_many_are_counted() -> None:
    new = OLD.replace("    return", "    rows = clean(rows)\n    return")
    assert texts.differing(text(OLD), text(new)) == ["line 15: new: rows = clean(rows)"]
    assert texts.differing(text(new), text(OLD)) == ["line 15 before: gone: rows = clean(rows)"]
    many = "\n".join(f"x{n} = {n}" for n in range(20))
    other = "\n".join(f"x{n} = {n + 1}" for n in range(20))
    assert texts.differing(text(many, 1), text(other, 1))[-1] == "and 17 more"


def test_what_is_no_program_by_itself_is_compared_as_it_is() -> None:
    assert texts.differing(text('x = """a'), text('x = """b')) == ['line 13: x = """a -> x = """b']


def test_the_same_text_is_kept_once_and_a_long_one_never(tx) -> None:  # type: ignore[no-untyped-def]
    one = texts.keep(tx, {"function train": text(OLD), "function long": text("x" * 30_000)})
    two = texts.keep(tx, {"function train": text(OLD)})
    assert one == two
    assert tx.one(select(func.count().label("n")).select_from(code_texts)).n == 1
    changed = texts.keep(tx, {"function train": text(OLD.replace("1.0", "3.0"))})
    told = texts.changes(tx, one["function train"], changed["function train"])
    assert told == ["line 14: C = 1.0 -> C = 3.0"]
    assert texts.changes(tx, one["function train"], None) == []
    assert texts.changes(tx, "0" * 64, one["function train"]) == []
    named = {bytes.fromhex(one["function train"])}
    assert texts.forget(tx, named, dry_run=True) == texts.forget(tx, named) == 1
    assert texts.forget(tx, named) == 0
    assert texts.changes(tx, one["function train"], changed["function train"]) == []
