"""A run made again from its record alone: real repositories, real processes."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mainspring.experiments.capture import facts, git, packages, source
from mainspring.experiments.datasets import Dataset, Use
from mainspring.experiments.sources import describe
from mainspring.ground.settings import Settings
from mainspring.workspace import again
from mainspring.workspace.again import CannotError, Past

SETTINGS = Settings(root="/r", home="/h")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with one commit."""
    config = tmp_path / "gitconfig"
    config.write_text("[user]\n  name = Tester\n  email = tester@example.org\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.delenv("SEED", raising=False)
    made = tmp_path / "my project"
    (made / "sub").mkdir(parents=True)
    (made / "sub" / "part.py").write_text("")
    (made / ".gitignore").write_text("data/\n")
    (made / "train.py").write_text("print('committed')\n")
    for words in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "One"]):
        subprocess.run(["git", "-C", made, *words], check=True)
    return made


def _record(**more: Any) -> dict[str, Any]:
    return {
        "id": "run_1", "name": "n", "status": "finished", "pipeline": None, "params": {},
        "metrics": {}, "tags": {"mainspring.nth": "0"}, **more,
    }  # fmt: skip


def _past(
    folder: Path, command: list[str], at: str = "", environ: dict[str, str] | None = None
) -> Past:
    """What a run of this command would have kept, read as a run reads it."""
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(folder / at)
        state, patch = git.read(folder)
        started = source.read(["python", *command], environ or {})
    told = facts.SourceFile(source=started, git=state)
    ran_on = facts.EnvironmentFile(packages=packages.read(), machine=None)
    return Past(run=_record(), artifacts={}, source=told, ran_on=ran_on, patch=patch)


