"""A lineage is drawn in columns, folded where it is wide; what cannot be asked is told."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import httpx
import pytest

from mainspring.web.pages import lineage
from mainspring.workspace.lineage.shapes import Leads, Lineage, Thing


def thing(ref: str, depth: int) -> Thing:
    kind, _, label = ref.partition(":")
    return Thing(ref=ref, kind=kind, label=label, depth=depth)


def wide(count: int) -> Lineage:
    several = [thing(f"run:{n}", 1) for n in range(count)]
    leads = [Leads(up="dataset:d", down=one.ref, how="read by") for one in several]
    leads += [Leads(up=one.ref, down="version:m/1", how="registered as") for one in several]
    things = [thing("dataset:d", 0), *several, thing("version:m/1", 2)]
    return Lineage(subject="dataset:d", things=things, leads=leads)


@pytest.mark.parametrize(("count", "folded"), [(10, 0), (198, 0), (199, 194), (5000, 4995)])
def test_two_hundred_things_are_drawn_and_more_are_folded(count: int, folded: int) -> None:
    found = wide(count)
    things, leads, hidden = lineage.fold(found)
    assert hidden == folded
    drawn = {one.ref for one in things}
    assert {end for one in leads for end in (one.up, one.down)} <= drawn
    assert len(drawn) <= 200
    root = ET.fromstring(lineage.picture(found.subject, things, leads))
    boxes = root.findall(".//{*}rect")
    assert len(boxes) == len(things)
    spots = {(box.get("x"), box.get("y")) for box in boxes}
    assert len(spots) == len(boxes)
    left, right = float(boxes[0].get("x") or 0), float(boxes[-1].get("x") or 0)
    assert left < right


def test_what_an_id_holds_cannot_break_the_picture() -> None:
    hostile = Lineage(subject='run:"><script>\x01', things=[thing('run:"><script>\x01', 0)],
                      leads=[])  # fmt: skip
    drawn = lineage.picture(hostile.subject, hostile.things, [])
    assert "<script>" not in drawn
    assert ET.fromstring(drawn) is not None


def test_what_cannot_be_asked_is_told_on_the_page(told: httpx.Client) -> None:
    assert told.get("/lineage").status_code == 200
    for query, status in (("subject=run:none", 404), ("subject=x", 400), ("direction=left", 400),
                          ("subject=run:x&depth=0", 400)):  # fmt: skip
        assert told.get(f"/lineage?{query}").status_code == status
    assert told.get("/schedules").status_code == 200
