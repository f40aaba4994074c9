"""A page of the bucket is shown in a frame of a page that is installed here, and cannot leave Airflow's host.

Who writes to the bucket decides what such a page holds. Its rules stop what it does by itself: scripts, forms,
refresh. A link that a person follows is stopped by the page around it only: that one says where its frame may go.
"""

from pathlib import PurePosixPath
from urllib.parse import quote

from fastapi import Request

from verger.publish.report import page_environment

#: What asks for the content itself; the frame's address has it.
_MARK = "framed"
#: What a browser takes for a page of its own, with links.
_PAGES = {".html", ".svg"}


def wants_frame(request: Request, name: str) -> bool:
    """Whether a browser is about to show this file as a page, and not yet within the frame.

    A browser that opens a page asks for text/html first (RFC 9110, 12.5.1); a picture in a page or a program does not.
    """
    is_page = PurePosixPath(name).suffix.lower() in _PAGES
    return is_page and _MARK not in request.query_params and "text/html" in request.headers.get("accept", "")


def render_frame(name: str) -> str:
    """The page around the file of that name."""
    last = PurePosixPath(name).name
    return page_environment().get_template("framed.html.jinja").render(title=last, address=f"{quote(last)}?{_MARK}")
