"""An instance-metadata service of version 2 alone, as the nodes have it (infra/template.yaml, ClusterSecurity)."""

import contextlib
import json
import secrets
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ROLE = "verger-NodeRole"
_TOKEN_HEADER = "X-aws-ec2-metadata-token"  # noqa: S105 -- a header's name
_ROLES = "/latest/meta-data/iam/security-credentials/"


@dataclass
class InstanceMetadata:
    """A running service.

    Attributes:
        url: where it answers.
        access_key: of the role whose credentials it gives.
        secret_key: the same.
        answers: each request so far, as (method, path, HTTP status).
    """

    access_key: str
    secret_key: str
    url: str = ""
    answers: list[tuple[str, str, int]] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)

    @property
    def gave_credentials(self) -> bool:
        """Whether somebody with a token got the role's credentials."""
        return ("GET", f"{_ROLES}{ROLE}", 200) in self.answers

    def content(self, path: str) -> str | None:
        """What the service says at a path; None for nothing."""
        return {
            _ROLES: ROLE,
            _ROLES.rstrip("/"): ROLE,
            f"{_ROLES}{ROLE}": json.dumps(
                {
                    "Code": "Success",
                    "LastUpdated": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
                    "Type": "AWS-HMAC",
                    "AccessKeyId": self.access_key,
                    "SecretAccessKey": self.secret_key,
                    "Token": "a session token/+==",
                    "Expiration": f"{datetime.now(UTC) + timedelta(hours=6):%Y-%m-%dT%H:%M:%SZ}",
                }
            ),
            "/latest/meta-data/placement/region": "eu-west-1",
            "/latest/meta-data/placement/availability-zone": "eu-west-1a",
            "/latest/dynamic/instance-identity/document": json.dumps({"region": "eu-west-1"}),
        }.get(path)


@contextlib.contextmanager
def serving(access_key: str, secret_key: str) -> Iterator[InstanceMetadata]:
    """Serve on a free port of this machine for as long as the context is open."""
    service = InstanceMetadata(access_key, secret_key)

    class Handler(BaseHTTPRequestHandler):
        """Version 2: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html."""

        def do_PUT(self) -> None:
            """Give a token to whoever says how long it shall live."""
            known = self.path == "/latest/api/token" and "X-aws-ec2-metadata-token-ttl-seconds" in self.headers
            token = secrets.token_urlsafe(16)
            service.tokens.add(token)
            self.answer(200 if known else 400, token if known else "")

        def do_GET(self) -> None:
            """Answer whoever has a token: version 1, which needs none, is refused with 401."""
            content = service.content(self.path)
            allowed = self.headers.get(_TOKEN_HEADER) in service.tokens
            self.answer((200 if content else 404) if allowed else 401, content if allowed and content else "")

        def answer(self, status: int, content: str) -> None:
            """Send it, and remember what was answered."""
            service.answers.append((self.command, self.path, status))
            self.send_response(status)
            if self.command == "PUT":
                self.send_header("X-aws-ec2-metadata-token-ttl-seconds", "21600")
            self.send_header("Content-Type", "text/plain")
            self.send_header("Content-Length", str(len(content.encode())))
            self.end_headers()
            self.wfile.write(content.encode())

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        service.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, name="instance metadata")
        thread.start()
        try:
            yield service
        finally:
            server.shutdown()
            thread.join()
