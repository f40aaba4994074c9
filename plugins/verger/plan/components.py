"""Whether the pictures of a run can have the components it asks for, as far as that is known beforehand."""

from dataclasses import dataclass

from verger_rules.model import FEATURES

from verger.run.settings import SettingError, Settings

#: Above it featurize rejects a picture without decoding it: the default of its `--max-image-bytes`.
MOST_IMAGE_BYTES = 100_000_000
#: A PCA needs so many.
FEWEST_IMAGES = 2


@dataclass(frozen=True)
class Featurizable:
    """What of the listed pictures can have features.

    A reject of an earlier run cannot, and neither can what is empty, too large, or under a key that cannot be read.

    Attributes:
        listed: all pictures.
        images: those that may get features, or have them.
        different: how many different ones there are among these, by ETag and size. Equal ones have equal features; in a
            bucket with KMS equal ones are not known to be, so that this is the most there can be.
    """

    listed: int
    images: int
    different: int


def check_components(found: Featurizable, settings: Settings) -> None:
    """Raise SettingError when the pictures cannot have the components that are asked for, whatever becomes of them."""
    few = _told(found.listed, found.images)
    if found.images < FEWEST_IMAGES:
        raise SettingError(f"a PCA needs {FEWEST_IMAGES} images with features at least, but {few}; add pictures")
    if _number_asked(settings) > found.images:
        raise SettingError(
            f"k is {settings.k}, but {few}: k can be at most the smaller of the number of images that can have "
            f"features and {FEATURES:,}; lower k or add pictures"
        )


def _number_asked(settings: Settings) -> int:
    """How many components are asked for by their number; 0 when the run is to find it."""
    return settings.k if settings.variance is None and isinstance(settings.k, int) else 0


def check_known_rejects(listed: int, featurizable: int, settings: Settings) -> None:
    """Raise SettingError when featurize would fail on its cluster for the rejects that are known already."""
    if (listed - featurizable) / listed > settings.max_reject_rate:
        raise SettingError(
            f"max_reject_rate is {settings.max_reject_rate:g}, but {_told(listed, featurizable)}: featurize would "
            "fail. Remove or replace these files, allow a higher rate, or try earlier rejects again with retry_rejects"
        )


def _told(listed: int, featurizable: int) -> str:
    if listed == featurizable:
        return f"there are {listed} images"
    return (
        f"only {featurizable} of the {listed} images can have features ({listed - featurizable} are rejects of "
        "earlier runs, empty, too large, or under a key that cannot be read)"
    )


def components_warning(featurizable: int, different: int, settings: Settings) -> str | None:
    """What to tell before the cluster of components that cannot hold any variance; None for nothing to tell.

    So many different pictures span one direction fewer than they are. What their features really hold is told by the
    step `pca`, and by `run.json`.
    """
    if different == 1:
        return (
            f"all {featurizable:,} pictures that can have features are copies of one: nothing varies, and every "
            "number of the matrix will be 0"
        )
    if _number_asked(settings) >= different:
        return (
            f"k is {settings.k}, but {different:,} different pictures have at most {different - 1:,} components "
            "with any variance: the others will hold nothing but rounding"
        )
    return None
