"""The pages of runs over HTTP: what they find, show and do, and what they never let through."""

from __future__ import annotations

import re
from types import ModuleType

import httpx
import pytest

from mainspring.experiments import groups, runs
from mainspring.ground.permissions import Permission
from mainspring.web.pages import words
from mainspring.web.pages.headers import POLICY
from mainspring.workspace.opening import Workspace

PAGES = (
    "/runs",
    "/runs?filter=metrics.auc+%3E+0.9&order=-metrics.auc",
    "/runs?deleted=yes",
    "/runs?open=run_tune&spark=auc",
    "/runs/run_files",
    "/runs/run_files?path=confusion.csv",
    "/runs/run_crashed",
    "/runs/run_gone",
    "/runs/run_live",
    "/compare",
    "/compare?runs=run_s00,run_s01",
    "/compare?experiment=flights",
    "/experiments",
    "/experiments/flights",
)
FORM = {"Sec-Fetch-Site": "same-origin"}


def names(text: str) -> list[str]:
    """Return the runs of a table, in their order."""
    return re.findall(r'name="run" value="([^"]+)"', text)


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_whole_html_under_the_strict_policy(seen: httpx.Client, path: str) -> None:
    answer = seen.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-security-policy"] == POLICY
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", answer.text)
    assert not any(re.findall(r"<script[^>]*>(.*?)</script>", answer.text, re.DOTALL))
    assert "://" not in "".join(re.findall(r'(?:src|href)="([^"]*)"', answer.text))
    ids = re.findall(r'\sid="([^"]+)"', answer.text)
    assert len(ids) == len(set(ids)), sorted(one for one in ids if ids.count(one) > 1)


# ---------------------------------------------------------------- the table


def test_the_table_folds_children_under_their_parents_and_shows_them_when_asked(
    seen: httpx.Client,
) -> None:
    folded = names(seen.get("/runs?experiment=flights").text)
    assert "run_tune" in folded
    assert "run_t0" not in folded
    opened = names(seen.get("/runs?experiment=flights&open=run_tune").text)
    place = opened.index("run_tune")
    assert opened[place + 1 : place + 4] == ["run_t2", "run_t1", "run_t0"]
    assert "run_t0" in names(seen.get("/runs?experiment=flights&nest=no").text)


def test_a_filter_finds_runs_and_an_order_sorts_them(seen: httpx.Client) -> None:
    answer = seen.get("/runs", params={"filter": "params.rate = '0.1'", "order": "-metrics.auc"})
    found = names(answer.text)
    assert len(found) == 17  # children too: a filter looks at all
    values = [
        float(one) for one in re.findall(r'<td class="num first">(0\.\d+)</td>', answer.text)
    ]
    assert len(values) == 17
    assert values == sorted(values, reverse=True)
    assert 'aria-sort="descending"' in answer.text


def test_a_filter_that_cannot_be_read_is_marked_where_it_goes_wrong(seen: httpx.Client) -> None:
    text = seen.get("/runs", params={"filter": "metrics.auc > 0.9 annd <b>"}).text
    assert "at character 19" in text
    assert "metrics.auc &gt; 0.9 <mark>a</mark>nnd &lt;b&gt;" in text
    assert 'aria-invalid="true"' in text
    assert "Nothing is shown until the filter can be read." in text
    wrong = seen.get("/runs", params={"order": "metrics."}).text
    assert "Nothing is shown until the order can be read." in wrong
    assert "cursor can be read" in seen.get("/runs?cursor=nonsense").text
    assert "status" in seen.get("/runs?status=asleep").text


def test_pages_follow_one_another_without_a_run_twice_or_left_out(seen: httpx.Client) -> None:
    first = seen.get("/runs?nest=no&order=-metrics.auc").text
    link = re.search(r'href="([^"]+)">Next 50', first)
    assert link is not None
    second = seen.get(link[1].replace("&amp;", "&")).text
    found = names(first) + names(second)
    assert len(names(first)) == 50
    assert len(found) == len(set(found)) == 67


