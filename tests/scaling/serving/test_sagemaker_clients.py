"""``invoke_endpoint`` by boto3, through the main port and at an endpoint's own."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from mainspring.ground.objects import Strategy
from mainspring.ground.settings import load
from mainspring.scaling.models import carried
from mainspring.scaling.serving import capture
from mainspring.web.api import call
from mainspring.web.app import build_app
from mainspring.workspace.opening import Workspace, open_workspace
from mainspring.workspace.processes import write_json
from serving_in_a_thread import served
from waiting import until

ROW = {"distance": 731.0, "hour": 18, "carrier": "B6", "weekend": False}
CANARY = {"challenger": 2, "strategy": Strategy.CANARY, "share": 0.0, "rollout": "r1"}
JSON = json.dumps({"dataframe_records": [ROW]})
LINE = "731.0,18,B6,false\n"


class Home:
    """The main port of a home, whose endpoint ``flights`` is a stage."""

    def __init__(self, ws: Workspace, url: str) -> None:
        self.ws, self.url = ws, url

    def client(self, stage: Any = None, token: str | None = None) -> Any:
        if stage is not None:
            file = self.ws.home / "run" / "endpoints" / "flights.json"
            write_json(file, {"port": stage.port})
        return boto3.client(
            "sagemaker-runtime",
            endpoint_url=self.url,
            region_name="eu-north-1",
            aws_access_key_id="any",
            aws_secret_access_key="any",
            aws_session_token=token,
            config=Config(retries={"max_attempts": 0}, read_timeout=60),
        )


@contextlib.contextmanager
def home_in(root: Path) -> Iterator[Home]:
    (root / "mainspring.toml").write_text("")
    settings = load({"max_body_mb": 2}, start=root, environ={})
    with contextlib.closing(open_workspace(settings)) as ws, served(build_app(ws)) as url:
        yield Home(ws, url)


@pytest.fixture(scope="module")
def open_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    with home_in(tmp_path_factory.mktemp("main")) as home:
        yield home


@pytest.fixture
def aws(open_home: Home) -> Callable[..., Any]:
    """Make clients of a home without tokens."""
    return open_home.client


def refused(client: Any, **asked: Any) -> tuple[str, int, str]:
    """Return what a refusal is called, its status, and what it says."""
    with pytest.raises(ClientError) as caught:
        client.invoke_endpoint(**{"EndpointName": "flights", "Body": JSON, **asked})
    found = caught.value.response
    status = found["ResponseMetadata"]["HTTPStatusCode"]
    return found["Error"]["Code"], status, found["Error"]["Message"]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (JSON, "application/json"),
        (LINE, "text/csv"),
        (LINE, "text/csv; header=absent"),
        ("distance,hour,carrier,weekend\n" + LINE, "text/csv"),
    ],
    ids=["json", "line", "absent", "header"],
)
@pytest.mark.parametrize("accept", ["application/json", "text/csv"])
def test_json_and_csv_go_both_ways(stage, aws, body, kind, accept) -> None:
    client = aws(stage())
    found = client.invoke_endpoint(
        EndpointName="flights", Body=body, ContentType=kind, Accept=accept
    )
    assert found["InvokedProductionVariant"] == "1"
    assert found["ContentType"].startswith(accept)
    told = found["Body"].read()
    if accept == "text/csv":
        assert told == b"late\n"
    else:
        assert json.loads(told)["predictions"] == ["late"]


def test_a_variant_is_asked_by_number_or_by_its_part(stage, aws, second) -> None:
    one = stage()
    one.route(**CANARY, challenger_package=second)
    client = aws(one)
    for asked, answered in (("1", "1"), ("2", "2"), ("challenger", "2"), ("champion", "1")):
        found = client.invoke_endpoint(EndpointName="flights", Body=JSON, TargetVariant=asked)
        assert found["InvokedProductionVariant"] == answered
        assert json.loads(found["Body"].read())["versions"] == [int(answered)]
    code, status, told = refused(client, TargetVariant="9")
    assert (code, status) == ("ValidationError", 404)
    assert "'9'" in told


def test_an_inference_id_is_the_prediction_id(stage, aws) -> None:
    one = stage()
    client = aws(one)
    two = json.dumps({"dataframe_records": [ROW, ROW]})
    for body, own, ids in (
        (JSON, "order:7", ["order:7"]),
        (JSON, "order-17", ["order-17"]),
        (two, "pair", ["pair-0", "pair-1"]),
    ):
        found = client.invoke_endpoint(EndpointName="flights", Body=body, InferenceId=own)
        assert json.loads(found["Body"].read())["prediction_ids"] == ids
    assert one.captures.flush()
    kept = capture.read(one.folder, None, None)["_id"].to_list()
    assert sorted(kept) == ["order-17", "order:7", "pair-0", "pair-1"]
    code, status, told = refused(client, InferenceId="no such thing")
    assert (code, status) == ("ValidationError", 400)
    assert "'no such thing'" in told


def test_an_answer_is_explained_where_asked(stage, aws, objects) -> None:
    client = aws(stage(usual=lambda digest: carried.usual(digest, objects)))
    for asked in ("true", "`true`"):
        found = client.invoke_endpoint(EndpointName="flights", Body=JSON, EnableExplanations=asked)
        [told] = json.loads(found["Body"].read())["explanations"]
        assert told["of"] == "late"
        assert set(told["carried"]) == set(ROW)


def test_what_a_caller_says_of_itself_comes_back(stage, aws) -> None:
    client = aws(stage())
    found = client.invoke_endpoint(EndpointName="flights", Body=JSON, CustomAttributes="trace=7")
    assert found["CustomAttributes"] == "trace=7"


@pytest.mark.parametrize(
    "asked",
    [
        {"TargetContainerHostname": "other"},
        {"InferenceComponentName": "part"},
        {"SessionId": "NEW_SESSION"},
        {"TargetModel": "other.tar.gz"},
        {"EnableExplanations": "instances[0] > `1`"},
    ],
    ids=lambda asked: next(iter(asked)),
)
def test_what_would_change_the_answer_and_is_not_here_is_refused(stage, aws, asked) -> None:
    code, status, told = refused(aws(stage()), **asked)
    assert (code, status) == ("ValidationError", 400)
    assert next(iter(asked)).removesuffix("Name") in told


def test_the_models_of_a_home_are_reached_as_targets_of_one_endpoint(stage, aws) -> None:
    client = aws(stage())
    for target in ("flights", "flights.tar.gz"):
        found = client.invoke_endpoint(EndpointName="shared", Body=JSON, TargetModel=target)
        assert json.loads(found["Body"].read())["predictions"] == ["late"]
    assert refused(client, EndpointName="shared")[:2] == ("ValidationError", 400)
    assert refused(client, EndpointName="shared", TargetModel="none")[1] == 404


def test_refusals_are_read_by_name(stage, aws) -> None:
    one = stage()
    client = aws(one)
    code, status, told = refused(client, Body=json.dumps({"instances": [{**ROW, "hour": "x"}]}))
    assert (code, status) == ("ValidationError", 400)
    assert "'hour', row 0" in told
    assert refused(client, Accept="image/png")[:2] == ("ValidationError", 406)
    assert refused(client, ContentType="image/png")[:2] == ("ValidationError", 415)
    assert refused(client, EndpointName="none")[:2] == ("ValidationError", 404)


def test_a_model_that_fails_is_not_asked_again_by_its_client(stage, aws, first, objects) -> None:
    from mainspring.scaling.models import load

    def broken(digest: str) -> Any:
        served = load.load(digest, objects)

        def score(rows: Any) -> Any:
            raise ZeroDivisionError

        served.score = score
        return served

    with pytest.raises(aws().exceptions.ModelError) as caught:
        aws(stage(loader=broken)).invoke_endpoint(EndpointName="flights", Body=JSON)
    found = caught.value.response
    assert found["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert found["OriginalStatusCode"] == 500
    assert found["OriginalMessage"] == "ZeroDivisionError"


def test_a_token_is_shown_as_that_of_a_session(stage, tmp_path) -> None:
    one = stage()
    with home_in(tmp_path) as home:
        body = home.client(one).invoke_endpoint(EndpointName="flights", Body=JSON)["Body"]
        assert json.loads(body.read())["predictions"] == ["late"]
        token = call(home.ws, "tokens.create", name="caller", role="viewer")["token"]
        asked = f"{home.url}/api/v1/endpoints"  # it is known everywhere within a second
        until(lambda: httpx.get(asked, trust_env=False, timeout=60).status_code == 401)
        assert refused(home.client())[:2] == ("AccessDeniedException", 401)
        wrong = home.client(token="wrong")
        assert refused(wrong)[:2] == ("AccessDeniedException", 401)
        shown = home.client(token=token).invoke_endpoint(EndpointName="flights", Body=JSON)
        assert json.loads(shown["Body"].read())["predictions"] == ["late"]
