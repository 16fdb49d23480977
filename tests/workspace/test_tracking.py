from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import mainspring as ms
from mainspring.experiments import artifacts, folding, metrics
from mainspring.ground.errors import (
    BadInputError,
    ConflictError,
    NotExactError,
    NotFoundError,
    StoreError,
)
from mainspring.ground.objects import Run
from mainspring.ground.permissions import Permission
from mainspring.ground.settings import Settings
from mainspring.workspace.keeping.collecting import collect
from mainspring.workspace.opening import Workspace, open_workspace
from mainspring.workspace.tracking import looking
from mainspring.workspace.tracking.catching_up import catch_up
from mainspring.workspace.views.runs import run_detail
from mainspring.workspace.views.searching import run_page


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("MAINSPRING_URL", "MAINSPRING_RUN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MAINSPRING_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


@pytest.fixture
def ws(home: Path, home_url: str) -> Iterator[Workspace]:
    """A home on each kind of database."""
    found = open_workspace(Settings(root=str(home.parent), home=str(home), database=home_url))
    yield found
    found.close()


def script(text: str, *more: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run Python as a user would."""
    return subprocess.run(
        [sys.executable, "-c", text, *more],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=False,
    )


def only(ws: Workspace) -> Run:
    [one] = run_page(ws).runs
    return one


def history(ws: Workspace, run: str, key: str) -> list[tuple[int, float]]:
    catch_up(ws)
    points, _ = ws.read(Permission.READ, lambda tx: metrics.history(tx, run, key))
    return [(one.step, one.value) for one in points]


def test_a_run_is_there_for_whoever_reads(ws: Workspace) -> None:
    with ms.run("flights", params={"rate": 0.1, "model": {"depth": 3}}, group="first") as run:
        run.log(loss=0.5)
        run.log({"loss": 0.25}, auc=0.7)
        assert only(ws).status == "running"
        assert only(ws).metrics == {"loss": 0.25, "auc": 0.7}
        run.tag(who="é", count=3)
        run.log_text("hello", to="notes/hello.txt")
        assert ms.current_run() is run
    assert ms.current_run() is None
    found = only(ws)
    assert (found.id, found.status, found.experiment) == (run._id, "finished", "flights")
    assert found.params == {"rate": "0.1", "model.depth": "3"}
    assert found.tags == {"mainspring.group": "first", "who": "é", "count": "3"}
    assert history(ws, found.id, "loss") == [(0, 0.5), (1, 0.25)]
    kept = ws.read(Permission.READ, lambda tx: artifacts.get(tx, found.id, "notes/hello.txt"))
    assert ws.objects.get(kept.digest) == b"hello"


@pytest.mark.parametrize(
    ("raised", "status"),
    [
        (ValueError("no"), "failed"),
        (KeyboardInterrupt(), "cancelled"),
        (SystemExit(0), "finished"),
        (SystemExit(2), "failed"),
    ],
)
def test_how_a_run_ends_is_how_its_block_ended(
    ws: Workspace, raised: BaseException, status: str
) -> None:
    with pytest.raises(type(raised)), ms.run("flights"):
        raise raised
    assert only(ws).status == status


def test_a_failed_run_says_why(ws: Workspace) -> None:
    with pytest.raises(ValueError, match="no luck"), ms.run("flights"):
        raise ValueError("no luck \ud800\0")
    found = only(ws)
    assert found.tags["mainspring.error"] == "ValueError: no luck \\ud800\\0"
    kept = ws.read(Permission.READ, lambda tx: artifacts.get(tx, found.id, "mainspring/trace.txt"))
    assert b"in test_a_failed_run_says_why" in ws.objects.get(kept.digest)


def test_a_run_that_captures_nothing_keeps_no_error(ws: Workspace) -> None:
    with pytest.raises(ValueError, match="secret"), ms.run("flights", capture=False):
        raise ValueError("secret")
    assert (only(ws).status, "mainspring.error" in only(ws).tags) == ("failed", False)


def test_a_run_inside_a_run_is_its_child_also_in_another_process(ws: Workspace) -> None:
    child = "import mainspring as ms; ms.run('inner').log(x=1.0)"
    with ms.run("outer") as outer:
        with ms.run("inner") as inner:
            pass
        assert script(child).returncode == 0
        with ms.run("other", parent="run_0"):
            pass
    with ms.run("outer") as alone:
        pass
    found = {one.id: one for one in run_page(ws).runs}
    parents = sorted(str(one.parent) for one in found.values() if one.experiment == "inner")
    assert parents == [outer._id] * 2
    assert found[inner._id].parent == outer._id
    assert found[alone._id].parent is None
    assert "MAINSPRING_RUN" not in os.environ


def test_runs_of_two_threads_are_not_each_others_children(ws: Workspace) -> None:
    both = threading.Barrier(2)

    def work() -> None:
        with ms.run("flights") as run:
            both.wait()
            run.log(x=1.0)
            both.wait()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [one.parent for one in run_page(ws).runs] == [None, None]


def test_a_decorator_makes_a_run_of_each_call(ws: Workspace) -> None:
    @ms.run("flights", params={"rate": 0.1})
    def train(rate: float) -> str:
        ms.log(rate=rate)
        run = ms.current_run()
        assert run is not None
        return run.id

    ids = {train(0.1), train(0.2)}
    assert {one.id for one in run_page(ws).runs} == ids
    assert train.__name__ == "train"


def test_a_handle_begins_with_its_first_use_and_ends_once(ws: Workspace) -> None:
    run = ms.run("flights")
    assert run_page(ws).runs == []
    run.log(x=1.0)
    run.end("failed")
    run.end("failed")
    with pytest.raises(ConflictError, match="has failed and takes nothing more"):
        run.log(x=2.0)
    with pytest.raises(ConflictError):
        run.end()
    with pytest.raises(BadInputError, match="crashed"):
        run.end("crashed")
    assert only(ws).status == "failed"


@pytest.mark.parametrize(
    "bad", [True, None, "0.5", [1.0], {"a": 1}, 2**53 + 1, object()], ids=lambda v: str(type(v))
)
def test_what_is_no_number_is_refused_by_name(home: Path, bad: object) -> None:
    run = ms.run("flights")
    run.log(loss=1.0)
    with pytest.raises((BadInputError, NotExactError), match="loss"):
        run.log(loss=bad)
    run.end()


def test_steps_and_times_are_exact(ws: Workspace) -> None:
    run = ms.run("flights")
    for step in (2**63 - 1, -(2**63)):
        run.log(x=1.0, step=step)
    for bad in (2**63, True, 1.5, "1"):
        with pytest.raises((BadInputError, NotExactError), match="step"):
            run.log(x=1.0, step=bad)  # type: ignore[arg-type]
    for late in (float("nan"), float("inf"), True, "now"):
        with pytest.raises((BadInputError, NotExactError), match="at"):
            run.log(x=1.0, at=late)  # type: ignore[arg-type]
    run.end()
    assert [step for step, _ in history(ws, run._id, "x")] == [2**63 - 1, -(2**63)]


def test_a_param_never_changes(ws: Workspace) -> None:
    with ms.run("flights", params={"rate": 0.1}) as run:
        run.log_params(rate=0.1, depth=3)
        with pytest.raises(ConflictError, match=r"rate is '0\.1' and cannot become '0\.2'"):
            run.log_params(seed=1, rate=0.2)
    assert only(ws).params == {"rate": "0.1", "depth": "3"}
    with pytest.raises(BadInputError, match=r"Two params are called a\.b"):
        ms.run("flights", params={"a": {"b": 1}, "a.b": 2})


@pytest.fixture
def plain(home: Path) -> Iterator[Workspace]:
    """The home that scripts find by its environment, on SQLite."""
    found = open_workspace(Settings(root=str(home.parent), home=str(home)))
    yield found
    found.close()


def test_a_run_goes_on_with_its_steps_and_its_params(plain: Workspace) -> None:
    first = ms.run("flights", params={"rate": 0.1})
    first.log(loss=0.5)
    first.end("failed")
    with ms.run(resume=first._id) as again:
        again.log(loss=0.25)
        with pytest.raises(ConflictError, match="rate"):
            again.log_params(rate=0.2)
        assert only(plain).status == "running"
    assert only(plain).status == "finished"
    assert history(plain, first._id, "loss") == [(0, 0.5), (1, 0.25)]
    late = ms.run(resume=first._id)
    late.log(auc=0.9)
    late.end("failed")
    assert (only(plain).status, only(plain).metrics["auc"]) == ("finished", 0.9)
    with pytest.raises(NotFoundError):
        ms.run(resume="run_0").log(x=1.0)


KILLED = """
import os, signal, sys
import mainspring as ms
run = ms.run("flights", params={"rate": 0.1})
for step in range(int(sys.argv[1])):
    run.log(loss=float(step), step=step)
    os.write(1, b"%d\\n" % step)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_kill_9_loses_no_acknowledged_point(plain: Workspace) -> None:
    told = script(KILLED, "700").stdout.split()
    assert len(told) == 700
    run = only(plain)
    assert (run.status, run.params) == ("crashed", {"rate": "0.1"})
    assert history(plain, run.id, "loss") == [(n, float(n)) for n in range(700)]
    assert list((plain.home / "journals").iterdir()) == []


@pytest.mark.parametrize(
    ("last", "status"),
    [
        ("pass", "finished"),
        ("raise ValueError", "failed"),
        ("raise KeyboardInterrupt", "cancelled"),
    ],
)
def test_what_is_left_open_ends_with_its_process(plain: Workspace, last: str, status: str) -> None:
    script(f"import mainspring as ms\nms.run('flights').log(x=1.0)\n{last}")
    assert only(plain).status == status


def test_a_script_that_only_logs_loads_nothing_heavy(home: Path) -> None:
    text = """
import sys
import mainspring as ms
with ms.run("flights", params={"a": 1}) as run:
    run.log(x=1.0)
    run.log_text("hello", to="hello.txt")
heavy = {"sqlalchemy", "polars", "numpy", "sklearn", "httpx", "starlette", "http.client"}
print(sorted(heavy & set(sys.modules)))
"""
    assert script(text).stdout.strip() == "[]"


FORKED = """
import os
import mainspring as ms
with ms.run("flights", params={"rate": 0.1}) as run:
    run.log(x=0.0)
    children = []
    for number in range(3):
        child = os.fork()
        if child == 0:
            run.log(x=float(number + 1))
            run.log_params(rate=0.1, of=number)
            with ms.run("inner") as inner:
                inner.log(y=1.0)
            os._exit(0)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
"""


def test_children_of_a_fork_log_to_the_same_run(plain: Workspace) -> None:
    told = script(FORKED)
    assert told.returncode == 0, told.stderr
    found = run_page(plain).runs
    [outer] = [one for one in found if one.experiment == "flights"]
    assert outer.status == "finished"
    assert sorted(value for _, value in history(plain, outer.id, "x")) == [0.0, 1.0, 2.0, 3.0]
    assert {one.parent for one in found if one.experiment == "inner"} == {outer.id}
    assert {one.status for one in found} == {"finished"}
    assert outer.params["rate"] == "0.1"
    notes = run_detail(plain, outer.id).notes
    assert len(notes) == 2  # each child set the param "of" to another value
    assert all("of is" in note for note in notes)


MANY = """
import sys
import mainspring as ms
for turn in range(3):
    with ms.run("flights", params={"turn": turn}) as run:
        for step in range(50):
            run.log(loss=float(step), step=step)
        if turn == 1 and int(sys.argv[1]) % 4 == 0:
            ws = ms.open()
            from mainspring.workspace.views.searching import run_page
            assert run_page(ws).runs
            ws.close()
"""


def test_32_processes_write_and_fold_one_home(plain: Workspace) -> None:
    running = [
        subprocess.Popen(
            [sys.executable, "-c", MANY, str(number)], stderr=subprocess.PIPE, text=True
        )
        for number in range(32)
    ]
    for one in running:
        _, told = one.communicate()
        assert one.returncode == 0, told
        assert told == ""
    found = run_page(plain, limit=1000).runs
    assert len(found) == 96
    assert {(one.status, one.metrics["loss"]) for one in found} == {("finished", 49.0)}
    for run in found[::16]:
        assert history(plain, run.id, "loss") == [(n, float(n)) for n in range(50)]


def test_many_who_fold_at_once_fold_once(ws: Workspace) -> None:
    with ms.run("flights") as run:
        for step in range(3_000):
            run.log(loss=float(step))
    threads = [threading.Thread(target=catch_up, args=(ws,)) for _ in range(4)]
    others = [
        open_workspace(Settings(root="/", home=str(ws.home), database=ws.settings.database_url))
        for _ in range(2)
    ]
    threads += [threading.Thread(target=run_page, args=(other,)) for other in others]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for other in others:
        other.close()
    assert history(ws, run._id, "loss") == [(n, float(n)) for n in range(3_000)]


def test_a_damaged_journal_is_told_of_and_blocks_no_other(
    plain: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    script("import mainspring as ms\nr = ms.run('bad')\nfor n in range(9): r.log(x=float(n))")
    [file] = (plain.home / "journals").iterdir()
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 0xFF
    file.write_bytes(data)
    with ms.run("good") as good:
        good.log(x=1.0)
    [trouble] = catch_up(plain)
    assert "damaged" in trouble
    assert "damaged" in caplog.text
    assert {one.experiment for one in run_page(plain).runs} == {"bad", "good"}
    assert file.exists()
    assert catch_up(plain) == [trouble]
    [found] = looking.damaged(plain.home)
    assert "damaged" in found
    with pytest.raises(ConflictError, match="Nothing is reclaimed"):
        collect(plain, older_than_s=0.0)


def test_a_store_that_cannot_be_written_can_still_be_read(
    plain: Workspace, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with ms.run("flights", capture=False):
        pass
    assert only(plain).status == "finished"
    with ms.run("later", capture=False):
        pass

    def full(*given: object) -> None:
        raise StoreError("The database is full.")

    with monkeypatch.context() as patch:
        patch.setattr(plain.store, "write", full)
        assert only(plain).experiment == "flights"
        assert "waits to be folded" in caplog.text
    assert len(run_page(plain).runs) == 2


def test_artifacts_are_kept_with_their_folders(plain: Workspace, tmp_path: Path) -> None:
    (tmp_path / "out" / "deep").mkdir(parents=True)
    (tmp_path / "out" / "a.txt").write_text("a")
    (tmp_path / "out" / "deep" / "b.txt").write_text("b")
    (tmp_path / "out" / "link.txt").symlink_to("a.txt")
    with ms.run("flights") as run:
        run.log_artifact(tmp_path / "out" / "a.txt")
        run.log_artifact(tmp_path / "out" / "a.txt", to="plots/")
        run.log_artifact(tmp_path / "out", to="all")
        with pytest.raises(NotFoundError, match="nothing"):
            run.log_artifact(tmp_path / "nothing")
        with pytest.raises(BadInputError, match="path"):
            run.log_artifact(tmp_path / "out" / "a.txt", to="../up")
    catch_up(plain)
    paths = ["a.txt", "all/a.txt", "all/deep/b.txt", "all/link.txt", "plots/a.txt"]
    for path in paths:
        plain.read(Permission.READ, lambda tx, path=path: artifacts.get(tx, run._id, path))


@pytest.mark.parametrize("target", ["/etc/hostname", "../secret.txt", "../away"])
def test_a_link_that_leads_out_of_the_folder_is_refused_by_name(
    home: Path, tmp_path: Path, target: str
) -> None:
    (tmp_path / "away").mkdir()
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "way").symlink_to(target)
    with ms.run("flights") as run, pytest.raises(BadInputError, match="way is a link to"):
        run.log_artifacts(tmp_path / "out")


def test_a_file_where_a_folder_is_becomes_a_note(plain: Workspace) -> None:
    with ms.run("flights") as run:
        run.log_text("a", to="a")
        run.log_text("b", to="a/b")
    catch_up(plain)
    [note] = plain.read(Permission.READ, lambda tx: folding.notes_of(tx, run._id))
    assert "a is a file" in note


def test_the_cli_shows_notes(plain: Workspace) -> None:
    with ms.run("flights") as run:
        run.log_text("a", to="a")
        run.log_text("b", to="a/b")
    text = f"from mainspring.cli.start import main\nmain(['show', '{run._id}', '--json'])"
    told = script(text)
    assert json.loads(told.stdout)["notes"], told.stderr


PROJECT = """
import mainspring as ms


@ms.step
def train(rate: float) -> float:
    ms.log(outer=1.0)
    with ms.run("inner", params={"rate": rate}):
        ms.log(inner=2.0)
    ms.run("left").log(x=1.0)
    return rate


@ms.pipeline
def go(rate: float = 0.1) -> float:
    return train(rate)
"""


def test_a_run_inside_a_step_is_a_child_of_the_pipelines_run_and_in_the_same_home(
    tmp_path: Path,
) -> None:
    (tmp_path / "mainspring.toml").write_text("capture = false")
    (tmp_path / "project.py").write_text(PROJECT)
    home = str(tmp_path / "elsewhere")
    text = f"""
import os, sys
os.chdir({str(tmp_path)!r})
from mainspring.cli.start import main
sys.exit(main(["run", "go", "--home", {home!r}]))
"""
    told = script(text, MAINSPRING_HOME="")
    assert told.returncode == 0, told.stderr
    found = open_workspace(Settings(root=str(tmp_path), home=home))
    runs = {one.experiment: one for one in run_page(found).runs}
    found.close()
    assert {name: str(one.status) for name, one in runs.items()} == {
        "go": "finished",
        "inner": "finished",
        "left": "finished",
    }
    assert runs["inner"].parent == runs["left"].parent == runs["go"].id
    assert runs["inner"].metrics == {"inner": 2.0}
    assert runs["go"].metrics == {"outer": 1.0}


def test_text_that_has_no_bytes_is_refused(home: Path) -> None:
    with ms.run("flights") as run, pytest.raises(NotExactError, match=r"a\.txt"):
        run.log_text("\ud800", to="a.txt")


def test_a_journal_that_was_deleted_under_its_process_is_told_of(home: Path) -> None:
    run = ms.run("flights")
    run.log(x=1.0)
    for file in (home / "journals").iterdir():
        file.unlink()
    with pytest.raises(StoreError, match="deleted while it was written"):
        run.end()


def test_what_nobody_knows_how_to_take_becomes_a_note(plain: Workspace) -> None:
    with ms.run("flights") as run:
        run.log_extra("weather", {"sun": True})
        run.log_extra("dataset", {"nonsense": 1})
    unknown, broken = run_detail(plain, run._id).notes
    assert "weather" in unknown
    assert broken.startswith("dataset: ")


def test_many_dead_processes_are_folded_in_one_look(plain: Workspace) -> None:
    text = """
import os
import mainspring as ms
for _ in range(40):
    child = os.fork()
    if child == 0:
        ms.run("flights", capture=False).log(x=1.0)
        os._exit(0)
    os.waitpid(child, 0)
"""
    assert script(text).returncode == 0
    assert len(list((plain.home / "journals").iterdir())) == 40
    found = run_page(plain, limit=100).runs
    assert [str(one.status) for one in found] == ["crashed"] * 40
    assert list((plain.home / "journals").iterdir()) == []
