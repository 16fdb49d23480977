"""What a loop watches is reported before anything serves; what its gate bounds is judged."""

from __future__ import annotations

import dataclasses

import msgspec
from judged import House, world

from mainspring.ground.objects import Facet, Finding, MonitorPolicy
from mainspring.ground.permissions import Permission
from mainspring.readiness import registry
from mainspring.scaling.models import load, package
from mainspring.workspace.measuring import bias
from mainspring.workspace.measuring.subject import Candidate

SEX = Facet(column="sex", disadvantaged=["f"])


def _candidate(house: House) -> Candidate:
    number = house.register(world(900, 1), columns=["a", "b", "sex"])
    version = house.ws.read(Permission.READ, lambda tx: registry.get(tx, "tide", number))
    digest, objects = version.package, house.ws.objects
    return Candidate(
        digest=digest,
        served=load.load(digest, objects),
        baseline=package.profile(digest, objects),
        reference=package.reference(digest, objects),
        example=package.example(digest, objects),
        objects=objects,
    )


def test_a_watched_facet_is_in_the_report_and_in_no_verdict(house: House) -> None:
    candidate = _candidate(house)
    found = bias.measure(candidate, [], [SEX], MonitorPolicy())
    assert found is not None
    assert found.comparisons == []
    report = msgspec.json.decode(candidate.objects.get(found.report), type=list[Finding])
    assert {"sex = f", "sex = f/DPPL", "sex = f/DI"} <= {one.subject for one in report}


def test_a_facet_that_is_bounded_and_watched_is_measured_once(house: House) -> None:
    candidate = _candidate(house)
    both = bias.measure(candidate, [SEX], [SEX], MonitorPolicy())
    one = bias.measure(candidate, [SEX], [], MonitorPolicy())
    assert both == one
    assert one is not None
    assert [each.subject for each in one.comparisons] == ["sex = f"]


def test_without_a_facet_nothing_is_measured_and_without_rows_it_says_why(house: House) -> None:
    candidate = _candidate(house)
    assert bias.measure(candidate, [], [], MonitorPolicy()) is None
    blind = dataclasses.replace(candidate, reference=None)
    found = bias.measure(blind, [SEX], [], MonitorPolicy())
    assert found is not None
    assert found.why == "the version keeps no rows that it was measured on"
