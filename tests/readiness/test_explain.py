"""The chain from a champion back to the rows that asked for it, with its gaps named."""

import msgspec

from mainspring.ground.objects import Alarm, Decision, Rollout, Run, RunStatus, Strategy, Window
from mainspring.readiness.explain import Evidence, explain_version
from mainspring.readiness.registry import AliasMove

DAY = 86_400.0


def _moves():
    first = AliasMove(
        model="churn", alias="champion", number=1, previous=None, reason="first", at=0.0, by="loop"
    )
    second = msgspec.structs.replace(first, number=2, previous=1, reason="better", at=9 * DAY)
    return [first, second]


def _whole(new_version, gated):
    version = new_version(
        number=2,
        run="run_7",
        cause="alarm:alarm_1",
        data={"training": "d" * 64},
        code="c" * 64,
        trained_until=6 * DAY,
    )
    return Evidence(
        version=version,
        moves=_moves(),
        decisions=[
            Decision(
                id="d1",
                at=7 * DAY,
                made=0.0,
                kind="retrain",
                subject="loop:main",
                reason="Alarm: performance of loss.",
                by="loop",
            ),
            Decision(
                id="d2",
                at=9 * DAY,
                made=0.0,
                kind="promote",
                subject="version:2",
                reason="Better by 0.02.",
                by="loop",
            ),
        ],
        gate=gated("churn", 2),
        rollout=Rollout(
            id="r1",
            endpoint="churn",
            model="churn",
            champion=1,
            challenger=2,
            strategy=Strategy.CANARY,
            share=0.2,
            state="promoted",
            started=8 * DAY,
            rows=500,
        ),
        alarm=Alarm(
            id="alarm_1",
            endpoint="churn",
            kind="performance",
            subject="loss",
            reason="loss rose from 0.1 to 0.2",
            raised=7 * DAY,
            window="w1",
            outcome="promoted",
        ),
        window=Window(
            id="w1", endpoint="churn", start=0.0, end=7 * DAY, rows=900, version=1, drift=[]
        ),
        run=Run(
            id="run_7",
            experiment="churn",
            name="train",
            status=RunStatus.FINISHED,
            started=7 * DAY,
            ended=7 * DAY + 2.5,
            pipeline="project:train",
            params={"depth": "3"},
        ),
    )


def test_the_chain_runs_from_the_champion_to_the_run_without_a_gap(new_version, gated):
    told = explain_version(_whole(new_version, gated))
    assert told.version == "churn/2"
    assert [link.what for link in told.links] == [
        "version",
        "promotion",
        "decision",
        "decision",
        "rollout",
        "gate",
        "cause",
        "window",
        "data",
        "code",
        "run",
    ]
    assert told.missing == []
    text = "\n".join(told.lines)
    assert "champion since 1970-01-10T00:00:00Z in place of version 1, by loop: better" in text
    assert text.index("Better by 0.02.") < text.index("Alarm: performance")
    assert "canary with 20% of the rows against version 1: promoted after 500" in text
    assert "performance alarm on loss of churn" in text
    assert "900 rows from 1970-01-01T00:00:00Z" in text
    assert "training dddddddddddd; the newest row it learnt from" in text
    assert "pipeline project:train" in text
    assert "in 2.5 s; depth=3" in text


def test_a_former_champion_says_until_when_it_served(new_version, gated):
    whole = _whole(new_version, gated)
    older = msgspec.structs.replace(whole, version=new_version(number=1))
    (link,) = [x for x in explain_version(older).links if x.what == "promotion"]
    assert "until version 2" in link.text
    assert link.detail["serves"] is False


def test_a_link_that_was_not_found_is_named(new_version):
    version = new_version(number=3, run="run_9", cause="alarm:alarm_2")
    told = explain_version(Evidence(version=version))
    assert told.missing == [
        "the gate",
        "run run_9",
        "alarm alarm_2",
        "data digests",
        "the code's digest",
    ]
    assert told.lines[-1].startswith("not found")


def test_an_explanation_is_plain_json(new_version, gated):
    told = explain_version(_whole(new_version, gated))
    back = msgspec.json.decode(msgspec.json.encode(told))
    assert back["version"] == "churn/2"
    assert back["links"][0]["detail"]["package"] == "a" * 64


def test_causes_without_an_alarm_are_told_in_words(new_version):
    told = explain_version(Evidence(version=new_version(number=1, cause="first")))
    assert any("no champion yet" in line for line in told.lines)
