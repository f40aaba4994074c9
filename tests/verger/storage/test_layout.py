"""Paths in the bucket."""

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from verger.storage.layout import BucketLayout, RunLayout, label_of
from verger_rules.addresses import parse_uri
from verger_rules.layout import run_slug

KEYS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1)


@given(KEYS)
def test_an_address_survives_being_written_and_read(key: str) -> None:
    assert parse_uri(BucketLayout("fruits").address(key).uri) == ("fruits", key)


@pytest.mark.parametrize("uri", ["", "fruits/images", "http://fruits/images", "s3:/fruits", "s3://"])
def test_what_is_no_s3_address_is_refused_with_its_value(uri: str) -> None:
    with pytest.raises(ValueError, match=re.escape(repr(uri))):
        parse_uri(uri)


@given(st.text())
def test_a_slug_can_stand_in_a_hadoop_path(run_id: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9._-]+", run_slug(run_id))


@given(st.text(), st.text())
def test_two_run_ids_never_share_a_slug(one: str, other: str) -> None:
    assert (run_slug(one) == run_slug(other)) == (one == other)


@pytest.mark.parametrize(
    ("key", "label"),
    [
        ("images/Apple Braeburn/0_100.jpg", "Apple Braeburn"),
        ("images/training/Kaki+/a=b#c%20.jpg", "Kaki+"),
        ("images/loose.jpg", ""),
        ("images//x.jpg", ""),
        ("images/P\u00e2tisson/1.jpg", "P\u00e2tisson"),
        ("images/Pa\u0302tisson/1.jpg", "P\u00e2tisson"),  # as macOS writes it
    ],
)
def test_the_label_is_the_last_folder(key: str, label: str) -> None:
    assert label_of(key, "images/") == label


@given(st.text(st.characters(exclude_characters="/", exclude_categories=["Cs"]), min_size=1))
def test_a_label_is_the_same_in_whatever_form_a_system_writes_it(folder: str) -> None:
    forms = {label_of(f"images/{unicodedata.normalize(form, folder)}/1.jpg", "images/") for form in ("NFC", "NFD")}
    assert forms == {unicodedata.normalize("NFC", folder)}


def test_a_run_keeps_its_files_in_folders_of_its_own() -> None:
    run = RunLayout(BucketLayout("fruits"), "manual__2026-11-21T10:00:00+00:00")
    assert run.run_file("plan.json").uri == f"s3://fruits/runs/{run.slug}/plan.json"
    assert run.results_uri == f"s3://fruits/results/{run.slug}"
    assert ":" not in run.results_uri.removeprefix("s3://")
