"""The error that ends a preparation with one line instead of a traceback."""


class RefusedError(ValueError):
    """An argument, a weights file or a converted model is not fit for use; the message says what to do."""
