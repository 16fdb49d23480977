"""A project that cannot be imported: which file, which line, what stands there, what to do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mainspring.ground.errors import BadInputError, ProjectError
from mainspring.pipelines import project, raised


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    project.close()


def refused(root: Path, text: str, helper: str = "") -> ProjectError:
    (root / "project.py").write_text(text)
    (root / "helper.py").write_text(helper)
    with pytest.raises(ProjectError) as caught:
        project.import_module(root, "project")
    assert "mainspring/pipelines" not in f"{caught.value}{caught.value.trace}"
    return caught.value


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        (
            "import os\nimport sklern\n",
            "ModuleNotFoundError: No module named 'sklern' (project.py, line 2: import sklern).",
            "Did you mean 'sklearn'? Else install it for ",
        ),
        (
            "from collections import OrderedDcit\n",
            "(project.py, line 1: from collections import OrderedDcit).",
            "Did you mean 'OrderedDict'?",
        ),
        (
            "x = 1\ndef train(:\n    pass\n",
            "SyntaxError: invalid syntax (project.py, line 2: def train(:).",
            "Mend that line",
        ),
        (
            "import json\n\njson.loads('{')\n",
            "(project.py, line 3: json.loads('{')).",
            "mend that line",
        ),
        ("raise SystemExit\n", "SystemExit (project.py, line 1: raise SystemExit).", "imported"),
    ],
    ids=["module", "name", "syntax", "library", "exit"],
)
def test_the_line_is_named_and_what_to_do(
    tmp_path: Path, text: str, message: str, hint: str
) -> None:
    error = refused(tmp_path, text)
    assert error.message.startswith("project cannot be imported: ")
    assert message in error.message
    assert hint in str(error.hint)
    assert "\n" not in error.message


def test_what_a_file_of_the_project_raises_comes_with_the_way_to_it(tmp_path: Path) -> None:
    error = refused(tmp_path, "import helper\n", "def f():\n    return 1 / 0\n\nf()\n")
    assert "(helper.py, line 2: return 1 / 0)." in error.message
    places = [line.strip() for line in error.trace.splitlines() if line.startswith("  File")]
    assert [place.rpartition("/")[2] for place in places] == [
        'project.py", line 1, in <module>',
        'helper.py", line 4, in <module>',
        'helper.py", line 2, in f',
    ]


def test_a_word_of_ours_that_is_used_wrongly_is_named_with_its_line(tmp_path: Path) -> None:
    text = "import mainspring as ms\n\nfit = ms.step(lambda rows: rows)\n"
    error = refused(tmp_path, text)
    assert "line 3" in error.message


def test_every_frame_is_shown_where_that_is_wished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(raised.FRAMES, "all")
    (tmp_path / "project.py").write_text("1 / 0\n")
    with pytest.raises(ProjectError) as caught:
        project.import_module(tmp_path, "project")
    assert "importlib" in caught.value.trace


def test_an_error_of_ours_says_which_line_led_to_it() -> None:
    with pytest.raises(BadInputError) as caught, raised.lines_named(Path(__file__).parent):
        raise BadInputError("It cannot be.")
    line = "It cannot be (test_raised.py, line "
    assert caught.value.message.startswith(line)
    assert caught.value.message == str(caught.value)
