"""Each measurement: a program or two, run and timed. What is compared runs side by side, in turn."""

from __future__ import annotations

import json
import statistics
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from verger.artifacts.code_bundle import job_packages, zip_packages
from verger_rules.addresses import S3Address
from verger_rules.layout import table_folder
from verger_rules.schemas import FEATURIZED

from tools.benchmarks.bench_stack import BUCKET, BenchStack
from tools.benchmarks.measured_process import Measured, processor_seconds, run_measured
from tools.benchmarks.pictures import Picture, put_manifest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


#: Pictures that `Model.predict` takes at a time unless told otherwise (https://keras.io/api/models/model_training_apis/).
KERAS_BATCH = 32


@dataclass(frozen=True)
class Featurized:
    """One run of featurize.

    Attributes:
        images: how many.
        process: the whole process, the JVM's start included.
        images_per_second: at steady state: from the first chunk's beginning to the last commit.
        worker_peak_mib: the most memory that one Python worker held.
        s3_share: the share of all the machine's processor time that the S3 server took meanwhile.
    """

    images: int
    process: Measured
    images_per_second: float
    worker_peak_mib: float
    s3_share: float

    def as_json(self) -> dict[str, Any]:
        """The figures by name."""
        return {
            "images": self.images,
            "process_seconds": round(self.process.seconds, 2),
            "images_per_second": self.images_per_second,
            "working_seconds": round(self.images / self.images_per_second, 2),
            "peak_mib": None if self.process.peak_mib is None else round(self.process.peak_mib),
            "worker_peak_mib": self.worker_peak_mib,
            "s3_server_share_of_processors": round(self.s3_share, 3),
        }