def test_only_the_chosen_columns_are_shown(seen: httpx.Client) -> None:
    text = seen.get("/runs?column=params.depth&column=metrics.loss&spark=auc").text
    heads = re.findall(r'<th class="[^"]*" title="([^"]+)"', text)
    assert heads == ["params.depth", "metrics.loss"]
    assert text.count('<svg class="spark"') > 10
    chosen = seen.get("/runs?experiment=flights").text
    heads = re.findall(r'<th class="[^"]*" title="([^"]+)"', chosen)
    # What differs is shown, what the machine measured and what is the same everywhere is not.
    assert heads == ["metrics.auc", "metrics.loss", "params.rate", "params.depth"]


def test_empty_tables_say_what_to_do(seen: httpx.Client, site: str) -> None:
    assert "No run here." not in seen.get("/runs").text
    assert "meets the filter" in seen.get("/runs?filter=metrics.auc+%3E+2").text
    assert "No cancelled run here." in seen.get("/runs?status=cancelled").text
    with httpx.Client(base_url=site, trust_env=False) as client:
        assert "with ms.run(" in client.get("/runs").text
        assert "No run is deleted." in client.get("/runs?deleted=yes").text
        assert "No experiment yet." in client.get("/experiments").text
        assert "Nothing is chosen yet." in client.get("/compare").text


# ---------------------------------------------------------------- one run


def test_a_run_says_where_it_stands_who_ran_it_and_how(seen: httpx.Client) -> None:
    text = seen.get("/runs/run_files").text
    for told in ("with files", "21.5 s", "maria", "python train.py --rate 0.1", "8c0d0bd4f1"):
        assert told in text
    crashed = seen.get("/runs/run_crashed").text
    assert "Its process died without ending it." in crashed
    assert '<span class="badge red">crashed</span>' in crashed
    gone = seen.get("/runs/run_gone").text
    assert "Deleted on" in gone
    assert 'action="/runs/restore"' in gone
    assert 'data-live="2000"' in seen.get("/runs/run_live").text


def test_curves_come_as_small_charts_by_step_or_time(seen: httpx.Client) -> None:
    figure = seen.get("/runs/run_files?figure=metric").json()
    assert [panel["title"] for panel in figure["panels"]] == ["auc", "loss"]
    assert figure["panels"][0]["data"][0]["x"] == list(range(20))
    log = seen.get("/runs/run_files?figure=metric&key=loss&y=log&x=time").json()
    assert [panel["title"] for panel in log["panels"]] == ["loss"]
    assert log["panels"][0]["layout"]["yaxis"]["type"] == "log"
    assert log["options"] == {"x": "time", "y": "log"}
    system = seen.get("/runs/run_files?figure=metric&system=yes").json()
    assert [panel["title"] for panel in system["panels"]] == ["cpu_percent"]
    nothing = seen.get("/runs/run_files?figure=metric&key=nowhere&x=odd&y=odd").json()
    assert [panel["title"] for panel in nothing["panels"]] == ["auc", "loss"]


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("plots/roc.png", 'src="/runs/run_files/files/plots/roc.png?show=picture"'),
        ("plots/shape.svg", "&lt;script&gt;1&lt;/script&gt;"),
        ("report.html", "&lt;script&gt;document.title"),
        ("report.html", "This is its source: nothing that was stored runs here."),
        ("confusion.csv", '<td class="num">1204</td>'),
        ("predictions.parquet", "&lt;b&gt;late&lt;/b&gt;"),
        ("predictions.parquet", "The first 200 of 500 rows."),
        ("table.json", '<th class="num">a</th><th>b</th>'),
        ("report.json", "<pre>  &#34;auc&#34;: 0.91,</pre>"),
        ("notes.txt", "<pre>two &lt;b&gt;three&lt;/b&gt;</pre>"),
        ("model/weights.bin", "neither text nor a picture"),
        ("mainspring/changes.patch", '<tr class="added">'),
    ],
)
def test_an_artifact_is_shown_as_what_it_is_and_never_as_markup(
    seen: httpx.Client, path: str, shown: str
) -> None:
    text = seen.get("/runs/run_files", params={"path": path}).text
    assert shown in text
    for tag in ("<b>late", "<b>three", "<script>1", "<script>document"):
        assert tag not in text


