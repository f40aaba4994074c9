"""From a graph in Graphviz' language to an SVG whose letters look the same on every machine."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

import matplotlib as mpl

#: Where matplotlib keeps DejaVu Sans, which diagrams and slides are set in.
FONTS = Path(mpl.get_data_path()) / "fonts" / "ttf"
_NO_OTHER_FONTS = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir>{fonts}</dir><cachedir>{cache}</cachedir></fontconfig>
"""


def draw(source: str) -> str:
    """The picture as SVG, with the digest of its source in its first comment; raises ValueError for what is no graph.

    Letters become outlines, so that a machine without the font shows the same.
    """
    with tempfile.TemporaryDirectory() as folder:
        settings = Path(folder) / "fonts.conf"
        settings.write_text(_NO_OTHER_FONTS.format(fonts=FONTS, cache=folder), "utf-8")
        os.environ["FONTCONFIG_FILE"] = str(settings)
        import pygraphviz  # noqa: PLC0415 - reads the fonts' settings when it is loaded

        graph = pygraphviz.AGraph(string=source)
        for attributes in (graph.graph_attr, graph.node_attr, graph.edge_attr):
            attributes["fontname"] = "DejaVu Sans"
        content: bytes = graph.draw(format="svg:cairo", prog="dot")
    first, rest = content.decode().split("\n", 1)
    return f"{first}\n<!-- source: {digest(source)} -->\n{rest}".rstrip() + "\n"


def digest(source: str) -> str:
    """Tells sources apart: a picture that names another digest is of an older text."""
    return hashlib.sha256(source.encode()).hexdigest()[:16]
