from __future__ import annotations

import msgspec
import polars as pl

from mainspring.experiments.datasets import Dataset, page
from mainspring.experiments.sources import describe


def test_a_dataset_shows_its_columns_and_escapes_them() -> None:
    found = describe(pl.DataFrame({"<b>x</b>": [1, None]}))
    one = Dataset(name="rows", **msgspec.structs.asdict(found))
    text = page(one).text()
    assert "  rows    2" in text.splitlines()
    assert "<b>x</b>  Int64  1        1    1     1" in text
    assert "&lt;b&gt;x&lt;/b&gt;" in one._repr_html_()
    assert "<b>" not in one._repr_html_()


def test_what_another_client_says_of_its_data_does_no_harm() -> None:
    for odd in (
        None,
        "",
        "no json",
        "[1]",
        '{"mlflow_colspec": []}',
        '{"columns": [3, {}]}',
        '{"columns": 1}',
    ):
        one = Dataset(name="r", digest="d", source_type="s3", source="s", schema=odd, profile=odd)
        assert page(one).text().startswith("dataset r\n  digest  d\n  source  s")
