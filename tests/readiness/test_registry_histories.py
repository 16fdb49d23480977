"""Over random histories a model keeps exactly one champion, and the history tells all of it."""

import contextlib

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mainspring.ground.errors import ConflictError, GateRefusedError, NotFoundError
from mainspring.readiness import gate, registry

ACTS = st.lists(
    st.one_of(
        st.just(("register",)),
        st.tuples(st.just("judge"), st.integers(1, 5), st.booleans()),
        st.tuples(st.just("promote"), st.integers(1, 5)),
        st.just(("roll_back",)),
        st.tuples(st.just("challenger"), st.integers(1, 5)),
        st.just(("drop",)),
    ),
    max_size=30,
)


@settings(
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(acts=ACTS)
def test_a_model_keeps_one_champion_and_a_whole_history(acts, new_version, gated, reg):
    model = f"m{len(reg.do(registry.models))}"
    reg.do(registry.ensure_model, model, at=0.0)
    made, ever_passed, now = 0, set(), None
    for at, (act, *given_) in enumerate(acts):
        with contextlib.suppress(NotFoundError, GateRefusedError, ConflictError):
            if act == "register":
                made += 1
                assert reg.do(registry.register, new_version(model)).number == made
            elif act == "judge" and given_[0] <= made:
                number, passed = given_
                name = f"gate_{model}_{at}"
                reg.do(gate.store_result, gated(model, number, passed=passed, name=name))
                ever_passed |= {number} if passed else set()
            elif act == "promote":
                reg.do(registry.promote, model, given_[0], "r", at=float(at))
            elif act == "roll_back":
                reg.do(registry.roll_back, model, "r", at=float(at))
            elif act == "challenger":
                reg.do(registry.set_alias, model, "challenger", given_[0], "r", at=float(at))
            elif act == "drop":
                reg.do(registry.drop_alias, model, "challenger", "r", at=float(at))
        champion = reg.do(registry.champion, model)
        assert champion is not None or now is None, "a model lost its champion"
        assert champion is None or champion in ever_passed
        now = champion
    _check_history(reg, model, now)


def _check_history(reg, model, champion):
    for alias, named in (
        ("champion", champion),
        ("challenger", reg.do(registry.aliases_of, model).get("challenger")),
    ):
        moves = reg.do(registry.history, model, alias)
        assert [m.previous for m in moves] == [None, *(m.number for m in moves)][: len(moves)]
        assert (moves[-1].number if moves else None) == named
        assert all(m.number != m.previous for m in moves)
    subject = f"model:{model}"
    audited = [row for row in reg.audited if row[1:3] == ("alias.move", subject)]
    assert len(audited) == len(reg.do(registry.history, model))
