"""The note of a DAG run: the summary of its results, which Airflow shows as Markdown on the run's page.

A task cannot write a note, since it has no access to Airflow's database. So `publish_results` hands the text on, and
the scheduler, which has, writes it down when the run is over.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from airflow.listeners import hookimpl

#: Under this key `publish_results` hands on the summary.
SUMMARY_KEY = "summary"
#: Airflow's bound of a note.
MOST_CHARACTERS = 1_000
#: Begins every note of ours: one that a person wrote is left alone.
_OURS = "**Results:**"


def summarize(description: Mapping[str, Any], *, tab: str, picture: str) -> str:
    """The summary of `run.json` in Markdown; `tab` and `picture` are addresses on Airflow's host.

    Only numbers and fixed words: no label or name of a file is in it.
    """
    counts, pca = description["counts"], description["pca"]
    told = (
        f" {counts['featurized']:,} pictures on {pca['k']} components that hold "
        f"{pca['variance_reached']:.1%} of the variance; {counts['rejected']:,} rejected, "
        f"{description['left_out']['files']:,} left out.{_judged(description)}{_changed(description)}"
    )
    rest = f"{told}\n\n![The pictures on the first two components]({picture})\n\n[Look at the results]({tab})"
    # A warning first: of a long note Airflow shows only the first line until somebody opens it.
    return _OURS + _as_many_as_fit(description["warnings"], MOST_CHARACTERS - len(_OURS + rest)) + rest


def _as_many_as_fit(warnings: Sequence[str], characters: int) -> str:
    """The first warnings, and how many more the results tell of; a longer note would not be written at all."""
    for count in range(len(warnings), -1, -1):
        left = len(warnings) - count
        more = (
            [f"{left} more warnings: see the results" if count else f"{left} warnings: see the results"] if left else []
        )
        told = "".join(f" **{warning}**" for warning in [*warnings[:count], *more])
        if len(told) <= characters:
            return told
    return ""


def _judged(description: Mapping[str, Any]) -> str:
    quality = description.get("quality")
    return f" {quality['sentence']}" if quality else ""


def _changed(description: Mapping[str, Any]) -> str:
    images = (description.get("changes") or {}).get("images")
    if not images:
        return ""
    return f" Since the run before: {images['added']:,} added, {images['changed']:,} changed, {images['gone']:,} gone."


class RunNotes:
    """Writes the note when a run is over."""

    @hookimpl
    def on_dag_run_success(self, dag_run: Any) -> None:  # noqa: ANN401 -- Airflow's DagRun, costly to import
        """Called by the scheduler."""
        _write_note(dag_run)

    @hookimpl
    def on_dag_run_failed(self, dag_run: Any) -> None:  # noqa: ANN401 -- as above
        """Called by the scheduler: a run may fail after it has published."""
        _write_note(dag_run)


def _write_note(dag_run: Any) -> None:  # noqa: ANN401 -- as above
    # Airflow's models take a second to import; the plugin is loaded by every process.
    from airflow.models.dagrun import DagRun  # noqa: PLC0415
    from airflow.utils.session import create_session  # noqa: PLC0415
    from sqlalchemy.orm import object_session  # noqa: PLC0415

    # The scheduler's own session holds a lock on the run: another one would wait for it. `dag.test` has none left.
    session = object_session(dag_run)
    if session is not None:
        _note_summary(session, dag_run)
        return
    with create_session(scoped=False) as own:
        found = own.get(DagRun, dag_run.id)
        if found is not None:
            _note_summary(own, found)


def _note_summary(session: Any, dag_run: Any) -> None:  # noqa: ANN401 -- as above
    from verger.serve.run_record import read_xcom  # noqa: PLC0415 -- brings Airflow's models

    if dag_run.note and not dag_run.note.startswith(_OURS):
        return
    summary = read_xcom(session, dag_run.dag_id, dag_run.run_id, SUMMARY_KEY)
    # What does not look like ours was put there by a person, and a longer one would fail the scheduler's transaction.
    if summary and summary.startswith(_OURS) and len(summary) <= MOST_CHARACTERS and "\0" not in summary:
        dag_run.note = summary
