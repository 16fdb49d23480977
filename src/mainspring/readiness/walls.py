"""The registry's second wall: triggers in the database itself.

The first wall is :mod:`mainspring.readiness.registry`. The second stands in the database, so
that no other program, no forgotten code path and no hand on the SQL prompt can give a guarded
alias to a version without a passed and fresh gate, leave a model without its champion, hide a
version that serves, or rewrite what the gate and the history have said.

Evidence ages by the wall clock, and so do gates here: a row that gives an alias says when
(``moved``, ``staged``), and the version's newest gate must have passed and hold at that time.
The time in the row is asked and not the database's clock, so that an invariant is kept that
can be checked of every row later, also in a home that was moved. A version that the alias named
before may always come back, if any gate on it ever passed.
"""

from __future__ import annotations

REFUSED = "mainspring refuses: "
_NO_GATE = REFUSED + "a guarded alias needs a passed gate that is fresh when the alias moves"
_UNTOLD = REFUSED + "a guarded alias needs a passed gate at the time it moves: say when"
_GONE = REFUSED + "an alias cannot name a deleted version"
_SERVES = REFUSED + "the champion cannot be deleted"
_JUDGED = REFUSED + "the form of a version that passed its gate stays"
_STAYS = REFUSED + "a model that has a champion keeps one"
_PASSED = """EXISTS (
  SELECT 1 FROM gates
  WHERE gates.model = NEW.model AND gates.number = NEW.number AND gates.passed = 1)"""
#: The newest gate passed and holds at the time put in. A gate of a release in which they did
#: not age has no times: it counts thirty days from the one it carries.
_HELD = """EXISTS (
  SELECT 1 FROM gates
  WHERE gates.id = (
    SELECT max(newest.id) FROM gates AS newest
    WHERE newest.model = NEW.model AND newest.number = NEW.number)
  AND gates.passed = 1 AND coalesce(gates.made, 0) <= {0}
  AND {0} < coalesce(gates.until, gates.at + 2592000))"""
_GUARDED = """EXISTS (
  SELECT 1 FROM guarded_aliases
  WHERE guarded_aliases.model = NEW.model AND guarded_aliases.alias = lower({}))"""
_NAMED_BEFORE = """EXISTS (
  SELECT 1 FROM alias_history AS moves
  WHERE moves.model = NEW.model AND moves.alias = NEW.alias AND moves.number = NEW.number)"""
_STAGED_BEFORE = """EXISTS (
  SELECT 1 FROM stage_history AS moves
  WHERE moves.model = NEW.model AND moves.number = NEW.number
  AND NEW.stage IN (moves.stage, moves.previous))"""
_BACK = f"({_NAMED_BEFORE} AND {_PASSED})"
_BACK_TO_STAGE = f"({_STAGED_BEFORE} AND {_PASSED})"
_IS_GUARDED = f"(lower(NEW.alias) = 'champion' OR {_GUARDED.format('NEW.alias')})"
_MOVES = "(NEW.number <> OLD.number OR NEW.model <> OLD.model OR NEW.alias <> OLD.alias)"
_UNGATED = f"{_IS_GUARDED} AND NOT {_HELD.format('NEW.moved')} AND NOT {_BACK}"
_UNDATED = f"{_IS_GUARDED} AND {_MOVES} AND NEW.moved = OLD.moved"
_IS_GUARDED_STAGE = f"NEW.stage = 'Production' AND {_GUARDED.format('NEW.stage')}"
_STAGE_MOVES = "(NEW.number <> OLD.number OR NEW.model <> OLD.model OR NEW.stage <> OLD.stage)"
_STAGED = "coalesce(NEW.staged, NEW.changed)"
#: Of a release that kept no time of a stage, as it comes out of an archive: any passed gate does.
_OLD_STAGE = f"(NEW.staged IS NULL AND {_PASSED})"
_UNGATED_STAGE = f"{_IS_GUARDED_STAGE} AND NOT {_HELD.format(_STAGED)} AND NOT {_BACK_TO_STAGE}"
_UNDATED_STAGE = (
    f"{_IS_GUARDED_STAGE} AND {_STAGE_MOVES} AND coalesce(NEW.staged, 0) = coalesce(OLD.staged, 0)"
)
_DELETED = """EXISTS (
  SELECT 1 FROM deleted_versions
  WHERE deleted_versions.model = NEW.model AND deleted_versions.number = NEW.number)"""
_CHAMPION = """EXISTS (
  SELECT 1 FROM aliases
  WHERE aliases.model = NEW.model AND aliases.number = NEW.number
  AND aliases.alias = 'champion')"""
_LEAVES = "OLD.alias = 'champion' AND (NEW.alias <> 'champion' OR NEW.model <> OLD.model)"

#: Rows of these tables are written once. A version's number can so never come back.
_WRITTEN_ONCE = (
    "versions",
    "gates",
    "declared_gates",
    "alias_history",
    "stage_history",
    "overrides",
    "decisions",
    "evidence",
    "deleted_versions",
    "trusted_packages",
)


