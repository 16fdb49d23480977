"""What is asked of the steps of a run over HTTP: found, refused, and never believed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import msgspec
import pytest

from mainspring.engine import tasks
from mainspring.experiments import runs
from mainspring.ground.objects import Run, RunStatus
from mainspring.ground.permissions import Permission, service
from mainspring.ground.ports import Tx
from mainspring.pipelines import growing
from mainspring.pipelines import project as projects
from mainspring.pipelines import runs as pipelines
from mainspring.pipelines.declare import Options
from mainspring.pipelines.graph import Graph, Node
from mainspring.web.api import call
from mainspring.workspace import printing
from mainspring.workspace.news import task_for
from mainspring.workspace.opening import Workspace

HOSTILE = '"><script>window.owned=1</script>'
PIPELINE = f"project:{HOSTILE}"


def furnish(tx: Tx) -> None:
    record = Run(id="run_1", experiment="e", name="e", status=RunStatus.RUNNING, started=1.0,
                 pipeline=PIPELINE)  # fmt: skip
    runs.create(tx, record)
    target = "project:load"
    nodes = [
        Node(name=name, target=target, args=args, options=Options())
        for name, args in (
            ("load", {"text": {"value": HOSTILE}}),
            (HOSTILE, {"of": {"ref": "load"}}),
        )
    ]
    graph = Graph(pipeline=PIPELINE, params={}, nodes=nodes, result=None)
    pipelines.plan(tx, "run_1", graph, {target: ["d", {}]}, "env")
    plan = pipelines.prepare(tx, "run_1", "load", lambda _: True)
    pipelines.started(tx, plan, 2.0)


@pytest.fixture
def asked(home: Workspace, site: str) -> Iterator[httpx.Client]:
    home.store.write(service("engine"), Permission.WORK, furnish)
    headers = {"Accept": "text/html"}
    with httpx.Client(base_url=site, headers=headers, trust_env=False, timeout=60) as client:
        yield client


def test_a_running_step_shows_the_end_of_what_it_prints(
    home: Workspace, asked: httpx.Client
) -> None:
    path = {"step": "load"}
    assert "Nothing yet." in asked.get("/runs/run_1", params=path).text
    file = printing.file_of(home.home, "run_1", "load")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"early\n" * 10_000 + HOSTILE.encode() + b"\xff late")
    shown = asked.get("/runs/run_1", params=path).text
    assert "\ufffd late" in shown
    assert "before them are not shown" in shown
    assert len(shown) < 80_000
    assert "<script>window" not in shown


def test_of_a_long_log_both_ends_are_shown_and_all_of_it_is_a_file(
    home: Workspace, asked: httpx.Client
) -> None:
    assert asked.get("/runs/run_1/steps/load/log").status_code == 404
    log = b"first line\n" + b"middle\n" * 20_000 + HOSTILE.encode() + b" last line"
    digest = home.objects.put(log)

    def end(tx: Tx) -> None:
        plan = pipelines.prepare(tx, "run_1", "load", lambda _: True)
        output = pipelines.Output(digest=digest, type="bytes", log=digest)
        pipelines.finished(tx, plan, output, 3.0)

    home.store.write(service("engine"), Permission.WORK, end)
    shown = asked.get("/runs/run_1?step=load").text
    assert "first line" in shown
    assert "last line" in shown
    assert "are left out here" in shown
    assert len(shown) < 90_000
    kept = asked.get("/runs/run_1/steps/load/log")
    assert kept.content == log
    assert "sandbox" in kept.headers["content-security-policy"]
    assert kept.headers["content-disposition"].startswith("attachment")


def test_who_may_only_look_is_offered_no_answer_and_gives_none(
    home: Workspace, asked: httpx.Client
) -> None:
    def wait(tx: Tx) -> None:
        settings = {"name": "release", "message": "Good?", "expires_s": None}
        node = Node(name="release", target="", args={}, kind="approval", settings=settings)
        graph = Graph(pipeline=PIPELINE, params={}, nodes=[node], result=None)
        pipelines.plan(tx, "run_1", graph, {"": ["", {}]}, "env")
        found = growing.load(tx, "run_1", "release")
        growing.goes_on(tx, found, {"asked": 1}, "waits", 5.0)
        news = task_for("run_1", "release", 1)
        tasks.submit(tx, [msgspec.structs.replace(news, before=[])])  # this run has no end

    home.store.write(service("engine"), Permission.WORK, wait)
    path = "/runs/run_1?step=release"
    assert "/steps/release/approve" in asked.get(path).text
    token = call(home, "tokens.create", name="eve", role="viewer")["token"]
    given = {"Authorization": f"Bearer {token}", "Sec-Fetch-Site": "same-origin"}
    shown = asked.get(path, headers=given).text
    assert "Good?" in shown
    assert "/steps/release/approve" not in shown
    answer = {"reason": "I say so."}
    refused = asked.post("/runs/run_1/steps/release/approve", data=answer, headers=given)
    assert refused.status_code == 403


def test_names_that_attack_stay_text_and_lead_to_their_steps(asked: httpx.Client) -> None:
    for path in ("/pipelines", f"/pipelines/{quote(PIPELINE, safe='')}"):
        shown = asked.get(path)
        assert shown.status_code == 200
        assert "<script>window" not in shown.text
    shown = asked.get("/runs/run_1", params={"step": HOSTILE})
    assert shown.status_code == 200
    assert "<script>window" not in shown.text


@pytest.mark.parametrize("path", ["/runs/run_1?step=none", "/pipelines/project:none",
                                  "/runs/none?step=load"])  # fmt: skip
def test_what_is_not_there_is_told(asked: httpx.Client, path: str) -> None:
    assert asked.get(path).status_code == 404


def test_a_group_that_is_not_there_chooses_nothing(asked: httpx.Client) -> None:
    assert "Choose a box" in asked.get("/runs/run_1?group=none").text


@pytest.mark.parametrize(("verb", "given", "status"), [
    ("approve", {"reason": "x"}, 400),  # it waits for no approval
    ("reject", {"reason": " "}, 400),
    ("signal", {"value": "{"}, 400),
    ("signal", {"value": "1"}, 409),
])  # fmt: skip
def test_an_answer_that_cannot_be_given_is_refused(
    asked: httpx.Client, verb: str, given: dict[str, str], status: int
) -> None:
    own = {"Origin": str(asked.base_url).rstrip("/"), "Sec-Fetch-Site": "same-origin"}
    answer = asked.post(f"/runs/run_1/steps/load/{verb}", data=given, headers=own)
    assert answer.status_code == status, answer.text
    foreign = {"Sec-Fetch-Site": "cross-site"}
    assert (
        asked.post(f"/runs/run_1/steps/load/{verb}", data=given, headers=foreign).status_code
        == 403
    )


DECLARED = '''
import mainspring as ms

@ms.step
def one(data, rows: int) -> int: return rows

@ms.pipeline
def fresh(rows: int, title: str = "%s"):
    """%s"""
    return one(ms.data("tiny"), rows)
'''


def test_what_never_ran_has_a_form_for_those_who_may_run_it(
    home: Workspace, asked: httpx.Client
) -> None:
    text = DECLARED % (HOSTILE.replace('"', "'"), HOSTILE.replace('"', "'"))
    (Path(home.settings.root) / "project.py").write_text(text)
    try:
        listed = asked.get("/pipelines")
        assert "project:fresh" in listed.text
        assert "<script>window" not in listed.text
        page = "/pipelines/project:fresh"
        shown = asked.get(page).text
        assert "It has never run." in shown
        assert 'name="param.rows" placeholder="" type="number" step="1"' in shown
        assert "<script>window" not in shown
        ours = {"Sec-Fetch-Site": "same-origin"}
        refused = asked.post(f"{page}/run", data={"param.rows": "many"}, headers=ours)
        assert refused.status_code == 400
        assert "Parameter rows of pipeline fresh must be int" in refused.text
        token = call(home, "tokens.create", name="ann", role="viewer")["token"]
        given = ours | {"Authorization": f"Bearer {token}"}
        assert 'id="run-form"' in shown
        assert 'id="run-form"' not in asked.get(page, headers=given).text
        refused = asked.post(f"{page}/run", data={"param.rows": "1"}, headers=given)
        assert refused.status_code == 403
        assert asked.get("/pipelines/project:stale").status_code == 404
    finally:
        projects.close()


def test_the_panel_lists_the_data_a_step_was_given_with_its_page(
    home: Workspace, asked: httpx.Client
) -> None:
    told = {"name": "tiny", "number": 2, "digest": "d" * 64, "manifest": "m" * 64,
            "kind": "folder", "frame": False}  # fmt: skip

    def plan(tx: Tx) -> None:
        node = Node(name="reads", target="project:reads", args={"data": {"data": told}},
                    options=Options())  # fmt: skip
        graph = Graph(pipeline=PIPELINE, params={}, nodes=[node], result=None)
        pipelines.plan(tx, "run_1", graph, {"project:reads": ["d", {}]}, "env")

    home.store.write(service("engine"), Permission.WORK, plan)
    shown = asked.get("/runs/run_1?step=reads").text
    assert '<a href="/data/tiny?version=2">tiny@2</a>' in shown
