"""An optional package is loaded, or the extra that brings it is named."""

from __future__ import annotations

import pytest

from mainspring.ground.errors import MissingExtraError
from mainspring.ground.extras import need


def test_a_package_that_is_there_is_given() -> None:
    assert need("json.decoder", extra="x", purpose="Reading").JSONDecoder


def test_a_missing_package_names_its_extra() -> None:
    with pytest.raises(MissingExtraError) as caught:
        need("no_such_package.inner", extra="postgres", purpose="Storing in PostgreSQL")
    assert str(caught.value) == (
        "Storing in PostgreSQL needs no_such_package."
        " Install it: pip install 'mainspring[postgres]'"
    )


def test_a_package_that_is_broken_inside_says_so_itself(tmp_path, monkeypatch) -> None:
    (tmp_path / "broken_inside.py").write_text("import what_it_lacks\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="what_it_lacks"):
        need("broken_inside", extra="x", purpose="Trying")
