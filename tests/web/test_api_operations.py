"""Every operation in process: what it answers, and what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.ground import errors as e
from mainspring.ground.permissions import Permission, Principal, Role
from mainspring.web.api import call, every, find
from mainspring.workspace.engines import drive
from mainspring.workspace.opening import Workspace

SPEC = {
    "name": "new",
    "model": "new",
    "pipeline": "project:train",
    "endpoint": "new",
    "target": "delayed",
    "kind": "binary",
}

#: Operation -> fields that it takes in the furnished house, and a key its answer must have.
GOOD: dict[str, tuple[dict[str, Any], str | None]] = {
    "runs.list": ({"limit": 1, "status": "finished"}, "runs"),
    "runs.columns": ({"experiment": "train", "prefix": "a"}, "metrics"),
    "runs.curves": ({"curves": [{"run": "run_1", "key": "auc"}], "points": 100}, "curves"),
    "runs.get": ({"run": "run_1"}, "steps"),
    "waits.list": ({}, None),
    "runs.about": ({"run": "run_1"}, "children"),
    "runs.printed": ({"run": "run_1", "since": "1h", "below": True}, None),
    "runs.why": ({"run": "run_1"}, None),
    "runs.metrics": ({"run": "run_1", "key": "auc"}, "points"),
    "runs.graph": ({"run": "run_1"}, None),
    "runs.delete": ({"runs": ["run_1"], "dry_run": True}, "kept"),
    "runs.restore": ({"runs": ["run_1"]}, "restored"),
    "artifacts.list": ({"run": "run_1"}, None),
    "experiments.list": ({"deleted": False}, None),
    "experiments.delete": ({"name": "train"}, "deleted"),
    "experiments.rename": ({"name": "train", "to": "later"}, "changed"),
    "experiments.restore": ({"name": "train"}, "deleted"),
    "retention.list": ({}, None),
    "retention.set": (
        {"experiment": "train", "keep_s": 86_400.0, "keep_best": "3:metrics.auc"},
        "best",
    ),
    "secrets.list": ({}, None),
    "secrets.set": ({"name": "API_KEY", "value": "s3cr3t"}, "by"),
    "secrets.rotate": ({"new_key": False}, "sealed"),
    "webhooks.list": ({}, None),
    "webhooks.add": (
        {"name": "ci", "url": "http://192.0.2.1.invalid/in", "events": ["alias.set"]},
        "id",
    ),
    "system.gc": ({"dry_run": True}, "after"),
    "environments.list": ({}, None),
    "endpoints.options": ({"name": "flights"}, "scaling"),
    "endpoints.configure": ({"name": "flights", "fewest": 0, "most": 2, "idle_s": 60.0}, "place"),
    "models.list": ({}, None),
    "models.get": ({"model": "flights"}, "versions"),
    "models.version": ({"model": "flights", "number": 1}, "gates"),
    "models.history": ({"model": "flights"}, None),
    "models.promote": ({"model": "flights", "number": 2, "reason": "Better."}, "champion"),
    "models.override": ({"model": "flights", "number": 3, "reason": "Try it."}, "done"),
    "models.approve": ({"model": "flights", "number": 2, "reason": "Looked at it."}, "standing"),
    "models.readiness": ({"model": "flights", "number": 2}, "items"),
    "gates.show": ({"model": "flights"}, "gate"),
    "gates.declare": ({"model": "flights", "gate": {}}, "source"),
    "gates.run": ({"model": "flights", "number": 2}, "task"),
    "gates.comment": ({"model": "flights", "number": 2}, "markdown"),
    "models.guard": ({"model": "flights", "aliases": ["champion", "live"]}, "aliases"),
    "models.judge": (
        {"model": "flights", "number": 3, "rows": [{"distance": 1.0, "delayed": 1}]}
        | {"target": "delayed"},
        "task",
    ),
    "models.why": ({"ref": "flights@champion"}, "lines"),
    "models.card": ({"ref": "flights/1"}, "markdown"),
    "endpoints.list": ({}, None),
    "endpoints.get": ({"name": "flights"}, "routing"),
    "endpoints.create": ({"name": "second", "model": "flights"}, "done"),
    "endpoints.remove": ({"name": "flights"}, "done"),
    "endpoints.label": ({"name": "flights", "ids": ["p1"], "values": ["yes"]}, "batch"),
    "rollouts.list": ({"endpoint": "flights"}, None),
    "rollouts.show": ({"endpoint": "flights"}, None),
    "rollouts.start": ({"endpoint": "flights", "version": 2, "reason": "Try it."}, "id"),
    "endpoints.series": ({"name": "flights"}, "drift"),
    "age.report": ({"endpoint": "flights"}, "found"),
    "monitor.windows": ({"endpoint": "flights"}, None),
    "monitor.drift": ({"endpoint": "flights", "column": "distance"}, None),
    "monitor.quality": ({"endpoint": "flights"}, None),
    "monitor.explain": ({"endpoint": "flights"}, "why"),
    "monitor.series": ({"endpoint": "flights", "monitor": "drift", "since": "7d"}, None),
    "monitor.dashboard": ({"endpoint": "flights"}, "panels"),
    "logs.rules": ({}, None),
    "logs.watch": ({"name": "errors", "level": "error", "above": 5, "within_s": 600.0}, "above"),
    "feeds.list": ({}, None),
    "logs.search": ({"text": "began", "since": "1h", "level": "info"}, None),
    "reports.window": ({"endpoint": "flights"}, "headline"),
    "alarms.list": ({"open": True}, None),
    "alarms.get": ({"id": "alarm_1"}, "evidence"),
    "backtests.line": (
        {"endpoint": "flights", "series": "drift:distance", "above": 0.1},
        "firings",
    ),
    "backtests.windows": ({"endpoint": "flights"}, None),
    "alarms.why": ({"id": "alarm_1"}, "suspects"),
    "alarms.states": ({"endpoint": "flights", "state": "ALARM"}, None),
    "alarms.history": ({"endpoint": "flights"}, None),
    "alarms.groups": ({"open": True}, None),
    "alarms.pages": ({}, None),
    "alarms.rules": ({}, None),
    "alarms.create": (
        {"name": "hot", "endpoint": "flights", "series": "drift:distance", "above": 0.1},
        "version",
    ),
    "alarms.quiets": ({}, None),
    "alarms.hush": ({"reason": "Work.", "cron": "0 3 * * 0", "duration_s": 60.0}, "id"),
    "channels.list": ({}, None),
    "channels.add": ({"name": "log", "kind": "log"}, "kind"),
    "decisions.list": ({"loop": "flights", "limit": 2}, "cursor"),
    "configs.get": ({"ref": "loop:flights"}, "keys"),
    "cards.export": ({"ref": "flights/1", "form": "json"}, "text"),
    "cards.set": ({"model": "flights", "number": 1, "ethics": "None is judged."}, "ethics"),
    "cards.history": ({"model": "flights", "number": 1}, None),
    "replays.simulation": ({"name": "flights"}, None),
    "replays.staleness": ({"name": "flights"}, None),
    "evidence.list": ({"subject": "flights/1", "kind": "load"}, None),
    "proofs.tests": (
        {
            "junit": "<testsuite><testcase name='t' time='0.1'/></testsuite>",
            "pipelines": {"project:train": "ab"},
            "steps": {},
        },
        None,
    ),
    "scores.get": ({"model": "flights", "max_age_days": 7.0}, "points"),
    "scores.trend": ({"model": "flights"}, None),
    "loops.list": ({}, None),
    "loops.get": ({"name": "flights"}, "words"),
    "loops.declare": ({"spec": SPEC}, "version"),
    "loops.pause": ({"name": "flights", "reason": "Rest."}, "done"),
    "loops.resume": ({"name": "flights", "reason": "On."}, "done"),
    "loops.why_not": ({"name": "flights"}, "reason"),
    "models.why_not": ({"ref": "flights/1"}, "verdict"),
    "loops.retrain": ({"name": "flights", "reason": "Now.", "key": "b1"}, "asked"),
    "loops.timeline": ({"name": "flights"}, None),
    "loops.settled": ({"name": "flights"}, "settled"),
    "debt.scan": ({"model": "flights", "budget": "0"}, "broken"),
    "debt.trend": ({}, None),
    "dependents.get": ({"subject": "model:flights"}, "dependents"),
    "consumers.list": ({"endpoint": "flights"}, None),
    "consumers.add": ({"endpoint": "flights", "name": "billing", "owner": "payments"}, "owner"),
    "deprecations.list": ({}, None),
    "deprecations.announce": (
        {"subject": "endpoint:flights", "until": 4e9, "reason": "A better one is there."},
        "dependents",
    ),
    "datasets.list": ({}, None),
    "data.list": ({}, None),
    "data.gc": ({"dry_run": True}, "objects"),
    "tokens.create": ({"name": "ci", "role": "viewer"}, "token"),
    "tokens.list": ({}, None),
    "schedules.list": ({}, None),
    "triggers.list": ({}, None),
    "lineage.export": ({}, None),
    "lineage.deliveries": ({}, "done"),
    "lineage.predictions": ({"subject": "flights@champion", "since_s": 60.0}, "answered"),
    "lineage.get": ({"subject": "flights@champion"}, "things"),
    "runs.cause": ({"run": "run_1"}, "lines"),
    "queue.list": ({"every": True}, None),
    "audit.list": ({"limit": 5}, None),
    "audit.verify": ({}, "ok"),
    "system.status": ({}, "loops"),
    "system.version": ({}, "version"),
}
#: Tested on their own: they need a project, a running run, a process or a token.
APART = {
    "logs.rates",
    "logs.unwatch",
    "artifacts.get",
    "datasets.profile",
    "data.log",  # tests/workspace/data
    "data.show",
    "pieces.lacking",  # tests/workspace/data/test_over_http.py
    "pieces.send",
    "pieces.commit",
    "pieces.read",
    "contents.diff",
    "contents.show",
    "data.remove",
    "data.push",
    "data.pull",
    "datasets.show",  # tests/workspace/test_training_sets.py
    "scripts.trust",  # tests/workspace/around
    "journals.get",
    "journals.send",
    "objects.put",
    "runs.cancel",
    "waits.signal",  # tests/workspace/shapes
    "callbacks.answer",  # tests/workspace/shapes
    "callbacks.alive",
    "waits.approve",  # tests/workspace/shapes
    "waits.reject",
    "runs.compare",
    "runs.rerun",
    "runs.result",
    "runs.resume",
    "retention.remove",
    "pipelines.list",
    "pipelines.run",
    "schedules.put",
    "schedules.remove",
    "schedules.get",
    "schedules.pause",
    "schedules.resume",
    "schedules.run",
    "schedules.backfill",
    "triggers.put",  # tests/web/test_web_hooks.py
    "triggers.get",
    "triggers.remove",
    "triggers.pause",
    "triggers.resume",
    "triggers.test",
    "models.contract",
    "models.judging",
    "models.rollback",
    "models.trust",
    "models.register",
    "packages.add",  # tests/workspace/test_code_models.py
    "graphs.add",  # tests/workspace/test_graphs.py
    "images.model",  # tests/workspace/packaging
    "images.artifact",
    "images.pipeline",
    "images.attest",
    "images.key",
    "endpoints.predict",
    "tokens.revoke",
    "repeats.start",
    "repeats.get",
    "repeats.resume",
    "repeats.versus",
    "tunings.start",
    "queue.add",
    "queue.cancel",
    "tunings.get",
    "tunings.resume",
    "datasheets.export",  # tests/workspace/cards
    "datasheets.set",
    "drills.rollback",  # tests/workspace/scoring
    "drills.exercise",
    "drills.capacity",  # tests/workspace/measuring
    "drills.load",  # tests/workspace/measuring
    "rollouts.change",  # tests/workspace/test_rollouts_by_hand.py
    "rollouts.end",
    "endpoints.follow",
    "predictions.why",  # tests/web/pages/test_predictions_told.py
    "endpoints.batching",  # tests/web/test_web_proxy.py
    "evidence.get",  # tests/cli/test_evidence_commands.py
    "replays.simulate",  # tests/workspace/replaying
    "replays.age",
    "debt.list",  # tests/workspace/owed
    "debt.accept",
    "debt.ablate",
    "consumers.remove",
    "deprecations.withdraw",
    "proofs.sbom",  # tests/workspace/proofs/test_parts_of_versions.py
    "proofs.audit",
    "environments.build",  # tests/workspace/environments
    "environments.of_run",
    "environments.remove",
    "proofs.remake",  # tests/workspace/proofs
    "proofs.cancel",
    "proofs.reproduce",
    "proofs.reproduction",
    "proofs.scan",  # tests/cli/test_judging_commands.py
    "bias.report",  # tests/workspace/test_fairness.py
    "attribution.report",
    "skew.report",
    "alarms.rule",  # tests/workspace/alarming
    "backtests.rule",
    "backtests.rejudge",
    "backtests.policy",
    "alarms.edit",
    "alarms.delete",
    "alarms.ack",
    "alarms.dismiss",
    "alarms.unhush",
    "channels.remove",
    "channels.switch",
    "channels.test",
    "channels.retry",
    "endpoints.label_file",  # tests/cli/test_home.py
    "feeds.create",  # tests/web/test_web_feeds.py
    "feeds.baseline",
    "feeds.send",
    "feeds.judge",
    "feeds.remove",
    "secrets.remove",
    "webhooks.remove",
    "webhooks.retry",
}


def test_every_operation_is_tested_here() -> None:
    assert set(every()) == set(GOOD) | APART


@pytest.mark.parametrize("name", sorted(GOOD))
def test_an_operation_answers(house: Workspace, name: str) -> None:
    fields, key = GOOD[name]
    answer = call(house, name, **fields)
    assert key is None or key in answer


@pytest.mark.parametrize("name", sorted(every()))
def test_an_unknown_field_is_named(still_house: Workspace, name: str) -> None:
    fields = {**GOOD.get(name, ({}, None))[0], "surprise": 1}
    if name in APART:
        fields |= dict.fromkeys(find(name).in_path, "x")
    with pytest.raises(e.BadInputError) as caught:
        call(still_house, name, **fields)
    assert caught.value.field == "surprise"


@pytest.mark.parametrize(
    "name", sorted(n for n, o in every().items() if o.request.__struct_fields__)
)
def test_a_field_of_the_wrong_type_is_named(still_house: Workspace, name: str) -> None:
    fields = dict(GOOD.get(name, ({}, None))[0])
    first = find(name).request.__struct_fields__[0]
    with pytest.raises(e.BadInputError) as caught:
        call(still_house, name, **{**fields, first: object()})
    assert (caught.value.field or "").partition(".")[0] == first


@pytest.mark.parametrize("name", sorted(every()))
def test_nobody_may_what_their_role_does_not_hold(still_house: Workspace, name: str) -> None:
    wanted = find(name)
    if wanted.permission in (Permission.READ, Permission.PREDICT):
        return
    with pytest.raises(e.PermissionDeniedError):
        wanted.run(still_house.acting_as(Principal("eve", Role.VIEWER)), wanted.request)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "fields", "error", "field"),
    [
        ("runs.get", {"run": "run_9"}, e.NotFoundError, "run"),
        ("runs.list", {"limit": 0}, e.BadInputError, "limit"),
        ("runs.list", {"limit": True}, e.BadInputError, "limit"),
        ("runs.list", {"cursor": "nonsense"}, e.BadInputError, "cursor"),
        ("runs.list", {"filter": "auc > 0.9"}, e.BadInputError, "filter"),
        ("runs.list", {"order": "-auc"}, e.BadInputError, "order"),
        ("runs.list", {"columns": "auc"}, e.BadInputError, "columns"),
        (
            "runs.curves",
            {"curves": [{"run": "run_9", "key": "auc"}]},
            e.NotFoundError,
            "run",
        ),
        ("decisions.list", {"cursor": "nonsense"}, e.NotFoundError, "cursor"),
        ("models.get", {"model": "none"}, e.NotFoundError, "model"),
        (
            "models.promote",
            {"model": "flights", "number": 3, "reason": "x"},
            e.GateRefusedError,
            None,
        ),
        (
            "models.promote",
            {"model": "flights", "number": 2, "reason": " "},
            e.BadInputError,
            "reason",
        ),
        ("models.rollback", {"model": "flights", "reason": "x"}, e.ConflictError, None),
        ("models.why", {"ref": "flights"}, e.BadInputError, "reference"),
        ("secrets.remove", {"name": "NONE"}, e.NotFoundError, "name"),
        ("secrets.set", {"name": "API_KEY", "value": "short"}, e.BadInputError, "value"),
        ("secrets.set", {"name": "a-b", "value": "long enough"}, e.BadInputError, "secrets"),
        ("webhooks.remove", {"webhook": "none"}, e.NotFoundError, "webhook_id"),
        ("webhooks.retry", {"webhook": "none"}, e.NotFoundError, "webhook_id"),
        (
            "webhooks.add",
            {"name": "x", "url": "http://127.0.0.1/", "events": ["alias.set"]},
            e.BadInputError,
            "url",
        ),
        (
            "webhooks.add",
            {"name": "x", "url": "http://a.invalid/", "events": ["all"]},
            e.BadInputError,
            "events",
        ),
        ("models.guard", {"model": "flights", "aliases": ["live"]}, e.ConflictError, "aliases"),
        (
            "models.register",
            {"model": "flights", "source": "run_001/none"},
            e.NotFoundError,
            "source",
        ),
        ("models.judging", {"task": "none"}, e.NotFoundError, "task"),
        (
            "gates.declare",
            {"model": "flights", "gate": {"valid_s": 0}},
            e.BadInputError,
            "gate.valid_s",
        ),
        (
            "gates.declare",
            {"model": "flights", "gate": {"at_least": {"auc": 0.9}}},
            e.ConflictError,
            "gate",
        ),
        ("gates.show", {"model": "none"}, e.NotFoundError, "model"),
        ("gates.run", {"model": "flights", "number": 9}, e.NotFoundError, None),
        (
            "gates.run",
            {"model": "flights", "number": 2, "rows": [{"a": 1}]},
            e.BadInputError,
            "target",
        ),
        (
            "gates.comment",
            {"model": "flights", "number": 2, "against": "other/1"},
            e.BadInputError,
            "against",
        ),
        (
            "models.approve",
            {"model": "flights", "number": 2, "reason": " "},
            e.BadInputError,
            "reason",
        ),
        ("models.readiness", {"model": "flights", "number": 9}, e.NotFoundError, None),
        (
            "models.judge",
            {"model": "flights", "number": 3, "rows": [{"a": 1}], "target": "y"},
            e.BadInputError,
            "target",
        ),
        (
            "models.trust",
            {"model": "flights", "number": 3, "reason": "x"},
            e.ConflictError,
            "number",
        ),
        ("endpoints.get", {"name": "none"}, e.NotFoundError, None),
        ("endpoints.get", {"name": "../etc"}, e.MainspringError, None),
        ("endpoints.predict", {"name": "flights", "rows": [{"a": 1}]}, e.UnavailableError, None),
        (
            "endpoints.label",
            {"name": "flights", "ids": ["a"], "values": [1, 2]},
            e.BadInputError,
            "values",
        ),
        (
            "endpoints.label",
            {"name": "flights", "ids": ["a"], "values": [2**63]},
            e.NotExactError,
            "values[0]",
        ),
        (
            "endpoints.label",
            {"name": "flights", "ids": ["a"], "values": [float("nan")]},
            e.NotExactError,
            "values[0]",
        ),
        ("loops.get", {"name": "none"}, e.NotFoundError, "loop"),
        (
            "loops.declare",
            {"spec": {**SPEC, "gate": {"at_leest": {}}}},
            e.BadInputError,
            "spec.gate.at_leest",
        ),
        ("loops.declare", {"spec": {**SPEC, "name": "a/b"}}, e.BadInputError, "spec.name"),
        ("loops.declare", {"spec": {**SPEC, "root": "/elsewhere"}}, e.BadInputError, "spec.root"),
        (
            "loops.declare",
            {"spec": {**SPEC, "rollout": {"share": 1.5}}},
            e.BadInputError,
            "spec.rollout.share",
        ),
        (
            "loops.declare",
            {"spec": {**SPEC, "monitor": {"window_s": 0}}},
            e.BadInputError,
            "spec.monitor.window_s",
        ),
        ("tokens.create", {"name": "x", "role": "service"}, e.BadInputError, "role"),
        ("tokens.create", {"name": "x", "role": "viewer", "ttl_s": -1}, e.BadInputError, "ttl_s"),
        ("tokens.revoke", {"name": "none"}, e.NotFoundError, "name"),
        ("alarms.get", {"id": "none"}, e.NotFoundError, "alarm"),
        ("nothing.at_all", {}, e.NotFoundError, "name"),
    ],
)
def test_what_cannot_be_is_refused(
    still_house: Workspace,
    name: str,
    fields: dict[str, Any],
    error: type[Exception],
    field: str | None,
) -> None:
    with pytest.raises(error) as caught:
        call(still_house, name, **fields)
    assert isinstance(caught.value, e.MainspringError)
    assert field is None or caught.value.field == field


def test_decisions_are_paged_without_gap_or_repeat(still_house: Workspace) -> None:
    seen, cursor = [], None
    while True:
        page = call(still_house, "decisions.list", loop="flights", limit=1, cursor=cursor)
        seen += [one["id"] for one in page["decisions"]]
        cursor = page["cursor"]
        if cursor is None:
            break
    assert seen == ["decision_2", "decision_1", "decision_0"]


def test_a_promotion_by_hand_can_be_taken_back(house: Workspace) -> None:
    assert call(house, "models.promote", model="flights", number=2, reason="Try.") == {
        "champion": 2,
        "previous": 1,
    }
    call(house, "models.rollback", model="flights", reason="No.")
    assert call(house, "models.get", model="flights")["champion"] == 1
    assert call(house, "audit.verify")["ok"]


def test_a_decision_links_what_it_speaks_of(still_house: Workspace) -> None:
    entry = call(still_house, "loops.timeline", name="flights")[0]
    assert {link["href"] for link in entry["links"]} == {
        "/models/flights?version=1#v1",
        "/runs/run_1",
    }


PROJECT = """
import mainspring as ms