def _sqlite(name: str, act: str, table: str, when: str, message: str) -> str:
    condition = f"WHEN {when} " if when else ""
    return (
        f"CREATE TRIGGER IF NOT EXISTS {name} BEFORE {act} ON {table} FOR EACH ROW "
        f"{condition}BEGIN SELECT RAISE(ABORT, '{message}'); END"
    )


def _postgresql(name: str, act: str, table: str, body: str) -> list[str]:
    return [
        f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN {body} END $$",
        f"CREATE OR REPLACE TRIGGER {name} BEFORE {act} ON {table} "
        f"FOR EACH ROW EXECUTE FUNCTION {name}()",
    ]


def _raise(message: str, when: str) -> str:
    # A class 23 state, so that drivers report it as an integrity error, as SQLite's do.
    return f"IF {when} THEN RAISE EXCEPTION '{message}' USING ERRCODE = '23514'; END IF;"


def _champion_guard() -> dict[str, list[str]]:
    moved = f"{_MOVES} AND {_UNGATED}"
    return {
        "sqlite": [
            _sqlite("champion_insert", "INSERT", "aliases", _UNGATED, _NO_GATE),
            _sqlite("champion_update", "UPDATE", "aliases", moved, _NO_GATE),
            _sqlite("champion_undated", "UPDATE", "aliases", _UNDATED, _UNTOLD),
            _sqlite("champion_leaves", "UPDATE", "aliases", _LEAVES, _STAYS),
            _sqlite("champion_delete", "DELETE", "aliases", "OLD.alias = 'champion'", _STAYS),
        ],
        "postgresql": [
            *_postgresql(
                "champion_gated", "INSERT", "aliases", f"{_raise(_NO_GATE, _UNGATED)} RETURN NEW;"
            ),
            *_postgresql(
                "champion_moved",
                "UPDATE",
                "aliases",
                f"{_raise(_NO_GATE, moved)} {_raise(_UNTOLD, _UNDATED)} RETURN NEW;",
            ),
            *_postgresql(
                "champion_leaves", "UPDATE", "aliases", f"{_raise(_STAYS, _LEAVES)} RETURN NEW;"
            ),
            *_postgresql(
                "champion_delete",
                "DELETE",
                "aliases",
                _raise(_STAYS, "OLD.alias = 'champion'") + " RETURN OLD;",
            ),
        ],
    }


def _stage_guard() -> dict[str, list[str]]:
    moved = f"{_STAGE_MOVES} AND {_UNGATED_STAGE}"
    put = f"{_UNGATED_STAGE} AND NOT {_OLD_STAGE}"
    return {
        "sqlite": [
            _sqlite("stage_gated_insert", "INSERT", "version_facts", put, _NO_GATE),
            _sqlite("stage_gated_update", "UPDATE", "version_facts", moved, _NO_GATE),
            _sqlite("stage_undated", "UPDATE", "version_facts", _UNDATED_STAGE, _UNTOLD),
        ],
        "postgresql": [
            *_postgresql(
                "stage_gated",
                "INSERT",
                "version_facts",
                f"{_raise(_NO_GATE, put)} RETURN NEW;",
            ),
            *_postgresql(
                "stage_moved",
                "UPDATE",
                "version_facts",
                f"{_raise(_NO_GATE, moved)} {_raise(_UNTOLD, _UNDATED_STAGE)} RETURN NEW;",
            ),
        ],
    }


def _once_guard(table: str) -> dict[str, list[str]]:
    message = f"{REFUSED}rows of {table} are written once"
    name = f"{table}_written_once"
    return {
        "sqlite": [
            _sqlite(f"{name}_{act.lower()}", act, table, "", message)
            for act in ("UPDATE", "DELETE")
        ],
        "postgresql": _postgresql(name, "UPDATE OR DELETE", table, _raise(message, "true")),
    }


def _when_written(name: str, table: str, when: str, message: str) -> dict[str, list[str]]:
    """Refuse rows that come in or are changed so that ``when`` holds."""
    return {
        "sqlite": [
            _sqlite(f"{name}_{act.lower()}", act, table, when, message)
            for act in ("INSERT", "UPDATE")
        ],
        "postgresql": _postgresql(
            name, "INSERT OR UPDATE", table, f"{_raise(message, when)} RETURN NEW;"
        ),
    }


#: (name, DDL by dialect), created with the tables and safe to run again.
GUARDS: list[tuple[str, dict[str, list[str]]]] = [
    ("champion", _champion_guard()),
    ("alias_gone", _when_written("alias_gone", "aliases", _DELETED, _GONE)),
    ("stage_gated", _stage_guard()),
    ("champion_hidden", _when_written("champion_hidden", "deleted_versions", _CHAMPION, _SERVES)),
    ("form_judged", _when_written("form_judged", "version_forms", _PASSED, _JUDGED)),
    *((f"{table}_once", _once_guard(table)) for table in _WRITTEN_ONCE),
]
