"""Erasing what Verger derived from pictures, on a person's request."""
