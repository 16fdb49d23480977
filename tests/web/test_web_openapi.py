"""The description of the API is valid and complete."""

from __future__ import annotations

import openapi_spec_validator

from mainspring.web.api import every
from mainspring.web.api.openapi import document


def test_the_description_is_valid() -> None:
    openapi_spec_validator.validate(document())


def test_every_operation_is_described() -> None:
    described = {
        (path, method): told
        for path, methods in document()["paths"].items()
        for method, told in methods.items()
    }
    assert len(described) == len(every())
    for name, one in every().items():
        told = described[one.path, one.method.lower()]
        assert told["operationId"] == name
        assert told["summary"].endswith(".")


def test_every_example_can_be_read() -> None:
    for one in every().values():
        if one.example:
            one.read(one.example)


def test_every_field_of_a_path_is_a_parameter() -> None:
    for path, methods in document()["paths"].items():
        for told in methods.values():
            named = {p["name"] for p in told.get("parameters", []) if p["in"] == "path"}
            assert all(f"{{{name}}}" in path for name in named)
            assert len(named) == path.count("{")
