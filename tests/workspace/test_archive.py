"""A project goes into one file and comes out in another home the same, or not at all."""

from __future__ import annotations

import io
import json
import math
import os
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from homes import NOW
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Float, select

from mainspring.backends.sql import audit
from mainspring.engine import tasks
from mainspring.experiments import (
    artifacts,
    datasets,
    groups,
    histories,
    logged,
    metrics,
    retention,
    runs,
)
from mainspring.experiments.metrics import Point
from mainspring.experiments.tables import logged_artifacts, tags
from mainspring.experiments.tables import runs as runs_table
from mainspring.ground.clock import TurnedClock
from mainspring.ground.errors import (
    BadInputError,
    ConflictError,
    DamagedError,
    NotFoundError,
    PermissionDeniedError,
)
from mainspring.ground.identity import canonical, sha256
from mainspring.ground.objects import (
    Alarm,
    Card,
    CheckResult,
    Column,
    Decision,
    GateResult,
    Rollout,
    Run,
    RunStatus,
    Signature,
    Strategy,
    Version,
    Window,
)
from mainspring.ground.permissions import Permission, Principal, Role, service
from mainspring.ground.ports import Tx
from mainspring.ground.settings import Settings
from mainspring.monitoring import alarms, labels, windows
from mainspring.readiness import decisions, registry, verdicts
from mainspring.scaling.serving import endpoints, rollouts
from mainspring.workspace import opening, tokens
from mainspring.workspace.archive import contents, form
from mainspring.workspace.archive.reading import Archive
from mainspring.workspace.archive.taking import take_in
from mainspring.workspace.archive.writing import export
from mainspring.workspace.keeping.collecting import collect
from mainspring.workspace.opening import Workspace, open_workspace

Homes = Callable[..., Workspace]
VALUES = [0.5, math.nan, math.inf, -math.inf, 0.1 + 0.2, 5e-324, -1.7976931348623157e308]
STEPS = [0, 1, 2**63 - 1, -(2**63), 7, 8, 9]


@pytest.fixture
def homes(tmp_path: Path, new_database: Callable[..., str]) -> Iterator[Homes]:
    """Make homes: ``homes("sqlite")``, ``homes("postgresql")``."""
    opened: list[Workspace] = []

    def make(kind: str = "sqlite") -> Workspace:
        folder = tmp_path / f"home{len(opened)}"
        database = new_database(laid_out=True) if kind == "postgresql" else None
        made = open_workspace(
            Settings(root=str(tmp_path), home=str(folder), database=database),
            clock=TurnedClock(NOW),
        )
        opened.append(made)
        return made

    yield make
    for one in opened:
        one.close()


def do(ws: Workspace, work: Callable[..., Any], *given: Any, **named: Any) -> Any:
    engine = ws.acting_as(service("engine"))
    return engine.write(Permission.WORK, lambda tx: work(tx, *given, **named))


