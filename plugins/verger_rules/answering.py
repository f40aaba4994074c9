"""Which row of the feature table answers an image: the one place that decides it (docs/formats.md)."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from verger_rules.decoder_version import DECODER_VERSION
from verger_rules.table_keys import Flags, Int64s, TableKeys

UNANSWERED = -1


def answering_rows(manifest: pa.Table, table: TableKeys, slug: str) -> Int64s:
    """The row that answers each manifest row, as an index into `table`; UNANSWERED for none.

    A row answers an image when this version of the decoder made it, and it was read under the image's path and etag, or
    under its path by this very run (the image was replaced after it was listed). Among several, features win over a
    reject, then the same etag wins, then the later one, then the one of the later name.
    """
    image = pc.index_in(table.keys["path"], value_set=manifest["path"]).fill_null(UNANSWERED).to_numpy()
    listed = np.flatnonzero(image >= 0)
    image = image[listed].astype(np.int64)
    expected = manifest["etag"].combine_chunks().take(pa.array(image))
    same_etag = _flags(pc.equal(table.keys["read_etag"].take(pa.array(listed)), expected))
    same_run = _flags(pc.equal(table.keys["run"].take(pa.array(listed)), slug))
    computed_at = table.keys["computed_at"].cast(pa.int64()).to_numpy()[listed]
    answers = (same_etag | same_run) & made_by_this_decoder(table)[listed]
    # The best of an image sorts last. Rows lie in the order of their files' names, so the last key decides ties.
    order = np.lexsort((listed, computed_at, same_etag, table.is_featurized[listed], answers, image))
    best = np.full(manifest.num_rows, UNANSWERED, np.int64)
    best[image[order]] = np.where(answers[order], listed[order], UNANSWERED)
    return best


def rows_to_do(manifest: pa.Table, table: TableKeys, slug: str, *, retry_rejects: bool) -> pa.Table:
    """The images that no row answers; with `retry_rejects` also those that only an earlier run's reject answers."""
    answers = answering_rows(manifest, table, slug)
    done = answers != UNANSWERED
    if retry_rejects:
        final = table.is_featurized | _flags(pc.equal(table.keys["run"], slug))
        done &= np.append(final, False)[answers]
    return manifest.filter(pa.array(~done)).combine_chunks()


def made_by_this_decoder(table: TableKeys) -> Flags:
    """Whether this version of the decoder made each row: a matrix never mixes versions."""
    made: Flags = table.keys["decoder"].to_numpy() == DECODER_VERSION
    return made


def decoded_otherwise(images: pa.Table, table: TableKeys) -> int:
    """How many of some images that are to be done have a row of their etag, by another version of the decoder."""
    other = table.keys.filter(pa.array(~made_by_this_decoder(table)))
    image = pc.index_in(other["path"], value_set=images["path"]).fill_null(UNANSWERED).to_numpy()
    rows = np.flatnonzero(image >= 0)
    expected = images["etag"].combine_chunks().take(pa.array(image[rows]))
    same = _flags(pc.equal(other["read_etag"].combine_chunks().take(pa.array(rows)), expected))
    return len(np.unique(image[rows][same]))


def _flags(mask: pa.Array | pa.ChunkedArray) -> Flags:
    if isinstance(mask, pa.ChunkedArray):
        mask = mask.combine_chunks()
    found: Flags = mask.to_numpy(zero_copy_only=False).astype(np.bool_)
    return found
