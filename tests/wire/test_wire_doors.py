"""Every door refuses a guarded alias to a version without a passed and fresh gate.

One table of doors, one table of what is wrong with a version; each is tried with each.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import sqlalchemy as sa

from mainspring.cli.start import main
from mainspring.engine import reactor, tables
from mainspring.ground import messages as m
from mainspring.ground.errors import MainspringError
from mainspring.ground.gates import Gate
from mainspring.ground.identity import canonical
from mainspring.ground.loops import Phase, but
from mainspring.ground.objects import DAY_S, CheckResult, LoopSpec
from mainspring.ground.permissions import Permission, service
from mainspring.ground.ports import Tx
from mainspring.readiness import decisions, gate, registry, removal
from mainspring.workspace import acts, tokens
from mainspring.workspace.handlers import traffic
from mainspring.workspace.opening import Workspace

STAGES = pytest.mark.filterwarnings("ignore:.*deprecated since 2.9.0:FutureWarning")
SPEC = LoopSpec(
    name="flights",
    model="flights",
    pipeline="project:train",
    endpoint="flights",
    target="delayed",
    kind="binary",
)
#: What is wrong -> the version that has it.
WRONG = {"refused": 3, "never judged": 4, "stale": 5, "waits for approval": 6, "overridden": 7}


def engine(ws: Workspace, work: Callable[[Tx], Any]) -> Any:
    return ws.store.write(service("engine"), Permission.WORK, work)


@pytest.fixture
def doors(house: Workspace, versions: None) -> Workspace:
    """Version 1 is champion; 5 is stale, 6 waits for an approval, 7 has an override."""
    now = house.clock.now()

    def judged(number: int, *failed: str, made: float = now) -> Any:
        checks = [
            CheckResult(name=name, passed=name not in failed, found="-", wanted="-")
            for name in ("auc", "approval")
        ]
        result = gate.result("flights", number, checks, 1.0, "engine", policy=Gate(approval=True))
        return msgspec.structs.replace(result, made=made)

    def work(tx: Tx) -> None:
        first = registry.get(tx, "flights", 1)
        for _ in range(3):
            registry.register(tx, msgspec.structs.replace(first, command=None))
        gate.store_result(tx, judged(5, made=now - 31 * DAY_S))
        gate.store_result(tx, judged(6, "approval"))
        gate.store_result(tx, judged(7, "auc"))
        registry.promote(tx, "flights", 1, reason="First.", at=now)

    engine(house, work)
    acts.declare(house, SPEC)
    removal_guard = ["champion", "production"]
    house.write(Permission.PROMOTE, lambda tx: removal.guard(tx, "flights", removal_guard, now))
    house.write(
        Permission.PROMOTE, lambda tx: decisions.override(tx, "flights", 7, "Try.", at=now)
    )
    return house


def by_registry(ws: Workspace, number: int, **_: Any) -> None:
    engine(ws, lambda tx: registry.promote(tx, "flights", number, "Door.", at=1.0))


def by_alias(ws: Workspace, number: int, **_: Any) -> None:
    engine(ws, lambda tx: registry.set_alias(tx, "flights", "production", number, "Door.", at=1.0))


def by_sql(ws: Workspace, number: int, **_: Any) -> None:
    text = "UPDATE aliases SET number = :n, moved = :now WHERE alias = 'champion'"
    asked = sa.text(text).bindparams(n=number, now=ws.clock.now())
    engine(ws, lambda tx: tx.run(asked))


def by_stage_in_sql(ws: Workspace, number: int, **_: Any) -> None:
    text = (
        "INSERT INTO version_facts (model, number, description, stage, changed, staged)"
        " VALUES ('flights', :n, '', 'Production', :now, :now)"
    )
    asked = sa.text(text).bindparams(n=number, now=ws.clock.now())
    engine(ws, lambda tx: tx.run(asked))


def by_python(ws: Workspace, number: int, **_: Any) -> None:
    acts.promote(ws, "flights", number, "Door.")


def by_roll_back(ws: Workspace, number: int, **_: Any) -> None:
    acts.roll_back(ws, "flights", "Door.", to=number)


def by_http(ws: Workspace, number: int, url: str, **_: Any) -> None:
    answer = httpx.post(
        f"{url}/api/v1/models/flights/versions/{number}/promote",
        json={"reason": "Door."},
        trust_env=False,
        timeout=60,
    )
    assert answer.status_code == 409, answer.text
    assert answer.json()["error"] == "GATE_REFUSED"
    raise MainspringError(answer.json()["message"])


def by_command(ws: Workspace, number: int, **_: Any) -> None:
    code = main(["promote", f"flights/{number}", "--reason", "Door.", "--home", str(ws.home)])
    assert code == 1
    raise MainspringError("passed gate stale")


def by_mlflow_alias(ws: Workspace, number: int, client: Any, **_: Any) -> None:
    client.set_registered_model_alias("flights", "champion", str(number))


def by_mlflow_guarded_alias(ws: Workspace, number: int, client: Any, **_: Any) -> None:
    client.set_registered_model_alias("flights", "Production", str(number))


def by_mlflow_stage(ws: Workspace, number: int, client: Any, **_: Any) -> None:
    client.transition_model_version_stage("flights", str(number), "production")


def by_loop(ws: Workspace, number: int, **_: Any) -> None:
    """The loop's own command, come too late or from a bug."""
    command = m.Promote(
        id="flights-9", loop="flights", at=1.0, reason="Door.", version=number, over=1
    )
    engine(ws, lambda tx: _await(tx, command.id, number))
    engine(ws, lambda tx: traffic._promote(tx, SPEC, command, 1))


