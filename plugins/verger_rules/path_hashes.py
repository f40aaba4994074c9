"""A number for each path that looks random and is always the same: it draws samples that stay as they were."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa


def path_hashes(paths: pa.ChunkedArray) -> npt.NDArray[np.uint64]:
    """DuckDB's hash of each path; another version of it may give others, and so another sample."""
    # A tenth of a second that only those who draw a sample wait for.
    import duckdb  # noqa: PLC0415

    with duckdb.connect(config={"threads": "1"}) as database:
        database.register("listed", pa.table({"path": paths}))
        found = database.sql("SELECT hash(path) AS hash FROM listed").to_arrow_table()["hash"]
    hashes: npt.NDArray[np.uint64] = found.to_numpy()
    return hashes
