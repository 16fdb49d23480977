import json

import polars as pl
import pytest

from mainspring.cli.start import main

ROWS = pl.DataFrame({"x": [n % 10 for n in range(200)], "city": ["Ulm", "Bonn"] * 100})


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("MAINSPRING_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("MAINSPRING_URL", raising=False)
    monkeypatch.chdir(tmp_path)
    ROWS.write_csv("good.csv")
    ROWS.with_columns(city=pl.lit("Rom"), x=pl.col("x") * 7).write_parquet("bad.parquet")
    return tmp_path


def test_a_table_that_keeps_its_contract_is_exit_code_0_and_one_that_breaks_it_1(place, capsys):
    assert main(["check", "good.csv", "--against", "good.csv", "--suggest", "c.yaml"]) == 0
    assert "keep the contract" in capsys.readouterr().out
    assert main(["check", "bad.parquet", "--against", "c.yaml"]) == 1
    shown = capsys.readouterr().out
    for word in ("city", "domain", "'Rom'", "range", "2 ways"):
        assert word in shown
    assert main(["check", "bad.parquet", "--against", "c.yaml", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["passed"] is False
    assert {one["check"] for one in found["violations"]} == {"range", "domain"}


def test_a_profile_and_a_dataset_stand_for_the_contract_they_suggest(place, capsys):
    assert main(["profile", "good.csv", "--save", "trips", "--output", "p.json"]) == 0
    for against in ("p.json", "trips"):
        assert main(["check", "good.csv", "--against", against]) == 0
        assert main(["check", "bad.parquet", "--against", against]) == 1
    capsys.readouterr()


@pytest.mark.parametrize(
    ("data", "against"),
    [("nowhere.csv", "good.csv"), ("good.csv", "nowhere.yaml"), ("good.csv", "nowhere"),
     ("good.csv", "nowhere/1"), ("good.csv", "bad.json"), ("good.csv", "bad.yaml")],
)  # fmt: skip
def test_what_cannot_be_used_is_exit_code_2_and_named(place, capsys, data, against):
    (place / "bad.json").write_text("[]")
    (place / "bad.yaml").write_text("columns: {x: {type: Number}}")
    main(["profile", "good.csv", "--save", "trips"])
    capsys.readouterr()
    assert main(["check", data, "--against", against]) == 2
    told = capsys.readouterr().err
    assert any(word in told for word in ("nowhere", "bad.json", "bad.yaml"))


def test_files_of_sagemaker_are_written_and_checked_against(place, capsys):
    assert main(["profile", "good.csv", "--sagemaker", "base"]) == 0
    assert main(["check", "good.csv", "--against", "base", "--sagemaker", "out"]) == 0
    written = json.loads((place / "out" / "constraint_violations.json").read_text())
    assert written == {"violations": []}
    assert main(["check", "bad.parquet", "--against", "base", "--sagemaker", "out"]) == 1
    written = json.loads((place / "out" / "constraint_violations.json").read_text())
    kinds = {(v["feature_name"], v["constraint_check_type"]) for v in written["violations"]}
    assert kinds == {
        ("x", "baseline_drift_check"), ("city", "baseline_drift_check"),
        ("city", "categorical_values_check"),
    }  # fmt: skip
    assert "drift distance" in capsys.readouterr().out
    assert main(["check", "bad.parquet", "--against", "base/statistics.json"]) == 1
