"""All measurements in their order, and the ratios they come to."""

from __future__ import annotations

import dataclasses
import itertools
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tools.benchmarks.measured_process import BenchError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from tools.benchmarks.measurements import Bench, Featurized
    from tools.benchmarks.pictures import Picture

FIRST = "small/first"


@dataclass(frozen=True)
class Sizes:
    """How much is measured.

    Attributes:
        job_images, job_k: the whole job; its featurize also on one core, and done the usual way.
        steady_images: the yardstick, and fast against slow S3.
        scaling_images: cost against the number of images, ascending; PCA is compared on the last.
        photographs, large_photographs: of 12 and of 50 megapixels.
        fetch_threads, batch_sizes: tried one after the other, to see what sets the limit.
        bare_images, bare_photographs: of the bare loop.
        tables: rows of one feature table and small runs of another, to open, erase from and merge.
        repeats: of the comparisons that decide.
        bare_repeats: how often the bare loop goes over its pictures.
    """

    job_images: int = 2400
    job_k: int = 50
    steady_images: int = 10_000
    scaling_images: tuple[int, ...] = (1000, 5000, 20_000)
    photographs: int = 1000
    large_photographs: int = 24
    fetch_threads: tuple[int, ...] = (1, 4, 64)
    batch_sizes: tuple[int, ...] = (4, 16)
    bare_images: int = 600
    bare_photographs: int = 40
    tables: tuple[int, int] = (1_000_000, 300)
    repeats: int = 2
    bare_repeats: int = 3

    def up_to(self, images: int | None) -> Sizes:
        """The same with another largest number of images; the whole job, which has a bound to keep, stays."""
        if images is None:
            return self
        share = images / self.scaling_images[-1]
        return dataclasses.replace(
            self,
            steady_images=max(1, round(self.steady_images * share)),
            scaling_images=tuple(max(1, round(number * share)) for number in self.scaling_images),
            photographs=max(1, round(self.photographs * share)),
            large_photographs=max(1, round(self.large_photographs * share)),
        )


FULL = Sizes()
QUICK = Sizes(
    job_images=48,
    job_k=5,
    steady_images=48,
    scaling_images=(16, 64),
    photographs=4,
    large_photographs=1,
    fetch_threads=(1,),
    batch_sizes=(2,),
    bare_images=16,
    bare_photographs=2,
    tables=(3000, 3),
    repeats=1,
    bare_repeats=1,
)


