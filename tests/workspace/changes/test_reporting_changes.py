"""A report ends as its gate does; what ran before it says why it came to none."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from homes import add_version

from mainspring.ground.errors import BadInputError
from mainspring.workspace import gates as known
from mainspring.workspace.changes import report, sides
from mainspring.workspace.changes.sides import Side
from mainspring.workspace.opening import Workspace

STEP = {"step": "fit", "state": "failed", "wall_s": 0.5, "error": "ZeroDivisionError: by | zero"}


@pytest.fixture
def repository(served: Workspace) -> Path:
    """The project of the home, in git, with a change on a branch."""
    root = Path(served.settings.root)
    root.mkdir(exist_ok=True)
    (root / "project.py").write_text("A = 1\n")
    git(root, "init", "-q", "-b", "main")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "First.")
    git(root, "checkout", "-q", "-b", "change")
    (root / "project.py").write_text("A = 2\n")
    git(root, "commit", "-q", "-a", "-m", "Second.")
    return root


def git(root: Path, *words: str) -> str:
    own = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-C", str(root)]
    done = subprocess.run(["git", *own, *words], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def told(
    ws: Workspace, root: Path, monkeypatch: pytest.MonkeyPatch, ends: list[dict[str, Any]]
) -> report.Report:
    """Report on the change, its runs ending as told: the smoke run, the base, the head."""
    seen: list[tuple[str, str]] = []

    def run(folder: Path, home: str, commit: str, pipeline: str, words: Any, tell: Any) -> Side:
        seen.append(((folder / "project.py").read_text(), words[0]))
        return Side(commit=commit, **ends[len(seen) - 1])

    monkeypatch.setattr(sides, "run", run)
    wanted = report.Wanted(
        root=str(root), home=str(ws.home), pipeline="tide", model="tide", base="main"
    )
    found = report.reported(wanted, ws, lambda _: None, lambda _: None)
    code = [("A = 2\n", "--smoke"), ("A = 1\n", "--register"), ("A = 2\n", "--register")]
    assert seen == code[: len(seen)], "each side runs on its own code"
    return found


def test_a_gate_that_passed_is_told_beside_base_and_champion(served, repository, monkeypatch):
    ends = [{}, {"version": "tide/1"}, {"version": "tide/2"}]
    found = told(served, repository, monkeypatch, ends)
    assert found.passed
    assert found.versions == {"head": "tide/2", "base": "tide/1", "champion": "tide/1"}
    assert found.head == git(repository, "rev-parse", "HEAD")
    assert found.base == git(repository, "rev-parse", "main")
    for words in ("head (tide/2) less base (tide/1)", "champion (tide/1)", "### Gate of tide/2"):
        assert words in found.markdown


def test_a_gate_that_refused_is_no_success(served, repository, monkeypatch) -> None:
    ends = [{}, {"version": "tide/1"}, {"version": "tide/3"}]
    found = told(served, repository, monkeypatch, ends)
    assert not found.passed
    assert found.headline == "tide: the gate refused it"
    assert found.why == "auc: 0.8, wanted 0.7"
    assert found.markdown.startswith("## ❌ tide: the gate refused it")


def test_a_smoke_run_that_fails_ends_it(served, repository, monkeypatch) -> None:
    ends = [{"why": "fit: ZeroDivisionError: by | zero", "steps": [STEP]}]
    found = told(served, repository, monkeypatch, ends)
    assert (found.passed, found.headline) == (False, "tide: the smoke run failed")
    assert "ZeroDivisionError: by \\| zero" in found.markdown


def test_a_base_that_cannot_run_does_not_stop_the_report(served, repository, monkeypatch) -> None:
    ends = [{}, {"why": "rows.csv is not there"}, {"version": "tide/2"}]
    found = told(served, repository, monkeypatch, ends)
    assert found.passed
    assert "No base: rows.csv is not there." in found.markdown
    assert found.versions == {"head": "tide/2", "champion": "tide/1"}


def test_a_head_that_fails_or_makes_no_model_says_so(served, repository, monkeypatch) -> None:
    found = told(served, repository, monkeypatch, [{}, {}, {"why": "fit: it fell"}])
    assert (found.headline, found.why) == ("tide: the run failed", "fit: it fell")
    found = told(served, repository, monkeypatch, [{}, {}, {}])
    assert found.why == "the pipeline returns no model"


def test_one_commit_is_no_change(served, repository, monkeypatch) -> None:
    git(repository, "checkout", "-q", "main")

    @contextmanager
    def never(root: Path, commit: str) -> Iterator[Path]:
        raise AssertionError("nothing is checked out")
        yield root

    monkeypatch.setattr(sides, "checked_out", never)
    ends = iter([Side(commit="c"), Side(commit="c", version="tide/2")])
    monkeypatch.setattr(sides, "run", lambda *_: next(ends))
    wanted = report.Wanted(
        root=str(repository), home=str(served.home), pipeline="tide", model="tide", base="main"
    )
    found = report.reported(wanted, served, lambda _: None, lambda _: None)
    assert "No base: the change is none" in found.markdown


def test_a_base_that_git_does_not_know_is_named(repository: Path) -> None:
    with pytest.raises(BadInputError, match="no commit 'nowhere'") as caught:
        sides.fork_of(repository, "nowhere")
    assert "fetch-depth" in (caught.value.hint or "")


def test_a_clone_that_ends_before_the_fork_is_refused_and_not_compared_with_the_wrong_commit(
    repository: Path, tmp_path: Path
) -> None:
    git(repository, "checkout", "-q", "main")
    (repository / "other.py").write_text("")
    git(repository, "add", "-A")
    git(repository, "commit", "-q", "-m", "Elsewhere.")
    git(repository, "checkout", "-q", "change")
    shallow = tmp_path / "shallow"
    words = ("--depth", "1", "--no-single-branch", f"file://{repository}", str(shallow))
    git(repository, "clone", "-q", *words)
    with pytest.raises(BadInputError, match="is shallow") as caught:
        sides.fork_of(shallow, "origin/main")
    assert "GIT_DEPTH: 0" in (caught.value.hint or "")


def test_only_the_changes_of_this_branch_count(repository: Path) -> None:
    fork = git(repository, "rev-parse", "main")
    git(repository, "checkout", "-q", "main")
    (repository / "other.py").write_text("")
    git(repository, "add", "-A")
    git(repository, "commit", "-q", "-m", "Elsewhere.")
    git(repository, "checkout", "-q", "change")
    assert sides.fork_of(repository, "main") == fork
    with sides.checked_out(repository, fork) as folder:
        assert (folder / "project.py").read_text() == "A = 1\n"
    assert not folder.exists()


def test_the_projects_gate_is_declared_where_the_home_knows_none(
    served: Workspace, repository: Path, packages: tuple[Path, dict[str, str]], monkeypatch
) -> None:
    add_version(served, 1, packages[1]["good"], passed=True, model="pond")
    gates = {"pond": {"at_least": {"auc": 0.6}}, "tide": {"at_least": {"auc": 0.01}}}
    served.settings = msgspec.structs.replace(served.settings, gates=gates)

    def asked(model: str) -> report.Wanted:
        return report.Wanted(
            root=str(repository), home=str(served.home), pipeline="p", model=model, base="main"
        )

    assert report._declare(served, asked("pond"))
    assert known.show(served, "pond").gate.at_least == {"auc": 0.6}
    before = known.show(served, "tide").gate
    assert report._declare(served, asked("tide"))
    assert known.show(served, "tide").gate == before, "its loop's gate is not made softer"
    assert not report._declare(served, asked("nobody"))
