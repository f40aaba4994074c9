"""What every reader here raises of a file that is not a picture that we take."""


class UndecodableError(ValueError):
    """A file is not a picture that we take; `reason` is a code of docs/formats.md, the message says more."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
