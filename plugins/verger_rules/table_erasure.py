"""Rows leave the feature table for good: deleted by id, then all that would tell of them, in files or in the log."""

import json
import time
from collections.abc import Callable, Iterable

from deltalake import DeltaTable, WriterProperties
from deltalake.exceptions import DeltaError

from verger_rules.delta_table import LOG_RETENTION, PAUSES, PROPERTIES, TableFile, TablePlace, open_table, said, vacuum
from verger_rules.table_error import TableError

_NO_DAYS = "interval 0 days"
#: outcome=<o>/<slug>/<chunk>/<file>: what a run wrote. What a deletion or a merge wrote lies in outcome=<o>/ itself.
_FOLDERS_OF_A_RUN = 4


def delete_images(place: TablePlace, ids: Iterable[str]) -> None:
    """Delete every row of some images, named by `image_id`; their old files stay until the purge.

    Delta Lake refuses a deletion beside which rows came in: it is then done again.

    Raises:
        TableError: others were faster each time, or the store does not take it.
    """
    named = ", ".join("'{}'".format(name.replace("'", "''")) for name in sorted(set(ids)))
    writing = WriterProperties(compression="ZSTD")
    _again_on_conflict(place, lambda table: table.delete(f"image_id IN ({named})", writer_properties=writing))


def purge(place: TablePlace) -> None:
    """Delete every file that the table does not name, whoever is about to name it, and what its log tells of before.

    Two of these at once, or one beside a run, leave a table that reads, but for files that were named meanwhile:
    `take_out_lost_files`. A commit that was begun before and comes after counts for nobody: the step finds its rows
    missing and says so.

    Raises:
        TableError: others were faster each time, or the store does not take it.
    """
    _again_on_conflict(place, lambda table: vacuum(table, grace_hours=0))
    _again_on_conflict(place, _forget_history)


def _forget_history(table: DeltaTable) -> None:
    """Delete what the log tells of versions before this one: it names files and predicates of deletions."""
    table.alter.set_table_properties({LOG_RETENTION: _NO_DAYS})
    table.create_checkpoint()
    table.cleanup_metadata()
    table.alter.set_table_properties({LOG_RETENTION: PROPERTIES[LOG_RETENTION]})


def keeps_its_log(table: DeltaTable) -> bool:
    """Whether a table keeps its log for as long as it should: a purge that was killed may have left it otherwise."""
    return table.metadata().configuration.get(LOG_RETENTION) == PROPERTIES[LOG_RETENTION]


def tells_of_deletion(entry: bytes) -> bool:
    """Whether a file of the log (`_delta_log/*.json`) tells which images were deleted."""
    actions = (json.loads(line) for line in entry.splitlines() if line.startswith(b'{"commitInfo"'))
    return any(action["commitInfo"].get("operation") == "DELETE" for action in actions)


def take_out_lost_files(place: TablePlace) -> None:
    """Have the table name only files that are there: nobody could read it otherwise.

    Raises:
        TableError: others were faster each time, or the store does not take it.
    """
    _again_on_conflict(place, lambda table: table.repair())


def run_of(file: TableFile) -> str | None:
    """The slug of the run that wrote a file; None for one that holds rows of several, merged or rewritten."""
    folders = file.name.split("/")
    return folders[1] if len(folders) == _FOLDERS_OF_A_RUN else None


def _again_on_conflict(place: TablePlace, act: Callable[[DeltaTable], object]) -> None:
    failure: Exception | None = None
    for pause in (*PAUSES, 0.0):
        if (table := open_table(place)) is None:
            return
        try:
            act(table)
        except (DeltaError, OSError) as error:
            failure = error
            time.sleep(pause)
        else:
            return
    raise TableError(
        f"the feature table {place.folder.uri} kept changing, or its store did not take a change: wait until no run is "
        f"at work, run again ({said(failure)})"
    ) from failure
