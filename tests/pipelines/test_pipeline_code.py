from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from mainspring.ground import environment
from mainspring.ground.errors import ProjectError
from mainspring.ground.objects import LoopSpec
from mainspring.pipelines import code, project
from mainspring.pipelines.scopes import free_names

PROJECT = """
    import functools
    import json
    import features
    from features import clean as cleaned, BOUNDS, table
    from pack import inner
    from pack.deep import deeper

    LIMIT = 5
    NAMES = {"a": [1, (2, None)], "b": frozenset({1, 2})}
    ENCODER = features.Encoder(3)

    def plain(value):
        return value

    def maker(factor):
        def made(value):
            return value * factor
        return made

    double = maker(2)
    partly = functools.partial(plain, value=LIMIT)

    def noisy(function):
        @functools.wraps(function)
        def wrapper(*args):
            return function(*args)
        return wrapper

    @noisy
    def wrapped(value):
        return value

    @functools.lru_cache
    def cached(value):
        return plain(value)

    class Parent:
        def method(self):
            return LIMIT

    class Child(Parent):
        pass

    chosen = lambda value: value + 1

    @step
    def a_constant(): return LIMIT
    @step
    def a_nested_constant(): return NAMES
    @step
    def an_object(): return ENCODER
    @step
    def an_attribute(): return features.clean(1)
    @step
    def an_imported_name(): return cleaned(1)
    @step
    def an_imported_constant(): return BOUNDS
    @step
    def an_imported_object(): return table
    @step
    def a_closure(): return double(1)
    @step
    def a_partial(): return partly()
    @step
    def a_decorated(): return wrapped(1)
    @step
    def a_cached(): return cached(1)
    @step
    def a_class(): return Child().method()
    @step
    def a_lambda(): return chosen(1)
    @step
    def a_step(): return a_constant()
    @step
    def a_default(value=LIMIT): return value
    @step
    def a_local_import():
        from late import later
        return later()
    @step
    def a_package(): return inner.function() + deeper()
    @step
    def a_library(): return json.dumps([])
    @step
    def a_shadow(plain, LIMIT): return [plain for plain in LIMIT]
    @step
    def a_comprehension(rows): return [plain(LIMIT) for row in rows]
    @step
    def nothing(): return 1

    @pipeline
    def main(): return nothing()
"""

FEATURES = """
    BOUNDS = (0, 9)
    HIDDEN = 3
    def factor(): return 2
    def clean(value): return value * factor()
    def unused(): return 3
    class Encoder:
        def __init__(self, size): self.size = size
        def encode(self): return HIDDEN
    table = Encoder(7)
"""

EDITS = {  # what is edited -> the steps whose code is another then
    ("LIMIT = 5", "LIMIT = 6", "project.py"): {
        "a_constant",
        "a_partial",
        "a_class",
        "a_default",
        "a_step",
        "a_comprehension",
    },
    ("(2, None)", "(2, 3)", "project.py"): {"a_nested_constant"},
    ("{1, 2}", "{1, 3}", "project.py"): {"a_nested_constant"},
    ("Encoder(3)", "Encoder(4)", "project.py"): {"an_object"},
    ("HIDDEN = 3", "HIDDEN = 4", "features.py"): {"an_object", "an_imported_object"},
    ("return 2", "return 4", "features.py"): {"an_attribute", "an_imported_name"},
    ("return 3", "return 4", "features.py"): set(),
    ("(0, 9)", "(0, 8)", "features.py"): {"an_imported_constant"},
    ("Encoder(7)", "Encoder(8)", "features.py"): {"an_imported_object"},
    ("maker(2)", "maker(3)", "project.py"): {"a_closure"},
    ("value * factor", "factor * value", "project.py"): {"a_closure"},
    ("return function(*args)", "return function(*args) or 1", "project.py"): {"a_decorated"},
    ("def wrapped(value):\n    return value", "def wrapped(value):\n    return 7", "project.py"): {
        "a_decorated"
    },
    ("def plain(value):\n    return value", "def plain(value):\n    return 7", "project.py"): {
        "a_partial",
        "a_cached",
        "a_comprehension",
    },
    ("@functools.lru_cache", "@functools.lru_cache()", "project.py"): {"a_cached"},
    ("class Child(Parent):\n    pass", "class Child(Parent):\n    x = 1", "project.py"): {
        "a_class"
    },
    ("value + 1", "value + 2", "project.py"): {"a_lambda"},
    ("return 5", "return 6", "late.py"): {"a_local_import"},
    ("VALUE = 1", "VALUE = 2", "later_still.py"): {"a_local_import"},
    ("return 7", "return 8", "pack/inner.py"): {"a_package"},
    ("return 9", "return 8", "pack/deep.py"): {"a_package"},
    ("json.dumps([])", "json.dumps([1])", "project.py"): {"a_library"},
    ("import json", "import json  # a word", "project.py"): set(),
}


