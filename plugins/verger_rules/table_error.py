"""The error of the feature table, apart from what reaches it: who only catches it needs no package of the table."""


class TableError(RuntimeError):
    """The feature table could not be read or written; the message says what to do."""
