"""Makes plugins/verger/prices.toml anew from AWS's price list files, so that nobody types prices.

    python3 tools/make_price_table.py                        all files from AWS: EC2's are several hundred MB each
    python3 tools/make_price_table.py ec2-*.csv emr-*.csv    files that were fetched before, or https addresses

A file is the `index.csv` of a service and region:
https://pricing.us-east-1.amazonaws.com/offers/v1.0/aws/AmazonEC2/current/eu-west-1/index.csv, and the same with
ElasticMapReduce. It needs one of EC2 for each region of the table; without those of EMR, EMR's prices stay as they are.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

if __name__ == "__main__":
    PROJECT = Path(__file__).resolve().parents[1]
    sys.path[:0] = [str(PROJECT), str(PROJECT / "plugins")]

from verger.prices import load_prices, read_families

from tools.price_list.offer_file import ADDRESS, EC2, EMR, PriceListError, read_offer
from tools.price_list.price_table import make_table, render

if TYPE_CHECKING:
    from collections.abc import Sequence

TABLE = Path(__file__).resolve().parents[1] / "plugins" / "verger" / "prices.toml"


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the price lists and write the table; returns 1, with a sentence, when it cannot be made."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("price_list", nargs="*", help="file or https address of an index.csv; none: all, from AWS")
    parser.add_argument("--table", type=Path, default=TABLE, help="the price table to make anew")
    chosen = parser.parse_args(arguments)
    try:
        write_table(chosen.table, chosen.price_list)
    except PriceListError as error:
        print(f"{error}; {chosen.table} is as it was", file=sys.stderr)
        return 1
    return 0


def write_table(path: Path, price_lists: Sequence[str]) -> None:
    """Make the table at `path` anew; it is changed only when everything could be read. Raises PriceListError."""
    present = tomllib.loads(path.read_text("utf-8"))
    families = {family: tuple(spec["yarn_memory_mib"]) for family, spec in read_families().items()}
    types = {f"{family}.{size}" for family, sizes in families.items() for size in sizes}
    regions = sorted(present["spot_share"])
    sources = price_lists or [ADDRESS.format(offer=offer, region=region) for offer in (EC2, EMR) for region in regions]
    offers = []
    for source in sources:
        print(f"reading {source}", file=sys.stderr)
        offers.append(read_offer(source, types))
    text = render(make_table(present, offers, families))
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, delete=False) as file:
        file.write(text)
    Path(file.name).chmod(path.stat().st_mode & 0o777)
    os.replace(file.name, path)  # noqa: PTH105 - the pair of the temporary file above
    table = load_prices(path)
    print(f"{path}: {len(table.types)} types, prices of {table.as_of}")


if __name__ == "__main__":
    sys.exit(main())