def test_an_artifact_leaves_as_a_file_and_only_pictures_are_shown(
    seen: httpx.Client, tracked: ModuleType
) -> None:
    for path, body in tracked.FILES.items():
        answer = seen.get(f"/runs/run_files/files/{path}")
        assert answer.content == body
        assert answer.headers["content-type"] == "application/octet-stream"
        assert answer.headers["content-disposition"].startswith("attachment; ")
        shown = seen.get(f"/runs/run_files/files/{path}?show=picture")
        assert shown.content == body
        is_picture = path.endswith(".png")
        assert (shown.headers["content-type"] == "image/png") is is_picture
        assert shown.headers["content-disposition"].startswith("inline; ") is is_picture
        for one in (answer, shown):
            assert one.headers["x-content-type-options"] == "nosniff"
            assert "sandbox" in one.headers["content-security-policy"]
            assert "default-src 'none'" in one.headers["content-security-policy"]
    again = seen.get(
        "/runs/run_files/files/notes.txt", headers={"If-None-Match": answer.headers["etag"]}
    )
    assert again.status_code == 200  # the tag was another file's
    assert seen.get("/runs/run_files/files/..%2f..%2fsecret").status_code == 404
    assert seen.get("/runs/run_files/files/nowhere").status_code == 404
    assert seen.get("/runs/run_files?path=nowhere").status_code == 404


# ---------------------------------------------------------------- comparing


def test_what_differs_is_told_apart_from_what_is_the_same(seen: httpx.Client) -> None:
    text = seen.get("/compare?run=run_s00&run=run_s01&run=run_s02&run=run_nowhere").text
    assert "3 runs compared" in text
    assert "1 of the runs asked for is not there" in text
    assert "2 params are the same in all" in text  # kind and seed
    assert re.search(r'<tr class="differs"><th scope="row" class="stick">rate</th>', text)
    assert text.count('class="best" title="The best"') == 2  # auc and loss
    assert text.count('class="line v') == 3


def test_many_runs_are_ranked_and_drawn_from_worst_to_best(seen: httpx.Client) -> None:
    text = seen.get("/compare?experiment=flights&by=loss").text
    assert "66 runs compared" in text
    ranked = re.findall(r'<tr data-run="[^"]+">.*?</tr>', text, re.DOTALL)
    losses = [float(re.findall(r">(0\.\d+)</td>", row)[-1]) for row in ranked]
    assert losses == sorted(losses)
    shades = re.findall(r'class="line r(\d)"', text)
    assert shades == sorted(shades)
    assert shades[-1] == "6"
    figure = seen.get("/compare?experiment=flights&figure=curves&metric=loss").json()
    assert len(figure["data"]) == 66
    assert figure["options"]["metric"] == "loss"
    scatter = seen.get(
        "/compare?experiment=flights&figure=scatter&across=params.rate&up=metrics.auc"
    ).json()
    assert scatter["layout"]["xaxis"]["type"] == "log"
    assert {one["type"] for one in (*figure["data"], *scatter["data"])} == {"scatter"}


# ---------------------------------------------------------------- what forms do


