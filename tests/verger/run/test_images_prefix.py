"""Where pictures may lie in the bucket: form, settings and installation refuse the same."""

import posixpath
import re
from pathlib import Path

import pytest
from airflow.sdk import Param
from hypothesis import example, given
from hypothesis import strategies as st
from verger.run.deployment import Deployment
from verger.run.images_prefix import MAX_BYTES, OWN_FOLDERS, check_images_prefix
from verger.run.params import run_params
from verger.run.settings import SettingError, Settings
from verger.storage.file_names import harmful_character

PARAM = run_params(Deployment(home=Path()))["images_prefix"]
BAD = [
    "", "/", "//", "images", "/images/", "images//", "images//apple/", ".", "./", "../", "../x/", "./results/",
    "x/../results/", "images/../results/", "images/./", "images/..", "results/", "runs/x/", "Results/", "LOGS/",
    "images/\n", "images\n/", "images/\r\n", "ima\x00ges/", "images\\results/", "images\u2028/", "images\x85/",
    "\u202eimages/", "\uffff/",
    *(f"{name}/" for name in sorted(OWN_FOLDERS)),
]  # fmt: skip
GOOD = [
    "images/",
    "in/",
    "2026/été/",
    "a b/c+d=e%20/",
    "...../",
    ".hidden/",
    "resultsx/",
    "images/results/",
    "..a/",
    "10.00\u202fAM\u00a0x/",
]


def form_takes(value: object) -> bool:
    try:
        Param(PARAM.resolve(), **PARAM.schema).resolve(value)
    except Exception:  # noqa: BLE001 -- Airflow's own and jsonschema's
        return False
    return True


@pytest.mark.parametrize("prefix", BAD)
def test_a_prefix_that_is_not_in_its_normal_form_or_verger_s_own_is_refused_everywhere(prefix: str) -> None:
    assert not form_takes(prefix)
    with pytest.raises(SettingError, match="images_prefix is ") as refused:
        Settings(bucket="fruits", region="eu-west-1", images_prefix=prefix)
    assert repr(prefix) in str(refused.value)
    with pytest.raises(ValueError, match="VERGER_IMAGES_PREFIX is "):
        Deployment(home=Path(), images_prefix=prefix)


@pytest.mark.parametrize("prefix", GOOD)
def test_an_ordinary_prefix_is_taken_everywhere(prefix: str) -> None:
    assert form_takes(prefix)
    assert Settings(bucket="fruits", region="eu-west-1", images_prefix=prefix).images_prefix == prefix
    assert Deployment(home=Path(), images_prefix=prefix).images_prefix == prefix


def test_the_template_of_the_account_takes_the_same(project: Path) -> None:
    (line,) = (
        line.partition(": ")[2]
        for line in (project / "infra" / "template.yaml").read_text().splitlines()
        if "AllowedPattern" in line and "certificates" in line
    )
    assert all(re.fullmatch(line, prefix) for prefix in GOOD)
    taken = [prefix for prefix in BAD if re.fullmatch(line, prefix)]
    assert taken == ["images\u2028/", "images\x85/", "\u202eimages/", "\uffff/"], (
        "what a template is not given by accident"
    )


def test_the_installation_s_variable_is_checked() -> None:
    with pytest.raises(ValueError, match=r"VERGER_IMAGES_PREFIX is 'a/\.\./runs/'"):
        Deployment.from_environment({"VERGER_IMAGES_PREFIX": "a/../runs/"})


SEGMENT = st.one_of(st.sampled_from(["", ".", "..", "results", "images", "\n", "\\", "a b"]), st.text(max_size=4))


@given(st.lists(SEGMENT, max_size=5).map("/".join))
@example("images/")
def test_what_is_taken_means_the_same_to_every_reader_and_is_taken_by_the_form(prefix: str) -> None:
    if check_images_prefix(prefix) is not None:
        return
    assert posixpath.normpath(prefix) + "/" == prefix
    assert prefix.split("/", maxsplit=1)[0] not in OWN_FOLDERS
    assert harmful_character(prefix) is None
    assert len(prefix.encode()) <= MAX_BYTES
    assert form_takes(prefix)
