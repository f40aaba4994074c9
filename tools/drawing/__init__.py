"""Draws fruit: what `tools/draw_images.py` writes to disk."""
