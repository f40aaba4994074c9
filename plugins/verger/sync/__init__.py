"""Bringing pictures into the bucket: only what changed."""
