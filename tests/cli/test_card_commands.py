"""Cards said, shown and checked from the command line."""

import contextlib
import json

from mainspring.ground.objects import Column, Signature, Version
from mainspring.ground.permissions import Permission
from mainspring.ground.settings import load
from mainspring.readiness import registry
from mainspring.workspace import registering
from mainspring.workspace.opening import open_workspace


def _registered() -> None:
    with contextlib.closing(open_workspace(load({}))) as ws:
        digest = registering.keep_files(ws, {})
        signature = Signature(
            columns=[Column(name="a", type="float")], kind="binary", target="y", classes=["n", "y"]
        )
        version = Version(
            model="tide",
            number=0,
            run=None,
            package=digest,
            signature=signature,
            card=None,
            metrics={"auc": 0.7},
            created=0.0,
            by="anna",
        )
        ws.write(Permission.REGISTER, lambda tx: registry.register(tx, version))


def test_a_card_is_said_checked_and_written_to_files(say, tmp_path) -> None:
    _registered()
    empty = say("card", "check", "tide/1")
    assert (empty.code, "missing: purpose" in empty.out) == (1, True)
    said = say(
        *("card", "set", "tide/1", "--purpose", "Tell the tide.", "--owner", "coast"),
        *("--limitations", "This bay.", "--assume", "The gauge | stays | coast | 2020-05-01"),
    )
    assert (said.code, "says anew: purpose, owner" in said.out) == (0, True)
    late = say("card", "check", "tide/1", "--json")
    assert late.code == 1
    assert late.json["missing"] == []
    assert late.json["overdue"][0]["text"] == "The gauge | stays"
    say("card", "set", "tide/1", "--assume", "The gauge stays|coast|2120-05-01")
    done = say("card", "check", "tide/1")
    assert (done.code, "complete" in done.out) == (0, True)
    asked = say("card", "check", "tide/1", "--require", "ethics")
    assert (asked.code, "missing: ethics" in asked.out) == (1, True)
    assert "## Purpose\n\nTell the tide." in say("card", "show", "tide/1").out
    written = say("card", "show", "tide/1", "--form", "sagemaker", "--out", "card.json")
    assert "Written to" in written.out
    found = json.loads((tmp_path / "card.json").read_text())
    assert found["model_overview"]["model_name"] == "tide"
    listed = say("card", "history", "tide/1")
    assert "purpose, owner, limitations, assumptions" in listed.out
    assert len(say("card", "history", "tide/1", "--json").json) == 2


def test_what_is_wrong_with_what_was_said_is_told_and_nothing_is_changed(say) -> None:
    _registered()
    for words, told in (
        (("set", "tide/1"), "Nothing was said"),
        (("set", "tide/1", "--assume", "It holds."), "TEXT | OWNER | YYYY-MM-DD"),
        (("set", "tide/1", "--assume", "It holds. | me | soon"), "YYYY-MM-DD"),
        (("set", "tide/1", "--risk", "huge"), "risk"),
        (("show", "tide/1", "--form", "pdf"), "no form 'pdf'"),
        (("check", "tide/1", "--require", "etics"), "cannot require 'etics'"),
    ):
        refused = say("card", *words)
        assert (refused.code, told in refused.err) == (2, True), refused.err
    assert say("card", "history", "tide/1", "--json").json == []
