"""The report of a run: one page that needs nothing beside itself."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from verger.cluster.progress import describe_seconds
from verger.storage.file_names import printable

_TEMPLATES = Path(__file__).parent / "templates"


def page_environment() -> jinja2.Environment:
    """The templates, with everything escaped that is put into them and nothing allowed to be missing."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_harmless,
    )
    environment.filters["duration"] = describe_seconds
    return environment


def _harmless(value: object) -> object:
    """What is put into a page; of a text no character may command a terminal or turn the line around."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def render_report(
    description: Mapping[str, Any],
    *,
    map_svg: str,
    scree_svg: str,
    quality: Mapping[str, Any] | None,
    accuracy_svg: str,
) -> str:
    """Render `run.json`'s content, `quality.json`'s and the plots as one HTML page; labels and names are escaped."""
    template = page_environment().get_template("report.html.jinja")
    # matplotlib escapes what it puts into an SVG; its declaration and doctype have no place inside a page.
    return template.render(
        run=description,
        map_svg=Markup(_svg_element(map_svg)),  # noqa: S704 -- see above
        scree_svg=Markup(_svg_element(scree_svg)),  # noqa: S704 -- see above
        quality=quality,
        accuracy_svg=Markup(_svg_element(accuracy_svg)) if accuracy_svg else "",  # noqa: S704 -- see above
    )


def _svg_element(document: str) -> str:
    return document[document.index("<svg") :]
