"""Keeping the feature table quick to read, at the end of a step and before its answers name files."""

from dataclasses import dataclass

from verger_rules.delta_table import (
    TablePlace,
    is_vacuum_due,
    live_files,
    merge_small_files,
    open_table,
    small_files,
    vacuum,
)


@dataclass(frozen=True)
class Upkeep:
    """How the table is kept small.

    Attributes:
        compact_above: as many small files may be there.
        grace_hours: how long a merged file stays for readers that found it before, and one that nobody names yet.
    """

    compact_above: int
    grace_hours: int


def keep_small(place: TablePlace, upkeep: Upkeep, version_before: int) -> None:
    """Merge small files when there are many, and now and then delete what nobody names: killed tries' files too.

    A table that stays large is only slow: whatever goes wrong here is told, and does not fail the step.

    Args:
        place: where the table lies.
        upkeep: see there.
        version_before: of the table when the step began; -1 when there was none.
    """
    try:
        if (table := open_table(place)) is None:
            return
        if (small := small_files(live_files(table))) > upkeep.compact_above:
            print(f"featurize: {merge_small_files(table)} of {small} small files merged", flush=True)
        if is_vacuum_due(version_before, table.version()):
            print(f"featurize: {vacuum(table, upkeep.grace_hours)} files that nobody names deleted", flush=True)
    except Exception as error:  # noqa: BLE001 - see above
        print(f"featurize: WARNING: the table was not kept small ({type(error).__name__}: {error})", flush=True)
