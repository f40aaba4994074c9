"""Images whose bytes lie under two labels or more: a folder was renamed, or pictures were filed twice."""

from typing import Any

from verger.plan.plan_space import PlanSpace

#: So many groups of the same bytes are named, and so many paths of each.
_MOST_EXAMPLES = 10

_GROUPS = """
    SELECT etag, size, count(*) AS images FROM listed WHERE size > 0
    GROUP BY etag, size HAVING min(label) <> max(label)
"""
# One path of each label: the first.
_EXAMPLES = f"""
    SELECT list(path ORDER BY path)[:{_MOST_EXAMPLES}] AS paths
    FROM (
        SELECT etag, size, label, min(path) AS path FROM listed SEMI JOIN ({_GROUPS}) USING (etag, size)
        GROUP BY etag, size, label
    )
    GROUP BY etag, size ORDER BY paths LIMIT {_MOST_EXAMPLES}
"""  # noqa: S608 -- our own words


def find_same_bytes(space: PlanSpace) -> dict[str, Any]:
    """The images of the table `listed` whose bytes lie under two labels or more.

    Returns `images` (how many) and `examples`: a few groups of the same bytes, one path of each label. Bytes count as
    the same when ETag and size are: in a bucket with KMS none are.
    """
    (images,) = space.row(f"SELECT coalesce(sum(images), 0)::BIGINT FROM ({_GROUPS})")  # noqa: S608
    examples = space.database.execute(_EXAMPLES).fetchall() if images else []
    return {"images": images, "examples": [paths for (paths,) in examples]}


def same_bytes_warning(images: int) -> str:
    """What to tell of so many images whose bytes lie under two labels or more."""
    return (
        f"{images:,} pictures lie with the same bytes under two labels or more, and count in each: was a folder "
        "renamed between two syncs? Delete one of the two, or sync with delete_missing"
    )
