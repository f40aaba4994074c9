"""What a task of a run reads from its context: the settings and the paths."""

from typing import TYPE_CHECKING

from airflow.sdk.exceptions import AirflowFailException

from verger.run.settings import Settings
from verger.storage.layout import BucketLayout, RunLayout

if TYPE_CHECKING:
    from airflow.sdk import Context


def run_settings(context: "Context") -> Settings:
    """The run's settings; fails the task for good when one cannot be used."""
    try:
        return Settings.from_params(context["params"])
    except ValueError as error:
        # Trying again cannot help: the message is all there is to say.
        raise AirflowFailException(str(error)) from error


def run_layout(settings: Settings, context: "Context") -> RunLayout:
    """The run's paths."""
    return RunLayout(BucketLayout(settings.bucket, settings.images_prefix), str(context["run_id"]))