def test_runs_are_deleted_restored_renamed_and_tagged_by_forms(
    site: str, home: Workspace, tracked: ModuleType
) -> None:
    tracked.furnish(home)
    with httpx.Client(base_url=site, trust_env=False, headers=FORM) as client:
        gone = client.post(
            "/runs/delete", data={"run": ["run_s00", "run_s01"], "next": "/runs?order=name"}
        )
        assert (gone.status_code, gone.headers["location"]) == (303, "/runs?order=name")
        assert names(client.get("/runs?deleted=yes").text) == ["run_gone", "run_s01", "run_s00"]
        back = client.post("/runs/restore", data={"run": "run_s00", "next": "//elsewhere"})
        assert back.headers["location"] == "/"
        client.post("/runs/run_s00/rename", data={"name": "the <b>first</b>"})
        client.post("/runs/run_s00/tag", data={"key": "stage", "value": "final"})
        client.post("/runs/run_s00/tag", data={"key": "mainspring.user", "remove": "yes"})
        found = home.read(Permission.READ, lambda tx: runs.get(tx, "run_s00"))
        assert found.name == "the <b>first</b>"
        assert found.tags == {"mainspring.group": "sweep 0", "stage": "final"}
        assert "the &lt;b&gt;first&lt;/b&gt;" in client.get("/runs/run_s00").text
        assert client.post("/runs/delete", data={}).status_code == 400
        assert client.post("/runs/delete", data={"run": "nowhere"}).status_code == 404


def test_an_experiment_is_described_deleted_and_restored_by_forms(
    site: str, home: Workspace, tracked: ModuleType
) -> None:
    tracked.furnish(home)
    with httpx.Client(base_url=site, trust_env=False, headers=FORM) as client:
        told = {"note": "Which are **late**?", "metric": "auc", "end": "max"}
        client.post("/experiments/flights/describe", data=told)
        text = client.get("/experiments/flights").text
        assert "<strong>late</strong>" in text
        assert "Best auc" in text
        best = home.read(Permission.READ, lambda tx: groups.by_keys(tx, ["flights"])["flights"])
        assert best.tags["mainspring.best"] == "max auc"
        assert "Which are late?" in client.get("/experiments").text
        assert (
            client.post(
                "/experiments/flights/describe", data={"metric": "auc", "end": "up"}
            ).status_code
            == 400
        )
        client.post("/experiments/flights/delete", data={"next": ""})
        assert names(client.get("/runs?nest=no").text) == ["run_live"]
        assert "1 deleted experiment" in client.get("/experiments").text
        client.post("/experiments/flights/restore", data={"next": ""})
        assert len(names(client.get("/runs?nest=no").text)) == 50
        assert client.post("/experiments/nowhere/delete", data={"next": ""}).status_code == 404


def test_a_form_that_no_page_of_ours_sent_does_nothing(
    site: str, home: Workspace, tracked: ModuleType
) -> None:
    tracked.furnish(home)
    form = {"run": "run_s00"}
    own = {"Origin": site}
    for headers in (
        {},  # nobody says where it comes from
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "cross-site", **own},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "https://elsewhere.example", "Sec-Fetch-Site": "same-origin"},
        {"Origin": "null"},
    ):
        answer = httpx.post(f"{site}/runs/delete", data=form, headers=headers, trust_env=False)
        assert answer.status_code == 403, headers
    plain = httpx.post(
        f"{site}/runs/delete", content=b'{"run":"run_s00"}', headers={**own}, trust_env=False
    )
    assert plain.status_code == 400
    assert httpx.get(f"{site}/runs/delete", trust_env=False).status_code in (404, 405)
    assert "run_s00" in names(httpx.get(f"{site}/runs?order=name&nest=no", trust_env=False).text)
    good = httpx.post(f"{site}/runs/delete", data=form, headers=own, trust_env=False)
    assert good.status_code == 303


def test_who_may_only_look_sees_no_form_and_can_send_none(
    site: str, home: Workspace, tracked: ModuleType
) -> None:
    from mainspring.web.api import call

    tracked.furnish(home)
    token = call(home, "tokens.create", name="eve", role="viewer")["token"]
    headers = {"Authorization": f"Bearer {token}", **FORM}
    with httpx.Client(base_url=site, trust_env=False, headers=headers) as client:
        for path in ("/runs", "/runs/run_files", "/experiments", "/experiments/flights"):
            text = client.get(path).text
            assert "/delete" not in text
            assert "Rename" not in text
        assert client.post("/runs/delete", data={"run": "run_s00"}).status_code == 403
        assert client.post("/experiments/flights/delete", data={"next": ""}).status_code == 403


