"""A run's files are served by Airflow's own API server to those who may read the run, and nothing beside them is."""

import http.client
from collections.abc import Iterator
from urllib.parse import quote, urlsplit

import httpx
import pytest
from verger.publish.explorer import site as site_of_explorer
from verger.serve.tab import tab_path

from tests.verger.serve.conftest import S3Server, Site, log_in

pytestmark = pytest.mark.server

MATRIX = bytes(range(256)) * 1024
PAGE = (site_of_explorer.PAGE / "index.html").read_bytes()
SECRET = b"not for everybody"


@pytest.fixture(scope="module")
def client(site: Site) -> Iterator[httpx.Client]:
    """Logged in, with some files to read."""
    site.put("explorer/index.html", b"<script src='data/run.js'></script>")
    site.put("explorer/app.js", b"alert(1)")
    site.put("explorer/style.css", b"* { display: none }")
    site.put("explorer/data/run.js", b"alert(1)")
    site.put("explorer/data/evil.html", b"<script src='run.js'></script>")
    site.put("matrix.parquet", MATRIX, "text/html")
    site.put("report.html", b"<title>report</title>")
    site.put("map.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>")
    site.put("explorer/Apple Braeburn+50%.json", b"{}")
    for key in ("runs/secret.json", "results/latest.json"):
        site.s3.put_object(Bucket=site.results().layout.bucket, Key=key, Body=SECRET)
    with httpx.Client(headers={"Authorization": f"Bearer {site.token}"}, timeout=30) as client:
        yield client


