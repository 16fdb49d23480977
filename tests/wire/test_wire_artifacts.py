"""Files of runs, by MLflow's own client and by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from mainspring.workspace.opening import Workspace


def test_files_come_back_as_they_were(mlflow: Any, tmp_path: Path) -> None:
    plots = tmp_path / "plots"
    (plots / "deep").mkdir(parents=True)
    (plots / "roc curve.png").write_bytes(bytes(range(256)) * 20_000)  # above the body's bound
    (plots / "deep" / "é.txt").write_text("ü")
    with mlflow.start_run() as run:
        mlflow.log_text("hello", "notes/a.txt")
        mlflow.log_dict({"a": 1}, "config.json")
        mlflow.log_artifacts(str(plots), "plots")
        mlflow.log_text("", "empty")
    number = run.info.run_id
    client = mlflow.MlflowClient()
    top = [(one.path, one.is_dir, one.file_size) for one in client.list_artifacts(number)]
    config = next(one for one in top if one[0] == "config.json")
    assert top == [config, ("empty", False, 0), ("notes", True, None), ("plots", True, None)]
    below = [one.path for one in client.list_artifacts(number, "plots")]
    assert below == ["plots/deep", "plots/roc curve.png"]
    assert client.list_artifacts(number, "config.json") == []
    assert client.list_artifacts(number, "nothing") == []
    assert len(client.list_artifacts(number, ".")) == len(top)
    dotted = mlflow.artifacts.download_artifacts(run_id=number, artifact_path=".")
    assert (Path(dotted) / "plots/deep/é.txt").read_text() == "ü"
    whole = Path(mlflow.artifacts.download_artifacts(run_id=number, dst_path=str(tmp_path / "x")))
    assert (whole / "plots/roc curve.png").read_bytes() == bytes(range(256)) * 20_000
    assert (whole / "plots/deep/é.txt").read_text() == "ü"
    assert (whole / "empty").read_bytes() == b""
    assert mlflow.artifacts.load_dict(f"runs:/{number}/config.json") == {"a": 1}


@pytest.fixture
def files(client: Any, url: str) -> Any:
    """A run's files, and a plain client of them."""
    run = client.create_run("0").info.run_id
    base = f"{url}/api/2.0/mlflow-artifacts/artifacts/0/{run}/artifacts"
    with httpx.Client(base_url=base, trust_env=False, timeout=60) as found:
        yield found


def test_a_file_is_sent_as_an_attachment_of_no_known_kind(files: httpx.Client) -> None:
    assert files.put("/page.html", content=b"<script>").status_code == 200
    found = files.get("/page.html")
    assert found.content == b"<script>"
    assert found.headers["content-disposition"] == "attachment"
    assert found.headers["content-type"] == "application/octet-stream"
    assert found.headers["x-content-type-options"] == "nosniff"


