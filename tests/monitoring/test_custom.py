"""Monitors of the project's own: what they say is a finding, and so is what goes wrong in them."""

from __future__ import annotations

import numpy as np
import pytest
from tests.monitoring.sights import people, sight

import mainspring as ms
from mainspring.ground.errors import BadInputError, ProjectError
from mainspring.ground.objects import CustomMonitor, Finding, MonitorPolicy
from mainspring.ground.ports import Outcome
from mainspring.monitoring.custom import custom_on_inputs, custom_on_labels
from mainspring.monitoring.sight import Beside
from mainspring.pipelines.monitors import custom_of, findings_of

OF_ROWS = CustomMonitor(target="project:nights", code="abc")
OF_LABELS = CustomMonitor(target="project:losses", on="labels")


def nights(rows):
    return 1.0


def losses(labelled):
    return 1.0


@ms.monitor(timeout="5s")
def patient(rows):
    return 1.0


def look(answer, *, labelled=False, custom=(OF_ROWS, OF_LABELS)):
    asked = []

    def run(one, rows):
        asked.append((one.target, rows.height))
        return answer

    seen = sight(
        people(40, 1),
        labelled=labelled,
        policy=MonitorPolicy(custom=list(custom)),
        beside=Beside(custom=run),
    )
    found = custom_on_labels(seen) if labelled else custom_on_inputs(seen)
    return found, asked


def said(*found: Finding, code="abc"):
    import msgspec

    return Outcome(ok=True, value={"found": msgspec.to_builtins(list(found)), "code": code})


def test_each_runs_on_the_rows_it_asks_for():
    one = Finding(monitor="custom", subject="nights", value=0.2)
    found, asked = look(said(one))
    assert asked == [("project:nights", 40)]
    assert (found[0].value, found[0].rows, found[0].detail["code"]) == (0.2, 40, "abc")
    assert found[0].why == ""
    _, asked = look(said(one), labelled=True)
    assert asked == [("project:losses", 40)]


def test_code_that_is_not_what_was_declared_is_said():
    found, _ = look(said(Finding(monitor="custom", subject="nights", value=0.2), code="xyz"))
    assert found[0].why == "Its code differs from what was declared."


def test_an_error_and_a_hang_are_findings_with_their_reason():
    found, _ = look(Outcome(ok=False, error="KeyError: 'night'", trace="line 3, in nights"))
    assert (found[0].subject, found[0].value, found[0].verdict) == ("nights", None, "not judged")
    assert "KeyError" in found[0].why
    assert found[0].detail["trace"] == "line 3, in nights"
    found, _ = look(Outcome(ok=False, error="took longer than 60 s and was ended"))
    assert "took longer than 60 s" in found[0].why


def test_without_a_process_to_run_in_nothing_is_run():
    seen = sight(people(40, 1), policy=MonitorPolicy(custom=[OF_ROWS]))
    assert custom_on_inputs(seen)[0].verdict == "not judged"
    assert custom_on_inputs(sight(people(40, 1))) == []


def test_answers_of_many_shapes_are_findings():
    own = ms.Finding(monitor="x", subject="late", value=3.0, verdict="alarm", why="Too late.")
    assert findings_of("f", None) == []
    assert findings_of("f", 2)[0] == Finding(monitor="custom", subject="f", value=2.0)
    assert findings_of("f", np.float32(0.5))[0].value == 0.5
    assert findings_of("f", True)[0].value == 1.0
    assert [one.subject for one in findings_of("f", {"a": 1, "b": own})] == ["f/a", "f/b"]
    assert [(one.monitor, one.subject) for one in findings_of("f", [own])] == [
        ("custom", "f/late")
    ]
    assert findings_of("f", own)[0].verdict == "alarm"
    nothing = findings_of("f", float("nan"))[0]
    assert (nothing.value, nothing.verdict) == (None, "not judged")


@pytest.mark.parametrize("answer", ["a lot", [1, 2], {"a": "b"}, object(), {"a": None}])
def test_other_answers_are_refused_by_name(answer):
    with pytest.raises(BadInputError, match="f gives a"):
        findings_of("f", answer)


def test_too_many_figures_are_refused():
    with pytest.raises(BadInputError, match="at most 200"):
        findings_of("f", {str(n): n for n in range(201)})


def test_what_is_declared_is_found_again_by_name():
    assert custom_of(nights).on == "inputs"
    assert custom_of(losses).on == "labels"
    assert custom_of(patient).timeout_s == 5.0
    policy = ms.Monitor(custom=[nights, patient])
    assert [one.target.rpartition(":")[2] for one in policy.custom] == ["nights", "patient"]


def test_what_no_other_process_could_call_is_refused():
    def inner(rows):
        return 1

    with pytest.raises(ProjectError, match="inside of a function"):
        custom_of(inner)
    with pytest.raises(ProjectError, match="lambda"):
        custom_of(lambda rows: 1)
    with pytest.raises(ProjectError, match="it takes one parameter"):
        ms.monitor(said)
    with pytest.raises(ProjectError, match="must be a function"):
        custom_of(3)  # type: ignore[arg-type]


def test_facets_and_limits_that_make_no_sense_are_refused():
    assert ms.Facet("sex", disadvantaged=["f", 1, True]).disadvantaged == ["f", "1", "true"]
    for wrong, field in (
        ({"disadvantaged": ["f"], "below": 3}, "disadvantaged"),
        ({"allowed": {"XX": (0, 1)}}, "allowed"),
        ({"allowed": {"DI": (1, 0)}}, "allowed"),
    ):
        with pytest.raises(BadInputError) as error:
            ms.Facet("sex", **wrong)
        assert error.value.field == field
    for wrong in ({"max_error_rate": 2}, {"max_p99_ms": 0}, {"skew_rate": -1},
                  {"attribution_line": 0}):  # fmt: skip
        with pytest.raises(BadInputError) as error:
            ms.Monitor(**wrong)
        assert error.value.field == next(iter(wrong))