def _out(prepared: again.Prepared) -> str:
    done = subprocess.run(
        prepared.command, cwd=prepared.folder, env=prepared.environ, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_working_tree_of_then_runs_whatever_it_is_now(folder: Path, tmp_path: Path) -> None:
    (folder / "train.py").write_text("import new, sys; print(new.X, sys.argv[1:])\n")
    (folder / "new.py").write_text("X = 'patched'\n")
    past = _past(folder, ["train.py", "--lr", "0.1"])
    (folder / "train.py").write_text("print('later')\n")
    subprocess.run(["git", "-C", folder, "commit", "-qam", "Two"], check=True)
    prepared = again.prepare(past, SETTINGS, _place(tmp_path))
    assert _out(prepared) == "patched ['--lr', '0.1']\n"
    assert (folder / "train.py").read_text() == "print('later')\n"
    assert prepared.environ["MAINSPRING_AGAIN"] == "run_1"
    assert prepared.environ["MAINSPRING_HOME"] == "/h"


def _place(tmp_path: Path) -> Path:
    place = tmp_path / "place"
    place.mkdir()
    return place


def test_paths_of_the_repository_are_meant_in_the_checkout(folder: Path, tmp_path: Path) -> None:
    script = str(folder / "train.py")
    outside = str(tmp_path / "elsewhere.csv")
    past = _past(folder, [script, outside, str(folder / "data")], at="sub")
    prepared = again.prepare(past, SETTINGS, _place(tmp_path))
    checkout = tmp_path / "place" / "my project"
    assert prepared.command[1:] == [str(checkout / "train.py"), outside, str(folder / "data")]
    assert prepared.folder == str(checkout / "sub")
    assert _out(prepared) == "committed\n"


def test_data_that_git_ignores_can_be_linked(folder: Path, tmp_path: Path) -> None:
    (folder / "data").mkdir()
    (folder / "data" / "rows.csv").write_text("1\n")
    (folder / "train.py").write_text("print(open('data/rows.csv').read())\n")
    past = _past(folder, ["train.py"])
    place = _place(tmp_path)
    prepared = again.prepare(past, SETTINGS, place, linked=["data"])
    assert _out(prepared) == "1\n\n"
    for wrong, told in (
        ("nothing", "there is no"), ("train.py", "in the commit already"), ("../x", "not below"),
        ("/etc/hosts", "not below"),
    ):  # fmt: skip
        other = tmp_path / f"other{wrong.replace('/', '-')}"
        other.mkdir()
        with pytest.raises(CannotError, match=told):
            again.prepare(past, SETTINGS, other, linked=[wrong])


def test_data_that_the_run_noted_is_linked_if_it_is_what_it_was(
    folder: Path, tmp_path: Path
) -> None:
    (folder / "data").mkdir()
    rows = folder / "data" / "rows.csv"
    rows.write_text("a\n1\n")
    noted = describe(rows)
    elsewhere = Dataset(name="s", digest="d", source_type="s3", source="s3://x")
    odd = Dataset(name="o", digest="d", source_type="local", source="no json")
    used = Dataset(name="rows", **msgspec.structs.asdict(noted))
    past = _with(
        _past(folder, ["train.py"]), inputs=[Use(dataset=one) for one in (used, elsewhere, odd)]
    )

    def prepared(name: str) -> tuple[Path, list[str]]:
        place = tmp_path / name
        place.mkdir()
        notes = again.prepare(past, SETTINGS, place).notes
        return place / "my project" / "data" / "rows.csv", notes

    linked, notes = prepared("first")
    assert (linked.read_text(), linked.is_symlink(), notes) == ("a\n1\n", True, [])
    rows.write_text("a\n2\n")
    linked, notes = prepared("second")
    assert not linked.exists()
    assert notes == [f"its data {rows} is not what it was, and was not linked"]
    rows.unlink()
    assert prepared("third")[1] == [f"its data {rows} is gone"]


def test_the_environment_that_mattered_is_that_of_then(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    then = {"SEED": "3", "TF_AUTH_TOKEN": "secret", "PYTHONPATH": f"{folder}/sub:/opt/x"}
    past = _past(folder, ["train.py"], environ=then)
    monkeypatch.setenv("SEED", "4")
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.setenv("TF_AUTH_TOKEN", "of now")
    monkeypatch.setenv("MAINSPRING_RUN", "run_outer")
    monkeypatch.setenv("MAINSPRING_URL", "http://elsewhere")
    prepared = again.prepare(past, SETTINGS, _place(tmp_path))
    assert prepared.environ["SEED"] == "3"
    assert prepared.environ["TF_AUTH_TOKEN"] == "of now"
    assert prepared.environ["PYTHONPATH"].split(":")[-2:] == [
        str(tmp_path / "place" / "my project" / "sub"),
        "/opt/x",
    ]
    assert not {"OMP_NUM_THREADS", "MAINSPRING_RUN", "MAINSPRING_URL"} & set(prepared.environ)
    assert prepared.notes == ["TF_AUTH_TOKEN was not kept, since it looks like a secret"]


def test_a_package_installed_for_editing_is_the_one_of_the_checkout(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "src" / "pkg").mkdir(parents=True)
    (folder / "src" / "pkg" / "__init__.py").write_text("X = 'then'\n")
    (folder / "train.py").write_text("import pkg; print(pkg.X)\n")
    site = tmp_path / "site" / "pkg-1.dist-info"
    site.mkdir(parents=True)
    (site / "direct_url.json").write_text(
        f'{{"url": "{folder.as_uri()}", "dir_info": {{"editable": true}}}}'
    )
    (tmp_path / "site" / "broken-1.dist-info").mkdir()
    (tmp_path / "site" / "broken-1.dist-info" / "direct_url.json").write_text("{")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    past = _past(folder, ["train.py"])
    (folder / "src" / "pkg" / "__init__.py").write_text("X = 'now'\n")
    assert _out(again.prepare(past, SETTINGS, _place(tmp_path))) == "then\n"


def test_before_the_first_commit_the_patch_is_enough(folder: Path, tmp_path: Path) -> None:
    bare = tmp_path / "fresh"
    bare.mkdir()
    (bare / "train.py").write_text("print('never committed')\n")
    subprocess.run(["git", "init", "-q", bare], check=True)
    past = _past(bare, ["train.py"])
    assert past.source.git.commit is None
    assert _out(again.prepare(past, SETTINGS, _place(tmp_path))) == "never committed\n"


def test_a_commit_that_no_branch_has_is_found(folder: Path, tmp_path: Path) -> None:
    (folder / "train.py").write_text("print('amended away')\n")
    subprocess.run(["git", "-C", folder, "commit", "-qam", "Two"], check=True)
    past = _past(folder, ["train.py"])
    subprocess.run(["git", "-C", folder, "reset", "-q", "--hard", "HEAD~1"], check=True)
    assert _out(again.prepare(past, SETTINGS, _place(tmp_path))) == "amended away\n"


def test_a_repository_that_moved_is_found_here_or_at_its_remote(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    past = _past(folder, ["train.py"])
    moved = folder.rename(tmp_path / "moved")
    with pytest.raises(CannotError, match="had no remote"):
        again.prepare(past, SETTINGS, _place(tmp_path))
    with pytest.MonkeyPatch.context() as inside:
        inside.chdir(moved)
        place = tmp_path / "here"
        place.mkdir()
        assert _out(again.prepare(past, SETTINGS, place)) == "committed\n"
    state = msgspec.structs.replace(past.source.git, remote=str(moved))
    told = msgspec.structs.replace(past.source, git=state)
    place = tmp_path / "far"
    place.mkdir()
    far = msgspec.structs.replace(past, source=told)
    assert _out(again.prepare(far, SETTINGS, place)) == "committed\n"


def _with(past: Past, **more: Any) -> Past:
    return msgspec.structs.replace(past, **more)


def test_what_cannot_be_made_again_says_why(folder: Path, tmp_path: Path) -> None:
    past = _past(folder, ["train.py"])
    told = past.source
    started = told.source

    def how(**more: Any) -> Past:
        other = msgspec.structs.replace(started, **more)
        return _with(past, source=msgspec.structs.replace(told, source=other))

    cases = {
        "pipeline's run; run its steps afresh: mainspring run fit": _with(
            past, run=_record(pipeline="project:fit")
        ),
        "command was not recorded": _with(past, source=None),
        "ran in a notebook": how(how="notebook"),
        "an interactive session": how(how="interactive"),
        "a pipe": how(how="stdin"),
        "held a secret": how(command=["python", "train.py", "--token=***"]),
        "in no git repository": _with(
            past,
            source=msgspec.structs.replace(
                told, git=None, not_captured={"git": "/x is in no git repository"}
            ),
        ),
        "neither in the commit nor in the patch": how(entry=str(folder / "gone.py")),
    }
    for number, (why, one) in enumerate(cases.items()):
        place = tmp_path / f"place{number}"
        place.mkdir()
        with pytest.raises(CannotError, match=why):
            again.prepare(one, SETTINGS, place)
