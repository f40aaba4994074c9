"""What the two jobs' command lines take and refuse."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from verger_rules.addresses import S3Address, parse_folder_uri, parse_object_uri
from verger_rules.layout import run_slug

from spark_jobs.job_errors import RefusedError
from spark_jobs.steps import featurize_arguments, pca_arguments

FEATURIZE = [
    *("--manifest-uri", "s3://b/runs/r/manifest.parquet", "--features-uri", "s3://b/features"),
    *("--answers-uri", "s3://b/runs/r/answers/", "--model-uri", "s3://b/models/0123456789abcdef"),
    *("--metrics-uri", "s3://b/runs/r/featurize.json", "--run-id", "manual 1"),
]
PCA = [
    *("--answers-uri", "s3://b/runs/r/answers", "--features-uri", "s3://b/features"),
    *("--model-fingerprint", "0123456789abcdef"),
    *("--output-uri", "s3://b/results/r", "--metrics-uri", "s3://b/runs/r/pca.json", "--run-id", "manual 1"),
]


def test_featurize_has_the_defaults_of_the_formats_page() -> None:
    args = featurize_arguments.parse_args(FEATURIZE)
    assert (args.engine, args.batch_size, args.chunk_images, args.fetch_threads) == ("litert", 1, 20_000, 16)
    assert (args.max_reject_rate, args.max_pixels, args.max_image_bytes) == (0.05, 100_000_000, 100_000_000)
    assert not args.retry_rejects
    assert args.answers_uri == S3Address("b", "runs/r/answers")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--batch-size", "0"], "'0' is not a whole number from 1 to 256"),
        (["--batch-size", "1.5"], "'1.5' is not a whole number"),
        (["--max-reject-rate", "1.01"], "'1.01' is not a number from 0 to 1"),
        (["--max-reject-rate", "nan"], "'nan' is not a number from 0 to 1"),
        (["--engine", "onnx"], "invalid choice: 'onnx'"),
        (["--manifest-uri", "runs/manifest"], "'runs/manifest' is not an S3 address"),
        (["--features-uri", "s3://bucket"], "'s3://bucket' is not the address of an S3 object"),
        (["--run-id", " "], "must not be empty"),
        (["--chunk", "5"], "unrecognized arguments: --chunk 5"),
    ],
)
def test_featurize_refuses_with_the_value(more: list[str], message: str) -> None:
    with pytest.raises(RefusedError, match=message):
        featurize_arguments.parse_args([*FEATURIZE, *more])


def test_a_missing_argument_is_named() -> None:
    with pytest.raises(RefusedError, match="the following arguments are required: --run-id"):
        featurize_arguments.parse_args(FEATURIZE[:-2])


@pytest.mark.parametrize(
    ("more", "requested"),
    [
        ([], {"k": 10}),
        (["--k", "3"], {"k": 3}),
        (["--variance", "0.9"], {"variance": 0.9}),
        (["--k", "auto"], {"k": "auto", "least_k": 2, "most_k": 100}),
        (["--k", "auto", "--most-k", "7"], {"k": "auto", "least_k": 2, "most_k": 7}),
    ],
)
def test_pca_keeps_k_components_or_a_share_of_variance(more: list[str], requested: dict[str, float | str]) -> None:
    assert pca_arguments.parse_args([*PCA, *more]).requested == requested


def test_pca_with_a_fitted_model_keeps_what_the_model_has() -> None:
    assert pca_arguments.parse_args([*PCA, "--fitted-model-uri", "s3://b/m"]).requested == {}


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--k", "auto", "--least-k", "9", "--most-k", "5"], "--least-k 9 is more than --most-k 5"),
        (["--k", "Auto"], "'Auto' is not a whole number from 1 to 1280"),
        (["--k", "0"], "'0' is not a whole number from 1 to 1280"),
        (["--k", "1281"], "'1281' is not a whole number from 1 to 1280"),
        (["--variance", "0"], "'0' is not a number above 0 to 1"),
        (["--k", "3", "--variance", "0.5"], "not allowed with argument"),
        (["--model-fingerprint", "XYZ"], "'XYZ' is no model fingerprint"),
        (["--fitted-model-uri", "s3://b/m", "--standardize"], "--standardize cannot change a fitted model"),
    ],
)
def test_pca_refuses_with_the_value(more: list[str], message: str) -> None:
    with pytest.raises(RefusedError, match=message):
        pca_arguments.parse_args([*PCA, *more])


@given(bucket=st.text(string.ascii_lowercase, min_size=3), key=st.text(min_size=1))
def test_every_character_behind_the_bucket_belongs_to_the_key(bucket: str, key: str) -> None:
    address = parse_object_uri(f"s3://{bucket}/{key}")
    assert address == (bucket, key)
    assert address.uri == f"s3://{bucket}/{key}"


def test_a_folder_has_no_slash_at_its_end() -> None:
    assert parse_folder_uri("s3://b/a/c/") == S3Address("b", "a/c")
    assert S3Address("b", "a/c").child("d").uri == "s3://b/a/c/d"
    assert S3Address("b", "a/c").parent == S3Address("b", "a")


@given(st.text(), st.text())
def test_two_runs_never_share_a_folder(first: str, second: str) -> None:
    assert (run_slug(first) == run_slug(second)) == (first == second)
    assert set(run_slug(first)) <= set(string.ascii_letters + string.digits + "._-")