@dataclass(frozen=True)
class Comparison:
    """Measures everything on given pictures.

    Attributes:
        small: pictures of 100 x 100, at least as many as the largest measurement needs.
        photographs, large_photographs: pictures of 12 and of 50 megapixels.
        int8: the folder of a model with int8 inside.
        say: told what is being measured.
    """

    bench: Bench
    sizes: Sizes
    small: Sequence[Picture]
    photographs: Sequence[Picture]
    large_photographs: Sequence[Picture]
    int8: Path
    say: Callable[[str], None]

    def measure(self) -> Iterator[tuple[str, Any]]:
        """Every measurement with its name, as it is done."""
        self.say("starts of the JVMs, with and without their class archives")
        yield "jvm_starts", self.bench.jvm_starts(self.sizes.bare_repeats)
        yield "whole_job", self.whole_job()
        yield "one_core", self.one_core()
        yield "steady_state", self.steady_state()
        yield "scaling", self.scaling()
        yield "pca", self.pca()
        yield "photographs", self.large_pictures()
        yield "limits", self.limits()
        self.say("feature tables of {:,} rows and of {} small runs".format(*self.sizes.tables))
        yield "tables", self.bench.table_costs(*self.sizes.tables)

    def whole_job(self) -> dict[str, Any]:
        """Both steps with their JVM starts, the same on this machine without Spark, and featurize's work the usual way.

        Raises:
            BenchError: the two places do not come to the same matrix, bit by bit.
        """
        pictures = self.small[: self.sizes.job_images]
        jobs: list[dict[str, Any]] = []
        here: list[dict[str, Any]] = []
        keras: dict[str, list[dict[str, Any]]] = {"keras_udf": [], "keras_udf_tuned": []}
        for repeat in range(self.sizes.repeats):
            name = f"job-{repeat}"
            self.say(f"whole job, {len(pictures)} pictures, k = {self.sizes.job_k}")
            ours = self.bench.featurize(name, pictures, cores=self.bench.cores)
            projected, told = self.bench.pca(name, self.sizes.job_k)
            peaks = [peak for peak in (ours.process.peak_mib, projected.peak_mib) if peak is not None]
            jobs.append(
                {
                    "featurize": ours.as_json(),
                    "featurize_seconds": round(ours.process.seconds, 2),
                    "pca_seconds": round(projected.seconds, 2),
                    "seconds": round(ours.process.seconds + projected.seconds, 2),
                    "peak_mib": round(max(peaks)) if peaks else None,
                    "rows": told["rows"],
                }
            )
            self.say(f"the same without Spark ({jobs[-1]['seconds']} s was the whole job)")
            here.append(self._here(f"{name}-here", pictures))
            if self.bench.matrix(name) != self.bench.matrix(f"{name}-here"):
                raise BenchError("the matrix that was computed without Spark is another one")
            self.say(f"the same pictures with Keras in a pandas UDF ({jobs[-1]['seconds']} s was the whole job)")
            for way, runs in keras.items():
                process, rows = self.bench.keras_udf(f"{name}-{way}", FIRST, tuned=way == "keras_udf_tuned")
                peak = None if process.peak_mib is None else round(process.peak_mib)
                runs.append({"seconds": round(process.seconds, 2), "peak_mib": peak, "rows": rows})
        return {"images": len(pictures), "k": self.sizes.job_k, "ours": jobs, "here": here} | keras

    def _here(self, name: str, pictures: Sequence[Picture]) -> dict[str, Any]:
        process, told = self.bench.here(name, pictures, self.sizes.job_k)
        return {
            "seconds": round(process.seconds, 2),
            "images_per_second": told["images_per_second"],
            "peak_mib": None if process.peak_mib is None else round(process.peak_mib),
            "worker_peak_mib": told["worker_peak_mib"],
        }

    def steady_state(self) -> dict[str, Any]:
        """The step against the bare loop of one process, with a fast and with a slow S3, in turn."""
        pictures = self.small[: self.sizes.steady_images]
        bare = [self._bare("bare-0")]
        fast: list[Featurized] = []
        slow: list[Featurized] = []
        for repeat in range(self.sizes.repeats):
            for runs, is_slow in ((fast, False), (slow, True)):
                self.say(f"featurize, {len(pictures)} pictures, {'slow' if is_slow else 'fast'} S3")
                name = f"{'slow' if is_slow else 'fast'}-{repeat}"
                runs.append(self.bench.featurize(name, pictures, cores=self.bench.cores, slow=is_slow))
                bare.append(self._bare(f"bare-{len(bare)}"))
        self.say("bare loops, one a core, side by side")
        together = self.bench.bare_loops_side_by_side("bare-together", self.small[: self.sizes.bare_images])
        return {
            "images": len(pictures),
            "bare_loops_side_by_side_images_per_second": round(together, 1),
            "bare_loop_images_per_second": [round(rate, 1) for rate in bare],
            "fast": [run.as_json() for run in fast],
            "slow": [run.as_json() for run in slow],
        }

    def one_core(self) -> dict[str, Any]:
        """The whole job's pictures on one core."""
        pictures = self.small[: self.sizes.job_images]
        self.say(f"featurize, {len(pictures)} pictures, one core")
        return self.bench.featurize("one-core", pictures, cores=1).as_json()

    def large_pictures(self) -> dict[str, Any]:
        """Photographs of 12 megapixels, and the bare loop on some of them; and what the largest ones need in memory."""
        self.say(f"featurize, {len(self.photographs)} photographs of 12 megapixels")
        some = self.photographs[: self.sizes.bare_photographs]
        bare = [self.bench.bare_loop("bare-photographs-0", some)]
        run = self.bench.featurize("photographs", self.photographs, cores=self.bench.cores)
        bare.append(self.bench.bare_loop("bare-photographs-1", some))
        together = self.bench.bare_loops_side_by_side("bare-photographs-together", some)
        self.say(f"featurize, {len(self.large_photographs)} photographs of 50 megapixels")
        large = self.bench.featurize("large-photographs", self.large_photographs, cores=self.bench.cores)
        return {
            "bare_loop_images_per_second": [round(rate, 2) for rate in bare],
            "bare_loops_side_by_side_images_per_second": round(together, 2),
            "featurize": run.as_json(),
            "fifty_megapixels": large.as_json(),
        }

    def limits(self) -> dict[str, Any]:
        """One thing at a time made smaller or larger: what sets the limit?"""
        self.say("what sets the limit: batch sizes, int8, decoding, fetch threads")
        some = self.small[: self.sizes.bare_images]
        batches = {1: self._bare("bare-batch-1")}
        batches |= {
            size: self.bench.bare_loop(f"bare-batch-{size}", some, batch_size=size) for size in self.sizes.batch_sizes
        }
        pictures = self.small[: self.sizes.job_images]
        fetched = {
            threads: self.bench.featurize(
                f"threads-{threads}",
                pictures,
                cores=self.bench.cores,
                slow=True,
                options=("--fetch-threads", str(threads)),
            ).as_json()
            for threads in self.sizes.fetch_threads
        }
        return {
            "bare_loop_images_per_second_by_batch_size": {size: round(rate, 1) for size, rate in batches.items()},
            "int8_bare_loop_images_per_second": round(self.bench.bare_loop("bare-int8", some, model=self.int8), 1),
            "decode_milliseconds": self.bench.decode_costs("decode-small", some),
            "decode_milliseconds_of_photographs": self.bench.decode_costs(
                "decode-photographs", self.photographs[: self.sizes.bare_photographs]
            ),
            "slow_s3_by_fetch_threads": fetched,
        }

    def scaling(self) -> list[dict[str, Any]]:
        """The step on more and more images."""
        found = []
        for images in self.sizes.scaling_images:
            self.say(f"featurize, {images} pictures")
            found.append(self.bench.featurize(f"scale-{images}", self.small[:images], cores=self.bench.cores).as_json())
        return found

    def pca(self) -> dict[str, Any]:
        """Our fit against Spark ML's on the largest table of `scaling`, in turn."""
        name = f"scale-{self.sizes.scaling_images[-1]}"
        ours, theirs = [], []
        difference = 0.0
        for _ in range(self.sizes.repeats):
            self.say(f"PCA of {self.sizes.scaling_images[-1]} x 1280: ours, then Spark ML's")
            process, told = self.bench.pca(name, self.sizes.job_k)
            other, spark_ml = self.bench.spark_ml_pca(name, self.sizes.job_k)
            ours.append({"fit_seconds": told["seconds"]["fit"], "process_seconds": round(process.seconds, 2)})
            theirs.append(
                {"fit_seconds": round(spark_ml["fit_seconds"], 3), "process_seconds": round(other.seconds, 2)}
            )
            shares = zip(told["explained_variance_ratio"], spark_ml["explained_variance_ratio"], strict=True)
            difference = max(difference, *(abs(mine / their - 1) for mine, their in shares))
        return {
            "rows": told["rows"],
            "k": self.sizes.job_k,
            "ours": ours,
            "spark_ml": theirs,
            "largest_relative_difference_of_explained_variance": difference,
        }

    def _bare(self, name: str) -> float:
        return self.bench.bare_loop(name, self.small[: self.sizes.bare_images])


