import json

import polars as pl
import pytest

from mainspring.cli.start import main


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setenv("MAINSPRING_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("MAINSPRING_URL", raising=False)
    made = tmp_path / "rows.csv"
    pl.DataFrame(
        {"x": [float(n) for n in range(90)], "y": [2.0 * n for n in range(90)],
         "city": ["Ulm", "Bonn", None] * 30, "at": ["2026-01-02"] * 90}
    ).write_csv(made)  # fmt: skip
    return made


def test_a_profile_is_shown_and_written(file, capsys, tmp_path):
    assert main(["profile", str(file), "--output", str(tmp_path / "p.json")]) == 0
    shown = capsys.readouterr().out
    for word in ("90 rows", "Fractional", "33.3 %", "Ulm 50 %", "2026-01-02", "y and x +1.00"):
        assert word in shown
    assert json.loads((tmp_path / "p.json").read_text())["rows"] == 90


def test_a_saved_profile_is_shown_by_the_name_of_its_dataset(file, capsys):
    assert main(["profile", str(file), "--save", "trips", "--json"]) == 0
    saved = json.loads(capsys.readouterr().out)
    assert main(["profile", f"trips@{saved['digest'][:10]}", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found == saved
    assert main(["profile", "trips"]) == 0
    assert "90 rows" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "code"), [(["nowhere.csv"], 2), (["nowhere"], 2), (["nowhere", "--save", "x"], 2)]
)
def test_what_is_not_there_is_named(file, capsys, words, code):
    main(["profile", str(file), "--save", "trips"])
    assert main(["profile", *words]) == code
    told = capsys.readouterr().err
    assert "nowhere" in told or "--save" in told
