from contextlib import closing

import msgspec
import polars as pl
import pytest

import mainspring as ms
from mainspring.ground.errors import BadInputError, NotFoundError
from mainspring.workspace import datasets, profiling

ROWS = pl.DataFrame({"x": [1.5, 2.5, None], "city": ["Ulm", "Ulm", "Bonn"]})


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("MAINSPRING_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("MAINSPRING_URL", raising=False)
    return tmp_path


def test_a_logged_dataset_keeps_its_profile_and_it_is_found_by_name_and_digest(home):
    with ms.run("flights") as run:
        noted = run.log_dataset(ROWS, "rows")
    with closing(ms.open()) as ws:
        found = datasets.of_dataset(ws, "rows")
        assert datasets.of_dataset(ws, "rows", noted.digest[:8]) == found
        with pytest.raises(NotFoundError, match="no profile"):
            datasets.of_dataset(ws, "rows", "0" * 64)
        with pytest.raises(NotFoundError, match="log_dataset"):
            datasets.of_dataset(ws, "other")
    assert (found.run, found.digest) == (run.id, noted.digest)
    assert found.profile == ms.profile(ROWS)
    told = {one["name"]: one for one in msgspec.json.decode(noted.profile)["columns"]}
    assert told["x"]["mean"] == 2.0
    assert told["city"]["distinct"] == 2


def test_the_newest_content_of_a_dataset_is_what_its_name_means(home):
    for frame in (ROWS, ROWS.head(1)):
        with ms.run("flights") as run:
            run.log_dataset(frame, "rows")
    with closing(ms.open()) as ws:
        assert datasets.of_dataset(ws, "rows").profile.rows == 1


def test_a_profile_is_left_out_where_it_is_not_wanted_and_files_that_are_no_tables_have_none(home):
    odd = home / "notes.txt"
    odd.write_text("a,a\nno table\n")
    with ms.run("flights") as run:
        assert run.log_dataset(ROWS, "rows", profile=False).profile is not None
        run.log_dataset(odd, "notes")
        with pytest.raises(BadInputError):
            run.log_dataset(odd, "notes", profile=True)
    with closing(ms.open()) as ws, pytest.raises(NotFoundError):
        datasets.of_dataset(ws, "rows")


def test_profiles_merge_in_any_order_and_unequal_ones_are_refused_by_name():
    whole = ms.profile(ROWS)
    one, two = ms.profile(ROWS.head(1)), ms.profile(ROWS.tail(2))
    for merged in (ms.merge_profiles(one, two), ms.merge_profiles(two, one)):
        assert {c.name: c.counts for c in merged.columns} == {
            c.name: c.counts for c in whole.columns
        }
    with pytest.raises(BadInputError):
        ms.merge_profiles()


def test_a_profile_of_a_later_format_is_refused():
    later = msgspec.structs.replace(ms.profile(ROWS), format=99)
    with pytest.raises(BadInputError, match="format 99"):
        profiling.decode(profiling.encode(later))
    with pytest.raises(BadInputError, match="no profile"):
        profiling.decode(b"{}")
