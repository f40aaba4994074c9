"""Health checks of Airflow's services: `check_health.py api-server|scheduler|dag-processor|triggerer`.

By HTTP alone: `airflow jobs check` would load Airflow each time, which takes seconds of a core. The API server answers
for itself, and knows when the others last gave a sign of life.
"""

from __future__ import annotations

import json
import sys
import urllib.request

TIMEOUT_SECONDS = 8
VERSION = "http://127.0.0.1:8080/api/v2/version"
MONITOR = "http://api-server:8080/api/v2/monitor/health"


def status_of(service: str, health: dict[str, dict[str, str | None]]) -> str:
    """The API server's word for a service: `healthy`, `unhealthy` or `unknown`."""
    return health.get(service.replace("-", "_"), {}).get("status") or "unknown"


def main(service: str) -> int:
    """0 when the service is well."""
    address = VERSION if service == "api-server" else MONITOR
    with urllib.request.urlopen(address, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310 - the addresses above
        body = json.load(answer)
    status = "healthy" if service == "api-server" else status_of(service, body)
    print(f"{service}: {status}")
    return 0 if status == "healthy" else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
