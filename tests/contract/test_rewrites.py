"""Compaction (Spark's side) and erasure (a tool) rewrite the same tables: by the same rules, under the same names."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from verger.storage.layout import BucketLayout

from spark_jobs import commit_records, rewrite_plan
from spark_jobs.commit_records import CommitRecord, TableFiles
from tests.stored_tables import FINGERPRINT
from tools.erasure import feature_tables
from tools.erasure.objects import Bucket

NONE = TableFiles(0, ())
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
RECORDS = st.lists(
    st.builds(
        CommitRecord,
        run_id=st.sampled_from(["a run", rewrite_plan.REWRITES]),
        model_fingerprint=st.just(FINGERPRINT),
        chunk=st.integers(0, 9),
        committed_at=st.integers(-99, 99).map(
            lambda s: (NOON + timedelta(seconds=s)).strftime(rewrite_plan.TIME_FORMAT)
        ),
        features=st.just(NONE),
        rejects=st.just(NONE),
        replaces=st.lists(
            st.tuples(st.sampled_from(["a run", rewrite_plan.REWRITES]), st.sampled_from([0, 3, 9, 123_456])),
            max_size=3,
        ).map(lambda names: tuple(CommitRecord(run, FINGERPRINT, n, "", NONE, NONE).name for run, n in names)),
    ),
    max_size=6,
    unique_by=lambda record: record.name,
)


def as_stored(records: list[CommitRecord]) -> dict[str, feature_tables.Record]:
    return {record.name: commit_records.to_json(record) for record in records}


@given(RECORDS)
def test_both_count_the_rewrites_alike_so_that_only_one_can_have_a_number(records: list[CommitRecord]) -> None:
    assert feature_tables.REWRITES == rewrite_plan.REWRITES
    generation = rewrite_plan.next_generation(records)
    assert feature_tables.next_generation(as_stored(records).values()) == generation
    name = CommitRecord(rewrite_plan.REWRITES, FINGERPRINT, generation, "", NONE, NONE).name
    assert name not in {record.name for record in records}
    assert name not in {replaced for record in records for replaced in record.replaces}, "it would not count"


@given(RECORDS, st.integers(-99, 99))
def test_both_are_later_than_every_record(records: list[CommitRecord], seconds: int) -> None:
    now = NOON + timedelta(seconds=seconds)
    time = rewrite_plan.commit_time(now, records)
    assert feature_tables.commit_time(now, as_stored(records).values()) == time
    assert all(record.committed_at < time for record in records)


@given(RECORDS)
def test_both_see_the_same_records_in_the_same_order(records: list[CommitRecord]) -> None:
    bucket = Bucket(None, "b", versioned=False)  # type: ignore[arg-type]  # nothing is asked of the store here
    table = feature_tables.ModelTable(bucket, BucketLayout("b"), FINGERPRINT, as_stored(records), {}, [], {})
    assert table.visible() == [record.name for record in commit_records.visible(records)]
