"""The measurements as tables for people, in Markdown."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any

from tools.benchmarks.comparison import per_image_seconds

if TYPE_CHECKING:
    from collections.abc import Sequence

#: What each ratio says, and what it is to be.
MEANINGS = {
    "featurize_vs_keras_udf": ("the usual Keras pandas UDF / featurize, whole processes, the same pictures", "≥ 4"),
    "featurize_vs_tuned_keras_udf": ("the same, with the model built once a core and batches of 32", "above 1"),
    "featurize_vs_bare_loop_all_cores": ("featurize / (bare loop of one process x cores), images/s", "≥ 0.85"),
    "featurize_vs_bare_loops_side_by_side": ("featurize / bare loops, one a core at the same time, images/s", "≥ 0.85"),
    "featurize_slow_s3_vs_fast_s3": ("featurize with 30 ms before each answer of S3 / without", "≥ 0.90"),
    "featurize_all_cores_vs_one_core": ("featurize on all cores / on one", "the number of cores"),
    "featurize_photographs_vs_bare_loop_all_cores": (
        "featurize / (bare loop x cores), photographs of 12 megapixels",
        "≥ 0.85",
    ),
    "featurize_photographs_vs_bare_loops_side_by_side": (
        "featurize / bare loops side by side, photographs of 12 megapixels",
        "≥ 0.85",
    ),
    "int8_vs_float32": ("bare loop with an int8 model / float32, images/s", "about 2 with VNNI"),
    "photographs_decoded_with_draft_vs_without": ("decoding without JPEG's own scaling / with it", "above 1"),
    "decoded_by_version_1_vs_now": ("decoding as version 1 (no colours, no damage seen) / now, 100 x 100", "≥ 0.97"),
    "photographs_decoded_by_version_1_vs_now": ("the same, photographs of 12 megapixels", "≥ 0.97"),
    "photographs_decoded_vs_of_display_p3": ("decoding photographs of sRGB / of Display P3, 12 megapixels", "told"),
    "featurize_last_slope_vs_first_slope": ("seconds per further image, many images / few", "about 1"),
    "pca_vs_spark_ml": ("Spark ML's PCA / ours, the fit alone", "≥ 5"),
    "spark_start_without_class_archive_vs_with": ("a Spark step of next to no work / with its archive", "above 1"),
    "s3_server_start_without_class_archive_vs_with": ("the local S3 server until it listens / the same", "above 1"),
    "spark_whole_job_vs_here": ("both steps with Spark / both without it, in one process after the other", "above 1"),
    "here_vs_bare_loop_all_cores": ("without Spark / (bare loop of one process x cores), images/s", "≥ 0.9"),
    "here_whole_job_seconds": ("both steps without Spark, seconds", "told"),
    "whole_job_seconds": ("both steps, JVM starts included, seconds", "< 24 with 2,400 pictures"),
    "whole_job_vs_bare_loop_all_cores": ("the same / the seconds of (bare loop x cores) for these pictures", "small"),
}


def as_markdown(result: dict[str, Any]) -> str:
    """The whole result."""
    figures, machine = result["figures"], result["machine"]
    warning = "**A quick run: it shows that the measurements work; the numbers mean nothing.**\n\n"
    parts = [
        (warning if result["quick"] else "")
        + f"{result['started_at']}, {result['minutes']} minutes, commit {result['commit']}; {machine['processor']}, "
        f"{machine['cores']} cores, {machine['memory_gib']} GiB, {machine['system']}; load before the first "
        f"measurement {machine['load_at_start']}.",
        _ratio_table(result),
        _whole_job_table(figures["whole_job"]),
        _rate_table(figures),
        _scaling_table(figures["scaling"]),
        _pca_table(figures["pca"]),
        _limits_table(figures["limits"]),
        costs_table(figures["tables"]),
    ]
    return "\n\n".join(parts) + "\n"


def _table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def _ratio_table(result: dict[str, Any]) -> str:
    rows = [(f"`{name}`", meaning, f"{result[name]:.2f}", wanted) for name, (meaning, wanted) in MEANINGS.items()]
    return _table(("in bench.json", "what", "measured", "wanted"), rows)


def _whole_job_table(job: dict[str, Any]) -> str:
    rows = [("featurize + pca", run["seconds"], run["featurize_seconds"], run["peak_mib"]) for run in job["ours"]]
    rows += [("both steps without Spark", run["seconds"], "", run["peak_mib"]) for run in job["here"]]
    for way, name in (("usual", "keras_udf"), ("tuned", "keras_udf_tuned")):
        title = f"Keras pandas UDF, {way}, featurize only"
        rows += [(title, "", run["seconds"], run["peak_mib"]) for run in job[name]]
    title = f"{job['images']:,} pictures of 100 x 100, k = {job['k']}"
    return _table((title, "both steps, s", "featurize, s", "peak memory of all processes, MiB"), rows)


def _rate_table(figures: dict[str, Any]) -> str:
    steady, photographs = figures["steady_state"], figures["photographs"]
    bare = statistics.median(steady["bare_loop_images_per_second"])
    large = statistics.median(photographs["bare_loop_images_per_second"])
    rows: list[tuple[str, ...]] = [("bare loop, one process, pictures in memory", "100 x 100", f"{bare:.0f}", "")]
    runs = [("featurize, all cores, fast S3", run) for run in steady["fast"]]
    runs += [("featurize, all cores, slow S3", run) for run in steady["slow"]]
    runs += [("featurize, all cores, fast S3", run["featurize"]) for run in figures["whole_job"]["ours"]]
    runs.append(("featurize, one core, fast S3", figures["one_core"]))
    rows += [_rate_row(name, "100 x 100", run) for name, run in runs]
    rows.append(("bare loop, one process, pictures in memory", "12 megapixels", f"{large:.1f}", ""))
    rows.append(_rate_row("featurize, all cores, fast S3", "12 megapixels", photographs["featurize"]))
    rows.append(_rate_row("featurize, all cores, fast S3", "50 megapixels", photographs["fifty_megapixels"]))
    header = (
        "what",
        "pictures",
        "images/s",
        "S3 server's share of the processors",
        "most memory of a Python worker, MiB",
    )
    return _table(header, [(*row, "")[: len(header)] for row in rows])


def _rate_row(name: str, size: str, run: dict[str, Any]) -> tuple[str, ...]:
    share = f"{run['s3_server_share_of_processors']:.0%}"
    peak = f"{run['worker_peak_mib']:.0f}"
    return (f"{name}, {run['images']:,} images", size, f"{run['images_per_second']:.1f}", share, peak)


def _scaling_table(scaling: Sequence[dict[str, Any]]) -> str:
    slopes = ["", *(f"{1000 * slope:.2f}" for slope in per_image_seconds(scaling))]
    rows = [
        (
            f"{run['images']:,}",
            run["process_seconds"],
            run["working_seconds"],
            slope,
            run["peak_mib"],
            f"{run['worker_peak_mib']:.0f}",
        )
        for run, slope in zip(scaling, slopes, strict=True)
    ]
    header = (
        "images",
        "whole process, s",
        "working, s",
        "each further image, ms",
        "peak memory, MiB",
        "of one worker, MiB",
    )
    return _table(header, rows)


def _pca_table(pca: dict[str, Any]) -> str:
    rows = [("ours", run["fit_seconds"], run["process_seconds"]) for run in pca["ours"]]
    rows += [("Spark ML", run["fit_seconds"], run["process_seconds"]) for run in pca["spark_ml"]]
    title = f"PCA of {pca['rows']:,} x 1,280, k = {pca['k']}"
    difference = pca["largest_relative_difference_of_explained_variance"]
    note = (
        "Our fit reads the rows from S3; Spark ML's has them in memory before the clock starts. "
        f"Largest relative difference of the explained variance: {difference:.1e}."
    )
    return _table((title, "fit, s", "whole process, s"), rows) + f"\n\n{note}"


def _limits_table(limits: dict[str, Any]) -> str:
    rows = [
        (f"bare loop, {size} at a time", f"{rate} images/s")
        for size, rate in limits["bare_loop_images_per_second_by_batch_size"].items()
    ]
    rows.append(("bare loop, int8", f"{limits['int8_bare_loop_images_per_second']} images/s"))
    for name, key in (("100 x 100", "decode_milliseconds"), ("12 megapixels", "decode_milliseconds_of_photographs")):
        costs = limits[key]
        rows += [
            (f"decode, {name}", f"{costs['decode']} ms, of which the thumbnail {costs['thumbnail']} ms"),
            (f"decode, {name}, as version 1", f"{costs['decode_by_version_1']} ms"),
            (f"decode, {name}, of Display P3", f"{costs['decode_of_display_p3']} ms"),
            (f"decode, {name}, without `draft`", f"{costs['decode_without_draft']} ms"),
        ]
    rows += [
        (f"featurize, slow S3, {threads} reads at a time and worker", f"{run['images_per_second']} images/s")
        for threads, run in limits["slow_s3_by_fetch_threads"].items()
    ]
    return _table(("what sets the limit", ""), rows)


def costs_table(costs: dict[str, Any]) -> str:
    """Opening, erasing and merging."""
    small, large = costs["small_runs"], costs["large"]
    opened = (
        ("many small runs", small["opening"]),
        ("the same, merged", small["opening_merged"]),
        ("one large run", large["opening"]),
    )
    rows = [
        (f"open and find what is to do: {name}, {found['rows']:,} rows", f"{found['files']:,}", "", _seconds(found))
        for name, found in opened
    ]
    changes = (
        ("merge the small runs' files", small["merging"]),
        (f"erase {large['erase_one']['rows']:,} picture", large["erase_one"]),
        (f"erase a label of {large['erase_label']['rows']:,} pictures", large["erase_label"]),
    )
    rows += [
        (name, f"{found['rewritten']['files']:,}", f"{found['rewritten']['bytes'] / 1e6:,.1f}", _seconds(found))
        for name, found in changes
    ]
    return _table(("the feature table, on a folder", "files", "MB rewritten", "seconds"), rows)


def _seconds(found: dict[str, Any]) -> str:
    seconds = found["seconds"]
    parts = seconds.items() if isinstance(seconds, dict) else [("in all", seconds)]
    return ", ".join(f"{name.replace('_', ' ')} {value:.2f}" for name, value in parts)
