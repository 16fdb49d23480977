"""Versions that clients registered: judged, trusted and guarded from the command line."""

import contextlib
import pickle
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression

import mainspring as ms
from mainspring.ground.permissions import Permission
from mainspring.ground.settings import load
from mainspring.readiness import facts, registry
from mainspring.workspace import registering
from mainspring.workspace.opening import open_workspace

MLMODEL = """flavors:
  sklearn:
    pickled_model: model.pkl
    serialization_format: pickle
"""


class Trap:
    """Unpickling it writes a file: what loading a stranger's pickle can do."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return (Path.touch, (Path(self.mark),))


@pytest.fixture
def rows(tmp_path: Path) -> pl.DataFrame:
    a, b = np.random.default_rng(0).normal(size=(2, 200))
    found = pl.DataFrame({"a": a, "b": b, "y": np.where(a + b > 0, "yes", "no")})
    found.write_csv(tmp_path / "rows.csv")
    return found


def test_a_scan_finds_a_hostile_pickle_and_runs_nothing_of_it(say, tmp_path) -> None:
    register(pickle.dumps(Trap(tmp_path / "touched")))
    said = say("scan", "tide/1", "--json")
    assert said.code == 1
    assert said.json["passed"] is False
    assert "nobody answers for it" in said.json["found"]
    assert "model.pkl: unpickling it would import" in said.json["found"]
    assert not (tmp_path / "touched").exists()
    shown = say("scan", "tide/1")
    assert (shown.code, "unknown  model.pkl" in shown.out) == (1, True)
    kept = say("evidence", "tide/1", "--kind", "scan", "--json").json
    assert len(kept) == 2
    refused = say("judge", "tide/1", "--rows", "nothing.csv", "--target", "y")
    assert refused.code == 2


def register(data: bytes) -> None:
    """Register a version of pickled bytes in the home of this folder, as a client would."""
    with contextlib.closing(open_workspace(load({}))) as ws:
        files = {"MLmodel": ws.objects.put(MLMODEL.encode()), "model.pkl": ws.objects.put(data)}
        if ws.read(Permission.READ, lambda tx: facts.find(tx, "tide")) is None:
            ws.write(Permission.REGISTER, lambda tx: facts.create(tx, "tide", 1.0))
        version = registering.version_of_files(ws, "tide", files, "runs:/r/model")
        ws.write(Permission.REGISTER, lambda tx: registry.register(tx, version))


def test_a_version_is_trusted_judged_promoted_and_its_aliases_guarded(say, rows) -> None:
    estimator = LogisticRegression().fit(rows.select("a", "b").to_pandas(), rows["y"].to_list())
    register(pickle.dumps(estimator))
    assert "known once it is judged" in say("models", "tide/1").out
    asked = ("judge", "tide/1", "--rows", "rows.csv", "--target", "y")
    refused = say(*asked)
    assert (refused.code, "is pickled" in refused.err) == (1, True)
    assert say("promote", "tide/1", "--reason", "Now.").code == 1
    assert say("models", "trust", "tide/1", "--reason", "We wrote it.").code == 0
    short = say(*asked, "--at-least", "auc=1.1", "--json")
    assert (short.code, short.json["passed"]) == (1, False)
    passed = say(*asked, "--at-least", "auc=0.9", "--purpose", "a", "--owner", "b",
                 "--limitations", "c")  # fmt: skip
    assert (passed.code, "The gate passed" in passed.out) == (0, True)
    assert say("promote", "tide/1", "--reason", "Now.").code == 0
    [trusted] = [d for d in say("decisions", "--json").json["decisions"] if d["kind"] == "trust"]
    assert (trusted["subject"], trusted["reason"]) == ("tide/1", "We wrote it.")
    guarded = say("models", "guard", "tide", "--aliases", "champion,production", "--json").json
    assert guarded["aliases"] == ["champion", "production"]
    assert say("models", "tide", "--json").json["guarded"] == ["champion", "production"]


def test_a_pickle_that_nobody_trusts_is_never_loaded(say, rows, tmp_path: Path) -> None:
    mark = tmp_path / "loaded"
    register(pickle.dumps(Trap(str(mark))))
    found = say("judge", "tide/1", "--rows", "rows.csv", "--target", "y")
    assert (found.code, "is pickled" in found.err) == (1, True)
    assert not mark.exists()
    # Trust is of these bytes alone: another version with other bytes is not trusted with them.
    say("models", "trust", "tide/1", "--reason", "A test.")
    register(pickle.dumps([Trap(str(mark))]))
    assert say("judge", "tide/2", "--rows", "rows.csv", "--target", "y").code == 1
    assert not mark.exists()


def test_a_model_that_a_run_kept_is_registered_judged_and_promoted(say, rows) -> None:
    estimator = LogisticRegression().fit(rows.select("a", "b").to_pandas(), rows["y"].to_list())
    with ms.run("tides") as run:
        kept = run.log_model(estimator, "tide", example=rows, target="y")
    assert "logged no model" in say("models", "register", f"{run.id}/none", "tide").err
    assert "tide/1 is registered" in say("models", "register", "last/tide", "tide").out
    assert "tide/2 is registered" in say("models", "register", kept.id, "tide").out
    assert "The gate passed" in say("judge", "tide/1", "--rows", "rows.csv", "--target", "y").out
    asked = ("judge", "tide/1", "--rows", "rows.csv", "--target", "y")
    refused = say(*asked, "--slice", "a > 0", "--worst-slice", "0.0001", "--json")
    assert refused.code == 1
    failed = [one["name"] for one in refused.json["gate"]["checks"] if not one["passed"]]
    assert failed == ["slices"]
    misspelt = say("load-test", "tide/1", "--limit", "max_p9_ms=20")
    assert (misspelt.code, "Did you mean 'max_p9" in misspelt.err) == (2, True)
    few = ("--requests", "10", "--rounds", "1", "--limit", "max_cold_start_s=1e-6", "--json")
    slow = say("load-test", "tide/1", *few)
    assert (slow.code, slow.json["passed"], slow.json["automatic"]) == (1, False, False)
    assert slow.json["id"] in say("evidence", "tide/1", "--kind", "load", "--json").out
    assert say("judge", "tide/1", "--rows", "rows.csv", "--target", "y", "--better").code == 0
    assert say("promote", "tide/1", "--reason", "Now.").code == 0
    with contextlib.closing(open_workspace(load({}))) as ws:
        version = ws.read(Permission.READ, lambda tx: registry.get(tx, "tide", 1))
    assert (version.run, version.logged) == (run.id, kept.id)


def test_how_an_endpoint_is_served_is_shown_and_changed(say, rows) -> None:
    estimator = LogisticRegression().fit(rows.select("a", "b").to_pandas(), rows["y"].to_list())
    with ms.run("tides") as run:
        run.log_model(estimator, "tide", example=rows, target="y")
    assert say("models", "register", "last/tide", "tide").code == 0
    assert say("judge", "tide/1", "--rows", "rows.csv", "--target", "y").code == 0
    assert say("promote", "tide/1", "--reason", "Now.").code == 0
    assert say("serve", "tide", "--workers", "0..3").code == 0
    wrong = say("serve", "tide", "--workers", "many")
    assert (wrong.code, "found 'many'" in wrong.err) == (2, True)
    changed = say("endpoint", "set", "tide", "--idle", "5m", "--in-flight", "4", "--json").json
    assert changed["scaling"]["fewest"] == 0
    assert changed["scaling"]["most"] == 3
    assert changed["scaling"]["idle_s"] == 300.0
    shown = say("endpoint", "show", "tide").out
    assert "0..3" in shown
    assert "serves tide/1" in shown
    refused = say("endpoint", "set", "tide", "--capture-share", "2")
    assert (refused.code, "capture_share must be 0 to 1" in refused.err) == (2, True)
    audited = say("audit", "list", "--json").json
    assert "endpoint.configure" in {line["action"] for line in audited}
