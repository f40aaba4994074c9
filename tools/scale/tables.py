"""The study as tables for people, in Markdown."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tools.scale.extrapolation import at, bend

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TARGETS = (1_000_000, 100_000_000)
GIB = 2**30
MANY = 10_000
#: As the listing's answers come: one after the other.
PAGE = 1000
FILE_ROWS = 1024


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def duration(seconds: float) -> str:
    """Seconds as people say them."""
    for unit, length in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.1f} s"


def size(number: float) -> str:
    """Bytes as people say them."""
    for unit, length in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if number >= length:
            return f"{number / length:.1f} {unit}"
    return f"{number / 1e3:.0f} KB"


def dollars(number: float) -> str:
    """Dollars with as many digits as they deserve."""
    return f"{number:.2f}" if number < MANY / 100 else f"{number:,.0f}"


def steps(result: Mapping[str, Any]) -> str:
    """What each step needs at the targets: processor time of one core, and memory."""
    rows = []
    for name, what, stage, parts in (
        ("list (obstore, a server beside it)", "plan_run", "plan", ("list",)),
        ("sort and freeze the manifest", "plan_run", "plan", ("freeze",)),
        ("read what is done, and the list before", "plan_run", "plan", ("read_done", "read_previous")),
        ("subtract and count", "plan_run", "plan", ("subtract",)),
        ("read the manifest and the table's keys", "featurize, driver", "featurize_driver", ("read",)),
        ("find what is to do", "featurize, driver", "featurize_driver", ("subtract",)),
        ("decide and write the answers", "featurize, driver", "featurize_driver", ("decide",)),
        ("read the answers", "pca, driver", "pca_driver", ("read_answers",)),
        ("describe the tasks", "pca, driver", "pca_driver", ("describe_tasks",)),
        ("write the matrix, k = 10", "pca, driver", "pca_driver", ("write_matrix",)),
        ("the whole step on two executors", "pca", "pca", ("read", "fit", "write")),
        ("copy, check and compare the lists", "publish_results", "publish", ("fetch", "compare", "check")),
        ("choose and gather what is shown", "publish_results", "publish", ("choose", "gather")),
        ("draw the map, lay out the explorer", "publish_results", "publish", ("draw", "explorer")),
    ):
        runs = result["stages"][stage]

        def seconds(run: Mapping[str, Any], parts: tuple[str, ...] = parts) -> float:
            return float(sum(run["seconds"][part] for part in parts))

        rows.append((name, what, *(duration(at(images, runs, seconds)) for images in TARGETS), _bend(runs, seconds)))
    memory = (
        ("plan_run", "plan"),
        ("featurize, driver", "featurize_driver"),
        ("pca, driver", "pca_driver"),
        ("pca, all processes", "pca"),
        ("publish_results", "publish"),
    )
    for name, stage in memory:
        runs = result["stages"][stage]
        cells = [f"{at(images, runs, _peak) / GIB:.1f} GiB" for images in TARGETS]
        rows.append((f"**memory**, {name}", name, *cells, _bend(runs, _peak)))
    return table(("what", "where", *(f"{images:,} images" for images in TARGETS), "last slope / first"), rows)


def _peak(run: Mapping[str, Any]) -> float:
    return float(run["peak_bytes"])


def _bend(runs: Sequence[Mapping[str, Any]], read: Any) -> str:  # noqa: ANN401 -- a reader of figures
    bent = bend(runs, read)
    return "" if bent is None or not math.isfinite(bent) else f"{bent:.2f}"


def files(result: Mapping[str, Any]) -> str:
    """Sizes and counts of what is stored and what travels."""
    plan, driver, pca = (result["stages"][name] for name in ("plan", "featurize_driver", "pca_driver"))
    sums = result["stages"]["sums"][-1]
    rows = [
        ("manifest.parquet", *(size(at(n, plan, lambda run: float(run["manifest_bytes"]))) for n in TARGETS)),
        ("lists on the driver's disk", *(size(at(n, driver, _of("space_bytes"))) for n in TARGETS)),
        ("answers", *(size(at(n, driver, _of("answers_bytes"))) for n in TARGETS)),
        ("commits of one run", *(f"{-(-n // 20_000):,}" for n in TARGETS)),
        ("files of features", *(f"{-(-n // FILE_ROWS):,}" for n in TARGETS)),
        ("matrix.csv, k = 10", *(size(at(n, pca, _of("matrix_csv_bytes"))) for n in TARGETS)),
        ("tasks of pca", *(f"{at(n, pca, _of('tasks')):,.0f}" for n in TARGETS)),
        ("their description, sent by the driver", *(size(at(n, pca, _of("tasks_bytes"))) for n in TARGETS)),
        ("partial sums shuffled by pca", *(size(at(n, pca, _of("tasks")) * sums["packed_bytes"]) for n in TARGETS)),
        ("adding up, on one core", *(duration(n / sums["block_images"] * sums["seconds"]["block"]) for n in TARGETS)),
    ]
    return table(("what", *(f"{images:,} images" for images in TARGETS)), rows)


def _of(name: str) -> Any:  # noqa: ANN401 -- a reader of figures
    def read(run: Mapping[str, Any]) -> float:
        return float(run[name])

    return read


def requests(result: Mapping[str, Any]) -> str:
    """Requests to S3 and their price, and how long listing waits."""
    counted, prices = result["requests"], result["prices"]["s3"]
    rows = [
        _request_row("pictures, one GET each", images, {"GET": images * counted["get_a_picture"]}, prices)
        for images in TARGETS
    ]
    for images in TARGETS:
        chunks = -(-images // 20_000)
        written = {kind: chunks * number for kind, number in counted["featurize_a_chunk"].items()}
        rows.append(_request_row(f"committing {chunks:,} chunks", images, written, prices))
        read = {kind: chunks * number for kind, number in counted["read_table_a_chunk"].items()}
        rows.append(_request_row("reading the table's keys, once", images, read, prices))
        fitted = {kind: chunks * number for kind, number in counted["pca_a_chunk"].items()}
        rows.append(_request_row("pca", images, fitted, prices))
        rows.append(_request_row("one listing", images, {"LIST": -(-images // PAGE)}, prices))
    rows.sort(key=lambda row: int(row[1].replace(",", "")))
    return table(("what", "images", "GET, HEAD", "PUT, LIST", "USD"), rows)


def _request_row(name: str, images: int, by_kind: Mapping[str, float], prices: Mapping[str, Any]) -> tuple[str, ...]:
    reads = by_kind.get("GET", 0) + by_kind.get("HEAD", 0)
    writes = by_kind.get("PUT", 0) + by_kind.get("LIST", 0)
    usd = reads / 1000 * prices["get_per_1000"] + writes / 1000 * prices["put_list_per_1000"]
    return (name, f"{images:,}", f"{reads:,.0f}", f"{writes:,.0f}", dollars(usd))


def alternatives(result: Mapping[str, Any]) -> str:
    """Every way at some numbers of pictures."""
    parts = []
    for case in result["alternatives"]:
        names = [offer["name"] for offer in case["offers"][0]["found"]]
        rows = [
            (
                f"{row['images']:,}",
                *(f"{dollars(offer['usd'])} / {duration(offer['minutes'] * 60)}" for offer in row["found"]),
            )
            for row in case["offers"]
        ]
        parts.append(
            f"Pictures of {size(case['mean_bytes'])}, {case['rate']:.0f} images/s a vCPU: US dollars / time to the "
            f"matrix.\n\n{table(('images', *names), rows)}"
        )
    return "\n\n".join(parts)


def shares(result: Mapping[str, Any]) -> str:
    """Where a run's minutes go."""
    parts = ("start", "featurize", "pca", "end")
    rows = [
        (size(case["mean_bytes"]), f"{row['images']:,}", *(f"{row['shares'][part]:.0%}" for part in parts))
        for case in result["alternatives"]
        for row in case["offers"]
    ]
    return table(("pictures of", "images", "create, bootstrap", "featurize", "pca", "ending"), rows)