def fill(ws: Workspace) -> Workspace:
    """A project with everything in it that an archive takes."""
    one = Run(
        id="run_one", experiment="flights", name="one ☃", status=RunStatus.FINISHED, started=NOW,
        ended=NOW + 0.1, params={"C": "0.1"}, tags={"who": "team", "long": "ü" * 5000},
    )  # fmt: skip
    do(ws, runs.create, one)
    points = [
        Point(key="auc", value=value, step=step, time=NOW + place)
        for place, (value, step) in enumerate(zip(VALUES, STEPS, strict=True))
    ]
    do(ws, runs.log_points, "run_one", points)
    leaf = ws.objects.put(b"leaf " * 1000)
    manifest = ws.objects.put(canonical({"files": {"leaf": leaf}, "pad": "x" * 64}))
    for path, digest in (("m.json", manifest), ("empty", ws.objects.put(b""))):
        do(ws, artifacts.put, "run_one", path, digest, ws.objects.size(digest), NOW)
    log_more(ws)
    two = Run(id="run_two", experiment="weather", name="two", status=RunStatus.FAILED,
              started=NOW, ended=NOW, parent="run_one")  # fmt: skip
    do(ws, runs.create, two)
    do(ws, runs.hide, "run_two", NOW)
    ws.write(Permission.LOG, lambda tx: groups.create(tx, "Nächste Flüge!", {"team": "blue"}, NOW))
    ws.write(Permission.ADMIN, lambda tx: retention.put(tx, "weather", 9e6, None, NOW))
    package = ws.objects.put(canonical({"format": 1, "files": {"a": ws.objects.put(b"a" * 70)}}))
    signature = Signature(
        columns=[Column(name="age", type="float")], kind="binary", target="late",
        classes=["0", "1"],
    )  # fmt: skip
    card = Card(purpose="say who is late", owner="team", limitations="few rows")
    for number in (1, 2):
        version = Version(
            model="late", number=0, run="run_one", package=package, signature=signature,
            card=card, metrics={"auc": 0.8}, created=NOW, by="engine", command=f"cmd_{number}",
        )  # fmt: skip
        do(ws, registry.register, version)
        check = CheckResult(name="auc", passed=True, found="0.8", wanted="0.7")
        judged = GateResult(id=f"gate_{number}", model="late", number=number, passed=True,
                            checks=[check], at=NOW, by="engine")  # fmt: skip
        do(ws, verdicts.store_result, judged)
        do(ws, registry.promote, "late", number, "better", NOW + number)
    do(ws, registry.set_card, "late", 2, card, NOW)
    decision = Decision(id="dec_1", at=NOW, made=NOW, kind="promote", subject="late/2",
                        reason="better", by="loop", loop="late")  # fmt: skip
    do(ws, decisions.record, decision)
    do(ws, endpoints.ensure, "late", "late", at=NOW)
    rollout = Rollout(id="rol_1", endpoint="late", model="late", champion=2, challenger=1,
                      strategy=Strategy.SHADOW, share=0.0, state="running",
                      started=NOW)  # fmt: skip
    do(ws, rollouts.start, rollout)
    do(ws, windows.save, Window(id="late:1", endpoint="late", start=NOW, end=NOW + 9, rows=5,
                                version=2))  # fmt: skip
    alarm = Alarm(id="al_1", endpoint="late", kind="drift", subject="age", reason="it moved",
                  raised=NOW, window="late:1")  # fmt: skip
    do(ws, alarms.raise_, alarm)
    do(ws, labels.add, "late", ["p1", "p2"], ["0", "1"], NOW)
    do(ws, tasks.submit, [tasks.NewTask(id="task_1", kind="nothing")])
    ws.write(
        Permission.ADMIN,
        lambda tx: tokens.create(tx, "ci", "viewer", now=NOW, ttl_s=None),
    )
    return ws


def log_more(ws: Workspace) -> None:
    """What came after: packed points, a dataset, a logged model with its measures."""
    many = [Point(key="loss", value=1.0 / n, step=n, time=NOW) for n in range(1, 3000)]
    do(ws, runs.log_points, "run_one", many)
    do(ws, histories.tidy)
    data = datasets.Dataset(name="flights", digest="abc", source_type="code", source="{}")
    do(ws, datasets.log, "run_one", [datasets.Use(dataset=data, context="training")], NOW)
    number = ws.read(Permission.READ, lambda tx: groups.by_name(tx, "flights").id)
    model = logged.LoggedModel(
        id="m-one", experiment=number, name="one", run="run_one", created=NOW, changed=NOW,
        params={"a": "b"}, tags={"c": "d"},
    )  # fmt: skip
    do(ws, logged.create, model)
    do(ws, logged.link, "run_one", [logged.Link(model="m-one", role="output", step=0)])
    cells = {"path": "MLmodel", "digest": ws.objects.put(b"mlmodel"), "size": 7, "time": NOW}
    do(ws, lambda tx: tx.run(logged_artifacts.insert().values(model="m-one", **cells)))


def everything(ws: Workspace, *, numbers: bool = True) -> dict[str, list[Any]]:
    """Every row an archive takes, by table; without the numbers a database gave, if asked."""

    def work(tx: Tx) -> dict[str, list[Any]]:
        found = {}
        for table in contents.tables():
            serial = None if numbers else contents.serial(table)
            columns = [c for c in table.columns if c.name != serial]
            rows = [
                tuple(repr(float(v)) if isinstance(c.type, Float) and v is not None else v
                      for c, v in zip(columns, row, strict=True))
                for row in tx.all(select(*columns))
            ]  # fmt: skip
            found[table.name] = sorted(rows, key=repr)
        return found

    return ws.read(Permission.ADMIN, work)


