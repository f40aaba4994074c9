"""Credentials in the address of a source: a run's conf is kept, and shown to everybody who may see the run."""

import re
from urllib.parse import unquote

#: Names of a query's fields that hold a credential, as parts of a name or as a word of it.
_PARTS = (
    "token", "secret", "signature", "passw", "credential", "apikey", "accesskey", "session", "x-amz-", "x-goog-",
)  # fmt: skip
_WORDS = ("sig", "pw", "pwd", "pass", "auth", "authorization", "key", "jwt", "sid", "code", "ticket")
_HINT = (
    "leave the password out, and a token as well: they would stay readable in the run's conf. Keep them in an Airflow "
    'connection and give connection://ID or connection://ID/path (docs/operations.md, "A source with a password")'
)


def _any_case(words: tuple[str, ...]) -> str:
    # Written out: a JSON schema's pattern has no flags.
    return "|".join("".join(f"[{c}{c.upper()}]" if c.isalpha() else c for c in word) for word in words)


_BEFORE, _AFTER = "(?:[^=&;#]*[^=&;#a-zA-Z])?", "(?:[^=&;#a-zA-Z][^=&;#]*)?"
_FIELD = f"(?:[^=&;#]*(?:{_any_case(_PARTS)})[^=&;#]*|{_BEFORE}(?:{_any_case(_WORDS)}){_AFTER})="
_CREDENTIALS = rf"(?:[^/?#]*://[^/?#]*@|[^?#]*://[^?#]*[?#](?:[\s\S]*[&;?#])?{_FIELD})"
#: What the form and the API take for a source: a run with another one does not come into being.
SOURCE_PATTERN = f"^(?!{_CREDENTIALS})"
_FOUND = re.compile(_CREDENTIALS)


class SourceCredentialsError(ValueError):
    """An address holds a credential; the message does not."""


def check_no_credentials(address: str, name: str = "source") -> None:
    """Raise SourceCredentialsError for an address with `user:password@`, or with a query's field that is a credential.

    A credential under another name, or in the path, cannot be told from what is none.
    """
    if _FOUND.match(address) or _FOUND.match(unquote(address)):
        raise SourceCredentialsError(f"{name} holds a credential: {_HINT}")
