"""What cannot have its components is refused before anything costs money, and what can hardly is told."""

from dataclasses import replace
from typing import Any, TypedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st
from verger.plan.components import (
    MOST_IMAGE_BYTES,
    Featurizable,
    check_components,
    check_known_rejects,
    components_warning,
)
from verger.plan.planning import count_images
from verger.run.settings import SettingError, Settings

from tests.verger.plan.planned import ListedImage, space_of

SETTINGS = Settings(bucket="fruits", region="eu-west-1", k=3, max_reject_rate=1.0)


class Done(TypedDict, total=False):
    """What the feature table has, by what made it: pairs of path and etag."""

    features: set[tuple[str, str]]
    rejects: set[tuple[str, str]]
    otherwise: set[tuple[str, str]]


NOTHING = Done()


def image(name: str, *, etag: str = "", size: int = 7) -> ListedImage:
    return ListedImage(f"s3://fruits/images/{name}", etag or f"of {name}", "", size)


def images(names: str) -> list[ListedImage]:
    return [image(name) for name in names]


def done(*, features: str = "", rejects: str = "", otherwise: str = "") -> Done:
    pairs = [{(one.path, one.etag) for one in images(names)} for names in (features, rejects, otherwise)]
    return Done(features=pairs[0], rejects=pairs[1], otherwise=pairs[2])


def find_featurizable(listed: list[ListedImage], table: Done, settings: Settings) -> Featurizable:
    with space_of(listed, **table) as space:
        return count_images(space, retry_rejects=settings.retry_rejects).able


def check(listed: list[ListedImage], table: Done = NOTHING, **changes: Any) -> Featurizable:
    settings = replace(SETTINGS, **changes)
    found = find_featurizable(listed, table, settings)
    check_components(found, settings)
    return found


@pytest.mark.parametrize("changes", [{"k": 1}, {"variance": 0.9}])
def test_one_picture_has_no_components(changes: dict[str, Any]) -> None:
    with pytest.raises(SettingError, match="a PCA needs 2 images with features at least, but there are 1 images"):
        check(images("a"), NOTHING, **changes)


def test_as_many_components_as_pictures_are_taken_and_one_more_is_not() -> None:
    check(images("abc"))
    with pytest.raises(SettingError, match="k is 3, but there are 2 images: k can be at most"):
        check(images("ab"))


def test_a_share_of_the_variance_asks_for_no_number_of_components() -> None:
    check(images("ab"), variance=0.9)


@pytest.mark.parametrize(
    "listed",
    [
        pytest.param([*images("ab"), image("r")], id="a reject of an earlier run"),
        pytest.param([*images("ab"), image("empty", size=0)], id="an empty file"),
        pytest.param([*images("ab"), image("big", size=MOST_IMAGE_BYTES + 1)], id="too large to be read"),
        pytest.param([*images("ab"), image("Apple//r")], id="a key that cannot be read"),
    ],
)
def test_what_is_known_to_be_rejected_cannot_give_a_component(listed: list[ListedImage]) -> None:
    with pytest.raises(SettingError, match=r"k is 3, but only 2 of the 3 images can have features \(1 are rejects"):
        check(listed, done(features="a", rejects="r"))


def test_what_is_tried_again_may_give_one() -> None:
    """Rejects when they are retried, those of another decoder, and those whose picture was replaced."""
    assert check(images("abr"), done(rejects="r"), retry_rejects=True).images == 3
    assert check(images("abr"), done(otherwise="r")).images == 3
    assert check([*images("ab"), image("r", etag="new")], done(rejects="r")).images == 3


def test_a_reject_that_has_features_as_well_is_none() -> None:
    assert check(images("abr"), done(features="r", rejects="r")).images == 3


def test_more_known_rejects_than_are_allowed_fail_before_the_cluster_and_not_on_it() -> None:
    found = check(images("abcr"), done(rejects="r"))
    with pytest.raises(SettingError, match=r"max_reject_rate is 0\.2, but only 3 of the 4 images can have features"):
        check_known_rejects(found.listed, found.images, replace(SETTINGS, max_reject_rate=0.2))
    check_known_rejects(found.listed, found.images, replace(SETTINGS, max_reject_rate=0.25))


def test_copies_of_one_picture_are_told_before_the_cluster() -> None:
    found = check([image(name, etag="the same") for name in "abcd"])
    told = components_warning(found.images, found.different, SETTINGS)
    assert told is not None
    assert "all 4 pictures that can have features are copies of one: nothing varies" in told


def test_components_beyond_the_different_pictures_are_told_before_the_cluster() -> None:
    found = check([*images("ab"), image("copy", etag="of a"), image("other size", etag="of a", size=8)])
    told = components_warning(found.images, found.different, SETTINGS)
    assert told is not None
    assert "k is 3, but 3 different pictures have at most 2 components with any variance" in told
    assert components_warning(found.images, found.different, replace(SETTINGS, k=2)) is None
    assert components_warning(found.images, found.different, replace(SETTINGS, variance=0.5)) is None


@given(
    st.lists(
        st.tuples(st.sampled_from("abcdef"), st.sampled_from([0, 7, MOST_IMAGE_BYTES + 1])), unique_by=lambda i: i[0]
    ),
    st.text("abcdef", max_size=6),
    st.text("abcdef", max_size=6),
    st.booleans(),
)
def test_nothing_that_may_get_features_is_counted_out(
    listed: list[tuple[str, int]], features: str, rejects: str, retry: bool
) -> None:
    settings = replace(SETTINGS, retry_rejects=retry)
    found = find_featurizable(
        [image(name, size=size) for name, size in listed], done(features=features, rejects=rejects), settings
    )
    hopeless = [
        name
        for name, size in listed
        if name not in features and ((name in rejects and not retry) or not 0 < size <= MOST_IMAGE_BYTES)
    ]
    assert (found.listed, found.images) == (len(listed), len(listed) - len(hopeless))
    assert found.different <= found.images
