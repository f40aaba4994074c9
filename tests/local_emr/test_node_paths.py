"""Paths of an EMR node move into the node's folder; everything else stays as it is."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_emr.node_paths import on_node

ROOT = Path("/srv/node")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("/opt/verger/venv/bin/python", "/srv/node/opt/verger/venv/bin/python"),
        ("/mnt/tmp", "/srv/node/mnt/tmp"),
        ("/opt", "/srv/node/opt"),
        ("--prefix=/opt/verger", "--prefix=/srv/node/opt/verger"),
        ("KEY=/mnt/x", "KEY=/srv/node/mnt/x"),
        ("/opt/a.jar:/opt/b.jar", "/srv/node/opt/a.jar:/srv/node/opt/b.jar"),
        ("file:///opt/app/job.py", "file:///srv/node/opt/app/job.py"),
        ("-Dlog=/mnt/log -Dhome=/opt/x", "-Dlog=/srv/node/mnt/log -Dhome=/srv/node/opt/x"),
        ("echo x > /mnt/out; cat '/opt/a b'", "echo x > /srv/node/mnt/out; cat '/srv/node/opt/a b'"),
    ],
)
def test_a_path_of_the_node_moves_below_its_root(value: str, expected: str) -> None:
    assert on_node(value, ROOT) == expected


@pytest.mark.parametrize(
    "value",
    [
        "/optimum/x",
        "/usr/opt/x",
        "opt/x",
        "s3://bucket/opt/x",
        "s3://bucket/images/a b /opt/x",
        "--features-uri=s3://bucket/x,/opt/y",
        "https://example.org/mnt/x",
        "/etc/passwd",
        "./mnt/x",
        "",
    ],
)
def test_what_is_no_path_of_the_node_stays(value: str) -> None:
    assert on_node(value, ROOT) == value


@given(st.text(), st.sampled_from(["s3://", "s3a://", "https://"]))
def test_an_address_is_never_touched(rest: str, scheme: str) -> None:
    assert on_node(scheme + rest, ROOT) == scheme + rest


@given(st.text().filter(lambda text: "/opt" not in text and "/mnt" not in text))
def test_text_without_such_paths_is_never_touched(text: str) -> None:
    assert on_node(text, ROOT) == text
