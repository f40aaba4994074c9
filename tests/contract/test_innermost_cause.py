"""What failed programs say is read alike by Verger and the local EMR, which knows nothing of it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from verger_rules.innermost_cause import innermost_cause

PLACES = ("plugins/verger_rules", "local_emr")

OF_A_WORKER = """Traceback (most recent call last):
  File "/tmp/featurize.py", line 30, in <module>
    sys.exit(main())
             ^^^^^^
py4j.protocol.Py4JJavaError: An error occurred while calling z:org.apache.spark.api.python.PythonRDD.collectAndServe.
: org.apache.spark.SparkException: Job aborted due to stage failure: Task 1 in stage 0.0 failed 1 times, most recent \
failure: Lost task 1.0 in stage 0.0 (TID 1) (127.0.0.1 executor driver): org.apache.spark.api.python.PythonException: \
Traceback (most recent call last):
  File "/tmp/spark_jobs.zip/spark_jobs/store/remote_file.py", line 86, in close
    self._writer.close()
obstore.exceptions.GenericError: Generic S3 error: Error performing PUT http://127.0.0.1:7070/b/features/x.parquet in \
52s, after 10 retries - Server returned non-2xx status code: 503

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "/tmp/x.py", line 1, in write
OSError: the file was not stored

\tat org.apache.spark.api.python.BasePythonRunner$ReaderIterator.handlePythonException(PythonRunner.scala:581)
\tat java.base/java.lang.Thread.run(Thread.java:840)

Driver stacktrace:
\tat org.apache.spark.scheduler.DAGScheduler.failJobAndIndependentStages(DAGScheduler.scala:2898)
Caused by: org.apache.spark.api.python.PythonException: Traceback (most recent call last):
  File "/tmp/x.py", line 9, in close
obstore.exceptions.GenericError: Generic S3 error: status code: 503 for http://127.0.0.1:7070/b/features/x.parquet

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "/tmp/x.py", line 1, in write
OSError: the file was not stored

\tat org.apache.spark.api.python.BasePythonRunner$ReaderIterator.handlePythonException(PythonRunner.scala:581)
\t... 1 more
"""
OF_S3A = """py4j.protocol.Py4JJavaError: An error occurred while calling o46.parquet.
: org.apache.hadoop.fs.s3a.AWSServiceIOException: PUT 0-byte object on s3a://fruits/out/_temporary: S3Exception: slow
\tat org.apache.hadoop.fs.s3a.S3AUtils.translateException(S3AUtils.java:221)
Caused by: software.amazon.awssdk.services.s3.model.S3Exception: Please reduce your request rate. (Status Code: 503)
\tat software.amazon.awssdk.core.internal.http.CombinedResponseHandler.handle(CombinedResponseHandler.java:43)
\t... 12 more
"""


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("", ""),
        ("rows 5\nerrors: 0\n", ""),
        ("Traceback (most recent call last):\n  File\nValueError: k=5\n", "ValueError: k=5"),
        ("Traceback (most recent call last):\n  File\n    ^^^\nOdd\n", "Odd"),
        (OF_A_WORKER, ("obstore.exceptions.GenericError: Generic S3 error: status code: 503 for "
                      "http://127.0.0.1:7070/b/features/x.parquet")),
        (OF_S3A, ("software.amazon.awssdk.services.s3.model.S3Exception: Please reduce your request rate. "
                 "(Status Code: 503) (s3a://fruits/out/_temporary)")),
        ('Exception in thread "main" java.io.IOException: full\n\tat org.x.Y(Z.java:1)\n', "java.io.IOException: full"),
        ("py4j.protocol.Py4JJavaError: An error occurred\n: java.io.IOException: full\n\tat org.x.Y.z(Y.java:1)\n",
         "java.io.IOException: full"),
        ((": org.apache.spark.SparkException: Job aborted due to stage failure: Task 0 failed: ExecutorLostFailure "
         "(executor 1 exited) Reason: Container killed by YARN for exceeding memory limits\n"),
         ("Task 0 failed: ExecutorLostFailure (executor 1 exited) Reason: Container killed by YARN for exceeding "
          "memory limits")),
        (("Traceback (most recent call last):\n  F\nKeyError: 'a'\n\nDuring handling of the above exception, another "
         "exception occurred:\n\nTraceback (most recent call last):\n  F\nOSError: no x\n"), "OSError: no x"),
        ("Traceback (most recent call last):\n  F\n26/11/21 12:00:00 INFO X: y\nOSError: no x\n", "OSError: no x"),
        (("Traceback (most recent call last):\n  F\nConnectionRefusedError: [Errno 111] Connection refused\n\n"
         "The above exception was the direct cause of the following exception:\n\n"
         "Traceback (most recent call last):\n  F\n"
         "OSError: s3://b/x cannot be read\n"), "ConnectionRefusedError: [Errno 111] Connection refused (s3://b/x)"),
    ],
)  # fmt: skip
def test_the_innermost_cause_is_named_with_the_address_that_failed(text: str, cause: str) -> None:
    assert innermost_cause(text) == cause


@given(st.text() | st.lists(st.sampled_from(OF_A_WORKER.splitlines() + OF_S3A.splitlines())).map("\n".join))
def test_any_text_has_one_cause_or_none(text: str) -> None:
    assert len(innermost_cause(text).splitlines()) <= 1


def test_both_readers_are_the_same(project: Path) -> None:
    assert len({(project / place / "innermost_cause.py").read_text("utf-8") for place in PLACES}) == 1
