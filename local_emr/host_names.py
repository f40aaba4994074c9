"""The names under which a server is asked for: what a header Host may hold."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

#: What a server listens on that listens on all addresses: no name of it.
EVERYWHERE = ("0.0.0.0", "::", "")  # noqa: S104 - recognised, not bound
THIS_MACHINE = ("127.0.0.1", "localhost", "::1")


def bare_host(host: str) -> str:
    """The name in a header Host, in lower case, without port and brackets; empty for what is none."""
    try:
        return str(ipaddress.IPv6Address(host))
    except ValueError:
        pass
    try:
        parts = urlsplit(f"//{host}")
    except ValueError:
        return ""
    return (parts.hostname or "") if parts.netloc == host and parts.username is None else ""


def checked_host(host: str) -> str:
    """A host name or address as a server may be told to answer to, in lower case.

    Raises:
        ValueError: It has a scheme, a port or a path, or names no host.
    """
    bare = bare_host(host)
    if bare in EVERYWHERE or bare != host.strip("[]").lower() or bare.strip(" *") != bare or " " in bare:
        raise ValueError(f"allow_hosts: {host!r} is not a host name or address (no scheme, no port, no pattern)")
    return bare
