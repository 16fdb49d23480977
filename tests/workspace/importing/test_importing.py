"""Everything that MLflow wrote comes over, once, whichever kind of store it is."""

from __future__ import annotations

import math
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from mainspring.experiments import artifacts, groups, logged, metrics, runs
from mainspring.ground.errors import BadInputError, UnavailableError
from mainspring.ground.objects import RunStatus
from mainspring.ground.permissions import Permission
from mainspring.readiness import facts, listing, registry
from mainspring.scaling.models import package
from mainspring.workspace.importing.bringing import open_source
from mainspring.workspace.opening import Workspace


def check(ws: Workspace, ids: dict[str, str]) -> None:
    """Compare a home with what ``logging_with_mlflow`` logged."""

    def look(tx: Any) -> None:
        parent, child = runs.get(tx, ids["parent"]), runs.get(tx, ids["child"])
        assert (parent.name, parent.started) == ("parent", 1_700_000_000.123)
        assert (parent.status, parent.ended) == (RunStatus.FINISHED, 1_700_000_010.0)
        assert (parent.params, parent.tags["note"]) == ({"C": "1"}, "line\nline")
        assert (child.parent, child.status) == (ids["parent"], RunStatus.FAILED)
        points, _ = metrics.history(tx, ids["parent"], "loss")
        wanted = [(1 / (n + 1), n, 1_700_000_000 + n / 1000) for n in range(900)]
        assert [(p.value, p.step, p.time) for p in points] == wanted
        [odd] = metrics.history(tx, ids["parent"], "odd")[0]
        assert math.isnan(odd.value)
        assert odd.step == -3
        assert parent.metrics["loss"] == 1 / 900
        [note] = artifacts.entries(tx, ids["parent"], "notes")
        assert ws.objects.get(artifacts.get(tx, ids["parent"], note.path).digest) == b"hello"
        assert runs.hidden(tx, [ids["gone"], ids["child"]]) == {ids["gone"]}
        first, gone = groups.by_name(tx, "first"), groups.by_name(tx, "gone")
        assert first is not None
        assert gone is not None
        assert (first.tags["team"], gone.deleted is not None) == ("red", True)
        one = logged.get(tx, ids["logged"])
        assert (one.name, one.status, one.run) == ("model", "ready", ids["child"])
        name = facts.find(tx, "Fraud Model")
        assert name is not None
        assert facts.of_model(tx, name).description == "Finds fraud."
        versions = {v.version.number: v for v in listing.versions(tx, name)}
        assert set(versions) == {1, 3}
        assert (versions[3].facts.stage, versions[3].facts.tags["v"]) == ("Staging", "w")
        files = package.read_manifest(versions[1].version.package, ws.objects).files
        assert set(files) == {"MLmodel", "a.txt"}
        assert registry.aliases_of(tx, name) == {"beta": 3}

    ws.read(Permission.READ, look)


@pytest.mark.parametrize(
    ("kind", "into"),
    [("folder", "sqlite"), ("database", "sqlite"), ("database", "postgresql")],
)
def test_a_store_comes_over_whole_and_only_once(
    stores: Any, new_home: Any, import_from: Any, kind: str, into: str
) -> None:
    ws = new_home(into)
    would = import_from(ws, stores[kind].uri, dry_run=True)
    assert (would.new["runs"], would.new["versions"], would.files > 0) == (3, 2, True)
    assert ws.read(Permission.READ, registry.models) == []
    report = import_from(ws, stores[kind].uri)
    assert (report.new["runs"], report.points) == (3, 902)
    [problem] = report.problems
    assert "alias champion" in problem.what
    assert "no passed gate" in problem.why
    check(ws, stores[kind].ids)
    again = import_from(ws, stores[kind].uri)
    assert (again.new, again.points, again.files) == ({}, 0, 0)
    assert again.known["runs"] == 3
    check(ws, stores[kind].ids)


def test_a_server_comes_over_whole_and_only_once(
    stores: Any, new_home: Any, import_from: Any, serving: Any
) -> None:
    theirs, ours = new_home(), new_home()
    import_from(theirs, stores["folder"].uri)
    with serving(theirs) as url:
        report = import_from(ours, url)
        assert report.problems == []
        check(ours, stores["folder"].ids)
        again = import_from(ours, url)
    assert (again.new, again.points, again.files) == ({}, 0, 0)
    run = ours.read(Permission.READ, lambda tx: runs.get(tx, stores["folder"].ids["parent"]))
    assert run.tags["mlflow.importedFrom"].startswith(url)


