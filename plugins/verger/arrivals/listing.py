"""Tells one state of the bucket's pictures from another, and when they have come to rest."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from verger.plan.listing import ListedImage


def listing_digest(images: Iterable[ListedImage]) -> str:
    """A digest of which pictures there are and what they hold; the order of the listing does not matter."""
    digest = hashlib.sha256()
    for path, etag in sorted((image.path, image.etag) for image in images):
        # Lengths, so that no name can imitate the border between two others.
        digest.update(f"{len(path)}:{path}{len(etag)}:{etag}".encode())
    return digest.hexdigest()


@dataclass
class QuietWindow:
    """Watches digests until one has stayed the same for long enough.

    S3's LastModified cannot tell: a deletion leaves none behind, and its clock is not ours.

    Attributes:
        seconds: how long nothing may change.
    """

    seconds: float
    _digest: str | None = field(default=None, init=False)
    _since: float = field(default=0.0, init=False)

    def observe(self, digest: str, now: float) -> float:
        """Take note of what was seen at a moment of a steady clock; returns the seconds of quiet that are missing."""
        if digest != self._digest:
            self._digest, self._since = digest, now
        return max(0.0, self._since + self.seconds - now)
