"""Whatever is sent to the main port, it is answered, and never by an error of ours."""

from __future__ import annotations

import json
from urllib.parse import quote, urlencode

import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mainspring.web.api import every

#: Those of pipelines import the project in a child process, for each example anew.
NAMES = sorted(name for name in every() if not name.startswith("pipelines."))
WORD = st.sampled_from(["flights", "run_1", "flights/1", "flights@champion", "1", "alarm_1", "x"])
TEXT = WORD | st.text(max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


@settings(
    max_examples=300,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(name=st.sampled_from(NAMES), data=st.data())
def test_any_request_is_answered_or_refused_with_a_reason(
    web: httpx.Client, name: str, data: st.DataObject
) -> None:
    one = every()[name]
    path = one.path
    for field in one.in_path:
        path = path.replace(f"{{{field}}}", quote(data.draw(TEXT).encode("utf-8", "replace")))
    rest = [f for f in one.request.__struct_fields__ if f not in one.in_path]
    body, query, headers = b"", {}, {}
    if one.has_body:
        fields = st.fixed_dictionaries({}, optional=dict.fromkeys(rest, JSON))
        text = data.draw(fields.map(json.dumps).map(str.encode) | st.binary(max_size=30))
        body, headers = text, {"Content-Type": "application/json"}
    else:
        texts = st.fixed_dictionaries({}, optional=dict.fromkeys(rest, TEXT))
        query = {k: v.encode("utf-8", "replace") for k, v in data.draw(texts).items()}
    url = f"{path}?{urlencode(query)}" if query else path
    answer = web.request(one.method, url, content=body, headers=headers)
    if name == "tokens.create" and answer.status_code == 200:
        web.headers["Authorization"] = f"Bearer {answer.json()['token']}"
    assert answer.status_code < 500 or answer.json()["error"] == "UNAVAILABLE", answer.text
    if answer.status_code >= 400:
        assert answer.json()["message"]


@settings(
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    path=st.lists(
        st.sampled_from(["api", "v1", "v2", "models", "runs", "..", "%2e%2e", "a"]) | TEXT
    ),
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"]),
    query=st.binary(max_size=20),
)
def test_any_path_is_answered(
    still_web: httpx.Client, path: list[str], method: str, query: bytes
) -> None:
    where = "/".join(quote(part.encode("utf-8", "replace")) for part in path)
    answer = still_web.request(method, f"{still_web.base_url}/{where}?{quote(query)}")
    assert answer.status_code < 500 or answer.status_code == 503