def test_a_second_import_adds_what_was_logged_since(
    stores: Any, new_home: Any, import_from: Any, tmp_path: Path
) -> None:
    ws, run = new_home(), stores["folder"].ids["parent"]
    copy = tmp_path / "mlruns"
    shutil.copytree(stores["folder"].uri.removeprefix("file://"), copy)
    import_from(ws, copy.as_uri())
    [folder] = copy.glob(f"*/{run}")
    with (folder / "metrics" / "loss").open("a") as file:
        file.write("1700000999000 0.25 900\n")
    (folder / "metrics" / "new").write_text("1700000999000 7 0\n")
    (folder / "tags" / "late").write_text("tag")
    report = import_from(ws, copy.as_uri())
    assert (report.new, report.points) == ({}, 2)
    found = ws.read(Permission.READ, lambda tx: runs.get(tx, run))
    assert (found.metrics["loss"], found.metrics["new"]) == (0.25, 7.0)
    assert found.tags["late"] == "tag"


def test_what_cannot_be_kept_is_told_and_the_rest_comes(
    stores: Any, new_home: Any, import_from: Any, tmp_path: Path
) -> None:
    ws, run = new_home(), stores["folder"].ids["parent"]
    copy = tmp_path / "mlruns"
    shutil.copytree(stores["folder"].uri.removeprefix("file://"), copy)
    [folder] = copy.glob(f"*/{run}")
    with (folder / "metrics" / "loss").open("a") as file:
        file.write("not a line\n1 2 3 4 5 6 7\n")
    (folder / "params" / "huge").write_text("x" * 70_000)
    (folder / "tags" / "link").symlink_to("/etc/passwd")
    meta = folder.parent / stores["folder"].ids["child"] / "meta.yaml"
    meta.write_text("a: [")
    report = import_from(ws, copy.as_uri())
    told = " ".join(f"{one.what} {one.why}" for one in report.problems)
    for wanted in ("no metric line", "param huge", "meta.yaml", "alias champion"):
        assert wanted in told
    found = ws.read(Permission.READ, lambda tx: runs.get(tx, run))
    assert found.params == {"C": "1"}
    assert "link" not in found.tags


def test_links_among_artifacts_are_not_followed(
    stores: Any, new_home: Any, import_from: Any, tmp_path: Path
) -> None:
    ws, ids = new_home(), stores["database"].ids
    base = tmp_path / "mlflow.db"
    shutil.copy(stores["database"].uri.removeprefix("sqlite:///"), base)
    files = tmp_path / "files"
    files.mkdir()
    (files / "secret").symlink_to("/etc/passwd")
    (files / "etc").symlink_to("/etc")
    with sqlite3.connect(base) as connection:
        connection.execute(
            "UPDATE runs SET artifact_uri = ? WHERE run_uuid = ?", (str(files), ids["parent"])
        )
        connection.execute(
            "UPDATE runs SET artifact_uri = 'mlflow-artifacts:/1/../x' WHERE run_uuid = ?",
            (ids["child"],),
        )
    report = import_from(ws, f"sqlite:///{base}", artifacts=str(files))
    told = {one.what: one.why for one in report.problems}
    assert told[f"run {ids['parent']}, secret"] == "it is a link or no plain file"
    assert told[f"run {ids['parent']}, etc"] == "it is a link"
    assert "leads out" in told[f"run {ids['child']}, mlflow-artifacts:/1/../x"]
    assert ws.read(Permission.READ, lambda tx: artifacts.digests(tx, ids["parent"])) == {}


@pytest.mark.parametrize(
    ("uri", "error"),
    [
        ("/nowhere", BadInputError),
        ("sqlite:////nowhere.db", BadInputError),
        ("odd://x", BadInputError),
        ("http://127.0.0.1:1", UnavailableError),
    ],
)
def test_what_is_no_store_is_refused(tmp_path: Path, uri: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        open_source(uri, tmp_path).store.experiments()
    with pytest.raises(BadInputError, match="no MLflow file store"):
        open_source(str(tmp_path), tmp_path)


def test_a_folder_whose_runs_are_in_a_database_names_it(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").touch()
    (tmp_path / "mlruns").mkdir()
    with pytest.raises(BadInputError, match="no MLflow file store") as found:
        open_source(str(tmp_path / "mlruns"), tmp_path)
    assert f"sqlite:///{tmp_path / 'mlflow.db'}" in (found.value.hint or "")
