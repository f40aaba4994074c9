"""The form of a run: what a person sees who has never read anything."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import Param
from verger.run.deployment import Deployment
from verger.run.params import run_params
from verger.run.settings import SettingError, Settings

DEPLOYMENT = Deployment(home=Path(), bucket="fruits", region="eu-west-3", images_prefix="in/", source="/srv/pictures")
PARAMS = run_params(DEPLOYMENT)
SECTIONS = ["Pictures", "Model", "Matrix", "Place", "Cluster: machines", "Cluster: size", "Cluster: limits"]


def test_the_form_has_a_field_for_each_setting_and_no_other() -> None:
    assert set(PARAMS) == {field.name for field in fields(Settings)}


@pytest.mark.parametrize("name", PARAMS)
def test_each_field_has_a_title_a_section_and_help_of_whole_sentences(name: str) -> None:
    schema = PARAMS[name].schema
    assert schema["title"]
    assert schema["section"] in SECTIONS
    assert PARAMS[name].description, name
    assert str(PARAMS[name].description).endswith(".")


def test_the_defaults_of_an_installation_are_a_whole_run() -> None:
    """What a run gets that nobody filled a form for: started by pictures, or by the clock."""
    settings = Settings.from_params({name: param.resolve() for name, param in PARAMS.items()})
    assert (settings.bucket, settings.region) == ("fruits", "eu-west-3")
    assert (settings.images_prefix, settings.source) == ("in/", "/srv/pictures")


def test_sections_stand_together_in_the_order_of_the_work() -> None:
    seen = [param.schema["section"] for param in PARAMS.values()]
    assert list(dict.fromkeys(seen)) == SECTIONS
    assert seen == sorted(seen, key=SECTIONS.index)


def bounds() -> list[tuple[str, Any]]:
    return [
        (name, param.schema[bound] + step)
        for name, param in PARAMS.items()
        for bound, step in (("minimum", -1), ("maximum", 1))
        if bound in param.schema
    ]


@pytest.mark.parametrize(("name", "value"), bounds())
def test_the_form_and_the_settings_refuse_the_same_numbers(name: str, value: float) -> None:
    with pytest.raises(Exception, match=r"less than the minimum|greater than the maximum"):
        Param(PARAMS[name].resolve(), **PARAMS[name].schema).resolve(value)
    good = {each: param.resolve() for each, param in PARAMS.items()}
    with pytest.raises(SettingError, match=name):
        Settings.from_params(good | {name: value})