DOORS = (
    by_registry,
    by_alias,
    by_sql,
    by_stage_in_sql,
    by_python,
    by_roll_back,
    by_http,
    by_command,
    by_mlflow_alias,
    by_mlflow_guarded_alias,
    by_mlflow_stage,
    by_loop,
)


def _await(tx: Tx, command: str, number: int) -> None:
    tx.run(sa.update(tables.events).values(handled=1.0))
    known = reactor.view(tx, "flights")
    known = but(known, phase=Phase.PROMOTING, command=command, candidate=number, champion=1)
    tx.run(sa.update(tables.views).values(view=canonical(known).decode()))


@STAGES
@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.__name__)
def test_a_door_refuses_whatever_is_wrong(
    doors: Workspace, url: str, client: Any, door: Callable[..., None]
) -> None:
    from mlflow.exceptions import RestException

    for number in WRONG.values():
        with pytest.raises((MainspringError, RestException), match=r"gate|stale"):
            door(doors, number, url=url, client=client)
    named = doors.read(Permission.READ, lambda tx: registry.aliases_of(tx, "flights"))
    assert named == {"champion": 1}


@pytest.mark.parametrize("wrong", [name for name in WRONG if name != "overridden"])
def test_a_rollout_is_a_door_too(doors: Workspace, wrong: str) -> None:
    number = WRONG[wrong]
    command = m.StartRollout(
        id="flights-9", loop="flights", at=1.0, reason="Door.", version=number, over=1
    )
    engine(doors, lambda tx: _await(tx, command.id, number))
    with pytest.raises(MainspringError, match=f"flights/{number} cannot meet traffic"):
        engine(doors, lambda tx: traffic._start(tx, SPEC, command))
    assert acts.running_rollout(doors, "flights") is None


def test_an_override_opens_the_rollout_and_nothing_beyond_it(doors: Workspace) -> None:
    number = WRONG["overridden"]
    command = m.StartRollout(
        id="flights-9", loop="flights", at=1.0, reason="Door.", version=number, over=1
    )
    engine(doors, lambda tx: _await(tx, command.id, number))
    engine(doors, lambda tx: traffic._start(tx, SPEC, command))
    running = acts.running_rollout(doors, "flights")
    assert running is not None
    assert running.challenger == number
    with pytest.raises(MainspringError, match="cannot become champion"):
        by_loop(doors, number)


