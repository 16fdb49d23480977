from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainspring.experiments.capture import git
from mainspring.experiments.capture.git import CannotError, without_credentials

BINARY = bytes(range(256)) * 8


def _files(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every file of a working tree: whether it may be executed, and its bytes."""
    found = {}
    for file in sorted(folder.rglob("*")):
        inside = file.relative_to(folder)
        if ".git" in inside.parts or (file.is_dir() and not file.is_symlink()):
            continue
        data = os.fsencode(file.readlink()) if file.is_symlink() else file.read_bytes()
        found[str(inside)] = (file.lstat().st_mode & 0o170111, data)
    return found


def _again(repo, state: git.GitState, patch: bytes, target: Path) -> Path:
    """Make the working tree again: a clone, the commit, the patch."""
    subprocess.run(["git", "clone", "-q", "--no-checkout", repo.folder, target], check=True)
    run = ["git", "-C", str(target)]
    if state.commit is not None:
        subprocess.run([*run, "checkout", "-q", "--detach", state.commit], check=True)
    if patch:
        subprocess.run([*run, "apply", "--binary"], input=patch, check=True)
    return target


def test_a_clean_repository_is_its_commit_and_its_branch(repo) -> None:
    repo.write("train.py", "print(1)\n")
    commit = repo.commit()
    state, patch = git.read(repo.folder)
    assert (state.commit, state.branch, state.root) == (commit, "main", str(repo.folder))
    assert (state.dirty, patch, state.remote) == (False, b"", None)


def test_the_patch_makes_the_working_tree_again_new_files_and_all(repo, tmp_path: Path) -> None:
    repo.write(".gitignore", "*.log\n/data/\n")
    repo.write("train.py", "print(1)\n")
    repo.write("gone.py", "print(2)\n")
    repo.write("model.bin", BINARY)
    repo.write("run.sh", "#!/bin/sh\n")
    repo.write("moved.py", "a\n" * 50)
    repo.commit()
    repo.write("train.py", "print('changed')")  # no line end
    (repo.folder / "gone.py").unlink()
    repo.write("model.bin", BINARY[::-1])
    (repo.folder / "run.sh").chmod(0o755)
    (repo.folder / "moved.py").rename(repo.folder / "there.py")
    repo.write("staged.py", "staged\n")
    repo.git("add", "staged.py")
    repo.write("staged.py", "staged, then changed\n")
    repo.write("new/deep er/weights.bin", b"\0new" + BINARY)
    repo.write("new/empty", b"")
    repo.write('ünï cödé "quoted" \t tab.txt', "x\n")
    repo.write(":(top)odd", "pathspec\n")
    (repo.folder / "link").symlink_to("train.py")
    wanted = _files(repo.folder)
    repo.write("noise.log", "ignored\n")
    repo.write("data/rows.csv", "ignored\n")

    state, patch = git.read(repo.folder / "new")
    made = _again(repo, state, patch, tmp_path / "again")
    assert _files(made) == wanted
    assert state.dirty
    assert "train.py" in state.changed
    assert "new/deep er/weights.bin" in state.new
    assert state.left_out == []


def test_neither_the_index_nor_the_objects_are_touched(repo) -> None:
    repo.write("a.py", "1\n")
    repo.commit()
    repo.write("a.py", "2\n")
    repo.write("b.py", "3\n")
    before = {p: p.stat().st_mtime_ns for p in (repo.folder / ".git").rglob("*")}
    kept = (repo.folder / ".git" / "index").read_bytes()
    _, patch = git.read(repo.folder)
    assert b"b.py" in patch
    assert (repo.folder / ".git" / "index").read_bytes() == kept
    assert {p: p.stat().st_mtime_ns for p in (repo.folder / ".git").rglob("*")} == before
    assert repo.git("status", "--porcelain") == b" M a.py\n?? b.py\n"


def test_the_users_own_diff_settings_do_not_spoil_the_patch(repo, tmp_path: Path) -> None:
    repo.write("dir/a.py", "1\n")
    repo.commit()
    for key, value in {
        "diff.noprefix": "true", "diff.mnemonicPrefix": "true", "color.ui": "always",
        "diff.external": "false", "diff.renames": "copies", "core.quotePath": "false",
        "diff.context": "0", "status.showUntrackedFiles": "no", "diff.relative": "true",
        "status.relativePaths": "true",
    }.items():  # fmt: skip
        repo.git("config", key, value)
    repo.write("dir/a.py", "2\n")
    repo.write("dir/b é.py", "3\n")
    state, patch = git.read(repo.folder / "dir")
    assert _files(_again(repo, state, patch, tmp_path / "again")) == _files(repo.folder)


def test_a_detached_head_has_no_branch(repo) -> None:
    repo.write("a.py", "1\n")
    commit = repo.commit()
    repo.git("checkout", "-q", "--detach")
    state, _ = git.read(repo.folder)
    assert (state.commit, state.branch) == (commit, None)


def test_before_the_first_commit_the_patch_holds_everything(repo, tmp_path: Path) -> None:
    repo.write("a.py", "1\n")
    repo.write("b.bin", BINARY)
    repo.git("add", "a.py")
    state, patch = git.read(repo.folder)
    assert (state.commit, state.branch, state.changed, state.new) == (
        None, "main", ["a.py"], ["b.bin"],
    )  # fmt: skip
    target = tmp_path / "again"
    subprocess.run(["git", "init", "-q", target], check=True)
    subprocess.run(["git", "-C", target, "apply", "--binary"], input=patch, check=True)
    assert _files(target) == _files(repo.folder)


def test_a_conflict_under_way_is_kept_as_it_stands(repo, tmp_path: Path) -> None:
    repo.write("a.py", "one\n")
    repo.commit()
    repo.git("checkout", "-q", "-b", "other")
    repo.write("a.py", "other\n")
    repo.commit()
    repo.git("checkout", "-q", "main")
    repo.write("a.py", "main\n")
    repo.commit()
    subprocess.run(["git", "-C", repo.folder, "merge", "-q", "other"], capture_output=True)
    state, patch = git.read(repo.folder)
    assert b"<<<<<<<" in patch
    assert _files(_again(repo, state, patch, tmp_path / "again")) == _files(repo.folder)


def test_outside_of_a_repository_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(CannotError, match="in no git repository"):
        git.read(tmp_path)
    subprocess.run(["git", "init", "-q", "--bare", tmp_path / "bare.git"], check=True)
    with pytest.raises(CannotError, match="working tree"):
        git.read(tmp_path / "bare.git")


def test_without_git_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CannotError, match="not installed"):
        git.read(tmp_path)


def test_huge_files_are_named_and_not_kept(repo, tmp_path: Path) -> None:
    repo.write("a.py", "1\n")
    repo.write("weights ü.bin", b"small")
    repo.commit()
    for name in ("weights ü.bin", "checkpoint.bin"):
        with (repo.folder / name).open("wb") as file:
            file.truncate(3_000_000_000)  # sparse: it takes no room
    repo.write("a.py", "2\n")
    state, patch = git.read(repo.folder)
    assert {(one.path, one.size, one.why) for one in state.left_out} == {
        ("weights ü.bin", 3_000_000_000, "larger than 5 MB"),
        ("checkpoint.bin", 3_000_000_000, "larger than 5 MB"),
    }
    assert len(patch) < 1000
    made = _again(repo, state, patch, tmp_path / "again")
    assert (made / "a.py").read_text() == "2\n"
    assert (made / "weights ü.bin").read_bytes() == b"small"


def test_new_files_are_bounded_in_all(repo, monkeypatch: pytest.MonkeyPatch) -> None:
    repo.commit()
    monkeypatch.setattr(git, "MAX_NEW_FILES", 3)
    for number in range(5):
        repo.write(f"{number}.txt", "x")
    state, patch = git.read(repo.folder)
    assert state.new == ["0.txt", "1.txt", "2.txt"]
    assert [one.path for one in state.left_out] == ["3.txt", "4.txt"]
    monkeypatch.setattr(git, "MAX_PATCH_BYTES", len(patch) - 1)
    with pytest.raises(CannotError, match="too large"):
        git.read(repo.folder)


def test_what_may_hold_a_secret_or_is_made_anew_stays_out(repo) -> None:
    repo.commit()
    for name in (".env", ".env.local", "server.PEM", "secrets.yaml", "id_rsa"):
        repo.write(name, "password")
    repo.write("secrets_of_success.py", "x = 1\n")
    repo.write("pkg/__pycache__/a.pyc", "made")
    repo.write("venv/pyvenv.cfg", "home = /usr\n")
    repo.write("venv/lib/a.py", "made")
    repo.write("somewhere/else/home/runs.db", "ours")
    state, patch = git.read(repo.folder, apart=[repo.folder / "somewhere/else", Path("/nowhere")])
    assert state.new == ["secrets_of_success.py"]
    assert sorted(one.path for one in state.left_out) == sorted(
        [".env", ".env.local", "server.PEM", "secrets.yaml", "id_rsa"]
    )
    assert b"password" not in patch


def test_a_repository_inside_is_named_and_not_kept(repo) -> None:
    repo.commit()
    subprocess.run(["git", "init", "-q", repo.folder / "inner"], check=True)
    (repo.folder / "inner" / "a.py").write_text("1\n")
    state, patch = git.read(repo.folder)
    assert (state.new, patch) == ([], b"")
    assert [one.path for one in state.left_out] == ["inner/"]


def test_a_name_that_is_no_utf8_is_kept_and_shown_with_a_mark(repo, tmp_path: Path) -> None:
    repo.commit()
    (repo.folder / os.fsdecode(b"caf\xe9.txt")).write_bytes(b"x\n")
    state, patch = git.read(repo.folder)
    assert state.new == ["caf?.txt"]
    assert _files(_again(repo, state, patch, tmp_path / "again")) == _files(repo.folder)


def test_git_that_hangs_is_ended_and_named(
    repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "git").write_text("#!/bin/sh\nexec sleep 60\n")
    (tmp_path / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(git, "PATIENCE_S", 0.1)
    with pytest.raises(CannotError, match="longer than"):
        git.read(repo.folder)


def test_a_hook_that_points_git_elsewhere_changes_nothing(
    repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = repo.commit()
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    assert git.read(repo.folder)[0].commit == commit


def test_the_remote_is_that_of_the_branch_without_credentials(repo) -> None:
    repo.commit()
    repo.git("remote", "add", "zeta", "https://me:s3cret@zeta.example/r.git")
    assert git.read(repo.folder)[0].remote == "https://zeta.example/r.git"
    repo.git("remote", "add", "origin", "git@origin.example:r.git")
    assert git.read(repo.folder)[0].remote == "git@origin.example:r.git"
    repo.git("config", "branch.main.remote", "zeta")
    assert git.read(repo.folder)[0].remote == "https://zeta.example/r.git"


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("https://u:p@h.example:8443/a/b", "https://h.example:8443/a/b"),
        ("ssh://git@h.example/a", "ssh://h.example/a"),
        ("https://h.example/a?token=x#y", "https://h.example/a"),
        ("https://u:p@ss@h.example", "https://h.example"),
        ("/srv/repos/a.git", "/srv/repos/a.git"),
        ("file:///srv/a@b.git", "file:///srv/a@b.git"),
    ],
)
def test_addresses_lose_their_credentials(url: str, wanted: str) -> None:
    assert without_credentials(url) == wanted


def _plain(name: str) -> bool:
    return bool(name.strip(". ")) and not name.lower().startswith((".git", "git~"))


NAMES = st.text(
    st.characters(codec="utf-8", exclude_characters="/\0", exclude_categories=["Cs"]),
    min_size=1, max_size=12,
).filter(_plain)  # fmt: skip


@settings(max_examples=15)
@given(files=st.dictionaries(NAMES, st.tuples(st.binary(max_size=40), st.binary(max_size=40)),
                             max_size=5))  # fmt: skip
def test_any_names_and_any_bytes_come_back(tmp_path_factory, files) -> None:
    from tests.experiments.capture.conftest import Repo

    base = tmp_path_factory.mktemp("any")
    repo = Repo(base / "repo")
    for name, (before, _) in list(files.items())[::2]:
        repo.write(name, before)
    repo.commit()
    for name, (_, after) in files.items():
        repo.write(name, after)
    state, patch = git.read(repo.folder)
    made = _again(repo, state, patch, base / "again")
    left = {one.path for one in state.left_out}
    assert _files(made) == {k: v for k, v in _files(repo.folder).items() if k not in left}


def test_a_look_tells_the_state_without_the_patch(repo) -> None:
    (repo.folder / "new.py").write_text("x = 1\n")
    state, patch = git.read(repo.folder)
    assert patch
    assert git.look(repo.folder) == state
    assert state.dirty