# ---------------------------------------------------------------- hostile names

EVIL = "\"'><script>window.owned=1</script><img src=x onerror=alert(1)>{{7654321*9}}"


def test_names_keys_and_values_are_text_wherever_they_stand(
    site: str, home: Workspace, tracked: ModuleType
) -> None:
    import random

    from mainspring.experiments import artifacts

    digest = home.objects.put(EVIL.encode())

    def work(tx) -> None:  # type: ignore[no-untyped-def]
        draw = random.Random(1)
        experiment = groups.create(tx, f"exp {EVIL}", {EVIL: EVIL}, tracked.NOW)
        for key in ("run_a", "run_b"):
            tags = {"mainspring.group": EVIL, "mainspring.user": EVIL, "mainspring.source": EVIL}
            params = {EVIL: EVIL + key, "plain": "javascript:alert(1)"}
            tracked.a_run(
                tx, key, experiment.key, tracked.NOW, params, {**tags, EVIL: EVIL}, draw, name=EVIL
            )
            runs.log(tx, key, {EVIL: 1.0 + len(key), f"system/{EVIL}": 2.0}, at=tracked.NOW)
        safe = EVIL.replace("/", "-")
        for name in (safe, f"{safe}.csv", f"dir/{safe}.json"):
            artifacts.put(tx, "run_a", name, digest, len(EVIL.encode()), tracked.NOW)

    home.store.write(home.who, Permission.LOG, work)
    with httpx.Client(base_url=site, trust_env=False) as client:
        key = re.findall(r'href="/experiments/([^"]+)"', client.get("/experiments").text)[0]
        path = EVIL.replace("/", "-")
        for asked in (
            "/runs",
            f"/runs?{httpx.QueryParams({'filter': EVIL})}",
            f"/runs?{httpx.QueryParams({'column': 'params.`' + EVIL + '`', 'spark': EVIL})}",
            f"/runs?{httpx.QueryParams({'order': EVIL, 'experiment': EVIL})}",
            "/runs/run_a",
            f"/runs/run_a?{httpx.QueryParams({'path': path})}",
            f"/runs/run_a?{httpx.QueryParams({'path': path + '.csv'})}",
            "/compare?runs=run_a,run_b",
            f"/compare?{httpx.QueryParams({'runs': EVIL, 'by': EVIL})}",
            f"/compare?{httpx.QueryParams({'filter': 'name is not null', 'axis': EVIL})}",
            "/experiments",
            f"/experiments/{key}",
        ):
            text = client.get(asked, headers={"Accept": "text/html"}).text
            assert "<script>window" not in text, asked
            assert "<img src=x" not in text, asked
            assert 'href="javascript' not in text, asked
            assert "68888889" not in text, asked  # what the braces would come to
        for figure in (
            "/runs/run_a?figure=metric",
            "/runs/run_a?figure=metric&system=yes",
            "/compare?runs=run_a,run_b&figure=curves",
            "/compare?runs=run_a,run_b&figure=scatter",
        ):
            found = client.get(figure).json()
            assert "<script" not in str(found.get("data", ""))
            assert "<img" not in str(found.get("layout", ""))


# ---------------------------------------------------------------- words


def test_figures_of_a_column_have_as_many_decimals_each() -> None:
    assert words.aligned([12.5, 3.25, float("nan")]) == ["12.500", "3.250", "nan"]
    assert words.aligned([]) == []


