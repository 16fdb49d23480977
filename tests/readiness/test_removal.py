"""Deleting hides, and is refused for what is needed."""

import pytest

from mainspring.ground.errors import ConflictError, NotFoundError
from mainspring.readiness import facts, forms, gate, listing, registry, removal


def test_a_deleted_version_is_found_nowhere_and_its_number_never_comes_back(reg, new_version):
    for run in ("run_a", "run_a", "run_b"):
        reg.do(registry.register, new_version(run=run))
    reg.do(registry.set_alias, "churn", "beta", 2, "try it", at=2.0)
    reg.do(removal.delete_version, "churn", 2, at=3.0)
    for question in (
        lambda: reg.do(registry.get, "churn", 2),
        lambda: reg.do(registry.resolve, "churn@beta"),
        lambda: reg.do(removal.delete_version, "churn", 2, at=3.0),
        lambda: reg.do(registry.set_alias, "churn", "beta", 2, "again", at=3.0),
    ):
        with pytest.raises(NotFoundError):
            question()
    assert [v.number for v in reg.do(registry.versions, "churn")] == [3, 1]
    assert [v.number for v in reg.do(registry.of_run, "run_a")] == [1]
    assert {one.version.number for one in reg.do(listing.versions)} == {1, 3}
    assert reg.do(registry.register, new_version()).number == 4
    assert ("service:engine", "version.delete", "version:churn/2", {}, "") in reg.audited


def test_what_serves_or_would_come_back_is_not_deleted(reg, new_version, gated):
    for number in (1, 2, 3):
        reg.do(registry.register, new_version())
        reg.do(gate.store_result, gated("churn", number))
        reg.do(registry.promote, "churn", number, "better", at=float(number))
    with pytest.raises(ConflictError, match="it is the champion"):
        reg.do(removal.delete_version, "churn", 3, at=4.0)
    with pytest.raises(ConflictError, match="roll-back"):
        reg.do(removal.delete_version, "churn", 2, at=4.0)
    reg.do(removal.delete_version, "churn", 1, at=4.0)
    with pytest.raises(ConflictError, match="is its champion"):
        reg.do(removal.delete_model, "churn", at=4.0)


def test_a_deleted_model_gives_its_name_back_and_its_numbers_go_on(reg, new_version):
    reg.do(facts.create, "churn", 1.0)
    reg.do(facts.tag_model, "churn", {"old": "yes"})
    reg.do(registry.register, new_version())
    reg.do(removal.delete_model, "churn", at=2.0)
    assert reg.do(registry.models) == reg.do(listing.models) == []
    with pytest.raises(NotFoundError, match="no model"):
        reg.do(registry.get, "churn", 1)
    assert reg.do(facts.create, "churn", 3.0) == "churn"
    assert reg.do(facts.of_model, "churn").tags == {}
    assert reg.do(registry.register, new_version()).number == 2
    assert [v.number for v in reg.do(registry.versions, "churn")] == [2]


def test_a_pipeline_brings_a_deleted_model_back(reg, new_version):
    reg.do(registry.register, new_version())
    reg.do(removal.delete_model, "churn", at=2.0)
    assert reg.do(registry.register, new_version()).number == 2
    assert [m.name for m in reg.do(registry.models)] == ["churn"]


def test_a_version_is_served_as_its_form_until_its_gate_passes_it_may_change(
    reg, new_version, gated
):
    came = reg.do(registry.register, new_version(source="mlflow-artifacts:/0/x"))
    for package in ("b" * 64, "c" * 64):
        reg.do(forms.set_form, came, package, came.signature, {"auc": 0.9}, 2.0)
    found = reg.do(registry.get, "churn", 1)
    assert (found.package, found.origin, found.metrics) == ("c" * 64, "a" * 64, {"auc": 0.9})
    assert [v.package for v in reg.do(registry.versions, "churn")] == ["c" * 64]
    reg.do(gate.store_result, gated("churn", 1))
    with pytest.raises(ConflictError, match="form stays"):
        reg.do(forms.set_form, came, "d" * 64, came.signature, {}, 3.0)


def test_pickled_code_is_trusted_once_by_somebody_with_a_reason(reg):
    assert reg.do(forms.trusted, "a" * 64) is None
    with pytest.raises(Exception, match="reason"):
        reg.do(forms.trust, "a" * 64, " ", 1.0)
    assert reg.as_owner(forms.trust, "a" * 64, "We trained it.", 1.0)
    assert not reg.as_owner(forms.trust, "a" * 64, "Again.", 2.0)
    assert reg.do(forms.trusted, "a" * 64).reason == "We trained it."
