"""The settings of a run, and the form that they come from."""

from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pytest
from verger.run.deployment import Deployment
from verger.run.params import run_params
from verger.run.settings import SettingError, Settings

GOOD: dict[str, Any] = {"bucket": "fruits-data", "region": "eu-west-1"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("bucket", ""),
        ("bucket", None),
        ("bucket", "Fruits_Data"),
        ("bucket", "192.168.0.1"),
        ("region", "us-east-1"),
        ("region", "eu-west-2"),
        ("region", "eu-central-2"),
        ("images_prefix", "images"),
        ("images_prefix", "/"),
        ("images_prefix", "results/"),
        ("images_prefix", "reports/2026/"),
        ("engine", "torch"),
        ("k", 0),
        ("k", 1281),
        ("k", "ten"),
        ("k", True),
        ("variance", 0),
        ("variance", 1.1),
        ("max_reject_rate", -0.1),
        ("chunk_images", 1),
        ("core_nodes", 0),
        ("core_nodes", 11),
        ("max_nodes", 101),
        ("wanted_minutes", 1),
        ("spot_share", 1.5),
        ("spot_share", -0.1),
        ("spot_share", "half"),
        ("budget_usd", 0),
        ("budget_usd", -3.0),
        ("max_cluster_hours", 0),
        ("keep_for_demo_minutes", 241),
        ("ebs_gb", 5),
        ("like_cluster_id", "my cluster"),
        ("subnet_id", "vpc-1"),
        ("idle_minutes", 0),
        ("stalled_minutes", 0),
        ("end_stalled_minutes", -1),
        ("end_stalled_minutes", 10),
        ("end_stalled_minutes", 1441),
        ("release_label", "latest"),
        ("instance_type", "big"),
    ],
)
def test_a_setting_that_cannot_be_used_is_refused_with_its_name_and_value(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=name) as refusal:
        Settings.from_params({**GOOD, name: value})
    assert repr(value) in str(refusal.value)


def test_an_unknown_setting_is_refused() -> None:
    with pytest.raises(SettingError, match="'components'"):
        Settings.from_params({**GOOD, "components": 3})


def test_the_form_has_a_field_for_each_setting_and_its_defaults_are_the_settings_own() -> None:
    params = run_params(Deployment(home=Path(), bucket="fruits-data"))
    assert set(params) == {field.name for field in fields(Settings)}
    defaults = {name: param.resolve() for name, param in params.items()}
    assert asdict(Settings.from_params(defaults)) == asdict(Settings(**GOOD))


def test_a_text_may_be_left_empty_in_the_form() -> None:
    """Airflow's form starts nothing while a text that may not be null is empty, and gives None for it."""
    params = run_params(Deployment(Path(), bucket=GOOD["bucket"]))
    empty = {name: param for name, param in params.items() if param.value == ""}
    assert empty.keys() == {"source", "weights", "subnet_id", "like_cluster_id"}
    assert all(param.schema["type"] == ["null", "string"] for param in empty.values())
    settings = Settings.from_params({**GOOD, **dict.fromkeys(empty)})
    assert {getattr(settings, name) for name in empty} == {""}


def test_every_field_of_the_form_has_a_title_and_a_section() -> None:
    for name, param in run_params(Deployment(home=Path())).items():
        assert param.schema.get("title"), name
        assert param.schema.get("section"), name


def test_a_deployment_reads_its_variables_and_keeps_defaults_for_empty_ones() -> None:
    deployment = Deployment.from_environment(
        {"VERGER_BUCKET": " fruits ", "VERGER_POLL_SECONDS": "2", "VERGER_REGION": ""}
    )
    assert (deployment.bucket, deployment.poll_seconds, deployment.region) == ("fruits", 2, "eu-west-1")


@pytest.mark.parametrize("seconds", ["0", "soon", "-1", "1.5"])
def test_a_deployment_refuses_a_poll_period_that_is_none(seconds: str) -> None:
    with pytest.raises(ValueError, match="VERGER_POLL_SECONDS"):
        Deployment.from_environment({"VERGER_POLL_SECONDS": seconds})
