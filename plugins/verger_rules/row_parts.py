"""Lists of any length as a series of parts, so that nobody holds more than one."""

from collections.abc import Iterable, Iterator

import pyarrow as pa

#: Rows of a part of a run's lists (manifest, to-do list, answers): a row group of their files, which is read without
#: the others.
PART_ROWS = 20_000


def in_parts(batches: Iterable[pa.RecordBatch | pa.Table], rows: int) -> Iterator[pa.Table]:
    """Rows in their order, so many at a time; fewer in the last part."""
    waiting: list[pa.Table] = []
    count = 0
    for batch in batches:
        waiting.append(batch if isinstance(batch, pa.Table) else pa.Table.from_batches([batch]))
        count += batch.num_rows
        if count >= rows:
            together = pa.concat_tables(waiting)
            while together.num_rows >= rows:
                yield together.slice(0, rows)
                together = together.slice(rows)
            waiting, count = [together], together.num_rows
    if count:
        yield pa.concat_tables(waiting)
