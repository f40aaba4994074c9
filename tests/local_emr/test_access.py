"""Who gets in: programs on this machine that have the server's key. No page in a browser, and nobody else."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import boto3
import httpx
import obstore
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.client import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st
from obstore.store import S3Store

from local_emr import LocalEmrSettings
from local_emr.faulty_calls import FAULTS_PATH
from local_emr.host_names import bare_host, checked_host
from local_emr.server import serving
from local_emr.signatures import SignatureError, SignedRequest, check_signature
from tests.local_emr.conftest import ACCESS_KEY, BUCKET, OVER, REGION, SECRET_KEY, Lab, bash, send, wait_until
from tests.local_emr.test_server_process import ENVIRONMENT, server

TARGET = {"X-Amz-Target": "ElasticMapReduce.RunJobFlow", "Content-Type": "application/x-amz-json-1.1"}
AWKWARD_KEYS = ["a b+c/d=e.txt", "ä/%41/ü.txt", "dots/../x", "x~y/'(1)*!", "twice//here", "a&b;c?d#e"]


def run_job_flow(folder: Path) -> bytes:
    """A request that would run a program which leaves a file."""
    instances = {"InstanceCount": 1, "MasterInstanceType": "m6i.xlarge", "KeepJobFlowAliveWhenNoSteps": False}
    return json.dumps(
        {"Name": "x", "ReleaseLabel": "emr-spark-8.1.0", "ServiceRole": "r", "JobFlowRole": "r", "Instances": instances,
         "Steps": [bash(f"touch {folder}/ran")]}
    ).encode()  # fmt: skip


def start(lab: Lab, folder: Path, headers: dict[str, str] | None = None, **more: Any) -> httpx.Response:
    return send(lab.endpoint, "POST", "/", run_job_flow(folder), TARGET | (headers or {}), **more)


def test_the_very_request_that_the_others_differ_from_is_accepted(lab: Lab, tmp_path: Path) -> None:
    answer = start(lab, tmp_path)
    assert answer.status_code == 200, answer.text
    lab.reach(answer.json()["JobFlowId"], *OVER)
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("key", "code"),
    [
        (None, "MissingAuthenticationToken"),
        ((ACCESS_KEY, "another secret"), "SignatureDoesNotMatch"),
        (("AKIAUNKNOWN", SECRET_KEY), "InvalidAccessKeyId"),
        (("", SECRET_KEY), "IncompleteSignature"),
    ],
)
def test_without_the_key_no_program_runs(lab: Lab, tmp_path: Path, key: tuple[str, str] | None, code: str) -> None:
    before = len(lab.emr.list_clusters()["Clusters"])
    answer = start(lab, tmp_path, key=key)
    assert (answer.status_code, answer.json()["__type"]) == (403, code)
    assert len(lab.emr.list_clusters()["Clusters"]) == before


@pytest.mark.parametrize(
    "path", ["/", f"/{BUCKET}/x", "/moto-api/", "/moto-api/reset", FAULTS_PATH, "/latest/meta-data/"]
)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD"])
def test_nothing_behind_the_port_answers_without_the_key(lab: Lab, path: str, method: str) -> None:
    lab.put("x", "secret")
    answer = send(lab.endpoint, method, path, key=None)
    assert answer.status_code == 403
    assert "secret" not in answer.text


@pytest.mark.parametrize(
    "host",
    ["rebind.example", "rebind.example:5005", "127.0.0.1.rebind.example", "0.0.0.0", "localhost.rebind.example",
     "127.0.0.1@rebind.example", "user@localhost", "", "localhost/x", "local-emr", "2130706433", "localhost,x.example"],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/", f"/{BUCKET}", FAULTS_PATH])
def test_a_page_whose_name_resolves_to_this_machine_gets_nothing_not_even_with_the_key(
    lab: Lab, host: str, path: str
) -> None:
    answer = send(lab.endpoint, "GET", path, headers={"Host": host}, service="s3")
    assert answer.status_code in (400, 403)
    assert BUCKET not in answer.text
    assert "--allow-host" in answer.text or answer.status_code == 400


@pytest.mark.parametrize("host", ["127.0.0.1:1", "localhost", "LOCALHOST:80", "[::1]:5005", "bucket.localhost:5005"])
def test_the_names_of_this_machine_are_known_whatever_the_port(lab: Lab, host: str) -> None:
    assert send(lab.endpoint, "GET", FAULTS_PATH, headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "of_a_browser",
    [{"Origin": "https://fruit.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"},
     {"Sec-Fetch-Mode": "no-cors"}, {"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Dest": "image"}],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/", f"/{BUCKET}", "/moto-api/", FAULTS_PATH])
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_a_page_in_a_browser_gets_nothing_not_even_with_the_key(
    lab: Lab, of_a_browser: dict[str, str], path: str, method: str
) -> None:
    answer = send(lab.endpoint, method, path, headers=of_a_browser)
    assert (answer.status_code, "browser" in answer.text) == (403, True)


@pytest.mark.parametrize("kind", ["text/plain", "text/plain;charset=UTF-8", "application/x-www-form-urlencoded",
                                  "multipart/form-data; boundary=x"])  # fmt: skip
def test_what_a_form_can_send_is_neither_a_call_of_emr_nor_a_fault(lab: Lab, tmp_path: Path, kind: str) -> None:
    assert start(lab, tmp_path, {"Content-Type": kind}).status_code == 403
    answer = send(lab.endpoint, "POST", FAULTS_PATH, b'{"fault": "no_capacity"}', {"Content-Type": kind})
    assert answer.status_code == 403
    assert send(lab.endpoint, "GET", FAULTS_PATH).json() == []


def test_a_signature_serves_for_the_body_that_was_signed_only(lab: Lab, tmp_path: Path) -> None:
    request = AWSRequest("POST", f"{lab.endpoint}/", dict(TARGET), b"{}")
    SigV4Auth(Credentials(ACCESS_KEY, SECRET_KEY), "elasticmapreduce", REGION).add_auth(request)
    signed = dict(request.headers.items())
    changed = httpx.post(lab.endpoint, content=run_job_flow(tmp_path), headers=signed, trust_env=False)
    assert (changed.status_code, changed.json()["__type"]) == (403, "SignatureDoesNotMatch")


def test_a_body_that_is_not_the_one_whose_digest_was_signed_is_refused(lab: Lab) -> None:
    headers = {"X-Amz-Content-SHA256": sha256(b"good").hexdigest()}
    good = send(lab.endpoint, "PUT", f"/{BUCKET}/digest", b"good", headers, service="s3")
    evil = send(lab.endpoint, "PUT", f"/{BUCKET}/digest", b"evil", headers, service="s3")
    assert (good.status_code, evil.status_code) == (200, 403)
    assert lab.s3.get_object(Bucket=BUCKET, Key="digest")["Body"].read() == b"good"


def signed_at(when: datetime, **change: str) -> SignedRequest:
    """A request as a client of that time signs it."""
    request = AWSRequest("GET", "http://localhost/x?list-type=2&prefix=a%20b", {"Host": "localhost"})
    signer: Any = SigV4Auth(Credentials(ACCESS_KEY, SECRET_KEY), "s3", REGION)
    request.context["timestamp"] = when.strftime("%Y%m%dT%H%M%SZ")
    signer._modify_request_before_signing(request)
    text = signer.string_to_sign(request, signer.canonical_request(request))
    signer._inject_signature_to_request(request, signer.signature(text, request))
    headers = {name.lower(): value for name, value in request.headers.items()} | change
    return SignedRequest("GET", "/x?list-type=2&prefix=a%20b", list(headers.items()), lambda: b"")


def secret_of(access_key: str, _token: str) -> str | None:
    return SECRET_KEY if access_key == ACCESS_KEY else None


@given(seconds=st.integers(-86_400 * 2, 86_400 * 2))
def test_a_signature_is_valid_for_a_quarter_of_an_hour(seconds: int) -> None:
    now = datetime(2026, 11, 27, 12, tzinfo=UTC)
    request = signed_at(now + timedelta(seconds=seconds))
    if abs(seconds) <= 900:
        check_signature(request, secret_of, now)
    else:
        with pytest.raises(SignatureError, match="not valid now"):
            check_signature(request, secret_of, now)


@given(header=st.text(max_size=200), date=st.text(max_size=20))
def test_no_header_passes_as_a_signature_or_is_more_than_refused(header: str, date: str) -> None:
    now = datetime(2026, 11, 27, 12, tzinfo=UTC)
    for text in (header, f"AWS4-HMAC-SHA256 {header}"):
        with pytest.raises(SignatureError):
            check_signature(signed_at(now, **{"authorization": text, "x-amz-date": date}), secret_of, now)
    with pytest.raises(SignatureError):
        check_signature(signed_at(now, **{"x-amz-date": date}), secret_of, now)


@given(host=st.text(max_size=30))
def test_a_name_that_may_be_allowed_is_known_by_what_a_client_then_sends(host: str) -> None:
    try:
        allowed = checked_host(host)
    except ValueError:
        return
    assert bare_host(f"[{allowed}]:5005" if ":" in allowed else f"{allowed}:5005") == allowed


@pytest.mark.parametrize("host", ["http://x", "x:5005", "x/y", "*", "*.example", "", "0.0.0.0", "a b", "u@x"])
def test_what_is_not_a_host_name_cannot_be_allowed(host: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is not a host name or address"):
        LocalEmrSettings(work_dir=tmp_path, allow_hosts=[host])


def test_a_name_that_it_is_told_is_its_own(tmp_path: Path) -> None:
    settings = LocalEmrSettings(
        work_dir=tmp_path, allow_hosts=["Local-EMR"], access_key=ACCESS_KEY, secret_key=SECRET_KEY
    )
    with serving(settings) as endpoint:
        for host, status in (("local-emr:5005", 200), ("other-emr:5005", 403)):
            assert send(endpoint, "GET", FAULTS_PATH, headers={"Host": host}).status_code == status


@pytest.mark.parametrize("key", AWKWARD_KEYS)
def test_boto3_reads_and_writes_every_key(lab: Lab, key: str) -> None:
    endpoint = lab.endpoint.replace("127.0.0.1", "localhost")
    s3 = boto3.client(
        "s3", endpoint_url=endpoint, region_name=REGION, aws_access_key_id=ACCESS_KEY, aws_secret_access_key=SECRET_KEY,
        config=Config(s3={"addressing_style": "path"}, proxies={}),
    )  # fmt: skip
    s3.put_object(Bucket=BUCKET, Key=f"boto3/{key}", Body=b"x" * 3, Metadata={"two_words": "a  b", "x": "y"})
    assert s3.get_object(Bucket=BUCKET, Key=f"boto3/{key}")["Body"].read() == b"xxx"
    assert s3.list_objects_v2(Bucket=BUCKET, Prefix=f"boto3/{key}")["KeyCount"] == 1
    s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": f"boto3/{key}"}]})


@pytest.mark.parametrize("key", AWKWARD_KEYS)
def test_obstore_reads_and_writes_every_key_and_so_does_who_has_its_presigned_address(lab: Lab, key: str) -> None:
    store = S3Store(
        BUCKET, endpoint=lab.endpoint, region=REGION, access_key_id=ACCESS_KEY, secret_access_key=SECRET_KEY,
        client_options={"allow_http": True},
    )  # fmt: skip
    path = f"obstore/{key}".replace("/../", "/__/").replace("//", "/")  # what object_store takes for a path
    obstore.put(store, path, b"content", use_multipart=False)
    assert bytes(obstore.get(store, path).bytes()) == b"content"
    assert [entry["path"] for page in obstore.list(store, "obstore/") for entry in page if entry["path"] == path]
    signed = obstore.sign(store, "GET", path, timedelta(minutes=1))
    assert httpx.get(signed, trust_env=False).content == b"content"
    obstore.delete(store, path)


def test_a_presigned_address_serves_until_it_expires_and_as_it_is_only(lab: Lab) -> None:
    lab.put("presigned.txt", "content")
    s3 = boto3.client(
        "s3", endpoint_url=lab.endpoint, region_name=REGION, aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY, config=Config(signature_version="s3v4"),
    )  # fmt: skip
    signed = s3.generate_presigned_url("get_object", {"Bucket": BUCKET, "Key": "presigned.txt"}, ExpiresIn=60)
    assert httpx.get(signed, trust_env=False).text == "content"
    for changed in (
        signed.replace("presigned.txt", "digest"),
        signed.replace("X-Amz-Expires=60", "X-Amz-Expires=600"),
        f"{signed}&versionId=1",
        re.sub("X-Amz-Signature=....", "X-Amz-Signature=0000", signed),
    ):
        assert httpx.get(changed, trust_env=False).status_code == 403, changed
    assert httpx.put(signed, content=b"x", trust_env=False).status_code == 403
    upload = s3.generate_presigned_url("put_object", {"Bucket": BUCKET, "Key": "uploaded.txt"}, ExpiresIn=60)
    assert httpx.put(upload, content=b"new", trust_env=False).status_code == 200
    assert lab.s3.get_object(Bucket=BUCKET, Key="uploaded.txt")["Body"].read() == b"new"
    gone = s3.generate_presigned_url("get_object", {"Bucket": BUCKET, "Key": "presigned.txt"}, ExpiresIn=0)
    wait_until(lambda: httpx.get(gone, trust_env=False).status_code == 403)
    assert "expired" in httpx.get(gone, trust_env=False).text


def test_a_large_object_goes_up_in_parts_and_comes_back(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(os.urandom(9 * 1024 * 1024))
    lab.s3.upload_file(str(tmp_path / "large"), BUCKET, "large")
    lab.s3.download_file(BUCKET, "large", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == (tmp_path / "large").read_bytes()


def test_keys_that_the_server_itself_gave_out_are_keys_of_its_own(lab: Lab) -> None:
    sts = boto3.client(
        "sts",
        endpoint_url=lab.endpoint,
        region_name=REGION,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
    )
    role = sts.assume_role(RoleArn="arn:aws:iam::123456789012:role/reader", RoleSessionName="test")["Credentials"]
    session = {"aws_access_key_id": role["AccessKeyId"], "aws_secret_access_key": role["SecretAccessKey"]}
    options: dict[str, Any] = {"endpoint_url": lab.endpoint, "region_name": REGION, **session}
    assert boto3.client("s3", **options, aws_session_token=role["SessionToken"]).list_buckets()["Buckets"]
    with pytest.raises(ClientError) as refused:
        boto3.client("s3", **options, aws_session_token="made up").list_buckets()  # noqa: S106
    assert refused.value.response["Error"]["Code"] == "InvalidAccessKeyId"


@pytest.mark.parametrize("service", ["s3", "emr", "sts", "sns"])
def test_a_client_with_another_key_is_told_so_in_its_services_own_form(lab: Lab, service: Any) -> None:
    calls = {"s3": "list_buckets", "emr": "list_clusters", "sts": "get_caller_identity", "sns": "list_topics"}
    client = boto3.client(
        service,
        endpoint_url=lab.endpoint,
        region_name=REGION,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key="another",  # noqa: S106
    )
    with pytest.raises(ClientError, match="made with another secret key") as refused:
        getattr(client, calls[service])()
    assert refused.value.response["Error"]["Code"] == "SignatureDoesNotMatch"


def test_curl_signs_as_the_readme_says(lab: Lab) -> None:
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("there is no curl")
    readme = (Path(__file__).resolve().parents[2] / "local_emr" / "README.md").read_text()
    options = re.search(r"--aws-sigv4 (\S+) --user", readme)
    assert options, "the README tells how to sign"
    command = [curl, "-s", "--noproxy", "*", "--aws-sigv4", options[1], "--user", f"{ACCESS_KEY}:{SECRET_KEY}"]
    fault = ["-H", "Content-Type: application/json", "-d", '{"fault": "no_capacity", "cluster": "of-curl"}']
    for more in (fault, [], ["-X", "DELETE"]):
        done = subprocess.run([*command, *more, lab.endpoint + FAULTS_PATH], capture_output=True, text=True, check=True)
        assert [entry["cluster"] for entry in json.loads(done.stdout)] == ([] if "DELETE" in more else ["of-curl"])


def test_a_server_without_a_key_makes_one_that_only_its_user_can_read(tmp_path: Path) -> None:
    environment = {name: value for name, value in ENVIRONMENT.items() if not name.startswith("AWS_")}
    with server(tmp_path, environment=environment) as (process, announcement):
        told = tmp_path / "server.log"
        wait_until(lambda: "AWS_SHARED_CREDENTIALS_FILE" in told.read_text())
        path = Path(re.findall(r"AWS_SHARED_CREDENTIALS_FILE=(\S+)", told.read_text())[0])
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        secret = path.read_text().rpartition(" = ")[2].strip()
        assert len(secret) >= 30
        assert secret not in told.read_text()
        endpoint = announcement.split()[-1]
        assert send(endpoint, "GET", FAULTS_PATH, key=("local", secret)).status_code == 200
        assert send(endpoint, "GET", FAULTS_PATH, key=("local", "local-secret")).status_code == 403
        process.terminate()
        assert process.wait(20) == 0


def test_half_a_key_is_one_line_of_error(tmp_path: Path) -> None:
    environment = {name: value for name, value in ENVIRONMENT.items() if name != "AWS_SECRET_ACCESS_KEY"}
    with server(tmp_path, environment=environment) as (process, announcement):
        assert (process.wait(20), announcement) == (2, "")
    assert "only one is set" in (tmp_path / "server.log").read_text()


def test_a_step_has_the_key(lab: Lab) -> None:
    script = f"python3 -c 'import os; print(os.environ[\"AWS_ACCESS_KEY_ID\"])' && aws s3 ls s3://{BUCKET}/logs/"
    cluster = lab.start(bash(script), keep=False)
    lab.reach(cluster, *OVER)
    assert lab.step_states(cluster) == ["COMPLETED"], lab.log(cluster, f"steps/{lab.steps(cluster)[0]['Id']}/stderr")
