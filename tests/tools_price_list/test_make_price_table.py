"""The price table is made anew from AWS's price list files: what a run pays, and nothing else."""

import csv
import re
import shutil
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from verger.prices import load_prices, read_families
from verger.run.eu_guard import EU_REGIONS

from tests.tools_price_list.price_lists import EC2_COLUMNS, EMR_COLUMNS, GP3, emr, machine, write_list
from tools.make_price_table import TABLE, main
from tools.price_list.offer_file import PriceListError, parse_offer, read_offer
from tools.price_list.price_table import render

KNOWN = {"m6i.xlarge", "m6i.2xlarge", "m6i.4xlarge", "m6i.8xlarge", "c5.xlarge"}
SIZES = {"xlarge": 1, "2xlarge": 2, "4xlarge": 4, "8xlarge": 8}


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return Path(shutil.copy(TABLE, tmp_path / "prices.toml"))


def family(name: str, region: str, xlarge: float) -> list[dict[str, str]]:
    return [machine(f"{name}.{size}", region, f"{xlarge * times:.10f}") for size, times in SIZES.items()]


def ec2_files(folder: Path, more: Mapping[str, list[dict[str, str]]] | None = None) -> list[str]:
    """A file of EC2 for each region, with m6i at 0.2 dollars and what else a region should have."""
    return [
        write_list(folder / f"ec2-{region}.csv", [*family("m6i", region, 0.2), *(more or {}).get(region, [])])
        for region in EU_REGIONS
    ]


def test_the_table_in_the_repository_is_as_the_program_writes_it() -> None:
    text = TABLE.read_text("utf-8")
    assert render(tomllib.loads(text)) == text


def test_prices_come_from_the_files_and_the_rest_stays(tmp_path: Path, table: Path) -> None:
    before = load_prices(table)
    files = ec2_files(tmp_path, {"eu-west-1": family("c7g", "eu-west-1", 0.1551)})
    assert main([*files, "--table", str(table)]) == 0
    after = load_prices(table)
    assert after.as_of.isoformat() == "2026-11-20"
    assert set(after.types) == {f"{name}.{size}" for name in ("m6i", "c7g") for size in SIZES}
    assert after.on_demand_hour("m6i.8xlarge", "eu-north-1") == pytest.approx(1.6)
    assert list(after.types["c7g.xlarge"].on_demand) == ["eu-west-1"]
    assert (after.spot_share, after.emr_share) == (before.spot_share, before.emr_share)
    assert "eu-west-1 version 20261120225308 of 2026-11-20" in after.sources["on_demand"]
    assert after.sources["spot"] == before.sources["spot"]


def test_the_same_files_in_any_order_give_the_same_bytes(tmp_path: Path, table: Path) -> None:
    files = ec2_files(tmp_path)
    main([*files, "--table", str(table)])
    first = table.read_bytes()
    main([*files[::-1], "--table", str(table)])
    assert table.read_bytes() == first


def test_only_what_a_run_pays_is_taken(tmp_path: Path, table: Path) -> None:
    region = "eu-west-1"
    others = [
        machine("m6i.xlarge", region, "9", Operating_System="Windows"),
        machine("m6i.xlarge", region, "9", Tenancy="Dedicated"),
        machine("m6i.xlarge", region, "9", TermType="Reserved"),
        machine("m6i.xlarge", region, "0.0000000000", CapacityStatus="AllocatedCapacityReservation"),
        machine("m6i.xlarge", region, "9", MarketOption="CapacityBlock"),
        machine("m6i.xlarge", region, "9", Unit="Quantity"),
        machine("m6i.xlarge", region, "9", Location_Type="AWS Local Zone"),
        machine("m6i.xlarge", region, "9", Currency="CNY"),
        {**machine("m6i.xlarge", region, "9"), "Pre Installed S/W": "SQL Std"},
        machine("p5.48xlarge", region, "55"),
        machine("t3.xlarge", region, "0.18"),
        machine("m6i.large", region, "0.1"),
    ]
    main([*ec2_files(tmp_path, {region: others}), "--table", str(table)])
    assert load_prices(table).on_demand_hour("m6i.xlarge", region) == pytest.approx(0.2)


def test_a_size_that_is_no_multiple_has_its_own_price_and_aws_s_rounding_does_not_count(
    tmp_path: Path, table: Path
) -> None:
    region = "eu-central-1"
    rows = [
        machine(f"m7g.{size}", region, price)
        for size, price in {"xlarge": "0.1955", "2xlarge": "0.391", "4xlarge": "0.7821", "8xlarge": "1.5"}.items()
    ]
    main([*ec2_files(tmp_path, {region: rows}), "--table", str(table)])
    written = tomllib.loads(table.read_text("utf-8"))
    assert written["on_demand"]["m7g"] == {region: 0.1955}
    assert written["on_demand_of_type"] == {"m7g.8xlarge": {region: 1.5}}