@pytest.fixture
def digests(place: Any) -> Any:
    place.write(PROJECT)
    place.write(FEATURES, "features.py")
    place.write("import later_still\ndef later(): return 5\n", "late.py")
    place.write("VALUE = 1\n", "later_still.py")
    place.write("", "pack/__init__.py")
    place.write("from . import deep\ndef function(): return 7\n", "pack/inner.py")
    place.write("def deeper(): return 9\n", "pack/deep.py")

    def found() -> dict[str, str]:
        module = project.import_module(place.root, "project")
        steps = {
            name: value for name, value in vars(module).items() if type(value).__name__ == "Step"
        }
        return {name: code.code_digest(step)[0] for name, step in steps.items()}

    return found


def _named(one: object) -> str:
    """Name a case alike in every process: sets print in an order of their own."""
    return str(sorted(one) if isinstance(one, set) else one)[:40]


@pytest.mark.parametrize(("edit", "touched"), EDITS.items(), ids=_named)
def test_an_edit_changes_the_code_of_exactly_what_reaches_it(
    place: Any, digests: Any, edit: tuple[str, str, str], touched: set[str]
) -> None:
    before = digests()
    assert before == digests()
    place.edit(*edit)
    after = digests()
    assert {name for name in before if before[name] != after[name]} == touched


def test_code_reached_only_by_a_late_import_is_not_imported_to_be_known(digests: Any) -> None:
    digests()
    assert "late" not in sys.modules
    assert "later_still" not in sys.modules


def test_the_parts_of_code_are_named(place: Any, digests: Any) -> None:
    digests()
    module = project.import_module(place.root, "project")
    parts = code.code_digest(module.a_comprehension)[1]
    assert list(parts) == ["constant LIMIT", "function a_comprehension", "function plain"]
    assert parts["constant LIMIT"] == "5"
    assert "function features.clean" in code.code_digest(module.an_attribute)[1]
    assert "class features.Encoder" in code.code_digest(module.an_object)[1]
    assert list(code.code_digest(module.a_shadow)[1]) == ["function a_shadow"]


def test_code_without_source_is_refused() -> None:
    with pytest.raises(ProjectError, match="source"):
        code.code_digest(len)


def test_functions_that_call_each_other_are_each_taken_once(place: Any) -> None:
    place.write(
        """
        def ping(n): return pong(n)
        def pong(n): return ping(n)
        @step
        def go(): return ping(1)
        @pipeline
        def main(): return go()
        """
    )
    module = project.import_module(place.root, "project")
    assert list(code.code_digest(module.go)[1]) == [
        "function go",
        "function ping",
        "function pong",
    ]


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("def f(a, *b, c=D, **e) -> F:\n x = a; del x; return G(b, c, e)", {"D", "F", "G"}),
        ("def f():\n global g; g = h", {"g", "h"} - {"g"}),
        ("def f():\n def inner(): return out\n out = 1; return inner", set()),
        ("def f():\n for a, (b, c) in R: pass\n with O as w: return a + b + c + w", {"R", "O"}),
        (
            "def f(x):\n match x:\n  case [a, *b]: return a, b\n  case {'k': c, **d}: return c, d",
            set(),
        ),
        ("def f():\n try: pass\n except E as e: return e", {"E"}),
        ("def f():\n import os.path as p, json; return p, json", set()),
        ("def f():\n return [y := a for a in B if a], y", {"B"}),
        ("class C(Base):\n x = 1\n y = x\n def m(self): return x", {"Base", "x"}),
        ("def f(): return a.b.c(d)['e'].g", {"a.b.c", "d"}),
        ("f = lambda x, y=Z: x + y + W", {"Z", "W"}),
    ],
)
def test_names_are_free_where_python_looks_outside(source: str, wanted: set[str]) -> None:
    import ast

    tree = ast.parse(source).body[0]
    assert free_names(tree.value if isinstance(tree, ast.Assign) else tree) == wanted


def test_the_environment_is_read_off_what_is_installed() -> None:
    import importlib.metadata

    found = environment.environment()
    for name in ("polars", "numpy", "scikit-learn"):
        assert found[name] == importlib.metadata.version(name)
    assert environment.environment_digest() == environment.environment_digest(dict(found))
    assert environment.environment_digest({"a": "1"}) != environment.environment_digest({"a": "2"})


# ------------------------------------------------- the project


TWO_FILES = """
    from part import N
    @step
    def one(n: int = N): return n
    @pipeline
    def main(): return one()
"""


