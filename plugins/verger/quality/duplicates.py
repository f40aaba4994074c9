"""Groups of images that are the same: the same bytes, among all; nearly the same, among those that were judged."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from verger_rules.disk_database import DiskDatabase
from verger_rules.split import NEITHER, TEST, TRAINING, part_of

from verger.quality.judged_images import JudgedImages

SAME_BYTES, NEAR = "same bytes", "near"
SPLIT, LABELS, LABEL = "across the split", "across labels", "within a label"
#: The worst first.
PLACES = (SPLIT, LABELS, LABEL)
#: So many images with the same bytes are listed, those under several labels first; all are counted.
MOST_LISTED = 50_000

SCHEMA = pa.schema(
    [
        ("group", pa.int64()),
        ("kind", pa.string()),
        ("where", pa.string()),
        ("path", pa.string()),
        ("label", pa.string()),
        ("part", pa.string()),
        ("similarity", pa.float64()),
    ]
)

# Bytes count as the same when ETag and size are: in a bucket with KMS none are known to be.
_GROUPS = """
    CREATE TABLE same_bytes AS
    SELECT etag, size, count(*) AS images, min(label) <> max(label) AS labels, min(path) AS first
    FROM read_parquet($manifest) WHERE size > 0 GROUP BY etag, size HAVING count(*) > 1
"""
_LISTED = f"""
    SELECT listed.path, listed.label, grouped.first
    FROM read_parquet($manifest) AS listed
    JOIN (SELECT * FROM same_bytes ORDER BY labels DESC, first LIMIT {MOST_LISTED}) AS grouped USING (etag, size)
    ORDER BY grouped.labels DESC, grouped.first, listed.path LIMIT {MOST_LISTED}
"""  # noqa: S608 -- our own number


@dataclass(frozen=True)
class Group:
    """Images that are the same.

    Attributes:
        kind: SAME_BYTES or NEAR.
        where: one of PLACES.
        images: of each path, label, part, and the cosine to the most similar other one.
    """

    kind: str
    where: str
    images: tuple[tuple[str, str, str, float], ...]


@dataclass(frozen=True)
class Duplicates:
    """All groups, the worst first, and for `quality.json` how many there are."""

    groups: tuple[Group, ...]
    counts: dict[str, Any]

    def rows(self) -> pa.Table:
        """One row per image of a group; schema SCHEMA."""
        return pa.Table.from_pylist(
            [
                {
                    "group": number, "kind": group.kind, "where": group.where,
                    "path": path, "label": label, "part": part, "similarity": similarity,
                }
                for number, group in enumerate(self.groups, 1)
                for path, label, part, similarity in group.images
            ],
            SCHEMA,
        )  # fmt: skip


def find_duplicates(
    lists: DiskDatabase, manifest: Path, judged: JudgedImages, of_images: int, test_folder: str
) -> Duplicates:
    """Find the groups of a run.

    Args:
        lists: a database for work on the disk.
        manifest: the file with all images of the run.
        judged: the images among which near-duplicates were looked for.
        of_images: out of how many.
        test_folder: see `verger_rules.split`.
    """
    split = judged.found["split"] is not None
    judged_all = len(judged) == of_images
    lists.execute(_GROUPS, {"manifest": str(manifest)})
    groups, images = lists.row("SELECT count(*), coalesce(sum(images), 0)::BIGINT FROM same_bytes")
    listed = lists.database.execute(_LISTED, {"manifest": str(manifest)}).fetchall()
    same = [*_same_bytes(listed, test_folder if split else None)]
    near = [*_near(judged, _known_bytes(listed))]
    found = sorted([*same, *near], key=lambda group: (PLACES.index(group.where), group.images[0][0]))
    where = [group.where for group in found]
    return Duplicates(
        tuple(found),
        {
            "bound": judged.found["near_bound"],
            "looked_at": "all images" if judged_all else f"the {len(judged):,} images of the sample",
            "same_bytes": {"groups": groups, "images": images},
            "near": {"groups": len(near), "images": sum(len(group.images) for group in near)},
            "listed": len(found),
            "within_a_label": where.count(LABEL),
            "across_labels": where.count(LABELS),
            "across_the_split": where.count(SPLIT),
        },
    )


def _same_bytes(listed: Sequence[tuple[str, str, str]], test_folder: str | None) -> Iterator[Group]:
    """The groups of rows path, label, first path of the group; with `test_folder` None there is no split."""
    members: dict[str, list[tuple[str, str, str, float]]] = {}
    for path, label, first in listed:
        part = NEITHER if test_folder is None else part_of(path, test_folder)
        members.setdefault(first, []).append((path, label, part, 1.0))
    for images in members.values():
        if len(images) > 1:  # the bound may have cut the last group down to one
            yield Group(SAME_BYTES, _where(images), tuple(images))


def _known_bytes(listed: Sequence[tuple[str, str, str]]) -> dict[str, str]:
    """Of each image with a twin the first one with the same bytes."""
    return {path: first for path, _, first in listed}


def _near(judged: JudgedImages, known: dict[str, str]) -> Iterator[Group]:
    """The groups of near-duplicates, but for those of nothing but the same bytes: they are listed as such."""
    images = judged.images
    rows = np.flatnonzero(images["near_group"].is_valid().to_numpy())
    numbers = images["near_group"].take(rows).to_numpy()
    for number in np.unique(numbers):
        members = images.take(rows[numbers == number]).to_pylist()
        if len({known.get(row["path"], row["path"]) for row in members}) < 2:  # noqa: PLR2004 -- one picture, again
            continue
        told = [(row["path"], row["label"], row["part"], round(row["similarity"], 4)) for row in members]
        yield Group(NEAR, _where(told), tuple(told))


def _where(images: Sequence[tuple[str, str, str, float]]) -> str:
    if {TRAINING, TEST} <= {part for _, _, part, _ in images}:
        return SPLIT
    return LABELS if len({label for _, label, _, _ in images}) > 1 else LABEL