def break_evens(result: Mapping[str, Any]) -> str:
    """From where on the cluster is faster, and cheaper, than the others."""
    rows = [
        (size(case["mean_bytes"]), even["other"], _from(even["faster"]), _from(even["cheaper"]))
        for case in result["alternatives"]
        for even in case["break_even"]
    ]
    return table(("pictures of", "against", "the cluster is faster from", "and cheaper from"), rows)


def _from(images: int | None) -> str:
    return "never" if images is None else f"{float(f'{images:.2g}'):,.0f} images"


def as_markdown(result: Mapping[str, Any]) -> str:
    """The whole study."""
    warning = "**A quick run: it shows that the study works; the numbers mean nothing.**\n\n" if result["quick"] else ""
    sizes = ", ".join(f"{run['images']:,}" for run in result["stages"]["plan"])
    head = (
        f"{warning}{result['started_at']}, commit {result['commit']}; {result['machine']['processor']}, "
        f"{result['machine']['cores']} cores. Measured at {sizes} images; what lies beyond is on the line through "
        f"the last two. Prices of {result['prices']['as_of']} and {result['prices']['ec2_as_of']}."
    )
    sections = (
        ("Time and memory of the steps that hold every image", steps(result)),
        ("What is stored and what travels", files(result)),
        ("Requests to S3", requests(result)),
        ("Where a run's time goes on the cluster", shares(result)),
        ("The same work elsewhere", alternatives(result)),
        ("From where on a cluster", break_evens(result)),
    )
    return head + "\n\n" + "\n\n".join(f"### {title}\n\n{content}" for title, content in sections) + "\n"
