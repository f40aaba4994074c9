"""Progress in words."""

import pytest
from verger.cluster.progress import describe_progress, describe_seconds


def test_progress_says_how_many_how_fast_and_how_long() -> None:
    progress = {
        "images_done": 1200,
        "images_total": 24000,
        "rejected": 3,
        "images_per_second": 148.24,
        "seconds_left": 154,
    }
    assert describe_progress(progress) == ("1,200 of 24,000 images, 3 rejected, 148.2 images/s, about 2 min 34 s left")
    assert describe_progress({**progress, "phase": "compact"}).endswith("left (phase compact)")
    assert describe_progress({**progress, "phase": "compute"}).endswith("left")
    assert describe_progress({"phase": "fit", "idle_seconds": 3}) == "phase fit"
    assert "left" not in describe_progress({**progress, "seconds_left": None})


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (3600, "1 h 0 min"), (7500, "2 h 5 min")]
)
def test_a_duration_is_said_as_a_person_says_it(seconds: float, words: str) -> None:
    assert describe_seconds(seconds) == words