def ratios(figures: dict[str, Any], cores: int) -> dict[str, float]:
    """What the measurements say, as ratios; above 1 is better for ours where two are compared."""
    job, steady, photographs = figures["whole_job"], figures["steady_state"], figures["photographs"]
    bare = statistics.median(steady["bare_loop_images_per_second"])
    fast, slow = _rate(steady["fast"]), _rate(steady["slow"])
    every = _rate([run["featurize"] for run in job["ours"]])
    bare_photographs = statistics.median(photographs["bare_loop_images_per_second"])
    slopes = per_image_seconds(figures["scaling"])
    pca, limits = figures["pca"], figures["limits"]
    small, decoding = limits["decode_milliseconds"], limits["decode_milliseconds_of_photographs"]
    return {
        "featurize_vs_keras_udf": _median(job["keras_udf"], "seconds") / _median(job["ours"], "featurize_seconds"),
        "featurize_vs_tuned_keras_udf": _median(job["keras_udf_tuned"], "seconds")
        / _median(job["ours"], "featurize_seconds"),
        "featurize_vs_bare_loop_all_cores": fast / (bare * cores),
        "featurize_vs_bare_loops_side_by_side": fast / steady["bare_loops_side_by_side_images_per_second"],
        "featurize_slow_s3_vs_fast_s3": slow / fast,
        "featurize_all_cores_vs_one_core": every / figures["one_core"]["images_per_second"],
        "featurize_photographs_vs_bare_loop_all_cores": photographs["featurize"]["images_per_second"]
        / (bare_photographs * cores),
        "featurize_photographs_vs_bare_loops_side_by_side": photographs["featurize"]["images_per_second"]
        / photographs["bare_loops_side_by_side_images_per_second"],
        "int8_vs_float32": limits["int8_bare_loop_images_per_second"]
        / limits["bare_loop_images_per_second_by_batch_size"][1],
        "photographs_decoded_with_draft_vs_without": decoding["decode_without_draft"] / decoding["decode"],
        "decoded_by_version_1_vs_now": small["decode_by_version_1"] / small["decode"],
        "photographs_decoded_by_version_1_vs_now": decoding["decode_by_version_1"] / decoding["decode"],
        "photographs_decoded_vs_of_display_p3": decoding["decode"] / decoding["decode_of_display_p3"],
        # So few images as in a quick run may cost less than the start varies.
        "featurize_last_slope_vs_first_slope": slopes[-1] / slopes[0] if slopes[0] > 0 else 0.0,
        "pca_vs_spark_ml": _median(pca["spark_ml"], "fit_seconds") / _median(pca["ours"], "fit_seconds"),
        "spark_start_without_class_archive_vs_with": _start(figures, "spark"),
        "s3_server_start_without_class_archive_vs_with": _start(figures, "s3"),
        "spark_whole_job_vs_here": _median(job["ours"], "seconds") / _median(job["here"], "seconds"),
        "here_vs_bare_loop_all_cores": _rate(job["here"]) / (bare * cores),
        "here_whole_job_seconds": _median(job["here"], "seconds"),
        "whole_job_seconds": _median(job["ours"], "seconds"),
        "whole_job_vs_bare_loop_all_cores": _median(job["ours"], "seconds") / (job["images"] / (bare * cores)),
    }


def per_image_seconds(scaling: Sequence[dict[str, Any]]) -> list[float]:
    """What each further image costs, between one number of images and the next."""
    return [
        (after["process_seconds"] - before["process_seconds"]) / (after["images"] - before["images"])
        for before, after in itertools.pairwise(scaling)
    ]


def _start(figures: dict[str, Any], name: str) -> float:
    seconds = figures["jvm_starts"][name]
    return float(statistics.median(seconds["without"]) / statistics.median(seconds["with"]))


def _rate(runs: Sequence[dict[str, Any]]) -> float:
    return _median(runs, "images_per_second")


def _median(runs: Sequence[dict[str, Any]], name: str) -> float:
    return float(statistics.median(run[name] for run in runs))
