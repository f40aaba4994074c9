"""Erases what Verger derived from pictures: features and thumbnails, rejects, their lines in manifests and results.

Names pictures by address (s3://bucket/images/Apple/1.jpg), by folder (s3://bucket/images/Apple/) or by --label, and
erases them for every model at once, old versions of the files included. The picture itself stays unless
--with-picture is given. What the notebook left under features/walkthrough/ goes as a whole, and so do feature tables
of earlier releases, which nothing reads. Run it again after it was interrupted: it finishes. Last line of stdout: one
JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

if __name__ == "__main__":  # run as a file: Python then looks for modules beside it only
    PROJECT = Path(__file__).resolve().parent.parent
    sys.path[:0] = [str(PROJECT), str(PROJECT / "plugins")]

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from verger.run.images_prefix import check_images_prefix
from verger.storage.layout import BucketLayout
from verger_rules.table_error import TableError

from tools.erasure.feature_tables import erase_from_table, fingerprints
from tools.erasure.objects import StoredObject, open_bucket
from tools.erasure.removed import Account, ErasureError
from tools.erasure.run_files import erase_from_results, erase_from_runs, erase_walkthroughs
from tools.erasure.selection import RequestError, Selection, parse_lines, parse_selection

#: Pictures of one folder that are looked up one by one; of more, the folder is listed.
_LOOKED_UP_ALONE = 50

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tools.erasure.objects import Bucket

#: Pictures of one folder that are looked up one by one; of more, the folder is listed.
_LOOKED_UP_ALONE = 50


def parse_args(arguments: Sequence[str], environment: Mapping[str, str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="erase_images.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("uris", nargs="*", metavar="s3://...", help="pictures, or folders of them (ending in /)")
    parser.add_argument("--label", action="append", default=[], help="every picture in a folder of this name")
    parser.add_argument(
        "--from-file", metavar="FILE", help='addresses, one a line (JSON string if it begins with "); - is stdin'
    )
    parser.add_argument("--bucket", default=environment.get("VERGER_BUCKET", ""), help="default: VERGER_BUCKET")
    parser.add_argument("--region", default=environment.get("VERGER_REGION"), help="default: VERGER_REGION, AWS's own")
    parser.add_argument(
        "--images-prefix",
        help=f"where the pictures lie; default: VERGER_IMAGES_PREFIX, else {BucketLayout.images_prefix}",
    )
    parser.add_argument("--model", action="append", metavar="FINGERPRINT", help="only this model's table; default: all")
    parser.add_argument("--with-picture", action="store_true", help="delete the picture itself, too")
    parser.add_argument(
        "--all-versions",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="in a bucket that keeps versions, delete the old ones, too",
    )
    parser.add_argument("--dry-run", action="store_true", help="only say what would be removed")
    asked = parser.parse_args(arguments)
    asked.images_prefix = asked.images_prefix or images_prefix_of(environment)
    return asked


def images_prefix_of(environment: Mapping[str, str]) -> str:
    """Where the runs of this environment find their pictures. Raises RequestError."""
    prefix = environment.get("VERGER_IMAGES_PREFIX", "").strip() or BucketLayout.images_prefix
    if (wrong := check_images_prefix(prefix)) is not None:
        raise RequestError(f"VERGER_IMAGES_PREFIX is {prefix!r}: {wrong}")
    return prefix


def read_request(asked: argparse.Namespace) -> Selection:
    """The pictures that are meant. Raises RequestError."""
    uris = list(asked.uris)
    if asked.from_file:
        try:
            raw = sys.stdin.buffer.read() if asked.from_file == "-" else Path(asked.from_file).read_bytes()
            uris += parse_lines(raw.decode())
        except (OSError, UnicodeDecodeError) as error:
            raise RequestError(f"--from-file {asked.from_file}: {error}") from error
    bucket = asked.bucket if asked.label or not uris else ""
    return parse_selection(uris, asked.label, bucket, asked.images_prefix)


def erase(bucket: Bucket, selection: Selection, asked: argparse.Namespace, *, dry_run: bool) -> Account:
    """Erase everywhere; what was removed. Raises ErasureError, ClientError."""
    account = Account()
    # First, so that a run that starts meanwhile does not compute them again.
    if asked.with_picture:
        found = selected_pictures(bucket, selection)
        account["pictures"].deleted = sum(stored.current and not stored.marker for stored in found)
        account["pictures"].versions = sum(not stored.current and not stored.marker for stored in found)
        if not dry_run:
            bucket.delete(found)
    for fingerprint in asked.model or fingerprints(bucket):
        erase_from_table(bucket, fingerprint, selection, account, dry_run=dry_run)
    erase_walkthroughs(bucket, account, dry_run=dry_run)
    erase_from_runs(bucket, selection, account, dry_run=dry_run)
    erase_from_results(bucket, selection, account, dry_run=dry_run)
    return account


def selected_pictures(bucket: Bucket, selection: Selection) -> list[StoredObject]:
    """The selected pictures that lie in the bucket, all versions of each."""
    root = f"s3://{selection.bucket}/"
    keys = [uri.removeprefix(root) for uri in (*selection.paths, *selection.prefixes)]
    prefixes = {selection.images_prefix} if selection.labels else set()
    named = Counter(key.rpartition("/")[0] for key in keys)
    of_folder = ((key, f"{key.rpartition('/')[0]}/") for key in keys if not key.startswith(tuple(prefixes) or ("\0",)))
    prefixes |= {folder if named[folder[:-1]] > _LOOKED_UP_ALONE else key for key, folder in of_folder}
    found = {stored for prefix in prefixes for stored in bucket.objects(prefix)}
    ordered = sorted(found, key=lambda stored: (stored.key, stored.version))
    return [stored for stored in ordered if selection.means(root + stored.key) and not stored.key.endswith("/")]


def run(asked: argparse.Namespace) -> int:
    """Do what was asked; the exit code. Raises RequestError, ErasureError, and botocore's errors."""
    selection = read_request(asked)
    config = Config(retries={"mode": "standard", "max_attempts": 6}, max_pool_connections=16)
    s3 = boto3.client("s3", region_name=asked.region, config=config)
    bucket = open_bucket(s3, selection.bucket, all_versions=asked.all_versions)
    account = erase(bucket, selection, asked, dry_run=asked.dry_run)
    left = not asked.dry_run and erase(bucket, selection, asked, dry_run=True).found_something
    remaining = [stored for stored in selected_pictures(bucket, selection) if stored.current and not stored.marker]
    others = _in_other_forms(bucket, selection, asked)
    print("would be removed:" if asked.dry_run else "removed:")
    print(account.table())
    for line in notes(account, selection, asked, len(remaining), others):
        print(line)
    told = {
        "bucket": selection.bucket,
        "dry_run": asked.dry_run,
        "removed": account.as_json(),
        "run_again": sorted(account.run_again),
        "other_forms": others,
        "pictures_left": len(remaining),
        "versions_searched": bucket.versioned,
        "clean": None if asked.dry_run else not left,
    }
    print(json.dumps(told))
    if left:
        raise ErasureError(
            "rows of these pictures, or commits that name files of theirs, came in meanwhile: wait until no run is at "
            "work, run again"
        )
    return 0