def test_a_size_that_a_region_lacks_gets_no_price_there(tmp_path: Path, table: Path) -> None:
    region = "eu-south-1"
    main([*ec2_files(tmp_path, {region: family("r7a", region, 0.3)[:3]}), "--table", str(table)])
    after = load_prices(table)
    assert region not in after.types["r7a.8xlarge"].on_demand
    assert after.on_demand_hour("r7a.4xlarge", region) == pytest.approx(1.2)


def test_emr_s_own_prices_take_the_place_of_the_share(tmp_path: Path, table: Path) -> None:
    listed_for_emr = {"xlarge": "0.048", "2xlarge": "0.096", "4xlarge": "0.192", "8xlarge": "0.27"}
    rows = [
        *(emr(f"m6i.{size}", "eu-west-1", price) for size, price in listed_for_emr.items()),
        emr("m6i.xlarge", "eu-west-1", "0.6", Software_Type="MapR M7"),
        emr("m6i.xlarge", "eu-west-1", "0.05", Product_Family="EMR Containers"),
        emr("m6i.xlarge", "us-east-1", "0.048"),
    ]  # fmt: skip
    listed = write_list(
        tmp_path / "emr.csv", rows, EMR_COLUMNS, code="ElasticMapReduce", published="2026-10-01T00:00:00Z"
    )
    main([*ec2_files(tmp_path), listed, "--table", str(table)])
    after = load_prices(table)
    assert after.emr_hour("m6i.2xlarge", "eu-west-1") == pytest.approx(0.096)
    assert after.emr_hour("m6i.8xlarge", "eu-west-1") == pytest.approx(0.27)
    assert after.emr_hour("m6i.xlarge", "eu-west-3") == pytest.approx(0.25 * 0.2)
    assert "of 2026-10-01" in after.sources["emr"]
    main([*ec2_files(tmp_path), "--table", str(table)])
    assert load_prices(table).emr_hour("m6i.8xlarge", "eu-west-1") == pytest.approx(0.27), "without a file they stay"


def test_the_dearest_region_s_storage_counts(tmp_path: Path, table: Path) -> None:
    storage = {
        region: [{**GP3, "Region Code": region, "PricePerUnit": price}]
        for region, price in {"eu-west-1": "0.088", "eu-central-1": "0.0952", "eu-north-1": "0.0836"}.items()
    }
    storage["eu-west-1"].append(
        {**GP3, "Region Code": "eu-west-1", "PricePerUnit": "0.2", "Location Type": "AWS Local Zone"}
    )
    main([*ec2_files(tmp_path, storage), "--table", str(table)])
    assert load_prices(table).ebs_gb_hour * 720 == pytest.approx(0.0952)
    assert "0.0836 to 0.0952" in load_prices(table).sources["ebs"]


