"""What is declared and never used is named by its place; what is used by any name is not."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from mainspring.pipelines.unused import read

CLEAN = """
import mainspring as ms

RATE = 0.1
FAST = False


@ms.step
def load(path: str) -> int:
    return len(path)


@ms.step
def fit(rows: int, rate: float, _checked: int, mode: str = "plain") -> float:
    if mode == "new":
        return rows * rate
    return 0.0


@ms.pipeline
def train(path: str = "a", mode: str = "plain"):
    rows = load(path)
    return fit(rows, RATE, rows, mode)
"""


def project(tmp_path: Path, text: str = "", **files: str) -> Path:
    (tmp_path / "project.py").write_text(dedent(CLEAN.replace("FAST = False\n", "") + text))
    for name, content in files.items():
        file = tmp_path / name.replace("__", "/").replace("_DOT_", ".")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(content))
    return tmp_path


def found(root: Path) -> list[tuple[str, str]]:
    return [(spot.kind, spot.name) for spot in read(root).unused]


def test_a_project_that_uses_all_it_declares_has_nothing_unused(tmp_path):
    told = read(project(tmp_path))
    assert told.unused == []
    assert [spot.name for spot in told.steps] == ["load", "fit"]
    assert told.pipelines == {"train": ["path", "mode"]}
    assert told.files == 1
    assert 0 < told.step_lines < told.lines


@pytest.mark.parametrize(
    ("text", "spot"),
    [
        ("@ms.step\ndef old(rows: int) -> int:\n    return rows\n", ("step", "old")),
        (
            "@ms.pipeline\ndef two(a: int = 1):\n    return load('a')\n",
            ("param", "two.a"),
        ),
        ("OLD_RATE = 3\n", ("constant", "OLD_RATE")),
        ("LIMIT: int = 3\n", ("constant", "LIMIT")),
        (
            "NEW = False\n\ndef way():\n    if NEW:\n        return 1\n    return 2\n",
            ("branch", "if NEW"),
        ),
        ("def way():\n    if not 1:\n        return 1\n    return 2\n", ("branch", "if not 1")),
        (
            "ON = True\n\ndef way():\n    if ON:\n        return 1\n    else:\n        return 2\n",
            ("branch", "else of if ON"),
        ),
    ],
    ids=["step", "param", "constant", "typed constant", "branch", "literal", "else"],
)
def test_what_is_dead_is_named(tmp_path, text, spot):
    assert found(project(tmp_path, text)) == [spot]


@pytest.mark.parametrize(
    "text",
    [
        "@ms.step\ndef old(rows: int) -> int:\n    return rows\n\nBY = {'old': 1}\nprint(BY)\n",
        "def way(NEW):\n    if NEW:\n        return 1\n",
        "ON = True\n\ndef off():\n    global ON\n    ON = False\n\nif ON:\n    off()\n",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import os\n",
        "@ms.step\ndef s(a: int) -> int:\n    return locals()['a']\n\ns\n",
    ],
    ids=["by name", "an argument", "a global", "types", "locals"],
)
def test_what_is_used_by_name_or_may_change_is_not(tmp_path, text):
    assert found(project(tmp_path, text)) == []


def test_a_step_that_only_tests_use_is_unused_and_tests_name_what_they_test(tmp_path):
    root = project(
        tmp_path,
        "@ms.step\ndef old(rows: int) -> int:\n    return rows\n",
        tests__test_it_DOT_py="from project import old, load\n\ndef test_it():\n    assert old\n",
    )
    assert found(root) == [("step", "old")]
    told = read(root)
    assert told.tests == 1
    assert "old" in told.tested
    assert "fit" not in told.tested


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("conf_DOT_toml", "rate = 1\n[deep]\nold_key = 2\n", 3),
        ("conf_DOT_json", '{"rate": 1,\n "deep": {"old_key": 2}}', 2),
        ("conf_DOT_yaml", "rate: 1\ndeep:\n  old_key: 2\n", 3),
    ],
    ids=["toml", "json", "yaml"],
)
def test_a_key_that_nothing_asks_for_is_named_with_its_file_and_line(
    tmp_path, name, content, line
):
    file = name.replace("_DOT_", ".")
    root = project(
        tmp_path,
        f"CONF = open('{file}')['rate']['deep']\nprint(CONF)\n",
        **{name: content, "other_DOT_toml": "never_opened = 1\n"},
    )
    [spot] = read(root).unused
    assert (spot.kind, spot.name, spot.file, spot.line) == ("key", "deep.old_key", file, line)


def test_a_file_that_is_no_python_and_a_config_that_is_none_are_passed_over(tmp_path):
    root = project(tmp_path, "print('bad.toml')\n", broken_DOT_py="def (:\n", bad_DOT_toml="= = =")
    told = read(root)
    assert told.unread == ["broken.py"]
    assert told.unused == []


def test_branches_on_one_param_are_read_with_their_values(tmp_path):
    [branch] = read(project(tmp_path)).branches
    assert (branch.function, branch.param, branch.op, branch.value) == ("fit", "mode", "==", "new")
    assert (branch.lines, branch.otherwise) == (1, 0)


def test_requirements_float_unless_they_are_exact_or_locked(tmp_path):
    text = "# ours\npolars>=1\nsix==1.17\nnumpy\nscipy==1.*\n-r other.txt\n"
    root = project(tmp_path, requirements_DOT_txt=text)
    assert [spot.name for spot in read(root).floating] == ["polars", "numpy", "scipy"]
    (root / "uv.lock").write_text("")
    assert read(root).floating == []


def test_habits_of_steps_are_told_by_the_lint_that_pipelines_have(tmp_path):
    text = "import time\n\n@ms.step\ndef now() -> float:\n    return time.time()\n\nnow\n"
    [habit] = read(project(tmp_path, text)).habits
    assert (habit.rule, habit.file) == ("chance", "project.py")