@ms.step
def double(x: int) -> int:
    return 2 * x

@ms.pipeline
def train(x: int = 1) -> int:
    return double(double(x))
"""


def test_a_pipeline_of_the_project_is_listed_run_cancelled_and_resumed(house: Workspace) -> None:
    (Path(house.settings.root) / "project.py").write_text(PROJECT)
    assert "project:train" in str(call(house, "pipelines.list"))
    run = call(house, "pipelines.run", pipeline="project:train", params={"x": 3})["run"]
    detail = call(house, "runs.get", run=run)
    assert (detail["run"]["status"], len(detail["steps"])) == ("running", 2)
    assert "double_2" in call(house, "runs.graph", run=run)
    assert set(call(house, "runs.why", run=run, step="double")) == {"double"}
    assert call(house, "runs.cancel", run=run) == {"done": True}
    drive(house, run)
    assert call(house, "runs.get", run=run)["run"]["status"] == "cancelled"
    with pytest.raises(e.ConflictError):
        call(house, "runs.cancel", run=run)
    assert call(house, "runs.resume", run=run) == {"done": True}
    assert drive(house, run).status == "finished"
    told = call(house, "runs.result", run=run)
    assert (told["step"], told["type"], told["words"], told["value"]) == (
        "double_2",
        "json",
        "12",
        12,
    )
    assert call(house, "runs.result", run=run, step="double")["value"] == 6
    again = call(house, "runs.rerun", run=run, start="double")["run"]
    assert drive(house, again).status == "finished"
    with pytest.raises(e.BadInputError):
        call(house, "pipelines.run", pipeline="project:none")
    with pytest.raises(e.BadInputError):
        call(house, "pipelines.run", pipeline="project:train", params={"y": 3})


def test_a_schedule_is_put_listed_and_removed(house: Workspace) -> None:
    (Path(house.settings.root) / "project.py").write_text(PROJECT)
    asked: dict[str, Any] = {"name": "nightly", "pipeline": "train", "cron": "30 2 * * *"}
    assert call(house, "schedules.put", **asked, params={"x": 3}) == {"done": True}
    (row,) = call(house, "schedules.list")
    assert (row["pipeline"], row["params"], row["tz"]) == ("project:train", {"x": 3}, "UTC")
    assert row["next"] % 86_400 == 2.5 * 3600
    for wrong, field in (
        ({"cron": "61 * * * *"}, "cron"),
        ({"cron": "*/5 * * * * *"}, "cron"),
        ({"tz": "Mars/Olympus"}, "tz"),
        ({"name": "loop-flights"}, "name"),
        ({"pipeline": "project:none"}, None),
        ({"params": {"y": 3}}, None),
    ):
        with pytest.raises(e.BadInputError) as caught:
            call(house, "schedules.put", **{**asked, **wrong})
        assert field is None or caught.value.field == field
    assert call(house, "schedules.pause", name="nightly") == {"done": True}
    assert call(house, "schedules.list")[0]["next"] is None
    assert call(house, "schedules.resume", name="nightly") == {"done": True}
    assert call(house, "schedules.run", name="nightly")["outcome"] == "fired"
    span = {"begin": row["next"] - 3 * 86_400, "end": row["next"] - 86_400}
    made = call(house, "schedules.backfill", name="nightly", **span)
    assert made == {"asked": 3, "begun": 3, "before": 0}
    shown = call(house, "schedules.get", name="nightly")
    assert len(shown["upcoming"]) == 10
    assert [one["outcome"] for one in shown["firings"]].count("queued") == 3
    assert call(house, "schedules.remove", name="nightly") == {"done": True}
    assert call(house, "schedules.list") == []
    with pytest.raises(e.NotFoundError):
        call(house, "schedules.remove", name="nightly")


def test_a_loop_counts_its_versions_and_windows(still_house: Workspace) -> None:
    status = call(still_house, "loops.get", name="flights")
    assert (status["versions"], status["windows"], status["open_alarms"]) == (3, 1, 1)
    assert (status["champion"], status["endpoint"]) == (1, "flights")


def test_a_path_is_quoted_and_the_rest_stands_in_the_body() -> None:
    path, query, body = find("loops.pause").split({"name": "a b", "reason": "x"})
    assert (path, query, body) == ("/api/v1/loops/a%20b/pause", {}, {"reason": "x"})
    path, query, body = find("alarms.list").split({"open": True, "endpoint": None})
    assert (path, query, body) == ("/api/v1/alarms", {"open": "true"}, {})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@given(
    st.sampled_from(sorted(every())),
    st.dictionaries(st.text(max_size=8), JSON, max_size=4),
    st.data(),
)
def test_any_fields_are_read_or_refused_by_one_kind_of_error(
    name: str, fields: dict[str, Any], data: st.DataObject
) -> None:
    wanted = find(name)
    for field in wanted.request.__struct_fields__:
        if data.draw(st.booleans()):
            fields[field] = data.draw(JSON)
    try:
        request = wanted.read(fields)
    except e.BadInputError:
        return
    assert set(fields) <= set(request.__struct_fields__)


def test_a_gate_asked_for_by_hand_is_followed(house: Workspace) -> None:
    told = call(house, "models.judge", **GOOD["models.judge"][0])
    assert call(house, "models.judging", task=told["task"])["state"] == "ready"