def test_a_file_is_written_over_and_deleted(files: httpx.Client) -> None:
    for text in (b"one", b"two"):
        files.put("/a/b", content=text)
    assert files.get("/a/b").content == b"two"
    assert files.put("/a", content=b"x").json()["error_code"] == "INVALID_PARAMETER_VALUE"
    assert files.put("/a/b/c", content=b"x").status_code == 400
    assert files.delete("/a").status_code == 200
    gone = files.get("/a/b")
    assert (gone.status_code, gone.json()["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")


@pytest.mark.parametrize(
    "path",
    [
        "/%2e%2e/x",
        "/./..",
        "/a/%2e%2e/%2e%2e/x",
        "/%252e%252e/x",
        "/a%5cb",
        "/a//b",
        "/%2fetc/passwd",
        "/a%23b",
        "/a%00b",
        "/C:x",
        "/" + "x" * 600,
    ],
)
def test_paths_that_lead_elsewhere_are_refused(
    files: httpx.Client, house: Workspace, path: str
) -> None:
    for answer in (files.put(path, content=b"x"), files.get(path)):
        assert answer.status_code in (400, 404)
        assert answer.json()["error_code"] in (
            "INVALID_PARAMETER_VALUE",
            "RESOURCE_DOES_NOT_EXIST",
        )
    assert not any((house.home / "run").glob("artifact.*"))


def test_files_of_deleted_and_unknown_runs_are_not_written(
    files: httpx.Client, client: Any, url: str
) -> None:
    run = str(files.base_url).split("/")[-3]
    client.delete_run(run)
    assert files.put("/a", content=b"x").status_code == 400
    for where in ("0/none/artifacts/a", f"1/{run}/artifacts/a", "x", "0"):
        path = f"{url}/api/2.0/mlflow-artifacts/artifacts/{where}"
        assert httpx.put(path, content=b"x", trust_env=False, timeout=60).status_code in (400, 404)


def test_mlflows_own_pages_write_and_read_one_file(client: Any, url: str) -> None:
    run = client.create_run("0").info.run_id
    write, read = f"{url}/ajax-api/2.0/mlflow/upload-artifact", f"{url}/get-artifact"
    asked = {"run_uuid": run, "path": "notes/a.txt"}
    with httpx.Client(trust_env=False, timeout=60) as web:
        assert web.post(write, params=asked, content=b"hello").status_code == 200
        found = web.get(read, params=asked)
        assert (found.text, found.headers["content-disposition"]) == ("hello", "attachment")
        assert found.headers["x-content-type-options"] == "nosniff"
        refused = {
            "Request must specify run_uuid.": web.post(write, content=b"x"),
            "Request must specify path.": web.post(write, params={"run_uuid": run}, content=b"x"),
            "Request must specify data.": web.post(write, params=asked),
            "Invalid path": web.get(read, params={**asked, "path": "../x"}),
        }
    for message, answer in refused.items():
        assert (answer.status_code, answer.json()["message"]) == (400, message)


def test_a_part_of_a_file_is_given(files: httpx.Client) -> None:
    files.put("/a", content=bytes(range(100)))
    for asked, wanted in (("bytes=10-19", range(10, 20)), ("bytes=-5", range(95, 100))):
        part = files.get("/a", headers={"range": asked})
        assert (part.status_code, part.content) == (206, bytes(wanted))
        assert part.headers["content-range"] == f"bytes {wanted[0]}-{wanted[-1]}/100"
    for asked in ("bytes=200-", "bytes=0-1,5-6", "lines=1-2", "bytes=-"):
        assert files.get("/a", headers={"range": asked}).status_code == 200
    head = files.head("/a")
    assert (head.status_code, head.headers["content-length"], head.content) == (200, "100", b"")


def test_parts_that_are_missing_or_changed_make_no_file(url: str, files: httpx.Client) -> None:
    where = files.base_url.path.partition("/artifacts/")[2].rstrip("/")
    base = f"{url}/api/2.0/mlflow-artifacts/mpu"
    with httpx.Client(trust_env=False, timeout=60) as web:
        asked = {"path": "/local/large.bin", "num_parts": 2}
        made = web.post(f"{base}/create/{where}", json=asked).json()
        one, two = (each["url"] for each in made["credentials"])
        tags = [web.put(address, content=b"x" * 10).headers["etag"] for address in (one, two)]
        told = {"path": "large.bin", "upload_id": made["upload_id"]}
        parts = [{"part_number": n + 1, "etag": tag} for n, tag in enumerate(tags)]
        for wrong in (parts[:1], [parts[0], {**parts[1], "etag": '"0"'}], [*parts, parts[0]]):
            answer = web.post(f"{base}/complete/{where}", json={**told, "parts": wrong})
            assert answer.status_code == 400
        assert web.put(one.rpartition("/")[0] + "/3", content=b"x").status_code in (400, 404)
        assert files.get("/large.bin").status_code == 404
        assert web.post(f"{base}/complete/{where}", json={**told, "parts": parts}).json() == {}
        assert files.get("/large.bin").content == b"x" * 20
        again = web.post(f"{base}/create/{where}", json=asked).json()
        told["upload_id"] = again["upload_id"]
        assert web.post(f"{base}/abort/{where}", json=told).json() == {}
        assert web.put(again["credentials"][0]["url"], content=b"x").status_code == 404


def test_one_file_of_a_version_is_given(client: Any, url: str) -> None:
    run = client.create_run("0").info.run_id
    client.log_text(run, "hello", "model/notes.txt")
    client.create_registered_model("kept")
    client.create_model_version("kept", f"runs:/{run}/model", run)
    asked = {"name": "kept", "version": "1", "path": "notes.txt"}
    with httpx.Client(base_url=url, trust_env=False, timeout=60) as web:
        found = web.get("/model-versions/get-artifact", params=asked)
        assert (found.text, found.headers["content-disposition"]) == ("hello", "attachment")
        for wrong in ({"path": "../x"}, {"version": "x"}, {"version": "2"}, {"name": "none"}):
            answer = web.get("/model-versions/get-artifact", params={**asked, **wrong})
            assert answer.status_code in (400, 404), wrong
            assert answer.json()["error_code"] in (
                "INVALID_PARAMETER_VALUE",
                "RESOURCE_DOES_NOT_EXIST",
            )
