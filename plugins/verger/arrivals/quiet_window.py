"""Tells when the bucket's pictures have come to rest."""

from dataclasses import dataclass, field


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
