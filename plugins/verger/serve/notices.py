"""What the tab says when there is nothing to show: one short page that tells why, and what to do."""

from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import quote

from verger.publish.report import page_environment
from verger.serve.run_record import RunRecord

_OVER = {"success", "failed"}
_RELOAD_SECONDS = 15


@dataclass(frozen=True)
class Notice:
    """A page without results.

    Attributes:
        status: its HTTP status.
        title: what is the matter, in a few words.
        text: what that means, and what to do.
        link: the address of something better to look at; None for nothing.
        link_text: what that is.
        reload_seconds: after how long the page looks again; None for never.
    """

    status: int
    title: str
    text: str
    link: str | None = None
    link_text: str = ""
    reload_seconds: int | None = None

    def render(self) -> str:
        """The page."""
        return page_environment().get_template("notice.html.jinja").render(notice=self)


NO_RUN = Notice(HTTPStatus.NOT_FOUND, "There is no such run", "Airflow has no run of this name in this DAG.")
NO_FILE = Notice(HTTPStatus.NOT_FOUND, "There is no such file", "It is not among the results of this run.")
PAGES_DELETED = Notice(
    HTTPStatus.NOT_FOUND,
    "The pages of this run were deleted",
    "They are when a picture that they show is erased. The next run publishes new ones; start it with “Run though "
    "nothing changed” to have them at once.",
)
STORE_REFUSED = Notice(
    HTTPStatus.BAD_GATEWAY,
    "S3 does not let Airflow read the results",
    "The credentials of Airflow's API server need s3:GetObject and s3:ListBucket on the run's bucket. Its log has S3's "
    "own words.",
)
STORE_UNREACHABLE = Notice(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "S3 does not answer",
    "Nothing is lost: the results are where the run has put them. This page looks again by itself.",
    reload_seconds=_RELOAD_SECONDS,
)


def explain_no_results(record: RunRecord, path: str) -> Notice:
    """Say why a run has no results that could be shown; `path` is what was asked for below them."""
    if record.publish_state == "skipped":
        earlier = record.earlier_run_id
        return Notice(
            HTTPStatus.NOT_FOUND,
            "Nothing had changed",
            "The pictures and settings were those of an earlier run, so this one ended before a cluster was created. "
            "The earlier results are still right.",
            link=f"{'../' * (path.count('/') + 1)}{quote(earlier, safe='')}/" if earlier else None,
            link_text=f"The results of {earlier}",
        )
    if record.state not in _OVER:
        return Notice(
            HTTPStatus.NOT_FOUND,
            "The results are not there yet",
            "The run is still at work. They appear here when its task publish_results has ended.",
            reload_seconds=_RELOAD_SECONDS,
        )
    if record.publish_state == "success":
        return Notice(
            HTTPStatus.NOT_FOUND,
            "These results cannot be shown here",
            "The task publish_results did not leave the address of this run's own results in the bucket of its conf.",
        )
    return Notice(
        HTTPStatus.NOT_FOUND,
        "This run has no results",
        "It ended before it published any. The first task that failed says why in its log; the results of earlier runs "
        "are as they were.",
    )