def test_the_ends_of_numbers_break_no_page_and_no_picture(
    site: str, home: Workspace, tracked: ModuleType
) -> None:
    import random

    odd = [float("nan"), float("inf"), -float("inf"), 1e308, -1e308, 5e-324, -0.0, 0.1]

    def work(tx) -> None:  # type: ignore[no-untyped-def]
        draw = random.Random(1)
        for number, value in enumerate(odd):
            key, params = f"run_{number}", {"C": str(value), "n": str(10.0 ** (number * 70 - 300))}
            tracked.a_run(tx, key, "odd", tracked.NOW + number, params, {}, draw)
            runs.log(tx, key, {"auc": value}, 2**63 - 1, at=tracked.NOW)
            for step, one in enumerate(odd):
                runs.log(tx, key, {"loss": one}, step - 2**63, at=tracked.NOW)

    home.store.write(home.who, Permission.LOG, work)
    with httpx.Client(base_url=site, trust_env=False, timeout=60) as client:
        for path in (
            "/runs?experiment=odd&spark=loss&order=-metrics.auc",
            "/runs/run_0",
            "/compare?experiment=odd&axis=params.C&axis=params.n&axis=metrics.auc&by=auc",
            "/compare?runs=run_3,run_4",
            "/experiments/odd",
        ):
            text = client.get(path).text
            assert "nan" not in "".join(re.findall(r'\s(?:d|y|x|points|data-at)="([^"]*)"', text))
            assert "inf" not in "".join(re.findall(r'\s(?:d|y|x|points|data-at)="([^"]*)"', text))
        for figure in (
            "/runs/run_0?figure=metric&y=log",
            "/compare?experiment=odd&figure=curves&metric=loss&y=log",
            "/compare?experiment=odd&figure=scatter&across=params.n&up=metrics.auc",
        ):
            assert client.get(figure).status_code == 200


def test_what_is_no_parquet_is_said_to_be_none(
    site: str, home: Workspace, tracked: ModuleType
) -> None:
    whole = tracked.FILES["predictions.parquet"]
    tracked.furnish(home, {"cut.parquet": whole[:-9], "not.parquet": b"PAR1 so it says"})
    with httpx.Client(base_url=site, trust_env=False, timeout=60) as client:
        for path in ("cut.parquet", "not.parquet"):
            text = client.get("/runs/run_files", params={"path": path}).text
            assert "It cannot be read as Parquet" in text


def test_what_others_need_stays_and_a_person_is_told_why_on_a_page(
    site: str, home: Workspace, tracked: ModuleType
) -> None:
    tracked.furnish(home)
    headers = {**FORM, "Accept": "text/html"}
    with httpx.Client(base_url=site, trust_env=False, headers=headers) as client:
        told = client.post("/runs/delete", data={"run": ["run_s00", "run_live"]})
        assert told.status_code == 409
        assert told.headers["content-type"] == "text/html; charset=utf-8"
        assert "Deleted: 1. Kept: run_live" in told.text
        assert "run_live" in names(client.get("/runs").text)
        default = client.post("/experiments/Default/delete", data={"next": ""})
        assert default.status_code in (404, 409)


def test_a_run_says_what_it_read_and_what_could_not_be_kept(
    site: str, home: Workspace, tracked: ModuleType
) -> None:
    from sqlalchemy import insert

    from mainspring.experiments import datasets
    from mainspring.experiments.tables import run_notes

    tracked.furnish(home)

    def work(tx) -> None:  # type: ignore[no-untyped-def]
        data = datasets.Dataset(
            name="flights <b>", digest="d1g3st", source_type="local", source="flights.parquet"
        )
        datasets.log(
            tx, "run_files", [datasets.Use(dataset=data, context="training")], tracked.NOW
        )
        cells = {"run": "run_files", "at": tracked.NOW, "text": "Param C is 1 & cannot become 2."}
        tx.run(insert(run_notes).values(**{k: v for k, v in cells.items() if k in run_notes.c}))

    home.store.write(home.who, Permission.LOG, work)
    with httpx.Client(base_url=site, trust_env=False) as client:
        text = client.get("/runs/run_files").text
        assert "flights &lt;b&gt;" in text
        assert "d1g3st" in text
        assert "training" in text
        assert "1 thing it logged could not be kept" in text
        assert "Param C is 1 &amp; cannot become 2." in text
