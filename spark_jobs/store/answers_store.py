"""A run's answers in the object store: written by featurize, read by pca."""

import re

import pyarrow as pa
import pyarrow.parquet as pq
from verger_rules.addresses import S3Address
from verger_rules.answers import AnswersError, answer_files, join_answers
from verger_rules.layout import answers_file

from spark_jobs.job_errors import RefusedError
from spark_jobs.store.object_store import StoreSettings, list_keys, read_bytes
from spark_jobs.store.remote_file import UploadedFile

_FILE = re.compile(r"part-[0-9]{5,}\.parquet")


def write_answers(settings: StoreSettings, folder: S3Address, answers: pa.Table) -> None:
    """Write the answers of a run, each file whole or not at all; a second try writes over the first."""
    for number, part in enumerate(answer_files(answers)):
        with UploadedFile(settings, folder.child(answers_file(number))) as upload:
            pq.write_table(part, upload, compression="zstd")


def read_answers(settings: StoreSettings, folder: S3Address) -> pa.Table:
    """The answers of a run, schema ANSWERS, ascending by path.

    Raises:
        RefusedError: there are none, or they are not what they must be.
        StepFailedError: the store does not give them.
    """
    keys = [key for key in list_keys(settings, folder) if _FILE.fullmatch(key.rpartition("/")[2])]
    if not keys:
        raise RefusedError(f"{folder.uri}/ holds no answers: run featurize first")
    try:
        files = [pq.read_table(pa.BufferReader(read_bytes(settings, S3Address(folder.bucket, key)))) for key in keys]
        return join_answers(files)
    except (AnswersError, pa.ArrowInvalid) as error:
        raise RefusedError(f"the answers in {folder.uri}/ cannot be used: {error}. Run featurize again") from error