@pytest.mark.parametrize("role", ["viewer", "contributor"])
def test_an_override_and_an_approval_need_the_role_over_http(
    doors: Workspace, url: str, role: str
) -> None:
    made = doors.write(Permission.ADMIN, lambda tx: _token(tx, "low", role))
    for act in ("override", "approve", "promote"):
        answer = httpx.post(
            f"{url}/api/v1/models/flights/versions/5/{act}",
            json={"reason": "Door."},
            headers={"authorization": f"Bearer {made}"},
            trust_env=False,
            timeout=60,
        )
        assert answer.status_code == 403, (act, answer.text)


def test_two_tokens_make_four_eyes_over_http(doors: Workspace, url: str) -> None:
    """Anna registers flights/8 by her token; she cannot approve it, and Ben can."""
    anna = doors.write(Permission.ADMIN, lambda tx: _token(tx, "anna", "approver"))
    ben = doors.write(Permission.ADMIN, lambda tx: _token(tx, "ben", "approver"))

    def work(tx: Tx) -> None:
        first = registry.get(tx, "flights", 1)
        mine = msgspec.structs.replace(first, by="anna", command=None)
        number = registry.register(tx, mine).number
        check = CheckResult(name="approval", passed=False, found="not asked yet", wanted="-")
        result = gate.result("flights", number, [check], 1.0, "engine", policy=Gate(approval=True))
        gate.store_result(tx, result)

    engine(doors, work)

    def ask(token: str, act: str) -> httpx.Response:
        return httpx.post(
            f"{url}/api/v1/models/flights/versions/8/{act}",
            json={"reason": "The slices are fine."},
            headers={"authorization": f"Bearer {token}"},
            trust_env=False,
            timeout=60,
        )

    refused = ask(anna, "approve")
    assert refused.status_code == 403
    assert "anna cannot approve flights/8: anna is its author" in refused.json()["message"]
    assert ask(anna, "promote").status_code == 409
    approved = ask(ben, "approve")
    assert approved.status_code == 200
    assert approved.json()["standing"] == "passed"
    assert approved.json()["evidence"]["by"] == "ben"
    assert ask(anna, "promote").status_code == 200


def test_what_an_override_did_is_shown_wherever_the_version_is(
    doors: Workspace, url: str, client: Any, capfd: Any, tmp_path: Path
) -> None:
    number = WRONG["overridden"]
    with httpx.Client(base_url=url, trust_env=False, timeout=60) as web:
        model = web.get("/api/v1/models/flights").json()
        version = web.get(f"/api/v1/models/flights/versions/{number}").json()
        ready = web.get(f"/api/v1/models/flights/versions/{number}/readiness").json()
        told = web.get(f"/api/v1/models/flights/versions/{number}/comment").json()["markdown"]
    assert "OVERRIDDEN" in model["standings"][str(number)]
    assert "OVERRIDDEN" in version["standing"]
    assert ready["overrides"] == ["owner let it into a canary: Try."]
    assert "override" in told
    tags = client.get_model_version("flights", str(number)).tags
    assert "mainspring.override" in tags
    with contextlib.suppress(SystemExit):
        main(["models", f"flights/{number}", "--home", str(doors.home)])
        main(["readiness", f"flights/{number}", "--url", url])
    out = capfd.readouterr().out
    page = f"{url}/models/flights?version={number}#v{number}"
    assert page in out, "with a server, links to its pages"
    assert "OVERRIDE" in out
    assert "owner let it into a canary: Try." in out
    audited = doors.read(Permission.READ, lambda tx: decisions.overrides_of(tx, "flights", number))
    assert [one.by for one in audited] == ["owner"]


def _token(tx: Tx, name: str, role: str) -> str:
    return tokens.create(tx, name, role, now=tx.now(), ttl_s=None)
