"""What is said of models and versions, and who is told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainspring.ground.errors import AlreadyExistsError, BadInputError, GateRefusedError
from mainspring.readiness import facts, gate, listing, notices, registry, removal


def test_a_model_keeps_its_name_when_it_is_called_something_else(reg, new_version):
    assert reg.do(facts.create, "Churn of 2026", 1.0).startswith("Churn-of-2026.")
    assert reg.do(facts.create, "churn", 1.0) == "churn"
    reg.do(registry.register, new_version())
    reg.do(facts.rename, "churn", "leavers", 2.0)
    assert reg.do(facts.find, "leavers") == "churn"
    assert reg.do(facts.find, "churn") is None
    assert reg.do(registry.resolve, "churn/1").number == 1
    assert reg.do(facts.create, "churn", 3.0) == "churn-2"
    assert reg.do(facts.called, "churn") == reg.do(facts.called, "leavers") == "churn"
    assert reg.do(facts.called, "none") == "none"
    with pytest.raises(AlreadyExistsError, match="leavers"):
        reg.do(facts.rename, "churn-2", "leavers", 4.0)
    reg.do(facts.rename, "churn", "leavers", 5.0)
    assert [one.facts.title for one in reg.do(listing.models)] == [
        "Churn of 2026",
        "leavers",
        "churn",
    ]


@pytest.mark.parametrize(
    "title", ["", " ", "a/b", "a:b", " a", "a ", "a\u200bb", "a\nb", "x" * 257]
)
def test_titles_that_look_like_others_are_refused(reg, title):
    with pytest.raises(BadInputError):
        reg.do(facts.create, title, 1.0)


@given(st.text(min_size=1, max_size=40))
def test_a_title_is_refused_or_seen(title):
    try:
        facts.check_title(title)
    except BadInputError:
        return
    assert title.isprintable()
    assert title.strip() == title != ""


def test_tags_and_descriptions_are_set_and_taken_away(reg, new_version):
    reg.do(registry.register, new_version(), {"team": "red", "empty": ""}, "the first")
    found = reg.do(facts.of_version, "churn", 1)
    assert (found.description, found.tags) == ("the first", {"empty": "", "team": "red"})
    reg.do(facts.tag_version, "churn", 1, {"team": None, "new": "x"}, 2.0)
    assert reg.do(facts.of_version, "churn", 1).tags == {"empty": "", "new": "x"}
    reg.do(facts.tag_model, "churn", {"a": "1", "b": "2"})
    reg.do(facts.tag_model, "churn", {"a": "3", "b": None})
    reg.do(facts.describe_model, "churn", "Who leaves.", 3.0)
    model = reg.do(facts.of_model, "churn")
    assert (model.tags, model.description, model.changed) == ({"a": "3"}, "Who leaves.", 3.0)
    for bad in ("x" * 100_001, "\x00", "\ud800"):
        with pytest.raises(BadInputError):
            reg.do(facts.tag_model, "churn", {"a": bad})


def test_a_stage_moves_the_others_away_if_asked(reg, new_version):
    for _ in range(3):
        reg.do(registry.register, new_version())
    assert reg.do(facts.set_stage, "churn", 1, "PRODUCTION", 2.0) == "Production"
    reg.do(facts.set_stage, "churn", 2, "production", 2.0)
    reg.do(facts.set_stage, "churn", 3, "production", 2.0, archive=True)
    stages = {n: said.stage for n, said in reg.do(facts.of_versions, "churn").items()}
    assert stages == {1: "Archived", 2: "Archived", 3: "Production"}
    with pytest.raises(BadInputError, match="must be one of"):
        reg.do(facts.set_stage, "churn", 1, "prod", 2.0)
    with pytest.raises(BadInputError, match="not an Active stage"):
        reg.do(facts.set_stage, "churn", 1, "Archived", 2.0, archive=True)


def test_guarded_aliases_and_the_stage_of_that_name_ask_for_a_passed_gate(reg, new_version, gated):
    for _ in range(2):
        reg.do(registry.register, new_version())
    reg.do(gate.store_result, gated("churn", 1))
    reg.do(registry.set_alias, "churn", "production", 2, "nobody minds", at=2.0)
    with pytest.raises(GateRefusedError, match="keep the alias production"):
        reg.do(removal.guard, "churn", ["champion", "production"], at=3.0)
    reg.do(registry.drop_alias, "churn", "production", "judged first", at=3.0)
    reg.do(facts.set_stage, "churn", 2, "Production", 3.0)
    with pytest.raises(GateRefusedError, match="stay in the stage"):
        reg.do(removal.guard, "churn", ["champion", "production"], at=3.0)
    reg.do(facts.set_stage, "churn", 2, "None", 3.0)
    guarded = reg.do(removal.guard, "churn", ["champion", "Production"], at=3.0)
    assert guarded == ["champion", "production"]
    for alias in ("production", "PRODUCTION"):
        with pytest.raises(GateRefusedError, match=f"be called {alias}"):
            reg.do(registry.set_alias, "churn", alias, 2, "again?", at=4.0)
    with pytest.raises(GateRefusedError, match="go to the stage"):
        reg.do(facts.set_stage, "churn", 2, "Production", 4.0)
    reg.do(registry.set_alias, "churn", "production", 1, "it passed", at=5.0)
    reg.do(facts.set_stage, "churn", 1, "Production", 5.0)
    reg.do(registry.drop_alias, "churn", "production", "it may go", at=6.0)
    told = [row for row in reg.audited if row[1] == "model.guard"]
    assert told[-1][3] == {"aliases": ["champion", "production"], "before": ["champion"]}
    reg.do(removal.guard, "churn", ["champion"], at=7.0)
    reg.do(registry.set_alias, "churn", "production", 2, "free again", at=8.0)


def test_only_what_somebody_listens_for_is_noted(reg, new_version):
    hook = notices.Webhook(
        id="h1", name="ci", url="https://example.com/x", events=["alias.set"], created=1, changed=1
    )
    reg.do(registry.register, new_version())
    reg.do(notices.create, hook, "secret")
    assert reg.do(notices.secret_of, "h1") == "secret"
    assert reg.do(notices.get, "h1").has_secret
    reg.do(registry.register, new_version())
    reg.do(registry.set_alias, "churn", "beta", 2, "try it", at=2.0)
    [told] = reg.do(notices.waiting)
    assert told.data == {"name": "churn", "alias": "beta", "version": "2"}
    reg.do(notices.handed_out, told.id)
    assert reg.do(notices.waiting) == []
    with pytest.raises(BadInputError, match="Nobody can listen"):
        reg.do(notices.create, notices.Webhook(**{**_plain(hook), "events": ["x.y"]}), None)


def _plain(hook):
    return {name: getattr(hook, name) for name in hook.__struct_fields__}
