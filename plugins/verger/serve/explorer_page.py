"""The explorer's page as it is installed here: what runs in Airflow's own site is never taken from a bucket.

A page in Airflow's site can do what the person who looks at it can. So who may write to a bucket, as a cluster's nodes
may, decides what the page shows, and not what it does. The page and its data are made for each other by the format that
`about.json` names; the page says so when it cannot read an older one.
"""

from pathlib import Path

from verger.publish import explorer

_PAGE = Path(explorer.__file__).parent / "page"
_FILES = {f"explorer/{path.name}": path for path in _PAGE.iterdir()}


def installed_file(name: str) -> Path | None:
    """The installed file that is served for this name below the results; None for what is data."""
    return _FILES.get(name)
