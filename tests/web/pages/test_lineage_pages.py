"""A lineage is drawn in columns, folded where it is wide; what cannot be asked is told."""

from __future__ import annotations

import csv
import xml.etree.ElementTree as ET
from types import ModuleType

import httpx
import msgspec
import pytest

from mainspring.web.pages import kin, lineage
from mainspring.web.pages.lineage import page_of
from mainspring.workspace.lineage.shapes import Leads, Lineage, Thing
from mainspring.workspace.lineage.touched import touched
from mainspring.workspace.opening import Workspace


def thing(ref: str, depth: int) -> Thing:
    kind, _, label = ref.partition(":")
    return Thing(ref=ref, kind=kind, label=label, depth=depth)


def wide(count: int) -> Lineage:
    several = [thing(f"run:{n}", 1) for n in range(count)]
    leads = [Leads(up="dataset:d", down=one.ref, how="read by") for one in several]
    leads += [Leads(up=one.ref, down="version:m/1", how="registered as") for one in several]
    things = [thing("dataset:d", 0), *several, thing("version:m/1", 2)]
    return Lineage(subject="dataset:d", things=things, leads=leads)


def link(one: Thing) -> str:
    return lineage.link(one.ref)


@pytest.mark.parametrize(
    ("count", "hidden"), [(10, 0), (22, 0), (23, 23 - kin.ALIKE), (5000, 5000 - kin.ALIKE)]
)
def test_little_is_drawn_whole_and_of_many_alike_some_stay_beside_one_folded_box(
    count: int, hidden: int
) -> None:
    found = wide(count)
    drawn = kin.fold(found)
    assert drawn.hidden == hidden
    refs = {one.ref for one in drawn.things}
    assert {end for one in drawn.leads for end in (one.up, one.down)} <= refs
    root = ET.fromstring(kin.picture(found.subject, drawn, link))
    boxes = root.findall(".//{*}rect")
    assert len(boxes) == len(drawn.things) == len(root.findall(".//{*}a"))
    spots = {(box.get("x"), box.get("y")) for box in boxes}
    assert len(spots) == len(boxes)
    assert len({x for x, _ in spots}) == 3  # one column for each distance


def test_what_is_looked_for_is_ill_or_leads_on_is_not_folded() -> None:
    found = wide(400)
    more = thing("version:m/2", 2)
    ill = msgspec.structs.replace(found.things[300], state="failed")
    things = [ill if one.ref == ill.ref else one for one in found.things]
    leads = [*found.leads, Leads(up="run:350", down=more.ref, how="registered as")]
    found = msgspec.structs.replace(found, things=[*things, more], leads=leads)
    refs = {one.ref for one in kin.fold(found, found_refs={"run:399"}).things}
    assert {"run:299", "run:350", "run:399", more.ref} <= refs
    opened = kin.fold(found, opened=["1:run"])
    assert opened.hidden == 400 - kin.AT_ONCE
    assert [one.whole for one in opened.folds] == [False]


def test_columns_are_put_so_that_lines_do_not_cross_where_they_need_not() -> None:
    """Three chains that were told in the opposite order on each level."""
    things = [thing("run:s", 0)]
    things += [thing(f"step:{n}", 1) for n in range(3)]
    things += [thing(f"version:{n}", 2) for n in (2, 1, 0)]
    leads = [Leads(up="run:s", down=f"step:{n}", how="step") for n in range(3)]
    leads += [Leads(up=f"step:{n}", down=f"version:{n}", how="gave") for n in range(3)]
    order = [[one.label for one in column] for column in kin.columns(things, leads)]
    assert order[1] == order[2]


def test_what_an_id_holds_cannot_break_the_picture() -> None:
    hostile = Lineage(subject='run:"><script>\x01', things=[thing('run:"><script>\x01', 0)],
                      leads=[])  # fmt: skip
    drawn = kin.picture(hostile.subject, kin.fold(hostile), link)
    assert "<script>" not in drawn
    assert ET.fromstring(drawn) is not None


def test_what_cannot_be_asked_is_told_on_the_page(told: httpx.Client) -> None:
    assert told.get("/lineage").status_code == 200
    for query, status in (("subject=run:none", 404), ("subject=x", 400), ("direction=left", 400),
                          ("subject=dataset:d@%C2%B2", 404),
                          ("subject=run:x&depth=0", 400), ("subject=run:x&depth=%C2%B2", 400),
                          ("subject=run:x&depth=0006" + "0" * 5000, 400)):  # fmt: skip
        assert told.get(f"/lineage?{query}").status_code == status
    assert told.get("/lineage/predictions").status_code == 200
    assert told.get("/lineage/predictions?subject=run:none").status_code == 404
    assert told.get("/schedules").status_code == 200


@pytest.mark.parametrize(
    ("ref", "page"),
    [
        ("run:a b", "/runs/a%20b"),
        ("step:run_1/fit/2", "/runs/run_1?step=fit%2F2#step"),
        ("artifact:run_1/plots/a.png", "/runs/run_1#artifacts-h"),
        ("dataset:flights@3", "/data/flights?version=3"),
        ("dataset:flights@3f", None),
        ("dataset:flights@1234567890", None),
        ("dataset:flights", None),
        ("version:a/b/7", "/models/a%2Fb?version=7#v7"),
        ("alias:flights@champion", "/models/flights#alias-h"),
        ("window:delays:86400/3", "/endpoints/delays/drift?window=delays%3A86400%2F3"),
        ("prediction:ab-1", "/logs?prediction=ab-1"),
        ("file:/data/x", None),
    ],
)
def test_a_thing_that_has_a_page_is_shown_by_it(ref: str, page: str | None) -> None:
    assert page_of(ref) == page


def test_the_page_the_file_and_the_answer_count_the_same_predictions(
    home: Workspace, site: str, chained: ModuleType
) -> None:
    ids = chained.furnish(home)
    told = touched(home, "dataset:flights@1", most=7)
    assert (told.predictions, told.answered[0].newest) == (7, ids)
    assert [(one.day, one.predictions) for one in told.answered[0].days] == [
        ("2023-11-12", 3), ("2023-11-13", 4),
    ]  # fmt: skip
    headers = {"Accept": "text/html"}
    with httpx.Client(base_url=site, trust_env=False, timeout=60, headers=headers) as web:
        for subject in ("dataset:flights@1", "step:run_a/load", "run:run_a", "delays/1"):
            page = web.get("/lineage/predictions", params={"subject": subject}).text
            assert "<strong>7</strong> captured predictions" in page
            assert all(f"subject=prediction%3A{one}" in page for one in ids)
        short = {"subject": "delays/1", "since": "1h"}
        assert "<strong>2</strong>" in web.get("/lineage/predictions", params=short).text
        file = web.get("/lineage/predictions.csv", params={"subject": "dataset:flights@1"})
        assert file.headers["content-disposition"].startswith("attachment")
        rows = list(csv.DictReader(file.text.splitlines()))
        assert [one["prediction"] for one in rows] == ids
        assert rows[0] == {"endpoint": "arrivals", "version": "delays/1", "prediction": ids[0],
                           "time": "2023-11-13T23:00:00Z"}  # fmt: skip
        wrong = {"subject=run:none": 404, "subject=x": 400, "subject=delays/1&since=soon": 400,
                 "since=7d": 400}  # fmt: skip
        for query, status in wrong.items():
            assert web.get(f"/lineage/predictions.csv?{query}").status_code == status
        none = web.get("/lineage/predictions", params={"subject": "file:/data/flights.parquet"})
        assert none.status_code == 200