def kept(ws: Workspace) -> dict[str, bytes]:
    return {one.digest: ws.objects.get(one.digest) for one in ws.objects.each()}


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of a filled home."""
    folder = tmp_path_factory.mktemp("packed")
    ws = open_workspace(
        Settings(root=str(folder), home=str(folder / "home")), clock=TurnedClock(NOW)
    )
    export(fill(ws), folder / "project.msar")
    ws.close()
    return folder / "project.msar"


# ---------------------------------------------------------------- there and back


@pytest.mark.parametrize(
    "way",
    [("sqlite", "postgresql", "sqlite"), ("postgresql", "sqlite", "postgresql")],
    ids=" to ".join,
)
def test_a_project_is_the_same_in_every_home(
    homes: Homes, tmp_path: Path, way: tuple[str, ...]
) -> None:
    first = fill(homes(way[0]))
    here, rows, objects = first, everything(first), kept(first)
    for number, kind in enumerate(way[1:]):
        written = export(here, tmp_path / f"{number}.msar")
        assert written.unfinished == (1 if here is first else 0)
        there = homes(kind)
        done = take_in(there, tmp_path / f"{number}.msar")
        assert done.added == written.rows
        assert everything(there) == rows
        assert kept(there) == objects
        here = there
    points = here.read(Permission.READ, lambda tx: metrics.history(tx, "run_one", "auc"))[0]
    assert [repr(p.value) for p in points] == [repr(value) for value in VALUES]
    assert [p.step for p in points] == STEPS
    with pytest.raises(ConflictError, match="mainspring refuses"):
        do(here, lambda tx: tx.run(registry.t.gates.update().values(passed=0)))
    do(here, decisions.record, Decision(id="dec_2", at=NOW, made=NOW, kind="x", subject="late/2",
                                        reason="next", by="me"))  # fmt: skip
    do(here, labels.add, "late", ["p3"], ["0"], NOW)
    assert here.read(Permission.ADMIN, audit.verify).ok


def test_the_same_archive_again_changes_nothing(homes: Homes, packed: Path) -> None:
    ws = homes()
    first = take_in(ws, packed)
    rows = everything(ws)
    again = take_in(ws, packed)
    assert (again.added, again.same) == (0, first.added + first.same)
    assert everything(ws) == rows


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_it_goes_in_beside_what_is_there(homes: Homes, packed: Path, kind: str) -> None:
    ws = homes(kind)
    mine = Run(id="run_mine", experiment="flights", name="mine", status=RunStatus.FINISHED,
               started=NOW, ended=NOW)  # fmt: skip
    ws.write(Permission.LOG, lambda tx: groups.create(tx, "other", {}, NOW))
    ws.write(Permission.LOG, lambda tx: groups.create(tx, "another", {}, NOW))
    do(ws, runs.create, mine)
    do(ws, runs.log_points, "run_mine", [Point(key="auc", value=0.3, step=1, time=NOW)])
    decision = Decision(
        id="dec_mine", at=NOW, made=NOW, kind="x", subject="y", reason="z", by="me"
    )
    do(ws, decisions.record, decision)
    take_in(ws, packed)
    assert [p.value for p in points_of(ws, "run_mine")] == [0.3]
    assert [repr(p.value) for p in points_of(ws, "run_one")] == [repr(value) for value in VALUES]
    names = {one.name: one.tags for one in ws.read(Permission.READ, groups.listed)}
    assert names["Nächste Flüge!"] == {"team": "blue"}
    assert names.keys() >= {"other", "another", "flights", "weather"}
    assert [one.experiment for one in ws.read(Permission.READ, retention.listed)] == ["weather"]
    assert take_in(ws, packed).added == 0
    do(ws, runs.log_points, "run_mine", [Point(key="auc", value=0.4, step=2, time=NOW)])
    assert len(points_of(ws, "run_mine")) == 2


def points_of(ws: Workspace, run: str) -> list[Point]:
    return ws.read(Permission.READ, lambda tx: metrics.history(tx, run, "auc"))[0]


def test_some_experiments_go_alone(homes: Homes, tmp_path: Path) -> None:
    first, second = fill(homes()), homes()
    done = export(first, tmp_path / "some.msar", only=["flights"])
    assert done.runs == 1
    take_in(second, tmp_path / "some.msar")
    rows = everything(second)
    assert [row[0] for row in rows["runs"]] == ["run_one"]
    assert len(points_of(second, "run_one")) == len(VALUES)
    assert [row[0] for row in rows["logged_models"]] == ["m-one"]
    assert len(rows["datasets"]) == 1
    assert not any(rows[name] for name in ("models", "versions", "decisions", "windows"))
    assert sha256(b"leaf " * 1000) in kept(second)
    assert sha256(b"a" * 70) not in kept(second)
    with pytest.raises(NotFoundError, match="nope"):
        export(first, tmp_path / "none.msar", only=["nope"])
    assert not list(tmp_path.glob("*none*"))
    take_in(second, export(first, tmp_path / "all.msar").path and tmp_path / "all.msar")
    assert everything(second, numbers=False) == everything(first, numbers=False)


def test_nothing_that_was_taken_in_is_garbage(homes: Homes, packed: Path) -> None:
    ws = homes()
    take_in(ws, packed)
    before = kept(ws)
    collect(ws, older_than_s=1e9, young_s=0.0)
    assert kept(ws) == before


def test_large_objects_pass_in_pieces(
    homes: Homes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(form, "PACK_BYTES", 3 << 20)
    first, second = homes(), homes()
    one = Run(id="run_one", experiment="x", name="one", status=RunStatus.FINISHED, started=NOW)
    do(first, runs.create, one)
    for number in range(5):
        data = bytes([number]) * ((number << 20) + 10)
        digest = first.objects.put(data)
        do(first, artifacts.put, "run_one", f"f{number}", digest, len(data), NOW)
    export(first, tmp_path / "large.msar")
    with zipfile.ZipFile(tmp_path / "large.msar") as file:
        assert len([name for name in file.namelist() if name.endswith(".pack")]) > 2
    take_in(second, tmp_path / "large.msar")
    assert kept(second) == kept(first)


# ---------------------------------------------------------------- what is never in it


def test_secrets_and_work_under_way_stay_at_home(packed: Path, homes: Homes) -> None:
    with zipfile.ZipFile(packed) as file:
        names = set(file.namelist())
        text = b"".join(file.read(name) for name in names)
    for table in ("tokens", "tasks", "webhooks", "trusted_packages", "schedules", "audit"):
        assert f"rows/{table}.jsonl" not in names
    assert b"task_1" not in text
    ws = homes()
    take_in(ws, packed)
    assert ws.read(Permission.ADMIN, tokens.listed) == []


def test_no_table_with_a_secret_is_taken() -> None:
    for part in opening.metadata():
        for table in part.tables.values():
            if {"secret", "hash", "password"} & {column.name for column in table.columns}:
                assert contents.left_out(table), table.name


def test_every_table_that_is_left_out_has_a_reason() -> None:
    for part in opening.metadata():
        for table in part.tables.values():
            if contents.left_out(table):
                assert contents.LEFT_OUT[table.name]


def test_the_audit_log_is_evidence_and_not_spliced_in(homes: Homes, packed: Path) -> None:
    ws = homes()
    done = take_in(ws, packed)
    log = ws.read(Permission.ADMIN, lambda tx: audit.rows(tx, 10))
    assert [row.action for row in log] == ["archive.import"]
    assert json.loads(log[0].detail)["sha256"] == done.sha256 == sha256(packed.read_bytes())
    with Archive(packed) as archive:
        told = archive.manifest.audit
        rows = [json.loads(line) for line in archive.lines(form.AUDIT)]
    assert (len(rows), rows[-1]["hash"]) == (told.rows, told.head)
    prev = audit.FIRST
    for row in rows:
        seal = row.pop("hash")
        assert row["prev"] == prev
        assert audit._seal(row) == seal
        prev = seal


def test_only_an_admin_moves_a_project(homes: Homes, packed: Path, tmp_path: Path) -> None:
    other = homes().acting_as(Principal(name="ci", role=Role.APPROVER))
    with pytest.raises(PermissionDeniedError):
        take_in(other, packed)
    with pytest.raises(PermissionDeniedError):
        export(other, tmp_path / "x.msar")


def test_a_file_that_is_there_is_not_written_over(homes: Homes, tmp_path: Path) -> None:
    (tmp_path / "x.msar").write_text("mine")
    with pytest.raises(BadInputError, match="already"):
        export(homes(), tmp_path / "x.msar")
    assert (tmp_path / "x.msar").read_text() == "mine"


# ---------------------------------------------------------------- refused as a whole

TAKE_IN = """
import sys
from pathlib import Path
from mainspring.ground.settings import Settings
from mainspring.workspace.archive.taking import take_in
from mainspring.workspace.opening import open_workspace
home, file = sys.argv[1:]
take_in(open_workspace(Settings(root=home, home=home)), Path(file))
"""


@pytest.mark.parametrize("point", ["import.object:1", "import.object:4", "import.rows:1"])
def test_an_import_killed_in_the_middle_has_imported_nothing(
    homes: Homes, packed: Path, point: str
) -> None:
    ws = homes()
    ended = subprocess.run(
        [sys.executable, "-c", TAKE_IN, str(ws.home), str(packed)],
        env={**os.environ, "MAINSPRING_KILL_AT": point},
        check=False,
    )
    assert ended.returncode == -signal.SIGKILL
    assert nothing_in(ws)
    first = take_in(ws, packed)
    assert first.added > 0
    collect(ws, older_than_s=1e9, young_s=0.0)
    assert len(kept(ws)) == first.objects


def nothing_in(ws: Workspace) -> bool:
    return not any(everything(ws).values())


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("runs", {"name": "other"}), "runs run_one (name is 'other' here"),
        (("tags", {"value": "other"}), "tags run_one/"),
        (("metric_points", {"value": 9.0}), "metric_points of run_one"),
    ],
)
def test_rows_that_differ_are_told_and_nothing_is_half_imported(
    homes: Homes, packed: Path, tmp_path: Path, change: tuple[str, dict[str, Any]], told: str
) -> None:
    ws = homes()
    export(fill(homes()), tmp_path / "some.msar", only=["flights"])
    take_in(ws, tmp_path / "some.msar")
    name, cells = change
    table = runs_table.metadata.tables[name]
    ws.write(Permission.LOG, lambda tx: tx.run(table.update().values(**cells)))
    rows = everything(ws)
    with pytest.raises(ConflictError) as caught:
        take_in(ws, packed)
    assert told in str(caught.value)
    assert "Nothing was imported" in str(caught.value.hint)
    assert everything(ws) == rows


def test_many_differences_are_counted_and_some_told(homes: Homes, tmp_path: Path) -> None:
    first, second = homes(), homes()
    for ws, value in ((first, "a"), (second, "b")):
        one = Run(id="run_one", experiment="x", name="one", status=RunStatus.FINISHED,
                  started=NOW, tags={f"t{n}": value for n in range(40)})  # fmt: skip
        do(ws, runs.create, one)
    export(first, tmp_path / "x.msar")
    with pytest.raises(ConflictError, match=r"^40 rows are there already.*and 30 more"):
        take_in(second, tmp_path / "x.msar")
    found = second.read(Permission.READ, lambda tx: tx.all(select(tags)))
    assert {row.value for row in found} == {"b"}


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.7, 0.99, 0.9999])
def test_a_file_cut_short_is_refused(
    homes: Homes, packed: Path, tmp_path: Path, share: float
) -> None:
    data = packed.read_bytes()
    cut = tmp_path / "cut.msar"
    cut.write_bytes(data[: int(len(data) * share)])
    ws = homes()
    with pytest.raises(DamagedError, match="archive is damaged"):
        take_in(ws, cut)
    assert nothing_in(ws)
    assert kept(ws) == {}


@settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(place=st.floats(0, 0.999999), bit=st.integers(0, 7))
def test_a_flipped_bit_is_found_or_changes_nothing(
    packed: Path, tmp_path: Path, place: float, bit: int
) -> None:
    data = bytearray(packed.read_bytes())
    data[int(place * len(data))] ^= 1 << bit
    changed = tmp_path / "changed.msar"
    changed.write_bytes(data)
    try:
        with Archive(changed) as archive, Archive(packed) as whole:
            archive.verify()
            assert archive.manifest == whole.manifest
    except DamagedError:
        pass


def rewritten(packed: Path, target: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    """Write the archive anew with other entries, and a manifest that says what it said."""
    with zipfile.ZipFile(packed) as file:
        entries = {name: file.read(name) for name in file.namelist()}
    change(entries)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in entries.items():
            file.writestr(name, data)
        file.comment = sha256(entries.get(form.MANIFEST, b"")).encode()
    return target


def resealed(entries: dict[str, bytes], name: str, data: bytes) -> None:
    """Change an entry and what the manifest says of it."""
    manifest = json.loads(entries[form.MANIFEST])
    manifest["entries"][name] = {"size": len(data), "sha256": sha256(data)}
    entries[name] = data
    entries[form.MANIFEST] = json.dumps(manifest).encode()


@pytest.mark.parametrize(
    "name", ["../../escape", "/etc/passwd", "rows/../x.jsonl", "objects/0.pack", "C:\\x"]
)
def test_a_name_that_leads_elsewhere_is_refused(
    homes: Homes, packed: Path, tmp_path: Path, name: str
) -> None:
    odd = rewritten(packed, tmp_path / "odd.msar", lambda e: resealed(e, name, b"x"))
    ws = homes()
    with pytest.raises(DamagedError):
        take_in(ws, odd)
    assert nothing_in(ws)


def test_an_object_under_another_digest_is_refused(
    homes: Homes, packed: Path, tmp_path: Path
) -> None:
    def change(entries: dict[str, bytes]) -> None:
        name = next(one for one in entries if one.endswith(".pack"))
        data = bytearray(entries[name])
        data[form.FRAME.size] ^= 1  # the first byte of the first object
        resealed(entries, name, bytes(data))

    ws = homes()
    with pytest.raises(DamagedError, match=r"object \w+ was changed"):
        take_in(ws, rewritten(packed, tmp_path / "odd.msar", change))
    assert kept(ws) == {}


def test_an_entry_more_or_less_is_refused(homes: Homes, packed: Path, tmp_path: Path) -> None:
    ws = homes()
    more = rewritten(packed, tmp_path / "more.msar", lambda e: e.update({"rows/x.jsonl": b""}))
    less = rewritten(packed, tmp_path / "less.msar", lambda e: e.pop("rows/tags.jsonl") and None)
    for file in (more, less):
        with pytest.raises(DamagedError):
            take_in(ws, file)
    assert nothing_in(ws)


@pytest.mark.parametrize(
    "row", [b"[1]\n", b"{}\n", b"nothing\n", b'["run_one","k",5]\n', b'[null,"k","v"]\n', b"[]"]
)
def test_a_row_that_is_none_is_refused(
    homes: Homes, packed: Path, tmp_path: Path, row: bytes
) -> None:
    def change(entries: dict[str, bytes]) -> None:
        manifest = json.loads(entries[form.MANIFEST])
        manifest["tables"]["params"]["rows"] = 1
        entries[form.MANIFEST] = json.dumps(manifest).encode()
        resealed(entries, "rows/params.jsonl", row)

    ws = homes()
    with pytest.raises(DamagedError):
        take_in(ws, rewritten(packed, tmp_path / "odd.msar", change))
    assert nothing_in(ws)


def test_an_archive_of_a_newer_release_is_refused(
    homes: Homes, packed: Path, tmp_path: Path
) -> None:
    def newer(entries: dict[str, bytes]) -> None:
        manifest = json.loads(entries[form.MANIFEST])
        entries[form.MANIFEST] = json.dumps({**manifest, "schema": 99}).encode()

    def strange(entries: dict[str, bytes]) -> None:
        manifest = json.loads(entries[form.MANIFEST])
        manifest["tables"]["future"] = {"columns": ["a"], "rows": 0}
        entries[form.MANIFEST] = json.dumps(manifest).encode()
        resealed(entries, "rows/future.jsonl", b"")

    ws = homes()
    for change, told in ((newer, "schema 99"), (strange, "future")):
        with pytest.raises(BadInputError, match=told):
            take_in(ws, rewritten(packed, tmp_path / "odd.msar", change))
    assert nothing_in(ws)


def test_a_file_that_is_no_archive_is_refused(homes: Homes, tmp_path: Path) -> None:
    ws = homes()
    with pytest.raises(NotFoundError):
        take_in(ws, tmp_path / "nothing.msar")
    (tmp_path / "text.msar").write_text("no archive")
    other = io.BytesIO()
    with zipfile.ZipFile(other, "w") as file:
        file.writestr("a", "b")
    (tmp_path / "zip.msar").write_bytes(other.getvalue())
    for name in ("text.msar", "zip.msar"):
        with pytest.raises(DamagedError, match="archive is damaged"):
            take_in(ws, tmp_path / name)
