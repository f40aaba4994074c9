"""Which place a run takes."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from verger.here.choice import (
    HereWork,
    MeasuredHere,
    PlaceEstimate,
    choose,
    describe_choice,
    estimate_here,
    find_measured,
    measured_here,
    rate_per_process,
)
from verger.here.machine import Machine
from verger.run.settings import COMPUTES, SettingError, Settings

SETTINGS = Settings("fruits-data", "eu-west-1")
CLUSTER = PlaceEstimate("cluster, 2 nodes", 8.0, 0.2, 3.0, 0.12)
MINUTES = st.floats(0, 1000)
PLACES = st.builds(PlaceEstimate, st.just("a place"), MINUTES, MINUTES, MINUTES, MINUTES)


def here(todo: int, images: int, *, rate: float = 200.0, usd_hour: float = 0.0) -> PlaceEstimate:
    return estimate_here(HereWork(2, rate, "local", usd_hour), todo, images)


def test_twenty_new_pictures_are_done_before_a_cluster_has_started() -> None:
    where, why = choose(SETTINGS, here(20, 10_000), CLUSTER, "")
    assert (where, why) == ("here", "the matrix is expected sooner, and no cluster is needed")


@given(PLACES, PLACES, st.integers(1, 720), st.sampled_from(COMPUTES))
def test_here_is_taken_only_when_asked_for_or_sooner_and_within_its_minutes(
    ours: PlaceEstimate, cluster: PlaceEstimate, minutes: int, compute: str
) -> None:
    where, why = choose(replace(SETTINGS, compute=compute, here_minutes=minutes), ours, cluster, "")
    if compute == "auto":
        assert (where == "here") == (ours.ready <= cluster.ready and ours.ready <= minutes)
    else:
        assert where == compute
    assert why


def test_where_it_cannot_work_the_cluster_is_taken_and_the_reason_said() -> None:
    assert choose(SETTINGS, None, CLUSTER, "there is no Python") == (
        "cluster", "it cannot run on this machine: there is no Python",
    )  # fmt: skip


@pytest.mark.parametrize("wish", [{"keep_for_demo_minutes": 30}, {"like_cluster_id": "j-2AXXXXXXGAPLF"}])
def test_who_wants_to_see_a_cluster_gets_one(wish: dict[str, object]) -> None:
    assert choose(replace(SETTINGS, **wish), here(1, 1), CLUSTER, "")[0] == "cluster"  # type: ignore[arg-type]


def test_the_comparison_reads_as_a_table() -> None:
    told = describe_choice([here(2400, 2400, usd_hour=0.4), CLUSTER], "here", "sooner").splitlines()
    assert told[0].split() == ["place", "start", "features", "components", "matrix", "after", "USD"]
    assert told[1].split() == ["here,", "2", "processes", "0:05", "0:12", "0:03", "0:20", "0.00"]
    assert told[2].split() == ["cluster,", "2", "nodes", "8:00", "0:12", "3:00", "11:12", "0.12"]
    assert told[3] == "place: here (sooner)"
    assert len({len(line) for line in told[:3]}) == 1
    assert "1:23:20" in describe_choice([here(1_000_000, 1)], "here", "")


def test_a_commit_holds_less_than_a_minute_s_work_and_never_more_than_asked_for() -> None:
    assert HereWork(2, 200.0, "local", 0.0).chunk_images(20_000) == 9000
    assert HereWork(2, 200.0, "local", 0.0).chunk_images(500) == 500
    assert HereWork(2, 0.01, "local", 0.0).chunk_images(20_000) == 2


PLAN = {"todo": 10, "bytes_todo": 50_000, "listed": 10}
FEATURIZE = {
    "run_id": "r", "featurized": 900, "rejected": 100, "images_per_second": 180.0, "worker_peak_mib": 210,
    "engine": "litert", "bytes": 5_000_000,
}  # fmt: skip
RECORD = {
    "run_id": "r", "outcome": "done", "processes": 2, "architecture": "x86_64", "images": 1000,
    "images_per_second": 180.0,
}  # fmt: skip


def test_what_a_run_measured_is_what_the_next_one_like_it_estimates_with() -> None:
    found = measured_here(RECORD, FEATURIZE)
    assert found == MeasuredHere("r", 90.0, 210, "x86_64", "litert", 5000)
    assert measured_here(RECORD | {"outcome": "cut off"}, FEATURIZE) == found, "a wrong estimate corrects itself"
    kept = vars(found)
    machine = Machine(2, 8000, "x86_64")
    assert find_measured(kept, PLAN, machine, "litert") == found
    assert rate_per_process(found, PLAN) == (90.0, "measured by run r")
    assert find_measured(kept, PLAN, replace(machine, architecture="arm64"), "litert") is None
    assert find_measured(kept, {**PLAN, "bytes_todo": 500_000_000}, machine, "litert") is None
    assert find_measured(None, PLAN, machine, "litert") is None
    assert "assumed for pictures of 5 KB" in rate_per_process(None, PLAN)[1]


@pytest.mark.parametrize(
    ("record", "featurize"),
    [
        (None, FEATURIZE),
        (RECORD, None),
        (RECORD, FEATURIZE | {"run_id": "another"}),
        (RECORD | {"images": 20}, FEATURIZE),
        (RECORD, FEATURIZE | {"featurized": 0, "rejected": 0}),
    ],
)
def test_a_run_that_tells_too_little_has_measured_nothing(
    record: dict[str, object] | None, featurize: dict[str, object] | None
) -> None:
    assert measured_here(record, featurize) is None


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"compute": "there"}, "compute is 'there': choose one of auto, cluster, here"),
        ({"here_minutes": 0}, "from 1 to 720"),
    ],
)
def test_a_place_that_is_none_is_refused(wrong: dict[str, object], told: str) -> None:
    with pytest.raises(SettingError, match=told):
        replace(SETTINGS, **wrong)  # type: ignore[arg-type]
