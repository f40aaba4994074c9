"""Draws labelled pictures of fruit, for a first run without pictures at hand and for measurements."""

from __future__ import annotations

from tools.drawing.scene import draw

__all__ = ["draw"]
