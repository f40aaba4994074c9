"""A bucket with reviewed pictures, and the program run on it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.review.csv_files import exported
from tools import apply_review

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True)
class Told:
    """What a call of the program told: its exit code, its last line, its output, and its complaints."""

    code: int
    counts: dict[str, Any]
    out: str
    complaints: list[str]


@dataclass(frozen=True)
class Orchard:
    """A bucket of pictures, and a review of them."""

    s3: S3Client
    bucket: str
    file: Path
    capsys: pytest.CaptureFixture[str]

    def put(self, name: str, body: bytes = b"a picture", **more: Any) -> None:
        """Store a picture below `images/`."""
        self.s3.put_object(Bucket=self.bucket, Key=f"images/{name}", Body=body, **more)

    def pictures(self) -> dict[str, bytes]:
        """What lies below `images/`."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix="images/")
        keys = [entry["Key"] for page in pages for entry in page.get("Contents", ())]
        return {
            key.removeprefix("images/"): self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read() for key in keys
        }

    def review(self, *rows: tuple[str, str] | tuple[str, str, str], **more: str) -> None:
        """Save a review: name, mark and new label of each picture."""
        self.file.write_bytes(
            exported(
                [
                    {"path": f"s3://{self.bucket}/images/{name}", "mark": mark, "new_label": "".join(label)} | more
                    for name, mark, *label in rows
                ],
                ["path", "label", "mark", "new_label", "note", *more],
            )
        )

    def run(self, *words: str, **environment: str) -> Told:
        """Run the program on the review."""
        variables = {"VERGER_BUCKET": self.bucket} | environment
        code = apply_review.main([str(self.file), *words], variables)
        out, err = self.capsys.readouterr()
        counts = json.loads(out.splitlines()[-1]) if out else {}
        return Told(code, counts, out, err.splitlines())


class Events:
    """Handlers of botocore's events for the clients of the program."""

    def __init__(self) -> None:
        self.handlers: list[tuple[str, Callable[..., Any]]] = []

    def on(self, event: str, handler: Callable[..., Any]) -> None:
        """Call a handler from now on."""
        self.handlers.append((event, handler))


def fill(orchard: Orchard) -> None:
    """Five pictures, of which each mark means one."""
    orchard.put("Training/Apple/1.jpg", b"a kiwi")
    orchard.put("Training/Apple/2.jpg", b"a hand")
    orchard.put("Training/Apple/3.jpg", b"an apple?")
    orchard.put("Test/Apple/1.jpg", b"an apple")
    orchard.put("4.jpg", b"a plum")
    orchard.review(
        ("Training/Apple/1.jpg", "wrong label", "Kiwi"),
        ("Training/Apple/2.jpg", "remove"),
        ("Training/Apple/3.jpg", "look again"),
        ("4.jpg", "wrong label", "Plum"),
        ("Training/Apple/9.jpg", "remove"),
    )


MEANT = {
    "Training/Kiwi/1.jpg": b"a kiwi",
    "Training/Apple/3.jpg": b"an apple?",
    "Test/Apple/1.jpg": b"an apple",
    "Plum/4.jpg": b"a plum",
}