def test_a_region_without_a_file_is_named_and_the_table_stays(
    tmp_path: Path, table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = table.read_bytes()
    assert main([*ec2_files(tmp_path)[1:], "--table", str(table)]) == 1
    assert f"no price list of AmazonEC2 for {EU_REGIONS[0]}" in capsys.readouterr().err
    assert table.read_bytes() == before
    assert [path for path in tmp_path.iterdir() if path.suffix not in {".csv", ".toml"}] == []


@pytest.mark.parametrize("column", ["Tenancy", "Region Code", "PricePerUnit", "Pre Installed S/W"])
def test_a_missing_column_is_named(tmp_path: Path, column: str) -> None:
    columns = [name for name in EC2_COLUMNS if name != column]
    listed = write_list(tmp_path / "ec2.csv", family("m6i", "eu-west-1", 0.2), columns)
    with pytest.raises(PriceListError, match=f"has no column {column!r}: AWS has changed"):
        read_offer(listed, KNOWN)


def test_columns_may_stand_in_another_order_and_market_option_may_be_missing(tmp_path: Path) -> None:
    columns = [name for name in EC2_COLUMNS[::-1] if name != "MarketOption"]
    listed = write_list(tmp_path / "ec2.csv", family("m6i", "eu-west-1", 0.2), columns)
    assert len(read_offer(listed, KNOWN).hours) == 4


@pytest.mark.parametrize("price", ["", "free", "NaN", "Infinity", "-1", "0.0000000000", "1e999999999"])
def test_a_price_that_is_none_is_told_with_its_line(tmp_path: Path, price: str) -> None:
    listed = write_list(tmp_path / "ec2.csv", [machine("m6i.xlarge", "eu-west-1", price)])
    with pytest.raises(PriceListError, match=r"ec2\.csv, line 7: the price of .*m6i\.xlarge.* is"):
        read_offer(listed, KNOWN)


def test_two_prices_of_one_machine_are_told_with_both(tmp_path: Path) -> None:
    rows = [machine("m6i.xlarge", "eu-west-1", price) for price in ("0.2", "0.2", "0.3")]
    with pytest.raises(PriceListError, match=r"line 9: .* has the price 0\.3, and 0\.2 on an earlier line"):
        read_offer(write_list(tmp_path / "ec2.csv", rows), KNOWN)


def test_other_files_are_refused_with_what_to_give(tmp_path: Path) -> None:
    found = tmp_path / "index.json"
    found.write_text('{"formatVersion": "v1.0", "offerCode": "AmazonEC2"}', "utf-8")
    with pytest.raises(PriceListError, match=r"take index\.csv, not index\.json"):
        read_offer(str(found), KNOWN)
    with pytest.raises(PriceListError, match="OfferCode is 'AmazonS3'"):
        read_offer(write_list(tmp_path / "s3.csv", [], code="AmazonS3"), KNOWN)
    with pytest.raises(PriceListError, match="Publication Date is 'yesterday'"):
        read_offer(write_list(tmp_path / "old.csv", [], published="yesterday"), KNOWN)
    with pytest.raises(PriceListError, match="no price of a type that Verger knows"):
        read_offer(write_list(tmp_path / "empty.csv", []), KNOWN)
    with pytest.raises(PriceListError, match=r"cannot be opened \(No such file"):
        read_offer(str(tmp_path / "nowhere.csv"), KNOWN)


def test_a_file_that_ends_in_the_middle_is_not_taken_for_whole(tmp_path: Path) -> None:
    listed = Path(write_list(tmp_path / "ec2.csv", family("m6i", "eu-west-1", 0.2)))
    whole = listed.read_bytes()
    listed.write_bytes(whole[: len(whole) - 40])
    with pytest.raises(PriceListError, match="fetch"):
        read_offer(str(listed), KNOWN)
    listed.write_bytes(whole + b"\xff\xfe")
    with pytest.raises(PriceListError, match="fetch"):
        read_offer(str(listed), KNOWN)


@given(st.lists(st.text(alphabet=st.characters(exclude_categories=["Cs"])), max_size=12))
def test_whatever_a_file_holds_there_is_one_clear_error(lines: list[str]) -> None:
    with pytest.raises(PriceListError, match="is not a price list in CSV"):
        parse_offer(lines, "the file", KNOWN)


@given(st.lists(st.lists(st.text(max_size=9), max_size=50), max_size=8))
def test_whatever_rows_follow_the_head_there_is_one_clear_error(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]]
) -> None:
    listed = write_list(tmp_path_factory.mktemp("rows") / "ec2.csv", [])
    with Path(listed).open("a", encoding="utf-8", errors="replace", newline="") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows(rows)
    with pytest.raises(PriceListError, match=r"fetch the file again|no price of a type"):
        read_offer(listed, KNOWN)


def test_without_files_it_reads_those_of_aws_for_both_services_and_each_region(
    tmp_path: Path, table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for region, file in zip(EU_REGIONS, ec2_files(tmp_path), strict=True):
        Path(file).rename(tmp_path / f"AmazonEC2-{region}")
    asked = []

    def open_address(address: str, *, timeout: float) -> IO[bytes]:
        offer, region = re.fullmatch(
            r"https://pricing\.us-east-1\.amazonaws\.com/offers/v1\.0/aws/(\w+)/current/([\w-]+)/index\.csv", address
        ).groups()  # type: ignore[union-attr] # an address of another form fails here
        asked.append((offer, region))
        assert timeout > 0
        if offer == "ElasticMapReduce":
            listed = write_list(tmp_path / "emr", [emr("m6i.xlarge", region, "0.048")], EMR_COLUMNS, code=offer)
            return Path(listed).open("rb")
        return (tmp_path / f"{offer}-{region}").open("rb")

    monkeypatch.setattr("urllib.request.urlopen", open_address)
    assert main(["--table", str(table)]) == 0
    assert len(asked) == len(set(asked)) == 2 * len(EU_REGIONS)
    assert load_prices(table).types["m6i.xlarge"].emr == dict.fromkeys(sorted(EU_REGIONS), 0.048)


def test_every_family_of_the_program_is_one_that_the_table_may_hold() -> None:
    assert set(tomllib.loads(TABLE.read_text("utf-8"))["on_demand"]) <= set(read_families())
