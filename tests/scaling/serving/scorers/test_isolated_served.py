"""An endpoint whose versions are scored by child processes, over real HTTP."""

from pathlib import Path

import numpy as np

from mainspring.ground.objects import (
    Column,
    EndpointLimits,
    EndpointOptions,
    Routing,
    Signature,
)
from mainspring.scaling.models import in_child, load, package
from mainspring.scaling.models.apart.spawned import Launch
from mainspring.scaling.serving.scorers.choosing import isolated, native_in_child
from mainspring.scaling.serving.scorers.isolated import Isolated
from waiting import alive, until

ILL = Path(__file__).with_name("ill_models.py")
TWO = Signature(
    columns=[Column(name="a", type="float"), Column(name="b", type="float")],
    kind="regression",
    target="y",
)
ANSWER, CRASH, HANG, RAISE = range(4)
PATIENT = EndpointOptions(limits=EndpointLimits(timeout_ms=60_000, deadline_ms=60_000))
ROUTE = Routing(
    endpoint="flights",
    model="flights",
    champion=1,
    champion_package="1" * 64,
    options=PATIENT,
)


def test_a_model_that_crashes_hangs_or_raises_is_answered_as_such_and_accounted_for(
    stage,
) -> None:
    limits = {"timeout_ms": 60_000.0}

    def loaded(digest: str) -> Isolated:
        launch = Launch(loader=f"{ILL}:by_order")
        return Isolated(
            *(digest, TWO, "python", launch), limits=lambda: EndpointLimits(**limits)
        ).open()

    one = stage(routing=ROUTE, loader=loaded)

    def ask(order: int):
        return one.client.post("/invocations", json={"instances": [{"a": order, "b": 0.0}]})

    def well() -> None:
        until(lambda: ask(ANSWER).status_code == 200)

    well()
    crashed = ask(CRASH)
    assert (crashed.status_code, crashed.headers["retry-after"]) == (503, "1")
    assert "SIGSEGV" in crashed.json()["message"]
    well()
    raised = ask(RAISE)
    assert raised.status_code == 500
    assert "no such thing" not in raised.text
    limits["timeout_ms"] = 300
    assert ask(HANG).status_code == 504
    limits["timeout_ms"] = 60_000
    well()
    account = one.app.status()["versions"]["1"]["process"]
    assert (account["state"], account["restarts"]) == ("up", 2)
    assert "300 ms" in account["why"]
    told = one.client.get("/metrics").text
    assert 'mainspring_scorer_restarts_total{endpoint="flights",version="1"} 2' in told


def test_the_children_of_a_version_end_once_another_answers(stage) -> None:
    def loaded(digest: str) -> Isolated:
        return Isolated(digest, TWO, "python", Launch(loader=f"{ILL}:by_order")).open()

    one = stage(routing=ROUTE, loader=loaded)
    first = int(one.predict([{"a": 0, "b": 0}])["predictions"][0])
    one.route(champion=2, champion_package="2" * 64)
    second = int(one.predict([{"a": 0, "b": 0}])["predictions"][0])
    assert first != second
    until(lambda: not Path(f"/proc/{first}").exists())  # and it was taken in: no zombie is left
    assert alive(second)


def test_a_package_gives_the_same_scores_in_a_child(tmp_path, rows, objects, second) -> None:
    for digest in (second, *package.read_manifest(second, objects).files.values()):
        path = in_child.object_path(tmp_path, digest)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(objects[digest])
    here = load.load(second, objects, prefer="native")
    there = isolated(second, objects, tmp_path, EndpointLimits)
    asked = here.check(rows.select(column.name for column in here.signature.columns).to_dict())
    np.testing.assert_array_equal(there.score(asked), here.score(asked))
    assert there.labels(there.score(asked)) == here.labels(here.score(asked))
    there.close()


def test_no_child_is_needed_where_the_onnx_form_is_all_there_is_to_ask(
    tmp_path, objects, second
) -> None:
    found = native_in_child(second, objects, tmp_path, EndpointLimits)
    assert (found.form, found.inline) == ("onnx", True)
