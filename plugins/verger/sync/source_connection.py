"""A source that an Airflow connection knows: what is secret of its address stands in no run's conf."""

import base64
from typing import NamedTuple
from urllib.parse import urlsplit

from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowNotFoundException

from verger.sync.pictures import SourceError

SCHEME = "connection://"


class PrivateAddress(NamedTuple):
    """Where a file is, and the header Authorization that it takes; empty for none."""

    address: str
    authorization: str


def resolve(source: str) -> PrivateAddress:
    """The https address that `connection://ID/path` means.

    The connection's host is the beginning of the address, with its port, and the path is added to it. Login and
    password are sent as HTTP's basic authentication (RFC 7617); a password without a login is what follows the `?`.

    Raises:
        SourceError: There is no such connection, or it has no host.
    """
    connection_id, slash, path = source.removeprefix(SCHEME).partition("/")
    try:
        connection = Connection.get(connection_id)
    except AirflowNotFoundException as error:
        raise SourceError(f"source is {source!r}: Airflow has no connection {connection_id!r}") from error
    host = connection.host or ""
    if not host:
        raise SourceError(f"source is {source!r}: the connection has no host, which is the address without its secret")
    start = host if "://" in host else f"{connection.schema or 'https'}://{host}"
    if connection.port:
        parts = urlsplit(start)
        start = parts._replace(netloc=f"{parts.hostname}:{connection.port}").geturl()
    address = start.rstrip("/") + slash + path if path else start
    password = connection.password or ""
    if connection.login:
        pair = f"{connection.login}:{password}".encode()
        return PrivateAddress(address, f"Basic {base64.b64encode(pair).decode('ascii')}")
    return PrivateAddress(f"{address}?{password.removeprefix('?')}" if password else address, "")
