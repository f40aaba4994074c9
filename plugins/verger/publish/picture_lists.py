"""The pictures of a run in a database of this machine: what changed since the run before, and which are shown."""

from typing import Any

import numpy as np
import pyarrow as pa
from verger_rules.answers import has_features
from verger_rules.disk_database import DiskDatabase

from verger.publish.run_rows import RunRows

#: Of more pictures the map and the explorer show a sample: a browser holds so many, and draws them in a second.
MOST_SHOWN = 100_000
#: So many pictures of each kind are named; `run.json` stays small however many there are.
MOST_EXAMPLES = 20

SAME, NEW, CHANGED = 0, 1, 2

_TABLES = """
    CREATE TABLE changes (path VARCHAR, change TINYINT);
    CREATE TABLE pictures (number BIGINT, path VARCHAR, label VARCHAR);
"""
_CHANGES = """
    INSERT INTO changes
    SELECT coalesce(listed.path, before.path),
        CASE WHEN before.path IS NULL THEN $new WHEN listed.path IS NULL THEN NULL ELSE $changed END
    FROM read_parquet($now) AS listed FULL OUTER JOIN read_parquet($before) AS before USING (path)
    WHERE before.path IS NULL OR listed.path IS NULL OR listed.etag <> before.etag
"""
# Of each label its share and one at least, half of it for what is new or has changed, as far as there is such; the
# rest at random, and the same each time.
_SAMPLE = """
    WITH drawn AS (
        SELECT number, label, coalesce(change, 0) AS change, hash(number) AS at_random,
            greatest(1, count(*) OVER (PARTITION BY label) * $most // (SELECT count(*) FROM pictures)) AS share
        FROM pictures LEFT JOIN changes USING (path)
    ), kept_first AS (
        SELECT *, change <> 0 AND share // 2 >= row_number() OVER (
            PARTITION BY label, change <> 0 ORDER BY at_random
        ) AS first
        FROM drawn
    ), placed AS (
        SELECT *, row_number() OVER (PARTITION BY label ORDER BY first DESC, at_random) AS place FROM kept_first
    )
    SELECT number, change FROM (
        SELECT number, change::INTEGER AS change FROM placed WHERE place <= share ORDER BY place, at_random LIMIT $most
    ) ORDER BY number
"""
_ALL = """
    SELECT number, coalesce(change, 0)::INTEGER AS change FROM pictures LEFT JOIN changes USING (path) ORDER BY number
"""


def compare_with_before(lists: DiskDatabase, rows: RunRows) -> dict[str, Any] | None:
    """Count and name the images that are new, changed (same path, another etag) and gone; None without a run before.

    At most MOST_EXAMPLES of a kind are named, the first by path. What it finds stays there for `choose_shown`.
    """
    lists.execute(_TABLES)
    if rows.before is None:
        return None
    files = {"now": str(rows.manifest.path), "before": str(rows.before.path)}
    lists.execute(_CHANGES, {**files, "new": NEW, "changed": CHANGED})
    kinds = {"added": f"change = {NEW}", "changed": f"change = {CHANGED}", "gone": "change IS NULL"}
    named = {
        kind: f"SELECT path FROM changes WHERE {which} ORDER BY path LIMIT {MOST_EXAMPLES}"  # noqa: S608 -- our own
        for kind, which in kinds.items()
    }
    return {
        "before": rows.before.images,
        "now": rows.manifest.images,
        **{kind: lists.row(f"SELECT count(*) FROM changes WHERE {which}")[0] for kind, which in kinds.items()},  # noqa: S608
        "examples": {
            kind: [path for (path,) in lists.database.execute(query).fetchall()] for kind, query in named.items()
        },
    }


def note_pictures(lists: DiskDatabase, rows: RunRows) -> int:
    """Check the run's files against each other, image by image, and note those with features; how many they are.

    Raises AnswersError when an image has no answer, or one with features no row of the matrix.
    """
    count = 0
    for part in rows.parts(["path", "label"]):
        featurized = part.answers.filter(has_features(part.answers))
        numbers = np.arange(count, count + featurized.num_rows)
        lists.add("pictures", pa.table({"number": numbers, "path": featurized["path"], "label": part.matrix["label"]}))
        count += featurized.num_rows
    return count


def choose_shown(lists: DiskDatabase, pictures: int, most: int = MOST_SHOWN) -> pa.Table:
    """The rows of the matrix that are shown, ascending: columns `number`, and `change` (SAME, NEW, CHANGED).

    All of them, or a sample of at most `most`: of each label its share, and one at least, half of it for pictures that
    are new or changed. The same pictures give the same sample. With more labels than `most`, some have none.
    """
    if pictures <= most:
        return lists.database.sql(_ALL).to_arrow_table()
    return lists.database.sql(_SAMPLE, params={"most": most}).to_arrow_table()
