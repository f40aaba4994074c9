"""What counts as a change of the bucket, however it was listed."""

from hypothesis import given
from hypothesis import strategies as st
from mypy_boto3_s3 import S3Client
from verger.plan.bucket_state import EMPTY, state_at_once, state_page_by_page
from verger.plan.frozen_list import freeze_list
from verger.plan.plan_space import PlanLimits
from verger.storage.layout import BucketLayout

from tests.verger.plan.planned import ListedImage, listed, space_of

LIMITS = PlanLimits(memory_mib=256)
PAIRS = st.dictionaries(
    st.text(st.characters(codec="utf-8"), max_size=8), st.text(st.characters(codec="utf-8"), max_size=4), max_size=5
)


def digest_of(pairs: dict[str, str], *, backwards: bool = False) -> str:
    images = [ListedImage(f"s3://b/{path}", etag, "label", 1) for path, etag in pairs.items()]
    with space_of(reversed(images) if backwards else images) as space:
        return freeze_list(space, b"").listing_digest


@given(PAIRS, PAIRS)
def test_two_listings_have_one_digest_exactly_when_they_are_of_the_same_pictures(
    one: dict[str, str], other: dict[str, str]
) -> None:
    assert (digest_of(one) == digest_of(other)) is (one == other)


@given(PAIRS)
def test_the_order_of_a_listing_does_not_matter(pairs: dict[str, str]) -> None:
    assert digest_of(pairs) == digest_of(pairs, backwards=True)


def test_an_overwritten_a_new_and_a_deleted_picture_are_changes() -> None:
    before = {"a": "1", "b": "2"}
    states = [before, {"a": "1", "b": "3"}, {**before, "c": "1"}, {"a": "1"}]
    assert len({digest_of(state) for state in states}) == len(states)


def test_the_watcher_and_a_run_see_the_same_state(s3: S3Client, bucket: str) -> None:
    """Else each run would start another one."""
    layout = BucketLayout(bucket)
    assert state_page_by_page(s3, layout, LIMITS) == state_at_once(None, "eu-west-1", layout, LIMITS) == EMPTY
    for number in range(7):
        s3.put_object(Bucket=bucket, Key=f"images/P\u00eache {number % 3}/\U0001f34f {number}.jpg", Body=b"%d" % number)
    s3.put_object(Bucket=bucket, Key="images/.hidden/1.jpg", Body=b"x")
    state = state_at_once(None, "eu-west-1", layout, LIMITS)
    assert state == state_page_by_page(s3, layout, LIMITS)
    assert state.pictures == 7
    _, images = listed(s3, layout)
    with space_of(images) as space:
        assert freeze_list(space, b"").listing_digest == state.digest
