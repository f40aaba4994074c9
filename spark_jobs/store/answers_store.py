"""A run's answers in the object store: written by featurize, read by pca."""

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq
from verger_rules.addresses import S3Address
from verger_rules.answers import AnswersError, checked_parts
from verger_rules.layout import answers_file
from verger_rules.row_parts import PART_ROWS, in_parts
from verger_rules.schemas import ANSWERS, ANSWERS_ROWS

from spark_jobs.job_errors import RefusedError, StepFailedError
from spark_jobs.store.object_store import StoreSettings, list_keys
from spark_jobs.store.remote_file import RemoteFile, UploadedFile

_FILE = re.compile(r"part-[0-9]{5,}\.parquet")


def write_answers(settings: StoreSettings, folder: S3Address, parts: Iterable[pa.Table]) -> None:
    """Write the answers of a run, each file whole or not at all; a second try writes over the first.

    As many files for the same manifest, each of ANSWERS_ROWS rows, with a row group for each PART_ROWS of them.
    """
    for number, in_file in enumerate(_in_files(parts)):
        with (
            UploadedFile(settings, folder.child(answers_file(number))) as upload,
            pq.ParquetWriter(upload, ANSWERS, compression="zstd") as writer,
        ):
            for part in in_file:
                writer.write_table(part)


def _in_files(parts: Iterable[pa.Table]) -> Iterator[Iterator[pa.Table]]:
    """The parts of each file, which are read before the next file's are."""
    cut = in_parts(parts, PART_ROWS)
    for first in cut:
        yield itertools.chain([first], itertools.islice(cut, ANSWERS_ROWS // PART_ROWS - 1))


@dataclass(frozen=True)
class AnswerGroup:
    """A row group of a run's answers.

    Attributes:
        file: that holds it.
        group: its number in the file.
        rows: its answers.
        first: which of all images with features is its first one, [0, images).
        featurized: how many of its images have features.
        etag: of the file.
    """

    file: S3Address
    group: int
    rows: int
    first: int
    featurized: int
    etag: str


def read_answers(settings: StoreSettings, folder: S3Address) -> Iterator[tuple[AnswerGroup, pa.Table]]:
    """The answers of a run part by part, ascending by path, each of schema ANSWERS.

    Raises:
        RefusedError: there are none, or they are not what they must be.
        StepFailedError: the store does not give them.
    """
    keys = [key for key in list_keys(settings, folder) if _FILE.fullmatch(key.rpartition("/")[2])]
    if not keys:
        raise RefusedError(f"{folder.uri}/ holds no answers: run featurize first")
    groups = [
        (S3Address(folder.bucket, key), etag, file, number)
        for key, (etag, file) in ((key, _open(settings, S3Address(folder.bucket, key))) for key in keys)
        for number in range(file.num_row_groups)
        # An erasure may have taken all of a file.
        if file.metadata.row_group(number).num_rows
    ]
    first = 0
    try:
        parts = checked_parts(file.read_row_group(number) for _, _, file, number in groups)
        for (address, etag, _, number), part in zip(groups, parts, strict=True):
            featurized = part.num_rows - part["file"].null_count
            yield AnswerGroup(address, number, part.num_rows, first, featurized, etag), part
            first += featurized
    except (AnswersError, pa.ArrowInvalid) as error:
        raise RefusedError(f"the answers in {folder.uri}/ cannot be used: {error}. Run featurize again") from error
    except OSError as error:
        raise StepFailedError(f"{folder.uri}/ cannot be read: {error}") from error


def read_group(settings: StoreSettings, group: AnswerGroup, columns: Sequence[str]) -> pa.Table:
    """Some columns of the answers of a group.

    Raises:
        RefusedError: it is not what it was.
        StepFailedError: the store does not give it.
    """
    etag, file = _open(settings, group.file)
    if etag != group.etag:
        raise StepFailedError(f"{group.file.uri} was written again meanwhile: run again")
    try:
        return file.read_row_group(group.group, columns=list(columns))
    except (pa.ArrowInvalid, pa.ArrowKeyError) as error:
        raise RefusedError(f"{group.file.uri} cannot be used: {error}. Run featurize again") from error
    except OSError as error:
        raise StepFailedError(f"{group.file.uri} cannot be read: {error}") from error


def _open(settings: StoreSettings, address: S3Address) -> tuple[str, pq.ParquetFile]:
    """A file of answers, and its ETag at this moment."""
    try:
        stored = RemoteFile(settings, address)
        return stored.etag, pq.ParquetFile(stored, pre_buffer=True)
    except FileNotFoundError as error:
        raise RefusedError(f"{address.uri} is not there: run featurize again") from error
    except pa.ArrowInvalid as error:
        raise RefusedError(f"{address.uri} cannot be used: {error}. Run featurize again") from error
    except OSError as error:
        raise StepFailedError(f"{address.uri} cannot be read: {error}") from error
