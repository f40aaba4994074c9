"""How far a running step is, in words."""

from collections.abc import Mapping
from typing import Any


def describe_progress(progress: Mapping[str, Any]) -> str:
    """One line of `featurize.progress.json` or `pca.progress.json` (docs/formats.md)."""
    phase = f"phase {progress['phase']}" if progress.get("phase") else ""
    if "images_done" not in progress:
        return phase or "it has begun"
    in_phase = f" ({phase})" if phase and progress["phase"] != "compute" else ""
    rejected = f", {progress['rejected']:,} rejected" if progress.get("rejected") else ""
    seconds_left = progress.get("seconds_left")
    left = f", about {describe_seconds(seconds_left)} left" if seconds_left is not None else ""
    return (
        f"{progress['images_done']:,} of {progress['images_total']:,} images"
        f"{rejected}, {progress['images_per_second']:.1f} images/s{left}{in_phase}"
    )


def describe_seconds(seconds: float) -> str:
    """A duration as a person says it: 42 s, 3 min 20 s, 2 h 5 min."""
    whole = round(seconds)
    if whole < 60:  # noqa: PLR2004 -- seconds a minute
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:  # noqa: PLR2004 -- minutes an hour
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"
