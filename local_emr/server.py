"""The server: EMR's API and moto on one port, in this process."""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from moto.backends import get_backend
from moto.core import DEFAULT_ACCOUNT_ID
from moto.iam.access_control import CreateAccessKeyFailure, create_access_key
from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import make_server

from local_emr.access import RAW_HEADERS, AccessCheck
from local_emr.api import EmrApi
from local_emr.cluster_runner import Surroundings
from local_emr.environment import Endpoints, local_spark
from local_emr.faults import Faults
from local_emr.faulty_node import FaultyProvisioner
from local_emr.host_names import EVERYWHERE
from local_emr.provisioning import LocalProvisioner
from local_emr.service import Service
from local_emr.storage import Storage
from local_emr.yarn.daemons import YarnPrograms

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from wsgiref.types import StartResponse, WSGIEnvironment

    from local_emr.provisioning import Provisioner
    from local_emr.settings import LocalEmrSettings


class _QuietHandler(MotoRequestHandler):  # type: ignore[misc] # moto ships no types
    """Hands on the headers as they came; one line per request would hide what matters."""

    def make_environ(self) -> WSGIEnvironment:
        """The request, with all that its signature covers."""
        environ: WSGIEnvironment = super().make_environ()
        return environ | {RAW_HEADERS: self.headers.items()}

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing at the usual level."""
        logging.getLogger(__name__).debug("%s %s %s", self.requestline, code, size)


class LocalEmr:
    """A local EMR in this process; its S3 (moto's) is forgotten when the process ends."""

    def __init__(self, settings: LocalEmrSettings, provisioner: Provisioner | None = None) -> None:
        """Bind the port; `provisioner` replaces where nodes come from."""
        settings.work_dir.mkdir(parents=True, exist_ok=True)
        self._server = make_server(
            settings.host, settings.port, self._application, threaded=True, request_handler=_QuietHandler
        )
        # What listens everywhere is reached here.
        host = "127.0.0.1" if settings.host in EVERYWHERE else settings.host
        self.endpoint = f"http://{host}:{self._server.server_port}"
        faults = Faults()
        endpoints = Endpoints(aws=self.endpoint, s3=settings.s3_endpoint or self.endpoint)
        self._storage = Storage(settings, endpoints.s3)
        around = Surroundings(
            settings=settings,
            endpoints=endpoints,
            storage=self._storage,
            spark=local_spark(settings, endpoints.s3),
            yarn=_yarn_programs(settings),
            provisioner=FaultyProvisioner(provisioner or LocalProvisioner(settings), faults, settings.idle_time_scale),
        )
        self._service = Service(around, DEFAULT_ACCOUNT_ID)
        moto = DomainDispatcherApplication(create_backend_app)
        api = EmrApi(self._service, moto, settings.region, _has_security_configuration, faults)
        self._api = AccessCheck(api, [settings.host, *settings.allow_hosts], partial(_secret_of, settings))
        self._thread = threading.Thread(target=self._server.serve_forever, name="local-emr", daemon=True)

    def _application(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return self._api(environ, start_response)

    def start(self) -> None:
        """Answer requests from now on."""
        self._thread.start()

    def stop(self) -> None:
        """End every cluster and its processes, store their logs, then answer no more."""
        self._service.close()
        self._storage.closed.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _yarn_programs(settings: LocalEmrSettings) -> YarnPrograms | None:
    if settings.yarn_jars_dir is None or settings.spark_home is None:
        return None
    return YarnPrograms.of(settings.yarn_jars_dir, settings.spark_home, settings.java_home)


def _secret_of(settings: LocalEmrSettings, access_key: str, session_token: str) -> str | None:
    """The secret of this server's own key, or of one that its IAM or STS (moto's) gave out."""
    if access_key == settings.access_key:
        return settings.secret_key
    headers = {"X-Amz-Security-Token": session_token} if session_token else {}
    try:
        made = create_access_key(DEFAULT_ACCOUNT_ID, "aws", access_key, headers)
    except CreateAccessKeyFailure:
        return None
    return str(made.create_credentials().secret_key)


def _has_security_configuration(region: str, name: str) -> bool:
    # moto files them under its default region where the address names none, as on this machine.
    regions = {region, "us-east-1"}
    backends = get_backend("emr")[DEFAULT_ACCOUNT_ID]
    return any(name in backends[place].security_configurations for place in regions)


@contextmanager
def serving(settings: LocalEmrSettings, provisioner: Provisioner | None = None) -> Iterator[str]:
    """A local EMR in this process; gives its endpoint."""
    server = LocalEmr(settings, provisioner)
    server.start()
    try:
        yield server.endpoint
    finally:
        server.stop()
