"""Shell commands as steps: whatever a value holds, it is one word; what fails is told."""

from __future__ import annotations

import string
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mainspring as ms
from mainspring.ground.errors import BadInputError, ProjectError, StepFailedError
from mainspring.pipelines.code import code_digest

echo = ms.shell("printf %s {word} > {out}", outputs={"out": "said.txt"})
plain = ms.shell(["printf", "%s|", "{words}", "<{word}>"], outputs={})
ordered = ms.shell(
    "sort -t, -k1,1n {rows} | head -n {most} > {out}",
    inputs={"rows": "rows.csv"},
    outputs={"out": "sorted.csv"},
)
folder = ms.shell("for n in 1 2; do echo $n > {out}/$n.txt; done", outputs={"out": "made/"})
_ANY = st.text(st.characters(blacklist_characters="\0", blacklist_categories=("Cs",)), max_size=40)


@settings(max_examples=25, deadline=None)
@given(_ANY | st.text(string.punctuation + " \n", max_size=20))
def test_whatever_a_value_holds_it_is_one_word(word: str) -> None:
    assert echo(word).read_bytes() == word.encode()


@pytest.mark.parametrize(
    "word", ["$(touch hit)", "'; touch hit; '", '"; touch hit; "', "`touch hit`"]
)
def test_a_value_runs_nothing(word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    said = echo(word)
    assert said.read_text() == word
    assert not (said.parent / "hit").exists()
    assert not (tmp_path / "hit").exists()


def test_words_of_a_list_are_words_each(capfd: pytest.CaptureFixture[str]) -> None:
    assert plain(words=["a b", 1], word="$HOME") is None
    assert capfd.readouterr().out == "a b|1|<$HOME>|"


def test_a_frame_is_put_into_the_file_that_was_named() -> None:
    rows = pl.DataFrame({"n": [10, 9, 2]})
    assert ordered(rows=rows, most=3).read_text().split() == ["n", "2", "9"]


def test_a_folder_is_returned_as_one() -> None:
    made = folder()
    assert {one.name: one.read_text() for one in made.iterdir()} == {
        "1.txt": "1\n",
        "2.txt": "2\n",
    }


def test_a_failure_tells_the_exit_code_and_the_last_words() -> None:
    broken = ms.shell("echo first >&2; echo 'no such table' >&2; exit 3")
    with pytest.raises(StepFailedError, match="ended with exit code 3: no such table") as caught:
        broken()
    assert caught.value.trace == "first\nno such table"


def test_a_failure_within_a_pipe_counts() -> None:
    with pytest.raises(StepFailedError, match="exit code 1"):
        ms.shell("false | cat")()


def test_an_ending_by_a_signal_is_named() -> None:
    with pytest.raises(StepFailedError, match="was ended by SIGTERM"):
        ms.shell("kill -TERM $$")()


def test_an_output_that_was_not_written_is_missed() -> None:
    with pytest.raises(StepFailedError, match=r"wrote no sorted.csv \(out\)"):
        ms.shell("true", outputs={"out": "sorted.csv"})()


def test_a_program_that_is_not_there_is_named() -> None:
    with pytest.raises(
        StepFailedError, match="cannot be started: No such file or directory: nope"
    ):
        ms.shell(["nope"])()


def test_braces_that_are_no_place_stay() -> None:
    said = ms.shell("echo ${HOME:+x} {a,b} $(echo 'z y' | awk '{print $2}') {{word}}")
    assert said.function.__signature__.parameters.keys() == set()  # type: ignore[attr-defined]
    said()


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: ms.shell("echo '{word}'"), "within quotes"),
        (lambda: ms.shell('echo "a {word}"'), "within quotes"),
        (lambda: ms.shell(" "), "must be text"),
        (lambda: ms.shell([]), "a list of words"),
        (lambda: ms.shell("true", outputs={"out": "../x"}), "own folder"),
        (lambda: ms.shell("true", inputs={"a": "b"}, outputs={"a": "b"}), "of inputs and of"),
        (lambda: ms.shell("true", shell="fish"), "bash or sh"),
        (lambda: ms.shell("true", again=2), "no option 'again'"),  # type: ignore[call-arg]
        (lambda: echo(None), "is None"),
        (lambda: ordered(rows={1, 2}, most=1), "no form as a file"),
    ],
)
def test_what_cannot_be_is_refused(make: object, told: str) -> None:
    with pytest.raises(BadInputError, match=told):
        make()  # type: ignore[operator]


def test_a_command_finds_its_inputs_where_it_looks_for_them() -> None:
    count = ms.shell(
        "wc -l < data/rows.txt > count.txt && cat params.yaml",
        inputs={"rows": "data/rows.txt", "params": "params.yaml"},
        outputs={"count": "count.txt"},
    )
    assert count(rows="a\nb\n", params={"depth": 3}).read_text().strip() == "2"
    with pytest.raises(TypeError, match="rows"):
        count(params={})


def test_the_command_and_its_files_are_its_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = tmp_path / "tool.sh"
    tool.write_text("echo one")
    names = {"__name__": "somewhere", "__file__": str(tmp_path / "project.py"), "ms": ms}
    exec("run = ms.shell('bash tool.sh', files=['tool.sh'])", names)
    digest, parts = code_digest(names["run"])  # type: ignore[arg-type]
    assert sorted(parts) == ["command", "command options", "file tool.sh"]
    tool.write_text("echo two")
    assert code_digest(names["run"])[0] != digest  # type: ignore[arg-type]
    tool.unlink()
    with pytest.raises(ProjectError, match="which is not there"):
        code_digest(names["run"])  # type: ignore[arg-type]
