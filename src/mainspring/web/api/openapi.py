"""Describe every operation as OpenAPI 3.1, from the types and docstrings that define it."""

from __future__ import annotations

from typing import Any

import msgspec

from mainspring.ground.version import __version__
from mainspring.web.api.operations import Operation, every

BYTES = "application/octet-stream"
_REF = "#/components/schemas/{name}"


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """What went wrong: a code, a sentence, the field it lies in, and what to do about it."""

    error: str
    message: str
    field: str | None = None
    hint: str | None = None


def document() -> dict[str, Any]:
    """Return the description of the whole API, ready to be encoded as JSON."""
    operations = list(every().values())
    kinds = [Problem]
    for one in operations:
        kinds += [field.type for field in msgspec.structs.fields(one.request)]
        kinds += [one.response] if one.media == "application/json" else []
    schemas, components = msgspec.json.schema_components(kinds, ref_template=_REF)
    found = iter(schemas[1:])
    paths: dict[str, Any] = {}
    for one in operations:
        fields = [(field, next(found)) for field in msgspec.structs.fields(one.request)]
        answer = next(found) if one.media == "application/json" else {"type": "string"}
        paths.setdefault(one.path, {})[one.method.lower()] = _described(one, fields, answer)
    return _as_json(
        {
            "openapi": "3.1.0",
            "info": {
                "title": "Mainspring",
                "version": __version__,
                "description": "The whole MLOps loop: runs, pipelines, models, endpoints, monitors"
                " and the loop that joins them.",
                "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            },
            "servers": [{"url": "/"}],
            "security": [{"token": []}],
            "tags": [{"name": tag} for tag in dict.fromkeys(one.tag for one in operations)],
            "paths": paths,
            "components": {
                "schemas": components,
                "responses": {
                    "Problem": _content({"$ref": _REF.format(name="Problem")}, "Refused.")
                },
                "securitySchemes": {
                    "token": {
                        "type": "http",
                        "scheme": "bearer",
                        "description": "mainspring token create NAME --role ROLE. Before the first"
                        " token exists, the owner of the home needs none.",
                    }
                },
            },
        }
    )


def _as_json(value: dict[str, Any]) -> dict[str, Any]:
    """Return a value as JSON would hold it; defaults may be tuples and enums."""
    found: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(value))
    return found


def _described(one: Operation, fields: list[Any], answer: dict[str, Any]) -> dict[str, Any]:
    out: dict[str, Any] = {
        "operationId": one.name,
        "tags": [one.tag],
        "summary": one.summary,
        "description": f"{one.description}\n\n{_who_may(one)}",
        "responses": {
            "200": _content(answer, "Done.", one.media),
            "default": {"$ref": "#/components/responses/Problem"},
        },
    }
    if one.by:
        out["security"] = []
    beside = [
        (field, schema)
        for field, schema in fields
        if field.encode_name in one.in_path or not one.has_body
    ]
    if beside:
        out["parameters"] = [_parameter(one, field, schema) for field, schema in beside]
    inside = [pair for pair in fields if one.has_body and pair[0].encode_name not in one.in_path]
    if inside:
        out["requestBody"] = _body(one, inside)
    if one.takes_bytes:
        bytes_ = {"schema": {"type": "string", "format": "binary"}}
        media = dict.fromkeys((BYTES, *one.accepts), bytes_)
        out["requestBody"] = {"required": True, "content": media}
    return out


def _who_may(one: Operation) -> str:
    if one.by:
        return "Needs no login: whoever has the token may."
    return f"Needs the permission `{one.permission}`."


def _parameter(one: Operation, field: Any, schema: dict[str, Any]) -> dict[str, Any]:
    name = field.encode_name
    out = {
        "name": name,
        "in": "path" if name in one.in_path else "query",
        "required": name in one.in_path or field.required,
        "schema": schema,
    }
    if name in one.example:
        out["example"] = one.example[name]
    return out


def _body(one: Operation, fields: list[Any]) -> dict[str, Any]:
    required = [field.encode_name for field, _ in fields if field.required]
    schema: dict[str, Any] = {
        "type": "object",
        "description": (one.request.__doc__ or "").partition("\n")[0],
        "properties": {field.encode_name: schema for field, schema in fields},
        "additionalProperties": False,
    }
    if required:
        schema["required"] = required
    content: dict[str, Any] = {"schema": schema}
    example = {k: v for k, v in one.example.items() if k not in one.in_path}
    if example:
        content["example"] = example
    return {"required": bool(required), "content": {"application/json": content}}


def _content(schema: dict[str, Any], told: str, media: str = "application/json") -> dict[str, Any]:
    return {"description": told, "content": {media: {"schema": schema}}}
