"""The web app that Airflow's API server mounts: the files of a run's results, to those who may read the run."""

import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.core_api.security import requires_access_dag
from fastapi import Depends, FastAPI, Request, Response
from fastapi.responses import FileResponse, HTMLResponse, StreamingResponse

from verger.serve import notices
from verger.serve.browser_rules import Origin, browser_rules
from verger.serve.explorer_page import installed_file
from verger.serve.framed_page import render_frame, wants_frame
from verger.serve.notices import Notice, explain_no_results
from verger.serve.result_file import (
    CONTENT_TYPES,
    FileMissingError,
    StoreRefusedError,
    StoreUnreachableError,
    Wanted,
    check_name,
    exists,
    read_file,
)
from verger.serve.run_record import locate, read_record, region_of
from verger.storage.layout import RunLayout

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

log = logging.getLogger(__name__)

#: What the tab opens; the first that is there. Until a run has an explorer, its report is the page.
_ENTRIES = ("explorer/index.html", "report.html")


def results_app(s3_in: Callable[[str], "S3Client"], default_region: str) -> FastAPI:
    """Build the app.

    `s3_in` gives a client of a region's S3. Each route has Airflow's own check of the login and the DAG's permission,
    since a mounted app has none by itself.
    """
    # Without pages about itself, and without redirects that no permission was asked for.
    app = FastAPI(title="Verger results", docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)

    def result_file(request: Request, dag_id: str, run_id: str, path: str) -> Response:
        record = read_record(dag_id, run_id)
        run = locate(record) if record else None
        if record is None or run is None:
            return _page(explain_no_results(record, path) if record else notices.NO_RUN)
        try:
            s3 = s3_in(region_of(record, default_region))
            return _file(s3, run, path, request) if path else _entry(s3, run)
        except FileMissingError:
            return _page(notices.NO_FILE if path else notices.PAGES_DELETED)
        except StoreRefusedError:
            log.exception("S3 refuses %s", run.results_uri)
            return _page(notices.STORE_REFUSED)
        except StoreUnreachableError:
            log.exception("S3 does not answer for %s", run.results_uri)
            return _page(notices.STORE_UNREACHABLE)

    app.add_api_route(
        "/runs/{dag_id}/{run_id}/{path:path}",
        result_file,
        methods=["GET", "HEAD"],
        dependencies=[Depends(requires_access_dag("GET", DagAccessEntity.RUN))],
        response_model=None,
    )
    return app


def _entry(s3: "S3Client", run: RunLayout) -> Response:
    """Lead to the page that the run has, by a relative address: nothing is assumed of the host in front."""
    for name in _ENTRIES:
        if exists(s3, run.result_file(name)):
            return Response(
                status_code=HTTPStatus.TEMPORARY_REDIRECT, headers={"Location": name, **browser_rules(Origin.INSTALLED)}
            )
    raise FileMissingError(run.results_uri)


def _file(s3: "S3Client", run: RunLayout, path: str, request: Request) -> Response:
    name = check_name(f"{path}index.html" if path.endswith("/") else path)
    if page := installed_file(name):
        if not exists(s3, run.result_file(name)):
            raise FileMissingError(name)
        return FileResponse(page, headers=browser_rules(Origin.EXPLORER), media_type=CONTENT_TYPES[page.suffix])
    if wants_frame(request, name):
        if not exists(s3, run.result_file(name)):
            raise FileMissingError(name)
        return HTMLResponse(render_frame(name), headers={**browser_rules(Origin.INSTALLED), "Vary": "Accept"})
    wanted = Wanted(
        head=request.method == "HEAD",
        byte_range=request.headers.get("range"),
        if_range=request.headers.get("if-range"),
        if_none_match=request.headers.get("if-none-match"),
    )
    answer = read_file(s3, run.result_file(name), wanted)
    headers = {**answer.headers, **browser_rules(Origin.BUCKET), "Vary": "Accept"}
    if wanted.head or answer.status not in {HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT}:
        return Response(status_code=answer.status, headers=headers)
    return StreamingResponse(answer.chunks, answer.status, headers)


def _page(notice: Notice) -> Response:
    headers = {
        **browser_rules(Origin.INSTALLED),
        **({"Retry-After": str(notice.reload_seconds)} if notice.reload_seconds else {}),
    }
    return HTMLResponse(notice.render(), notice.status, headers)
