"""A password or a token in the address of a source never becomes part of a run."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from airflow.sdk.exceptions import ParamValidationError
from hypothesis import given
from hypothesis import strategies as st
from verger.run.deployment import Deployment
from verger.run.params import run_params
from verger.run.source_credentials import SOURCE_PATTERN, SourceCredentialsError, check_no_credentials

HELD = [
    "https://anna:sesame@h.example/a.zip",
    "https://sesame@h.example/a.zip",
    "HTTPS://anna:sesame@h.example/a.zip",
    "http://anna:sesame@h.example/",
    "s3://AKIA:sesame@bucket/x/",
    "ftp://anna:sesame@h.example/a.zip",
    "https://h.example/a.zip?token=sesame",
    "https://h.example/a.zip?x=1&Access_Token=sesame",
    "https://h.example/a.zip?x=1;sig=sesame",
    "https://h.example/a.zip?sv=2024&se=x&SIG=sesame",
    "https://h.example/a.zip?X-Amz-Algorithm=a&X-Amz-Signature=sesame",
    "https://h.example/a.zip?X-Goog-Signature=sesame",
    "https://h.example/a.zip?AWSAccessKeyId=a&Signature=sesame&Expires=1",
    "https://h.example/a.zip?Policy=p&Key-Pair-Id=sesame",
    "https://h.example/a.zip?apikey=sesame",
    "https://h.example/a.zip?key=sesame",
    "https://h.example/a.zip?api-key=sesame",
    "https://h.example/a.zip?password=sesame",
    "https://h.example/a.zip?jwt=sesame",
    "https://h.example/a.zip?auth=sesame",
    "https://h.example/a.zip#access_token=sesame",
    "https://h.example/a.zip?x=%26&pwd=sesame",
    "https://h.example/a.zip?x=1\n&token=sesame",
]
CLEAN = [
    "",
    "/srv/pictures",
    "/srv/a@b/c?token=1",
    "s3://bucket/folder/",
    "s3://bucket/a@b/",
    "https://h.example/a.zip",
    "https://h.example:8443/a@b/token/a.zip",
    "https://h.example/a.zip?download=1",
    "https://h.example/a.zip?design=1&monkey=2&postcode_of=3",
    "connection://my_fruits/2026/a.zip",
]


@pytest.mark.parametrize("address", HELD)
def test_an_address_with_a_credential_is_refused_before_there_is_a_run_and_the_message_does_not_hold_it(
    address: str,
) -> None:
    source = run_params(Deployment(home=Path("/")))["source"]
    with pytest.raises(ParamValidationError):
        source.resolve(address)
    with pytest.raises(SourceCredentialsError, match="connection://ID") as refused:
        check_no_credentials(address)
    assert "sesame" not in str(refused.value)


@pytest.mark.parametrize("address", CLEAN)
def test_an_address_without_one_is_taken(address: str) -> None:
    check_no_credentials(address)
    assert run_params(Deployment(home=Path("/")))["source"].resolve(address) == address


def test_a_credential_in_the_default_of_the_form_is_refused_and_not_shown() -> None:
    deployment = replace(Deployment(home=Path("/")), source="https://h.example/a.zip?token=sesame")
    with pytest.raises(SourceCredentialsError, match="VERGER_SOURCE") as refused:
        run_params(deployment)
    assert "sesame" not in str(refused.value)


def test_an_encoded_name_is_still_one() -> None:
    with pytest.raises(SourceCredentialsError):
        check_no_credentials("https://h.example/a.zip?%74oken=sesame")


@given(address=st.text(max_size=200))
def test_any_text_is_judged_by_the_form_as_by_the_check(address: str) -> None:
    if re.search(SOURCE_PATTERN, address) is None:
        with pytest.raises(SourceCredentialsError):
            check_no_credentials(address)


def test_a_long_address_is_judged_in_no_time() -> None:
    check_no_credentials("https://h.example/?" + "a&" * 50_000)
    check_no_credentials("https://h.example/?" + "-" * 2_000)
