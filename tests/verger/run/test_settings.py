"""The settings of a run, and the form that they come from."""

import contextlib
import json
import re
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from verger.run.deployment import Deployment
from verger.run.params import run_params
from verger.run.settings import SettingError, Settings, shown

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
        ("max_nodes", 501),
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


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
NAMES = [field.name for field in fields(Settings)]


@given(st.sampled_from(NAMES), JSON)
@example("max_reject_rate", "0.5")
@example("max_reject_rate", True)
@example("variance", "0.9")
@example("variance", True)
@example("variance", float("nan"))
@example("budget_usd", float("inf"))
@example("k", 10**400)
@example("k", 10**5000)
@example("spot_share", [0.5])
@example("region", ["eu-west-1"])
@example("images_prefix", {"a/": 1})
@example("bucket", 5)
@example("force", "false")
@example("delete_missing", 1)
@example("source", "/srv/a\x00b")
@example("weights", "s3://b/a\nb")
@example("source", "\ud800")
@example("subnet_id", "subnet-0a\n,subnet-0b")
@example("release_label", "emr-8.1.0\n")
@example("release_label", "emr-\uff18.1.0")
@example("bucket", None)
def test_any_json_for_any_setting_is_taken_or_refused_with_its_name_value_and_what_to_do(name: str, value: Any) -> None:
    """What the API, a form of another version or a person's script sends; only ValueError can come of it."""
    try:
        settings = Settings.from_params({**GOOD, name: value})
    except ValueError as refused:
        message = str(refused)
        assert name.partition("_")[0] in message
        assert shown(value)[:50] in message or "digits" in message
        assert message.partition(": ")[2]
        assert "\n" not in message
        assert len(message) < 700
    else:
        taken = getattr(settings, name)
        default = getattr(Settings(**GOOD), name)
        assert type(taken) is type(default) or (isinstance(default, float | None) and isinstance(taken, int | float))
        json.dumps(taken, allow_nan=False)


@given(st.dictionaries(st.sampled_from(NAMES) | st.text(), JSON, max_size=6))
def test_no_set_of_params_raises_anything_but_a_clear_refusal(params: dict[str, Any]) -> None:
    with contextlib.suppress(ValueError):
        Settings.from_params(params)


@pytest.mark.parametrize("missing", ["bucket", "region"])
def test_a_setting_without_a_default_that_is_not_given_is_refused(missing: str) -> None:
    with pytest.raises(ValueError, match=f"{missing} (is )?None"):
        Settings.from_params({name: value for name, value in GOOD.items() if name != missing})


@pytest.mark.parametrize(("given", "k"), [("auto", "auto"), ("12", 12), (7, 7)])
def test_components_are_a_number_or_auto(given: object, k: object) -> None:
    assert Settings.from_params(GOOD | {"k": given}).k == k


def test_the_switch_of_the_form_means_auto_whatever_number_stands_above() -> None:
    assert Settings.from_params(GOOD | {"k": 12, "auto_k": True}).k == "auto"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"k": "some"}, "k is 'some': give a whole number from 1 to 1,280, or auto"),
        ({"k": "0"}, "k is 0: give a whole number"),
        ({"k": "auto", "least_k": 20, "most_k": 5}, "least_k is 20, more than most_k, 5"),
        ({"test_folder": "images/Test"}, "test_folder is 'images/Test': give the name of one folder"),
    ],
)
def test_what_decides_the_components_is_checked(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingError, match=re.escape(words)):
        Settings.from_params(GOOD | changes)


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
    assert empty.keys() == {"source", "weights", "subnet_id", "like_cluster_id", "test_folder"}
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


def test_a_deployment_waits_longer_for_logs_than_emr_takes_to_copy_them_unless_it_says_otherwise() -> None:
    assert Deployment.from_environment({}).log_seconds > 300
    assert Deployment.from_environment({"VERGER_LOG_SECONDS": "30"}).log_seconds == 30
    with pytest.raises(ValueError, match="VERGER_LOG_SECONDS is 0"):
        Deployment.from_environment({"VERGER_LOG_SECONDS": "0"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PLAN_MEMORY_MIB", "100"),
        ("PLAN_MEMORY_MIB", "much"),
        ("INVENTORY_URI", "s3://lists"),
        ("INVENTORY_URI", "lists"),
    ],
)
def test_a_plan_s_bounds_and_an_inventory_that_cannot_be_are_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=f"VERGER_{name} is '?{value}"):
        Deployment.from_environment({f"VERGER_{name}": value})
