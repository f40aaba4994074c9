"""What AWS's own models allow, and what of it the tests hold every request against."""

import re
from typing import Any

import boto3
import botocore.session
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.model import Shape
from hypothesis import given
from hypothesis import strategies as st
from mypy_boto3_emr import EMRClient

from local_emr.model_constraints import broken_constraints
from tests.aws_models import BrokenModelError, wrong_on_purpose

MODELS = botocore.session.get_session()


LEAST: dict[str, Any] = {"Name": "n", "Instances": {}}
STEP = {"Name": "s", "ActionOnFailure": "RETRY", "HadoopJarStep": {"Jar": "j"}}


def client(service: str) -> Any:
    make: Any = boto3.client
    return make(
        service,
        endpoint_url="http://127.0.0.1:9",
        region_name="eu-west-1",
        aws_access_key_id="x",
        aws_secret_access_key="x",  # noqa: S106 -- no secret
        config=Config(retries={"total_max_attempts": 1}),
    )


@pytest.mark.parametrize(
    ("service", "call", "request_", "words"),
    [
        ("emr", "run_job_flow", {**LEAST, "Name": "n" * 257}, "Name has 257 characters"),
        ("emr", "run_job_flow", {**LEAST, "Name": "n\0"}, "does not match"),
        ("emr", "run_job_flow", {**LEAST, "ScaleDownBehavior": "NOW"}, "'NOW' is not one of"),
        ("emr", "add_job_flow_steps", {"JobFlowId": "j", "Steps": [STEP]}, r"Steps\[0\].ActionOnFailure"),
        ("service-quotas", "get_service_quota", {"ServiceCode": "2c", "QuotaCode": "L-1"}, "ServiceCode"),
    ],
)  # fmt: skip
def test_a_request_that_aws_would_refuse_fails_the_test_that_sends_it(
    service: str, call: str, request_: dict[str, Any], words: str
) -> None:
    """The SDK itself lets each of these out."""
    with pytest.raises(BrokenModelError, match=words):
        getattr(client(service), call)(**request_)
    with wrong_on_purpose(), pytest.raises(Exception, match="Could not connect"):
        getattr(client(service), call)(**request_)


def test_an_answer_that_emr_could_not_give_fails_the_test_that_gets_it(
    local_emr: EMRClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    from local_emr import api  # noqa: PLC0415 -- its table is changed

    for wrong in ("Clusters", "Cluster"):
        monkeypatch.setitem(api.OPERATIONS, "ListClusters", lambda *_, wrong=wrong: {wrong: "none"})
        with pytest.raises(ClientError, match="InternalServerException"):
            local_emr.list_clusters()


@given(st.text(max_size=30), st.integers(0, 10), st.integers(0, 20))
def test_lengths_are_held_exactly(text: str, least: int, more: int) -> None:
    bounded = Shape("Text", {"type": "string", "min": least, "max": least + more})
    assert (list(broken_constraints(text, bounded, "x")) == []) == (least <= len(text) <= least + more)


@given(st.text(min_size=1, max_size=20))
def test_the_models_way_to_write_every_character_is_understood(text: str) -> None:
    """AWS writes the characters beyond the first 65,536 as Java does, which Python's `re` cannot read."""
    model = MODELS.get_service_model("emr").shape_for("XmlString")
    allowed = re.fullmatch(r"[\u0020-\uD7FF\uE000-\uFFFD\U00010000-\U0010FFFF\r\n\t]*", text)
    assert (list(broken_constraints(text, model, "x")) == []) == bool(allowed)