@dataclass(frozen=True)
class Bench:
    """What every measurement needs.

    Attributes:
        model: the prepared model's folder on this machine; its name is the fingerprint.
        cores: how many there are.
        bare_repeats: how often the bare loop goes over its pictures.
    """

    stack: BenchStack
    model: Path
    cores: int
    bare_repeats: int

    @property
    def fingerprint(self) -> str:
        """The model's fingerprint."""
        return self.model.name

    def bare_loop(
        self, name: str, pictures: Sequence[Picture], *, batch_size: int = 1, model: Path | None = None
    ) -> float:
        """Images per second of one process with the pictures in memory: the median of its repeats."""
        options = {"--model": str((model or self.model) / "model.tflite"), "--repeats": str(self.bare_repeats)}
        found = self._on_pictures("bare_loop", name, pictures, options | {"--batch-size": str(batch_size)})
        return float(found["images"] / statistics.median(found["seconds"]))

    def bare_loops_side_by_side(self, name: str, pictures: Sequence[Picture]) -> float:
        """Images per second of one such process a core, all at the same time: what the cores have to give."""
        with ThreadPoolExecutor(self.cores) as pool:
            return sum(pool.map(lambda core: self.bare_loop(f"{name}-{core}", pictures), range(self.cores)))

    def decode_costs(self, name: str, pictures: Sequence[Picture]) -> dict[str, float]:
        """Milliseconds a picture, by what is done to it."""
        costs: dict[str, float] = self._on_pictures("decode_costs", name, pictures, {})
        return costs

    def _on_pictures(self, program: str, name: str, pictures: Sequence[Picture], options: dict[str, str]) -> Any:  # noqa: ANN401
        """Run one of the programs beside this file on some pictures; what it tells."""
        stack = self.stack
        listed = stack.work / f"{name}.txt"
        listed.write_text("".join(f"{picture.file}\n" for picture in pictures), "utf-8")
        command = [str(stack.python("spark")), "-m", f"tools.benchmarks.{program}", "--pictures", str(listed)]
        run = run_measured(
            name, [*command, *_words(options)], stack.environment(stack.fast), stack.logs / f"{name}.log"
        )
        return run.result()

    def featurize(
        self, name: str, pictures: Sequence[Picture], *, cores: int, slow: bool = False, options: Sequence[str] = ()
    ) -> Featurized:
        """Run the step on some pictures, into a table of its own; `options` are more of the step's arguments."""
        stack = self.stack
        arguments = self._featurize_arguments(name, put_manifest(stack.s3(), name, pictures))
        before = processor_seconds(set(stack.server_pids))
        process = stack.submit(
            f"featurize-{name}",
            [*self._step("featurize"), *arguments, *options],
            cores=cores,
            endpoint=stack.slow if slow else stack.fast,
        )
        used = processor_seconds(set(stack.server_pids)) - before
        told = self._read_json(f"runs/{name}/featurize.json")
        return Featurized(
            images=len(pictures),
            process=process,
            images_per_second=float(told["images_per_second"]),
            worker_peak_mib=float(told["worker_peak_mib"]),
            s3_share=used / (process.seconds * self.cores),
        )

    def pca(self, name: str, k: int) -> tuple[Measured, dict[str, Any]]:
        """Run the step on the table that `featurize` of this name left; the process and `pca.json`."""
        program = [*self._step("pca"), *self._pca_arguments(name, k)]
        process = self.stack.submit(f"pca-{name}", program, cores=self.cores)
        return process, self._read_json(f"runs/{name}/pca.json")

    def here(self, name: str, pictures: Sequence[Picture], k: int) -> tuple[Measured, dict[str, Any]]:
        """Both steps on this machine without Spark, into a table of their own; the process and `featurize.json`."""
        stack = self.stack
        featurize = self._featurize_arguments(name, put_manifest(stack.s3(), name, pictures))
        # As a run here has it, but for its niceness: what it is compared with gives way to nobody either.
        own = ["--processes", str(self.cores), "--stop-after", "3600", "--nice", "0"]
        steps = ["--", "featurize", *featurize, "--", "pca", *self._pca_arguments(name, k)]
        command = [str(stack.python("node")), "-m", "spark_jobs.entry_points.here", *own, *steps]
        process = run_measured(name, command, stack.environment(stack.fast), stack.logs / f"{name}.log")
        return process, self._read_json(f"runs/{name}/featurize.json")

    def matrix(self, name: str) -> bytes:
        """The matrix that the steps of this name wrote."""
        return self.stack.s3().get_object(Bucket=BUCKET, Key=f"{name}/results/matrix.parquet")["Body"].read()

    def _featurize_arguments(self, name: str, manifest: str) -> list[str]:
        return _words(
            {
                "--manifest-uri": manifest,
                "--features-uri": f"s3://{BUCKET}/{name}/features",
                "--answers-uri": f"s3://{BUCKET}/runs/{name}/answers",
                "--model-uri": f"s3://{BUCKET}/models/{self.fingerprint}",
                "--metrics-uri": f"s3://{BUCKET}/runs/{name}/featurize.json",
                "--run-id": name,
            }
        )

    def _pca_arguments(self, name: str, k: int) -> list[str]:
        return _words(
            {
                "--answers-uri": f"s3://{BUCKET}/runs/{name}/answers",
                "--features-uri": f"s3://{BUCKET}/{name}/features",
                "--model-fingerprint": self.fingerprint,
                "--output-uri": f"s3://{BUCKET}/{name}/results",
                "--metrics-uri": f"s3://{BUCKET}/runs/{name}/pca.json",
                "--run-id": name,
                "--k": str(k),
            }
        )

    def spark_ml_pca(self, name: str, k: int) -> tuple[Measured, dict[str, Any]]:
        """Fit Spark's own PCA on the same table."""
        program = str(self.stack.project / "tools" / "benchmarks" / "spark_ml_pca.py")
        # The table is this run's alone and nothing was merged: every file of the folder is in the table.
        uri = table_folder(S3Address(BUCKET, f"{name}/features"), self.fingerprint).child(f"outcome={FEATURIZED}").uri
        process = self.stack.submit(
            f"spark-ml-{name}",
            [program, "--features-uri", uri, "--k", str(k)],
            cores=self.cores,
            quick_start=False,
        )
        return process, process.result()

    def keras_udf(self, name: str, prefix: str, *, tuned: bool = False) -> tuple[Measured, int]:
        """Do featurize's work the usual way on the pictures under a prefix; the process and the rows it made.

        `tuned`: a partition a core, so that no model is built twice, and pictures decoded as many at a time as Keras
        predicts.
        """
        program = str(self.stack.project / "tools" / "benchmarks" / "keras_udf.py")
        arguments = {
            "--images-uri": f"s3://{BUCKET}/{prefix}",
            "--weights": str(self.model / "weights.h5"),
            "--output-uri": f"s3://{BUCKET}/{name}/keras",
        }
        if tuned:
            arguments |= {"--partitions": str(self.cores), "--arrow-records": str(KERAS_BATCH)}
        process = self.stack.submit(
            f"keras-{name}", [program, *_words(arguments)], environment="bench", cores=self.cores
        )
        return process, int(process.result())

    def table_costs(self, rows: int, runs: int) -> dict[str, Any]:
        """Opening, erasing and merging a feature table of so many rows, and one of so many small runs, on a folder."""
        stack = self.stack
        options = {"--rows": str(rows), "--runs": str(runs), "--folder": str(stack.work / "tables")}
        command = [str(stack.python("spark")), "-m", "tools.benchmarks.table_costs", *_words(options)]
        run = run_measured("table_costs", command, stack.environment(stack.fast), stack.logs / "table_costs.log")
        costs: dict[str, Any] = run.result()
        return costs

    def jvm_starts(self, repeats: int) -> dict[str, dict[str, list[float]]]:
        """Seconds that the JVMs take to start, `with` and `without` their class archives, by server."""
        stack = self.stack
        command = [str(stack.python("spark")), "-m", "tools.benchmarks.jvm_starts", "--repeats", str(repeats)]
        run = run_measured("jvm_starts", command, stack.environment(stack.fast), stack.logs / "jvm_starts.log")
        seconds: dict[str, dict[str, list[float]]] = run.result()
        return seconds

    def _step(self, name: str) -> list[str]:
        """The options and the entry point of one of our steps."""
        packages = job_packages(self.stack.project)
        archive = self.stack.work / "spark_jobs.zip"
        archive.write_bytes(zip_packages(*packages))
        # As on EMR: the entry point lies alone, its modules come out of the archive.
        entry_point = self.stack.work / "entry" / f"{name}.py"
        entry_point.parent.mkdir(exist_ok=True)
        entry_point.write_bytes((packages[0] / "entry_points" / f"{name}.py").read_bytes())
        return ["--py-files", str(archive), str(entry_point)]

    def _read_json(self, key: str) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.stack.s3().get_object(Bucket=BUCKET, Key=key)["Body"].read())
        return content


def _words(arguments: dict[str, str]) -> list[str]:
    return [word for item in arguments.items() for word in item]
