"""Versions on the same rows: paired differences, honest about what was learnt from."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression

from mainspring.numerics import intervals
from mainspring.scaling.models import load, package
from mainspring.scaling.models.model import Model
from mainspring.workspace.changes import report, telling
from mainspring.workspace.opening import Workspace

DRAW = np.random.default_rng(4)
A = DRAW.normal(size=600)
ROWS = pl.DataFrame({"a": A, "b": DRAW.normal(size=600)}).with_columns(
    y=pl.Series((A + DRAW.normal(size=600) > 0).astype(int)), v=pl.Series(3 * A)
)


def kept(ws: Workspace, columns: list[str], **more: Any) -> str:
    model = Model(LogisticRegression(), "y", "binary", columns=columns)
    return package.write(model.fit(ROWS.head(400), holdout=ROWS.tail(200), **more), ws.objects)


def other(ws: Workspace, digest: str, *, known: bool = True) -> telling.Other:
    return telling.Other(
        served=load.load(digest, ws.objects),
        held=telling.held(digest, ws.objects) if known else None,
    )


def test_differences_are_paired_on_the_rows_that_were_held_out(ws: Workspace) -> None:
    good, bad = kept(ws, ["a", "b"]), kept(ws, ["b"])
    own = telling.held(good, ws.objects)
    assert own is not None
    assert own.apart
    assert own.truth.size == 200
    signature = package.signature(good, ws.objects)
    found, why = telling.scored("new", own, signature, {"old": other(ws, bad, known=False)})
    assert why == {}
    told = {one.metric: one for one in telling.lines_of(found)}
    assert set(told) == {"loss", "accuracy", "auc"}
    losses = {n: (given[:, 0] - own.truth) ** 2 for n, given in found.scores.items()}
    by_hand = intervals.paired_difference(losses["new"], losses["old"])
    assert told["loss"].differences["old"] == by_hand
    assert by_hand.high < 0
    text = "\n".join(telling.metrics(found))
    assert "| loss |" in text
    assert "certain" in text
    assert "xychart-beta" in "\n".join(telling.picture(found))


def test_one_that_knows_the_same_rows_is_taken_at_its_word(ws: Workspace) -> None:
    digest = kept(ws, ["a"])
    own = telling.held(digest, ws.objects)
    assert own is not None
    twin = other(ws, digest)
    marked = telling.Held(rows=own.rows, truth=own.truth, scores=own.scores / 2, apart=True)
    twin = telling.Other(served=twin.served, held=marked)
    signature = package.signature(digest, ws.objects)
    found, _ = telling.scored("new", own, signature, {"old": twin})
    assert np.array_equal(found.scores["old"], own.scores / 2)
    same, _ = telling.scored("new", own, signature, {"old": other(ws, digest)})
    assert " none |" in "\n".join(telling.metrics(same))


def test_what_cannot_be_compared_says_why(ws: Workspace) -> None:
    digest = kept(ws, ["a"])
    own = telling.held(digest, ws.objects)
    value = package.write(
        Model(LinearRegression(), "v", columns=["b"]).fit(ROWS.head(100)), ws.objects
    )
    others = {"wide": other(ws, kept(ws, ["a", "b"]), known=False), "v": other(ws, value)}
    assert own is not None
    signature = package.signature(digest, ws.objects)
    found, why = telling.scored("new", own, signature, others)
    assert list(found.scores) == ["new"]
    assert why == {"wide": "the rows lack b", "v": "it answers another question"}
    held = telling.held(value, ws.objects)
    assert held is not None
    assert not held.apart, "it was measured on the rows it learnt from"


def test_regressions_have_an_error_in_their_unit(ws: Workspace) -> None:
    model = Model(LinearRegression(), "v", columns=["a"])
    digest = package.write(model.fit(ROWS.head(300), holdout=ROWS.tail(50)), ws.objects)
    own = telling.held(digest, ws.objects)
    assert own is not None
    found, _ = telling.scored("new", own, package.signature(digest, ws.objects), {})
    told = {one.metric: one.figures["new"] for one in telling.lines_of(found)}
    assert told["absolute error"].estimate == pytest.approx(0.0, abs=1e-5)


def test_a_servers_champion_is_scored_from_its_artifact(served: Workspace) -> None:
    from mainspring.web.api import call

    data = call(served, "images.artifact", reference="tide/1")
    with report._champions(served, "tide", lambda _: ("tide/1", data)) as found:
        assert found is not None
        assert found[0] == "tide/1"
        assert found[1].held is None
        assert found[1].served.score({"a": [1.0], "b": [0.0]}).shape == (1, 1)
    with report._champions(served, "tide", lambda _: None) as found:
        assert found is not None
        assert found[0] == "tide/1"
    with report._champions(served, "nobody", lambda _: None) as found:
        assert found is None