def notes(
    account: Account, selection: Selection, asked: argparse.Namespace, remaining: int, others: Sequence[str]
) -> Iterator[str]:
    """What a person should know besides the figures, a line each."""
    if not account.found_something:
        yield f"nothing of these pictures is there (any more); pictures were looked for below {selection.images_prefix}"
    if remaining and not (asked.with_picture and asked.dry_run):
        yield (
            f"{remaining} of the pictures themselves are still there: the next run computes them again. "
            "Delete them (--with-picture), here and in the folder that they are copied from"
        )
    if account.run_again:
        named = ", ".join(slug or "(several, whose rows had just been merged)" for slug in sorted(account.run_again))
        yield f"rows of other pictures went before they counted: run these again, they compute what is missing: {named}"
    if others:
        yield (
            "an address is taken as it is written, and of these, which have the same letters in another Unicode form, "
            "something is there and was left alone. If you mean them, name them (as lines of --from-file): "
            + " ".join(map(json.dumps, others))
        )


def _in_other_forms(bucket: Bucket, selection: Selection, asked: argparse.Namespace) -> list[str]:
    """The addresses in other Unicode forms, if anything of them is there."""
    others = selection.in_other_forms()
    if others is None:
        return []
    there = erase(bucket, others, asked, dry_run=True).rows or selected_pictures(bucket, others)
    return sorted([*others.paths, *others.prefixes]) if there else []


def main() -> int:
    """The program."""
    try:
        return run(parse_args(sys.argv[1:], os.environ))
    except RequestError as error:
        print(f"verger: error: {error}", file=sys.stderr)
        return 2
    except (ErasureError, TableError, ClientError, BotoCoreError, OSError) as error:
        print(f"verger: error: {' '.join(str(error).split())}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
