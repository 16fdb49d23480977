"""Numbers never come back, aliases move only as allowed, and every move leaves its trace."""

from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest

from mainspring.ground.errors import (
    BadInputError,
    ConflictError,
    GateRefusedError,
    NotFoundError,
)
from mainspring.ground.objects import Card
from mainspring.readiness import gate, registry


def _made(reg, new_version, gated, count, model="churn"):
    for _ in range(count):
        number = reg.do(registry.register, new_version(model)).number
        reg.do(gate.store_result, gated(model, number))


def test_versions_count_from_one_for_each_model(reg, new_version):
    numbers = [reg.do(registry.register, new_version(m)).number for m in ("a", "a", "b", "a")]
    assert numbers == [1, 2, 1, 3]
    assert [v.number for v in reg.do(registry.versions, "a")] == [3, 2, 1]
    summary = reg.do(registry.models)
    assert [(m.name, m.newest, m.champion) for m in summary] == [("a", 3, None), ("b", 1, None)]


def test_one_command_makes_one_version(reg, new_version):
    first = reg.do(registry.register, new_version(command="loop-0001", metrics={"auc": 0.1}))
    again = reg.do(registry.register, new_version(command="loop-0001", metrics={"auc": 0.9}))
    other = reg.do(registry.register, new_version(command="loop-0002"))
    assert again == first
    assert (first.number, other.number) == (1, 2)


def test_a_version_is_read_back_as_it_was_registered(reg, new_version):
    given = new_version(
        data={"rows": "b" * 64},
        trained_until=3.5,
        cause="alarm:x",
        run="run_1",
        metrics={"a": 1.5},
    )
    kept = reg.do(registry.register, given)
    assert kept == msgspec.structs.replace(given, number=1)
    assert reg.do(registry.get, "churn", 1) == kept
    assert reg.do(registry.of_run, "run_1") == [kept]


@pytest.mark.parametrize("wrong", [{"model": "../x"}, {"package": "short"}, {"model": ""}])
def test_a_version_with_a_bad_name_or_digest_is_refused(reg, new_version, wrong):
    with pytest.raises(BadInputError):
        reg.do(registry.register, new_version(**wrong))


def test_a_new_card_stands_and_the_old_stays_in_the_table(reg, new_version):
    reg.do(registry.register, new_version(card=None))
    card = Card(purpose="p", owner="o", limitations="l")
    assert reg.do(registry.set_card, "churn", 1, card, at=5.0).card == card
    newer = msgspec.structs.replace(card, notes="more")
    reg.do(registry.set_card, "churn", 1, newer, at=6.0)
    assert reg.do(registry.versions, "churn")[0].card == newer
    assert [row[1] for row in reg.audited].count("card.set") == 2


def test_a_reference_resolves_by_number_and_by_alias(reg, new_version, gated):
    _made(reg, new_version, gated, 2)
    reg.do(registry.promote, "churn", 2, "best", at=3.0)
    assert reg.do(registry.resolve, "churn/1").number == 1
    assert reg.do(registry.resolve, "churn@champion").number == 2
    assert reg.do(registry.aliases_of, "churn") == {"champion": 2}


@pytest.mark.parametrize("missing", ["churn/9", "churn@champion", "nobody/1", "nobody@champion"])
def test_what_is_not_there_is_said_to_be_missing(reg, new_version, missing):
    reg.do(registry.register, new_version())
    with pytest.raises(NotFoundError):
        reg.do(registry.resolve, missing)


def test_the_champion_alias_wants_a_passed_gate(reg, new_version, gated):
    reg.do(registry.register, new_version())
    with pytest.raises(GateRefusedError):
        reg.do(registry.promote, "churn", 1, "I like it", at=3.0)
    reg.do(gate.store_result, gated("churn", 1, passed=False))
    with pytest.raises(GateRefusedError):
        reg.as_owner(registry.set_alias, "churn", "champion", 1, "I like it", at=3.0)
    assert reg.do(registry.champion, "churn") is None
    assert reg.do(registry.history, "churn") == []
    reg.do(gate.store_result, gated("churn", 1, passed=True))
    assert reg.do(registry.promote, "churn", 1, "it passed", at=4.0) is None
    assert reg.do(registry.champion, "churn") == 1


