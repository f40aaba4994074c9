"""Which pictures of a run are new or changed since the run before: a flag for each."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

SAME, NEW, CHANGED = 0, 1, 2


def change_of_each(now: pa.Table, before: pa.Table | None) -> npt.NDArray[np.int32]:
    """SAME, NEW or CHANGED for each row of a manifest; all SAME when there is nothing to compare with."""
    if before is None:
        return np.zeros(now.num_rows, np.int32)
    found = pc.index_in(now["path"].combine_chunks(), value_set=before["path"].combine_chunks())
    etags_before = before["etag"].combine_chunks().take(found)
    same = pc.equal(now["etag"].combine_chunks(), etags_before)
    kinds = pc.if_else(pc.is_null(found), NEW, pc.if_else(same, SAME, CHANGED))
    flags: npt.NDArray[np.int32] = kinds.to_numpy(zero_copy_only=False).astype(np.int32)
    return flags
