"""A scan sees what is owed in a home, keeps it, and lets it stand for no longer than was said."""

from __future__ import annotations

from pathlib import Path

import pytest

from mainspring.debt import consumers, ledger
from mainspring.debt.consumers import Consumer
from mainspring.debt.scan import read_budget
from mainspring.ground.errors import BadInputError, ConflictError, NotFoundError
from mainspring.ground.objects import DAY_S
from mainspring.ground.permissions import Permission
from mainspring.ground.rules import Channel
from mainspring.monitoring import channels, paging
from mainspring.readiness import evidence, notices
from mainspring.scaling.serving.callers import Callers
from mainspring.web.api import call
from mainspring.workspace import acts
from mainspring.workspace.opening import Workspace
from mainspring.workspace.owed import noticing, scanning


def called(ws: Workspace, token: str = "", **headers: str) -> None:
    """Let somebody have called the endpoint tide, now."""
    seen = Callers(ws.captures("tide"), "boot", ws.clock.now)
    seen.add(token, {k.replace("_", "-").encode(): v.encode() for k, v in headers.items()})
    seen.flush()


def kinds(found: scanning.Scan) -> list[str]:
    return sorted({one.finding.kind for one in found.owed if one.counts})


def test_a_home_without_anything_owes_nothing_and_says_what_it_could_not_see(ws):
    found = scanning.scan(ws)
    assert found.owed == []
    assert "no project" in found.unseen[0]
    assert scanning.scan(ws, budget=read_budget("0")).broken == []


def test_a_served_model_without_a_card_and_a_caller_without_a_key_are_found(served):
    called(served, user_agent="curl/8")
    found = scanning.scan(served, budget=read_budget("0"))
    assert kinds(found) == ["no_owner", "undeclared_consumer"]
    assert found.broken == ["The open findings weigh 18, and the budget is 0."]
    assert any("ablate tide/1" in line for line in found.unseen)
    [stranger] = [one for one in noticing.seen(served, "tide") if not one.declared]
    assert (stranger.name, stranger.requests) == ("no key, curl", 1)


def test_a_declared_consumer_is_owed_nothing_for(served):
    called(served, token="ci", x_client="billing")
    assert "undeclared_consumer" in kinds(scanning.scan(served))
    noticing.declare(served, Consumer(endpoint="tide", name="billing", owner="payments"))
    found = scanning.scan(served)
    assert "undeclared_consumer" not in kinds(found)
    assert len(found.paid) == 1
    [one] = noticing.seen(served, "tide")
    assert (one.declared, one.requests, one.owner) == (True, 1, "payments")
    noticing.withdraw(served, "tide", "billing")
    assert "undeclared_consumer" in kinds(scanning.scan(served))


def test_an_acceptance_holds_until_its_date_and_the_finding_returns(served):
    [one] = scanning.scan(served).owed
    now = served.clock.now()
    answer = call(
        served, "debt.accept", finding=one.finding.id, until=now + DAY_S, reason="In spring."
    )
    assert answer["until"] == now + DAY_S
    found = scanning.scan(served, budget=read_budget("0"))
    assert (found.open, found.accepted, found.broken) == (0, 1, [])
    served.clock.turn(DAY_S)
    told = scanning.listed(served)  # no new scan: the word ran out all the same
    assert [each.state for each in told.owed] == ["expired"]
    again = scanning.scan(served, budget=read_budget("0"))
    assert (again.open, len(again.broken)) == (1, 1)
    assert "Its acceptance ended" in again.owed[0].note
    assert again.fresh == []
    assert "In spring." in scanning.markdown(again)
    line = served.read(Permission.READ, ledger.trend)
    assert [row.weight for row in line] == [9, 0, 9]


def test_a_scan_is_evidence_and_one_of_a_kind_is_not_written_down(served):
    scanning.scan(served, model="tide", budget=read_budget("no_owner=0"))
    scanning.scan(served, kind="no_owner")

    def look(tx):
        return evidence.listing(tx, kind="debt"), ledger.trend(tx), ledger.trend(tx, "tide")

    proofs, whole, of_model = served.read(Permission.READ, look)
    [proof] = proofs
    assert (proof.subject, proof.passed, proof.detail["weight"]) == ("model:tide", False, 9)
    assert (len(whole), len(of_model)) == (0, 1)
    assert scanning.scan(served, kind="prototype").owed == []
    with pytest.raises(NotFoundError):
        scanning.listed(served)
    with pytest.raises(NotFoundError):
        scanning.scan(served, model="none")
    with pytest.raises(BadInputError):
        scanning.scan(served, kind="none")


def test_a_dead_key_in_the_project_is_found_by_file_and_line(ws):
    root = Path(ws.settings.root)
    root.mkdir()
    (root / "mainspring.toml").write_text("")
    text = "CONF = open('conf.toml')\nprint(CONF, 'rate')\n"
    (root / "project.py").write_text(text)
    (root / "conf.toml").write_text("rate = 1\n")
    assert scanning.scan(ws).owed == []
    (root / "conf.toml").write_text("rate = 1\nold = 2\n")
    [one] = scanning.scan(ws).owed
    assert (one.finding.kind, one.finding.where) == ("unused_config", "conf.toml:2")


