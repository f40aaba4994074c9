"""What the explorer's page shows of a run's quality: `quality.json`, and the groups of duplicates."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from verger.quality.published_quality import QUALITY, Quality

DUPLICATES = "duplicates.parquet"
#: Images of duplicates that a page lists: the worst groups; `duplicates.csv` has more.
MOST_ROWS = 20_000


def write_quality_files(folder: Path, quality: Quality, shown: pa.ChunkedArray) -> None:
    """Write what the page reads.

    Args:
        folder: of the page's data.
        quality: of the run.
        shown: the paths of the pictures that the page shows.
    """
    (folder / QUALITY).write_text(json.dumps(quality.report), encoding="utf-8")
    rows = quality.duplicates.slice(0, MOST_ROWS)
    if rows.num_rows:
        point = pc.fill_null(pc.index_in(rows["path"], value_set=shown.combine_chunks()), -1)
        table = rows.set_column(0, "group", rows["group"].cast(pa.int32())).append_column("point", point)
        # Snappy is what browsers' readers know without a second library.
        pq.write_table(
            table, folder / DUPLICATES, compression="snappy", use_dictionary=["kind", "where", "label", "part"]
        )
