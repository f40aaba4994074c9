"""Removing what the feature table no longer needs: replaced records, and files that no record names."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from spark_jobs.commit_records import CommitRecord, read_commits
from spark_jobs.layout import TableLayout
from spark_jobs.object_store import StoreSettings, delete_keys, list_times
from spark_jobs.s3_address import S3Address


def sweep(settings: StoreSettings, layout: TableLayout, grace_hours: int) -> None:
    """Delete replaced records and unnamed files that are older than the time of grace.

    Files go first, and what a killed sweep left is found by the next one.
    """
    before = datetime.now(UTC) - timedelta(hours=grace_hours)
    # Listed before the records are read: a file that a record written since then names is not among them.
    tables = {folder: list_times(settings, folder) for folder in (layout.features, layout.rejects)}
    commits = list_times(settings, layout.commits)
    records = read_commits(settings, layout)
    over = {record.name for record in replaced_before(records, _times_of_names(commits), before)}
    live = [record for record in records if record.name not in over]
    removed = 0
    for folder, times in tables.items():
        named = named_keys(layout, folder, live)
        unnamed = unnamed_keys(times, named, f"{layout.commits.key}/", before)
        delete_keys(settings, folder.bucket, unnamed)
        removed += len(unnamed)
    delete_keys(settings, layout.commits.bucket, [layout.commits.child(f"{name}.json").key for name in sorted(over)])
    if removed or over:
        print(f"featurize: {len(over)} replaced commits and {removed} files that none names removed", flush=True)


def replaced_before(
    records: Sequence[CommitRecord], written: Mapping[str, datetime], before: datetime
) -> list[CommitRecord]:
    """The records that have been replaced for long enough; `written` is when each record was stored."""
    over = {name for record in records if written.get(record.name, before) < before for name in record.replaces}
    return [record for record in records if record.name in over]


def unnamed_keys(times: Mapping[str, datetime], named: set[str], commits: str, before: datetime) -> list[str]:
    """The files of a table, but for its commit records, that no record names and that are old enough."""
    return sorted(
        key for key, time in times.items() if key not in named and not key.startswith(commits) and time < before
    )


def named_keys(layout: TableLayout, folder: S3Address, records: Sequence[CommitRecord]) -> set[str]:
    """The keys of one table's files that some records name."""
    files = ((r.features if folder == layout.features else r.rejects).files for r in records)
    return {folder.child(name).key for names in files for name in names}


def _times_of_names(times: Mapping[str, datetime]) -> dict[str, datetime]:
    return {key.rpartition("/")[2].removesuffix(".json"): time for key, time in times.items()}