def test_the_newest_gate_stands(reg, new_version, gated):
    reg.do(registry.register, new_version())
    reg.do(gate.store_result, gated("churn", 1, passed=True))
    reg.do(gate.store_result, gated("churn", 1, passed=False))
    with pytest.raises(GateRefusedError):
        reg.do(registry.promote, "churn", 1, "it passed once", at=3.0)


def test_a_former_champion_may_always_return(reg, new_version, gated):
    _made(reg, new_version, gated, 2)
    reg.do(registry.promote, "churn", 1, "first", at=3.0)
    reg.do(registry.promote, "churn", 2, "better", at=4.0)
    reg.do(gate.store_result, gated("churn", 1, passed=False))
    assert reg.do(registry.roll_back, "churn", "2 broke", at=5.0) == (2, 1)


def test_promoting_twice_changes_nothing_and_answers_the_same(reg, new_version, gated):
    _made(reg, new_version, gated, 2)
    reg.do(registry.promote, "churn", 1, "first", at=3.0)
    answers = [reg.do(registry.promote, "churn", 2, "better", at=4.0) for _ in range(3)]
    assert answers == [1, 1, 1]
    moves = [row for row in reg.audited if row[1] == "alias.move"]
    assert len(moves) == len(reg.do(registry.history, "churn")) == 2
    assert moves[-1][2:] == (
        "model:churn",
        {"model": "churn", "alias": "champion", "number": 2, "previous": 1},
        "better",
    )


def test_two_roll_backs_do_not_return_to_what_was_withdrawn(reg, new_version, gated):
    _made(reg, new_version, gated, 3)
    for number in (1, 2, 3):
        reg.do(registry.promote, "churn", number, "better", at=float(number))
    assert reg.do(registry.roll_back, "churn", "broke", at=4.0) == (3, 2)
    assert reg.do(registry.roll_back, "churn", "broke too", at=5.0) == (2, 1)
    with pytest.raises(ConflictError):
        reg.do(registry.roll_back, "churn", "and now?", at=6.0)
    assert reg.do(registry.champion, "churn") == 1


def test_a_roll_back_goes_only_to_a_former_champion(reg, new_version, gated):
    _made(reg, new_version, gated, 3)
    reg.do(registry.promote, "churn", 1, "first", at=3.0)
    reg.do(registry.promote, "churn", 2, "better", at=4.0)
    with pytest.raises(ConflictError, match="never was champion"):
        reg.do(registry.roll_back, "churn", "try 3", at=5.0, to=3)


def test_other_aliases_come_and_go_but_the_champion_stays(reg, new_version, gated):
    _made(reg, new_version, gated, 1)
    reg.do(registry.set_alias, "churn", "challenger", 1, "canary", at=2.0)
    reg.do(registry.promote, "churn", 1, "first", at=3.0)
    reg.do(registry.drop_alias, "churn", "challenger", "promoted", at=3.0)
    reg.do(registry.drop_alias, "churn", "challenger", "again", at=3.0)
    with pytest.raises(ConflictError):
        reg.do(registry.drop_alias, "churn", "champion", "bored", at=4.0)
    told = [(m.alias, m.number, m.previous) for m in reg.do(registry.history, "churn")]
    assert told == [("challenger", 1, None), ("champion", 1, None), ("challenger", None, 1)]


def test_no_alias_moves_without_a_reason(reg, new_version, gated):
    _made(reg, new_version, gated, 1)
    with pytest.raises(BadInputError):
        reg.do(registry.promote, "churn", 1, "  ", at=3.0)


def test_promotions_at_once_leave_one_champion_and_an_unbroken_history(reg, new_version, gated):
    _made(reg, new_version, gated, 6)
    with ThreadPoolExecutor(6) as pool:
        wanted = [(n, round_) for round_ in range(4) for n in range(1, 7)]
        list(pool.map(lambda w: reg.do(registry.promote, "churn", w[0], "race", at=3.0), wanted))
    moves = reg.do(registry.history, "churn", "champion")
    assert [m.previous for m in moves] == [None, *(m.number for m in moves[:-1])]
    assert reg.do(registry.champion, "churn") == moves[-1].number


def test_registrations_at_once_get_numbers_of_their_own(reg, new_version):
    with ThreadPoolExecutor(4) as pool:
        made = list(
            pool.map(
                lambda i: reg.do(registry.register, new_version(command=f"c{i // 2}")), range(24)
            )
        )
    assert {v.number for v in made} == set(range(1, 13))