@pytest.mark.parametrize("path", ["", "matrix.parquet", "explorer/index.html", "no-such-file"])
@pytest.mark.parametrize("kind", ["published", "failed", "secret"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_without_a_login_nothing_is_told(site: Site, client: httpx.Client, path: str, kind: str, method: str) -> None:
    assert client.get(site.address("matrix.parquet")).status_code == 200
    assert httpx.request(method, site.address(path, kind)).status_code == 401
    wrong = {"Authorization": "Bearer " + site.token[:-4] + "AAAA"}
    assert httpx.request(method, site.address(path, kind), headers=wrong).status_code == 403


def test_without_the_permission_for_the_dag_nothing_is_told(site: Site, client: httpx.Client) -> None:
    assert client.get(site.address("", "secret")).status_code == 403
    assert client.get(site.address("matrix.parquet", "secret")).status_code == 403


def test_the_permission_for_another_dag_does_not_help(site: Site, client: httpx.Client) -> None:
    """Neither does a query: the DAG whose permission is asked is the one whose run is read."""
    assert client.get(f"{site.address('', 'secret')}?dag_id=small").status_code == 403
    other = f"{site.url}/results/runs/small/{site.runs['secret']}/"
    assert client.get(other).status_code == 404


def test_the_cookie_of_a_login_serves_as_well(site: Site, client: httpx.Client) -> None:
    assert client.get(site.address("report.html")).status_code == 200
    assert httpx.get(site.address("report.html"), cookies={"_token": site.token}).status_code == 200


def test_the_entry_leads_to_the_explorer_and_to_the_report_without_one(site: Site, client: httpx.Client) -> None:
    assert client.get(site.address()).headers["location"] == "explorer/index.html"
    key = site.results().result_file("explorer/index.html").key
    site.s3.delete_object(Bucket=site.results().layout.bucket, Key=key)
    assert client.get(site.address()).headers["location"] == "report.html"
    assert client.get(site.address("explorer/")).status_code == 404
    site.put("explorer/index.html", b"")
    assert client.get(site.address(), follow_redirects=True).content == PAGE
    assert client.get(site.address("explorer/")).content == PAGE


def test_the_content_type_goes_by_the_name_and_never_by_the_object(site: Site, client: httpx.Client) -> None:
    types = {
        "explorer/index.html": "text/html; charset=utf-8",
        "explorer/data/run.js": "text/plain; charset=utf-8",
        "explorer/app.js": "text/javascript; charset=utf-8",
        "explorer/style.css": "text/css; charset=utf-8",
        "matrix.parquet": "application/vnd.apache.parquet",
        "map.svg": "image/svg+xml",
    }
    answers = {name: client.get(site.address(name)) for name in types}
    assert {name: answer.headers["content-type"] for name, answer in answers.items()} == types
    assert {answer.headers["x-content-type-options"] for answer in answers.values()} == {"nosniff"}
    assert answers["matrix.parquet"].content == MATRIX


def test_a_script_in_the_bucket_is_not_the_one_that_runs(site: Site, client: httpx.Client) -> None:
    for name in ("index.html", "app.js"):
        assert client.get(site.address(f"explorer/{name}")).content == (site_of_explorer.PAGE / name).read_bytes()
        assert client.head(site.address(f"explorer/{name}")).content == b""


def test_head_tells_the_size_without_the_content(site: Site, client: httpx.Client) -> None:
    answer = client.head(site.address("matrix.parquet"))
    assert (answer.status_code, answer.headers["content-length"], answer.content) == (200, str(len(MATRIX)), b"")
    assert answer.headers["accept-ranges"] == "bytes"
    assert client.head(site.address("nothing.parquet")).status_code == 404


@pytest.mark.parametrize(
    ("asked", "expected", "told"),
    [
        ("bytes=0-9", MATRIX[:10], f"bytes 0-9/{len(MATRIX)}"),
        ("bytes=262000-", MATRIX[262000:], f"bytes 262000-{len(MATRIX) - 1}/{len(MATRIX)}"),
        ("bytes=-8", MATRIX[-8:], f"bytes {len(MATRIX) - 8}-{len(MATRIX) - 1}/{len(MATRIX)}"),
    ],
)
def test_a_part_of_a_file_can_be_read(site: Site, client: httpx.Client, asked: str, expected: bytes, told: str) -> None:
    answer = client.get(site.address("matrix.parquet"), headers={"Range": asked})
    assert (answer.status_code, answer.content, answer.headers["content-range"]) == (206, expected, told)


def test_a_part_that_the_file_does_not_have_is_refused(site: Site, client: httpx.Client) -> None:
    answer = client.get(site.address("matrix.parquet"), headers={"Range": "bytes=999999-"})
    assert answer.status_code == 416
    assert answer.headers["content-range"].startswith("bytes */")


@pytest.mark.parametrize("asked", ["bytes=0-1,4-5", "bytes=abc", "lines=0-3"])
def test_a_range_that_is_none_gives_the_whole_file(site: Site, client: httpx.Client, asked: str) -> None:
    answer = client.get(site.address("matrix.parquet"), headers={"Range": asked})
    assert (answer.status_code, len(answer.content)) == (200, len(MATRIX))


def test_what_the_browser_has_is_not_sent_again(site: Site, client: httpx.Client) -> None:
    first = client.get(site.address("matrix.parquet"))
    again = client.get(site.address("matrix.parquet"), headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    part = {"Range": "bytes=0-9", "If-Range": '"of-an-older-file"'}
    assert client.get(site.address("matrix.parquet"), headers=part).status_code == 200
    part["If-Range"] = first.headers["etag"]
    assert client.get(site.address("matrix.parquet"), headers=part).status_code == 206


def test_a_name_with_blanks_and_signs_is_found(site: Site, client: httpx.Client) -> None:
    assert client.get(site.address("explorer/" + quote("Apple Braeburn+50%.json"))).content == b"{}"


@pytest.mark.parametrize(
    "path",
    [
        "../latest.json", "..%2flatest.json", "%2e%2e/latest.json", "explorer/../../latest.json",
        "%2e%2e%2flatest.json", "../../runs/secret.json", "/latest.json", "./../latest.json", "..\\latest.json",
        "..%5clatest.json", "%252e%252e/latest.json", "explorer/%00", "explorer/%0d%0aX-A:b", ".", "..", "a" * 600,
    ],
)  # fmt: skip
def test_no_path_leads_out_of_the_results(site: Site, client: httpx.Client, path: str) -> None:
    """Sent as it is: a client that tidies addresses up would hide what a hostile one can do."""
    assert client.get(site.address()).is_redirect
    connection = http.client.HTTPConnection(urlsplit(site.url).netloc, timeout=30)
    target = f"/results/runs/small/{site.runs['published']}/{path}"
    connection.request("GET", target, headers={"Authorization": f"Bearer {site.token}"})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    assert answer.status == 404
    assert SECRET not in content
    assert "X-A" not in dict(answer.getheaders())


def test_unknown_dags_and_runs_are_not_found(site: Site, client: httpx.Client) -> None:
    run_id = site.runs["published"]
    for dag_id, run in (("no_such_dag", run_id), ("small", "no_such_run"), ("~", run_id), ("small", "..")):
        answer = client.get(f"{site.url}/results/runs/{quote(dag_id)}/{quote(run, safe='')}/report.html")
        assert answer.status_code == 404
    assert "There is no such run" in client.get(f"{site.url}/results/runs/small/no_such_run/").text


@pytest.mark.parametrize(
    ("kind", "status", "told"),
    [
        ("failed", 404, "This run has no results"),
        ("running", 404, "The results are not there yet"),
        ("skipped", 404, "Nothing had changed"),
        ("elsewhere", 404, "These results cannot be shown here"),
        ("gone", 404, "The pages of this run were deleted"),
    ],
)
def test_a_run_without_results_says_why(site: Site, client: httpx.Client, kind: str, status: int, told: str) -> None:
    answer = client.get(site.address("", kind))
    assert (answer.status_code, answer.headers["content-type"]) == (status, "text/html; charset=utf-8")
    assert told in answer.text


def test_a_run_that_found_nothing_new_leads_to_the_results_before(site: Site, client: httpx.Client) -> None:
    text = client.get(site.address("", "skipped")).text
    assert f'href="../{quote(site.runs["published"], safe="")}/"' in text


@pytest.mark.parametrize("path", ["", "report.html", "explorer/index.html", "explorer/data/evil.html", "no-such-file"])
def test_every_answer_tells_the_browser_what_it_may_do(site: Site, client: httpx.Client, path: str) -> None:
    headers = client.get(site.address(path)).headers
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "frame-ancestors 'self'" in policy
    assert "script-src 'unsafe-inline'" not in policy
    assert ("script-src" in policy) == (path == "explorer/index.html")
    assert ("sandbox" in policy.split("; ")) == (path in {"report.html", "explorer/data/evil.html"})
    assert headers["cache-control"] == "private, no-cache"


def test_a_browser_gets_a_page_of_the_bucket_in_a_frame_and_a_program_gets_the_file(
    site: Site, client: httpx.Client
) -> None:
    of_a_browser = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
    for name in ("report.html", "map.svg"):
        content = client.get(site.address(name)).content
        frame = client.get(site.address(name), headers=of_a_browser)
        assert f'<iframe sandbox title="{name}" src="{name}?framed">' in frame.text
        assert "frame-src 'self'" in frame.headers["content-security-policy"]
        inside = client.get(site.address(f"{name}?framed"), headers=of_a_browser)
        assert inside.content == content
        assert "sandbox" in inside.headers["content-security-policy"].split("; ")
        assert client.get(site.address(name), headers={"Accept": "image/*,*/*;q=0.8"}).content == content
    assert client.get(site.address("no-such.html"), headers=of_a_browser).status_code == 404
    assert client.get(site.address("explorer/"), headers=of_a_browser).content == PAGE


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_the_app_only_reads(site: Site, client: httpx.Client, method: str) -> None:
    assert client.request(method, site.address("report.html")).status_code == 405


@pytest.mark.parametrize("path", ["/", "/docs", "/openapi.json", "/redoc", "/runs"])
def test_the_app_has_no_other_address(site: Site, client: httpx.Client, path: str) -> None:
    assert client.get(f"{site.url}/results{path}").status_code == 404


def test_airflow_lists_the_plugin(site: Site) -> None:
    headers = {"Authorization": f"Bearer {log_in(site.url, 'boss')}"}
    answer = httpx.get(f"{site.url}/api/v2/plugins", headers=headers).json()
    ours = next(plugin for plugin in answer["plugins"] if plugin["name"] == "verger")
    assert [view["destination"] for view in ours["external_views"]] == ["dag_run"]
    assert [app["url_prefix"] for app in ours["fastapi_apps"]] == ["/results"]
    assert httpx.get(f"{site.url}/api/v2/plugins/importErrors", headers=headers).json()["total_entries"] == 0


def test_the_note_of_a_run_that_published_is_its_summary(site: Site, client: httpx.Client) -> None:
    runs = f"{site.url}/api/v2/dags/small/dagRuns"
    notes = {kind: client.get(f"{runs}/{quote(site.runs[kind])}").json()["note"] for kind in ("published", "failed")}
    assert notes["published"].startswith("**Results:** **The model has RANDOM weights")
    assert "148 pictures on 10 components" in notes["published"]
    assert notes["failed"] is None


def test_the_task_that_publishes_links_to_the_tab(site: Site, client: httpx.Client) -> None:
    run = f"dags/small/dagRuns/{quote(site.runs['published'])}/taskInstances/publish_results"
    links = client.get(f"{site.url}/api/v2/{run}/links").json()["extra_links"]
    assert links == {"Results": tab_path("small", site.runs["published"])}


def test_s3_that_does_not_answer_is_told_and_passes(site: Site, client: httpx.Client, s3_server: S3Server) -> None:
    s3_server.stop()
    try:
        answer = client.get(site.address())
    finally:
        s3_server.start()
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "15")
    assert "S3 does not answer" in answer.text
    assert client.get(site.address()).status_code == 307
