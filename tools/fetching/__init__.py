"""Fetching a public data set: what `tools/fetch_fruits360.py` downloads, verifies and unpacks."""
