"""Takes a part of a collection of pictures: n labels, m pictures of each, from a folder or S3 to a folder or S3.

    tools/sample_images.py ~/fruits-360/Training sample/ --labels 12 --per-label 40
    tools/sample_images.py s3://BUCKET/images/ s3://BUCKET/few/ --label "Apple Braeburn" --label Kiwi --per-label 100

The same seed takes the same pictures, and asking for more adds to them. A picture that is there already is left alone,
so an interrupted copy is finished by running it again. Nothing is ever deleted. Last line of stdout: one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if __name__ == "__main__":  # run as a file: Python then looks for modules beside it only
    PROJECT = Path(__file__).resolve().parent.parent
    sys.path[:0] = [str(PROJECT), str(PROJECT / "plugins")]

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from verger.run.eu_guard import BucketMissingError, OutsideEuError, check_bucket
from verger.sync.pictures import SourceError

from tools.sampling.choice import SampleError, SampleSize, by_label, choose
from tools.sampling.places import BucketPlace, FolderPlace, bucket_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tools.sampling.places import Place

THREADS = 16


@dataclass(frozen=True)
class Asked:
    """What the command line asks for."""

    source: str
    target: str
    size: SampleSize
    region: str | None
    dry_run: bool


def parse_args(arguments: Sequence[str], environment: Mapping[str, str]) -> Asked:
    """The command line. Raises SampleError."""
    parser = argparse.ArgumentParser(
        prog="sample_images.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", metavar="FROM", help="a folder or s3://bucket/prefix/, with one folder a label")
    parser.add_argument("target", metavar="TO", help="the same; made when it is not there")
    parser.add_argument("--per-label", type=int, required=True, metavar="M", help="pictures of each label")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--labels", type=int, metavar="N", help="this many labels, chosen by the seed; default: all")
    which.add_argument("--label", action="append", default=[], metavar="NAME", help="this label; may be repeated")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--region", default=environment.get("VERGER_REGION"), help="default: VERGER_REGION, AWS's own")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be copied")
    parsed = parser.parse_args(arguments)
    size = SampleSize(parsed.per_label, parsed.labels, tuple(parsed.label), parsed.seed)
    if _overlap(parsed.source, parsed.target):
        raise SampleError(f"FROM {parsed.source} and TO {parsed.target} lie in each other: choose another TO")
    return Asked(parsed.source, parsed.target, size, parsed.region, parsed.dry_run)


def _overlap(source: str, target: str) -> bool:
    """Whether one of the two places holds the other: the sample would become part of what is sampled."""
    one, other = (
        f"{text.rstrip('/')}/" if text.startswith("s3://") else f"{Path(text).resolve().as_posix()}/"
        for text in (source, target)
    )
    return one.startswith(other) or other.startswith(one)


def open_place(address: str, region: str | None) -> Place:
    """A folder or a prefix of a bucket, which must lie in the EU. Raises ValueError and eu_guard's errors."""
    if not address.startswith("s3://"):
        if "://" in address:
            raise SampleError(f"{address!r} is neither a folder nor an s3:// address")
        return FolderPlace(Path(address).expanduser())
    bucket, prefix = bucket_of(address)
    config = Config(retries={"mode": "standard", "max_attempts": 6}, max_pool_connections=THREADS)
    s3 = boto3.client("s3", region_name=region, config=config)
    check_bucket(s3, bucket)
    return BucketPlace(s3, bucket, prefix)


def copy(source: Place, target: Place, names: list[str], *, dry_run: bool) -> int:
    """Copy what the target does not have, several at a time; how many that were."""
    there = target.identities(names)
    same = {name for name, identity in source.identities(list(there)).items() if identity == there[name]}
    missing = [name for name in names if name not in same]
    if not dry_run:
        with ThreadPoolExecutor(THREADS) as threads:
            for _ in threads.map(lambda name: target.write(name, source.read(name)), missing):
                pass
    return len(missing)


def run(asked: Asked) -> None:
    """Choose, copy, and say what was done. Raises the errors that `main` turns into one line."""
    source, target = open_place(asked.source, asked.region), open_place(asked.target, asked.region)
    found = by_label(source.names())
    chosen = choose(found, asked.size)
    names = [name for taken in chosen.values() for name in taken]
    copied = copy(source, target, names, dry_run=asked.dry_run)
    for label, taken in chosen.items():
        short = " (all it has)" if len(taken) < asked.size.per_label else ""
        print(f"{len(taken):7d} of {len(found[label]):7d}  {label}{short}")
    print(f"{'would copy' if asked.dry_run else 'copied'} {copied}, {len(names) - copied} are there already")
    told = {
        "labels": len(chosen),
        "pictures": len(names),
        "copied": copied,
        "short": sorted(label for label, taken in chosen.items() if len(taken) < asked.size.per_label),
        "seed": asked.size.seed,
        "dry_run": asked.dry_run,
    }
    print(json.dumps(told, ensure_ascii=False))


def main() -> int:
    """The program."""
    try:
        run(parse_args(sys.argv[1:], os.environ))
    except (ValueError, SourceError, OutsideEuError, BucketMissingError) as error:
        print(f"verger: error: {error}", file=sys.stderr)
        return 2
    except (ClientError, BotoCoreError, OSError) as error:
        print(f"verger: error: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
