"""How long a cluster starts and ends: measured in the account, or assumed."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mypy_boto3_s3 import S3Client
from verger.cluster.shape import ShapeWish, choose_shape
from verger.cost.cluster_times import ASSUMED_TIMES, ClusterTimes, read_times, times_of
from verger.cost.reckoning import estimate_cost
from verger.prices import load_prices
from verger.storage.json_objects import write_json
from verger.storage.layout import BucketLayout

MEASURED: dict[str, Any] = {
    "local": False, "finished_at": "2026-11-27T12:00:00+00:00",
    "cluster_times": {"startup_minutes": 6.5, "ending_minutes": 1.25},
}  # fmt: skip
json_values = st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["8", [8], {"minutes": 8}])


def test_an_estimate_reckons_with_what_the_account_answered_and_says_so(s3: S3Client, bucket: str) -> None:
    layout = BucketLayout(bucket)
    assert read_times(s3, layout) == ASSUMED_TIMES
    assert "assumed" in ASSUMED_TIMES.describe()
    write_json(s3, layout.acceptance, MEASURED)
    times = read_times(s3, layout)
    assert (times.startup_minutes, times.ending_minutes) == (6.5, 1.25)
    assert "start and end measured on 2026-11-27" in times.describe()
    wish = ShapeWish("eu-west-1", "m6i.xlarge", 1, 1, wanted_minutes=30, spot_share=0, ebs_gb=32)
    shape = choose_shape(wish, load_prices(), images=1, rate_per_vcpu=30)
    work: dict[str, Any] = {"images_todo": 10, "images": 10, "rate_per_vcpu": 30}
    before, after = (estimate_cost(shape, load_prices(), times=known, **work) for known in (ASSUMED_TIMES, times))
    assert before.minutes - after.minutes == pytest.approx(8 + 2 - 6.5 - 1.25)
    assert after.usd < before.usd


def test_a_run_on_one_machine_says_nothing_about_aws() -> None:
    assert times_of({**MEASURED, "local": True}) == ASSUMED_TIMES


def test_what_was_not_measured_stays_assumed_and_the_words_name_only_the_other() -> None:
    times = times_of({**MEASURED, "cluster_times": {"startup_minutes": 6.5, "ending_minutes": None}})
    assert (times.startup_minutes, times.ending_minutes) == (6.5, ASSUMED_TIMES.ending_minutes)
    assert times.source.startswith("start measured")


@given(st.dictionaries(st.sampled_from(["startup_minutes", "ending_minutes", "x"]), json_values))
def test_whatever_somebody_wrote_into_the_file_an_estimate_has_sensible_minutes(written: dict[str, Any]) -> None:
    times: ClusterTimes = times_of({"local": False, "cluster_times": written})
    assert 0 < times.startup_minutes < 24 * 60
    assert 0 < times.ending_minutes < 24 * 60