def test_an_ablation_is_evidence_that_the_next_scan_reads(served):
    found, kept = scanning.ablate(served, "tide@champion")
    assert kept.subject == "tide/1"
    assert kept.passed == found.passed
    told = scanning.scan(served)
    assert not any("ablate" in line for line in told.unseen)
    answer = call(served, "evidence.list", subject="tide/1", kind="ablation")
    assert answer[0]["detail"]["rows"] == found.rows
    with pytest.raises(NotFoundError):
        scanning.ablate(served, "tide/9")


# ---------------------------------------------------------------- downstream, and what goes away


def test_who_stands_on_a_feature_is_followed_to_the_callers(served):
    called(served, user_agent="curl/8")
    noticing.declare(served, Consumer(endpoint="tide", name="billing", owner="payments"))
    found = noticing.dependents(served, "feature:tide.a")
    assert [(one.name, one.depth) for one in found.dependents] == [
        ("model:tide", 1),
        ("endpoint:tide", 2),
        ("loop:tide", 2),
        ("caller:no key, curl", 3),
        ("consumer:billing", 3),
    ]
    assert found.dependents[4].how == "declared, owned by payments"
    answer = call(served, "dependents.get", subject="endpoint:tide")
    assert {one["name"] for one in answer["dependents"]} == {
        "loop:tide",
        "caller:no key, curl",
        "consumer:billing",
    }
    for subject in ("feature:tide.none", "model:none", "dataset:none", "endpoint:none"):
        with pytest.raises(NotFoundError):
            noticing.dependents(served, subject)


def test_what_goes_away_is_told_to_consumers_over_channels_and_webhooks_and_can_be_undone(served):
    hook = notices.Webhook(
        id="hook_1",
        name="x",
        url="https://example.com/in",
        events=["deprecation.announced", "deprecation.withdrawn"],
        created=0.0,
        changed=0.0,
    )

    def prepare(tx):
        channels.add(tx, Channel(name="ops", kind="log"), None, 0.0)
        channels.add(tx, Channel(name="other", kind="log", endpoints=["far"]), None, 0.0)
        channels.add(tx, Channel(name="pay", kind="log", endpoints=["far"]), None, 0.0)
        notices.create(tx, hook, None)

    served.write(Permission.ADMIN, prepare)
    one = Consumer(endpoint="tide", name="billing", owner="payments", channel="pay")
    noticing.declare(served, one)
    until = served.clock.now() + 60 * DAY_S
    told = noticing.deprecate(served, "model:tide", until, "A better one is there.")
    assert (told.consumers, told.channels) == (["tide: billing"], ["ops", "pay"])
    assert "endpoint:tide" in told.dependents

    def look(tx):
        return paging.listed(tx), notices.waiting(tx)

    [page], [notice] = served.read(Permission.READ, look)
    assert page.message.event == "NOTICE"
    assert "Consumer billing of tide, owned by payments." in page.message.lines
    assert [each.channel for each in page.deliveries] == ["ops", "pay"]
    assert (notice.event, notice.data["consumers"]) == ("deprecation.announced", ["billing"])
    board = call(served, "endpoints.get", name="tide")
    assert board["routing"]["deprecation"]["subject"] == "model:tide"
    assert "deprecated_input" in kinds(scanning.scan(served))

    back = call(served, "deprecations.withdraw", subject="model:tide")
    assert back["channels"] == ["ops", "pay"]
    assert call(served, "endpoints.get", name="tide")["routing"]["deprecation"] is None
    assert "deprecated_input" not in kinds(scanning.scan(served))


def test_only_what_is_there_can_go_away_and_only_in_time_to_come(served):
    later = served.clock.now() + DAY_S
    for subject, until, error in (
        ("endpoint:none", later, NotFoundError),
        ("tide/9", later, NotFoundError),
        ("tide/x", later, BadInputError),
        ("loop:tide", later, BadInputError),
        ("endpoint:tide", 1.0, BadInputError),
    ):
        with pytest.raises(error):
            noticing.deprecate(served, subject, until, "r")
    with pytest.raises(NotFoundError):
        noticing.deprecate(served, "endpoint:tide", later, "r", use="endpoint:none")
    with pytest.raises(NotFoundError):
        noticing.take_back(served, "endpoint:tide")
    noticing.deprecate(served, "tide/2", later, "r")
    assert [one.subject for one in noticing.deprecated(served)] == ["tide/2"]


def test_an_endpoint_that_is_removed_takes_its_consumers_along(served):
    acts.create_endpoint(served, "second", "tide")
    noticing.declare(served, Consumer(endpoint="second", name="billing", owner="payments"))
    with pytest.raises(NotFoundError):
        noticing.declare(served, Consumer(endpoint="none", name="billing", owner="payments"))
    acts.remove_endpoint(served, "second")
    assert served.read(Permission.READ, consumers.every) == []
    with pytest.raises((NotFoundError, ConflictError)):
        noticing.seen(served, "second")
