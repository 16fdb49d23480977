"""``simulate`` on a stranger's tables of each kind; and what a bare interpreter needs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from tests.acceptance.conftest import Stranger

ROWS = 600


def table(kind: str) -> pl.DataFrame:
    """Return rows whose law changes half way."""
    random = np.random.default_rng(3)
    x, z = random.normal(size=ROWS), random.normal(size=ROWS)
    law = np.where(np.arange(ROWS) < ROWS // 2, x, -x) + random.normal(size=ROWS) * 0.2
    target: dict[str, Any] = {
        "binary": np.where(law > 0, "yes", "no").tolist(),
        "multiclass": np.select([law < -0.5, law > 0.5], ["low", "high"], "mid").tolist(),
        "regression": law.tolist(),
    }
    day = pl.Series(19_000 + np.arange(ROWS) // 20).cast(pl.Int32).cast(pl.Date)
    group = random.choice(["a", "b"], ROWS).tolist()
    return pl.DataFrame({"day": day, "x": x, "z": z, "g": group, "y": target[kind]})


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_history_is_replayed_through_every_policy(tmp_path: Path, kind: str) -> None:
    stranger = Stranger(tmp_path)
    file = "rows.parquet" if kind == "regression" else "rows.csv"
    frame = table(kind)
    frame.write_parquet(tmp_path / file) if file.endswith("parquet") else frame.write_csv(
        tmp_path / file
    )
    words = ("simulate", file, "--target", "y", "--time", "day", "--plot", "plot.html")
    found = stranger.ask(*words)
    policies = {p["policy"]: p for p in found["policies"]}
    assert set(policies) == {"static", "every-period", "default"}
    assert policies["static"]["retrainings"] == 0
    assert (
        policies["every-period"]["gain"] > 0
    )  # the law changed: a model never trained again is lost
    assert found["sentence"]
    page = (tmp_path / "plot.html").read_text()
    assert 'src="http' not in page
    assert not (tmp_path / ".mainspring").exists()  # nothing is kept


def test_what_simulate_cannot_use_is_said_in_a_line(tmp_path: Path) -> None:
    stranger = Stranger(tmp_path)
    table("binary").write_csv(tmp_path / "rows.csv")
    table("binary").head(30).write_csv(tmp_path / "few.csv")
    (tmp_path / "empty.csv").touch()
    for words, told in (
        (("rows.csv", "--target", "nope"), "no column 'nope'"),
        (("rows.csv", "--target", "y", "--time", "g"), "g"),
        (("few.csv", "--target", "y"), "400"),
        (("empty.csv", "--target", "y"), "is empty"),
        (("rows.csv", "--target", "y", "--policies", "magic"), "magic"),
    ):
        said = stranger.say("simulate", *words, code=2)
        assert said.startswith("error: ")
        assert told in said
        assert "Traceback" not in said


def test_importing_needs_no_extra_and_nothing_heavy() -> None:
    code = (
        "import json, sys\n"
        "class Refuse:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in ('psycopg', 'pandas', 'mlflow', 'torch'):\n"
        "            raise ImportError(name)\n"
        "sys.meta_path.insert(0, Refuse())\n"
        "import mainspring\n"
        "print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))\n"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"numpy", "polars", "sqlalchemy", "starlette", "sklearn", "httpx", "cyclopts", "rich"}
    assert not heavy & set(json.loads(said.stdout))
