"""Something is made once, whatever the API answers."""

import pytest
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
)
from hypothesis import given
from hypothesis import strategies as st
from verger.cluster.single_calls import make_once, may_pass

URL = "http://127.0.0.1:1"


def refusal(code: str, status: int) -> ClientError:
    answer = {"Error": {"Code": code, "Message": ""}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "RunJobFlow")  # type: ignore[arg-type] # the part that matters


THROTTLED = refusal("ThrottlingException", 400)
LOST = ConnectionClosedError(endpoint_url=URL)


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (THROTTLED, True),
        (refusal("InternalServerException", 500), True),
        (refusal("ServiceUnavailable", 503), True),
        (refusal("ValidationException", 400), False),
        (refusal("AccessDeniedException", 400), False),
        (LOST, True),
        (ReadTimeoutError(endpoint_url=URL), True),
        (EndpointConnectionError(endpoint_url=URL), True),
        (NoCredentialsError(), False),
    ],
)
def test_what_may_pass_is_told_from_what_would_come_again(error: ClientError | BotoCoreError, passes: bool) -> None:
    assert may_pass(error) is passes


class Api:
    """Makes things, and fails before or after it has made one."""

    def __init__(self, *fates: str) -> None:
        self.fates = list(fates)
        self.made: list[str] = []
        self.slept: list[float] = []

    def find(self) -> str | None:
        return self.made[0] if self.made else None

    def make(self) -> str:
        fate = self.fates.pop(0) if self.fates else "good"
        if fate == "throttled":
            raise THROTTLED
        if fate == "refused":
            raise refusal("ValidationException", 400)
        self.made.append(f"j-{len(self.made)}")
        if fate == "lost":
            raise LOST
        return self.made[-1]

    def once(self) -> str:
        return make_once(self.find, self.make, pauses=(1, 2, 4), sleep=self.slept.append)


@given(st.lists(st.sampled_from(["throttled", "lost"]), max_size=3))
def test_there_is_exactly_one_whatever_happens_to_the_calls(fates: list[str]) -> None:
    api = Api(*fates)
    assert api.once() == "j-0"
    assert api.made == ["j-0"]
    assert api.slept == [1, 2, 4][: len(api.slept)]


def test_what_an_earlier_try_made_is_taken_without_a_call() -> None:
    api = Api("refused")
    api.made.append("j-before")
    assert api.once() == "j-before"
    assert api.fates == ["refused"]


def test_a_refusal_that_would_come_again_is_raised_at_once() -> None:
    api = Api("throttled", "refused")
    with pytest.raises(ClientError, match="ValidationException"):
        api.once()
    assert api.slept == [1]


def test_patience_has_an_end() -> None:
    api = Api(*["throttled"] * 9)
    with pytest.raises(ClientError, match="ThrottlingException"):
        api.once()
    assert api.slept == [1, 2, 4]
