"""What a worker gets once, however many parts it works on."""

from typing import Any, Protocol


class Shared(Protocol):
    """Content that lies ready for every worker, as pyspark's Broadcast does."""

    @property
    def value(self) -> Any:  # noqa: ANN401 - pyspark's own type
        """The content, loaded once per worker."""

    def unpersist(self) -> None:
        """Let it go: no part needs it any more."""