def test_a_project_is_read_again_once_a_file_of_it_changes(place: Any) -> None:
    place.write(TWO_FILES)
    place.write("N = 100", "part.py")
    first = place.load()
    assert place.load() is first
    place.edit("100", "120", "part.py")  # same length, same second: no time stamp would tell
    assert place.load() is not first
    assert place.trace().nodes[0].args == {"n": {"value": 120}}
    assert not list(place.root.rglob("__pycache__"))


def test_two_projects_with_the_same_module_do_not_mix(place: Any, tmp_path: Path) -> None:
    place.write(TWO_FILES)
    place.write("N = 1", "part.py")
    other = tmp_path / "other"
    other.mkdir()
    (other / "project.py").write_text((place.root / "project.py").read_text())
    (other / "part.py").write_text("N = 2")
    for root, n in ((place.root, 1), (other, 2), (place.root, 1)):
        found = project.load(root, "main")
        assert found.function.__globals__["N"] == n
    project.close()


@pytest.mark.parametrize(
    ("text", "target", "words"),
    [
        (None, "main", "There is no project.py"),
        ("x = (", "main", "project.py, line 1"),
        ("x = 1\nraise ValueError('oh no')", "main", "ValueError: oh no"),
        ("import nothing_by_that_name", "main", "No module named 'nothing_by_that_name'"),
        ("import sys\nsys.exit(3)", "main", "SystemExit: 3"),
        ("x = 1", "main", "project has no 'main'. It has no @pipeline."),
        ("main = 1", "main", "is a int, not a pipeline"),
        ("@pipeline\ndef other(): ...", "main", "It has: other."),
        ("x = 1", "../etc:main", "does not name a pipeline"),
        ("x = 1", "json:main", "There is no json.py"),
        ("x = 1", "project:1x", "does not name a pipeline"),
    ],
)
def test_a_project_that_cannot_be_used_is_told_why(
    place: Any, text: str | None, target: str, words: str
) -> None:
    if text is not None:
        place.write(text)
    with pytest.raises(ProjectError) as caught:
        place.load(target)
    assert words in str(caught.value)


def test_an_error_at_import_shows_the_users_lines_only(place: Any) -> None:
    place.write("import part\n")
    place.write("def f():\n    return 1 / 0\nf()\n", "part.py")
    with pytest.raises(ProjectError) as caught:
        place.load()
    assert "(part.py, line 2: return 1 / 0)" in caught.value.message
    assert 'part.py", line 2, in f' in caught.value.trace
    shown = caught.value.message + caught.value.trace
    assert "importlib" not in shown
    assert "mainspring" not in shown.replace(str(place.root), "")
    place.edit("1 / 0", "1", "part.py")
    with pytest.raises(ProjectError, match="no 'main'"):
        place.load()


def test_pipelines_are_listed_in_the_order_they_are_written(place: Any) -> None:
    place.write(
        """
        @step
        def one(): return 1
        @pipeline
        def second(rows: int = 3):
            '''Say what it does.

            More of it.
            '''
            return one()
        @pipeline
        def first(): return one()
        again = first
        """
    )
    found = project.find_pipelines(place.root)
    assert [(one.name, one.summary) for one in found] == [
        ("second", "Say what it does."),
        ("first", ""),
    ]
    assert found[0].target == "project:second"
    assert found[0].parameters[0].name == "rows"
    assert found[0].file == str(place.root / "project.py")


def test_loops_are_found_with_their_root_and_code(place: Any) -> None:
    place.write(
        """
        from mainspring.ground.objects import LoopSpec
        @step
        def one(): return 1
        @pipeline
        def main(): return one()
        given = dict(model="m", pipeline="project:main", endpoint="e", target="y", kind="binary")
        flights = LoopSpec(name="flights", **given)
        class Odd:
            spec = 3
        odd = Odd()
        """
    )
    found = project.find_loops(place.root)
    assert [type(one) for one in found] == [LoopSpec]
    assert found[0].root == str(place.root)
    before = found[0].code
    assert len(before) == 64
    place.edit('target="y"', 'target="z"')
    assert project.find_loops(place.root)[0].code != before
    place.write(
        (place.root / "project.py").read_text() + "\nother = LoopSpec(name='flights', **given)\n"
    )
    with pytest.raises(ProjectError, match="Two loops"):
        project.find_loops(place.root)


def test_where_a_module_stands_is_no_part_of_the_code(place: Any) -> None:
    place.write(
        """
        from pathlib import Path
        HERE = Path(__file__).parent
        @step
        def read(): return [HERE, __file__]
        @pipeline
        def main(): return read()
        """
    )
    module = project.import_module(place.root, "project")

    parts = code.code_digest(module.read)[1]

    assert list(parts) == ["constant HERE", "function read"]
    assert str(place.root) not in "".join(parts.values())
