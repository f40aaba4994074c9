"""Small runs as they lie in a bucket, on a folder, and their explorer as it would be published."""

import io
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet as pq
from PIL import Image
from verger.publish.explorer import site
from verger.publish.explorer.data import RunFiles, write_data
from verger.publish.picture_lists import choose_shown, compare_with_before, note_pictures
from verger.publish.run_rows import fetch_rows
from verger.publish.shown_pictures import gather_shown
from verger.storage.layout import BucketLayout, RunLayout
from verger_rules.schemas import ANSWERS, TABLE_FILE

from tests.answering_images import small_database
from tests.explorer.quality_world import quality_of, write_quality

BUCKET = "fruits"
IMAGES = f"s3://{BUCKET}/images/"
RUN_ID = "manual__2026-11-21T10:00:00+00:00"
PREVIOUS_RUN_ID = "manual__2026-11-20T10:00:00+00:00"
MODEL = "0123456789abcdef"
PICTURES_FILE = "outcome=featurized/earlier/00000/0.parquet"
#: Of a file of the feature table, what the explorer may need.
TABLE_SCHEMA = pa.schema([TABLE_FILE.field(name) for name in ("path", "etag", "width", "height", "thumbnail")])


@dataclass(frozen=True)
class Pictures:
    """Pictures of a run: names below `images/` (label/file), and their scores [n, k]."""

    names: Sequence[str]
    scores: npt.NDArray[np.float64]
    rejects: Sequence[tuple[str, str]] = ()
    new: frozenset[str] = frozenset()
    colours: dict[str, tuple[int, int, int]] = field(default_factory=dict)

    @property
    def labels(self) -> list[str]:
        """The label of each."""
        return [name.rpartition("/")[0].rpartition("/")[2] for name in self.names]


def groups(sizes: dict[str, int], *, k: int = 5, spread: float = 1.0, apart: float = 12.0) -> Pictures:
    """Pictures in round groups, one a label, well apart from each other."""
    random = np.random.default_rng(7)
    centres = random.normal(size=(len(sizes), k)) * apart
    names = [f"{label}/{label}_{number:05}.jpg" for label, size in sizes.items() for number in range(size)]
    which = np.repeat(np.arange(len(sizes)), list(sizes.values()))
    scores = centres[which] + random.normal(size=(len(names), k)) * spread
    order = sorted(range(len(names)), key=names.__getitem__)
    return Pictures([names[at] for at in order], scores[order])


def jpeg(colour: tuple[int, int, int], size: tuple[int, int] = (64, 48)) -> bytes:
    """A small picture of one colour."""
    stored = io.BytesIO()
    Image.new("RGB", size, colour).save(stored, format="JPEG", quality=90)
    return stored.getvalue()


def colour_of(label: str) -> tuple[int, int, int]:
    """A label's colour: its pictures are of that colour."""
    seed = sum(label.encode())
    return (seed * 53 % 200 + 30, seed * 91 % 200 + 30, seed * 137 % 200 + 30)


def run_facts(pictures: Pictures, *, weights: str = "imagenet") -> dict[str, Any]:
    """What `run.json` says (docs/formats.md)."""
    k = pictures.scores.shape[1]
    featurized, rejected = len(pictures.names), len(pictures.rejects)
    warnings = ["The model has RANDOM weights: the matrix carries no meaning."] if weights == "random" else []
    return {
        "format": 1,
        "run_id": RUN_ID,
        "published_at": "2026-11-21T10:12:00+00:00",
        "warnings": warnings,
        "settings": {"k": k, "engine": "litert"},
        "counts": {"listed": featurized + rejected, "featurized": featurized, "rejected": rejected},
        "left_out": {
            "files": 1239,
            "source": {"files": 1237, "reasons": [
                {"reason": "in a hidden folder, or one of a system", "files": 1234,
                 "examples": ["phone/.thumbnails/", ".git/"]},
                {"reason": "no picture by its name", "files": 3,
                 "examples": ["notes.txt", "<b>list</b>.csv", "\u202egpj.exe\x1b[2J"]},
            ]},
            "bucket": {"files": 2, "reasons": [
                {"reason": "a hidden file, or one of a system", "files": 2, "examples": ["apple/._1.jpg", "Thumbs.db"]},
            ]},
        },
        "featurize": {
            "featurized": featurized, "rejected": rejected, "engine": "litert", "images_per_second": 61.5,
            "seconds": {"total": 74.0, "start": 9.0, "fetch": 12.0, "decode": 31.0, "infer": 88.0, "write": 3.0},
        },
        "plan": {"same_bytes": {"images": 2, "examples": [[IMAGES + pictures.names[0], f"{IMAGES}twice/<b>1.jpg"]]}},
        "pca": {"k": k, "variance_reached": 0.8125, "seconds": {"total": 21.0}},
        "model": {"fingerprint": MODEL, "weights": weights},
        "cluster": {
            "id": "j-1", "release_label": "emr-spark-8.1.0",
            "created_at": "2026-11-21T10:01:00+00:00", "ready_at": "2026-11-21T10:06:00+00:00",
        },
        "regions": {"bucket": "eu-west-1", "cluster": "eu-west-1"},
        "cost": {
            "usd": 0.4321, "usd_per_1000_images": 0.11, "cluster_hours": 0.25, "idle_minutes": 1.5, "note": "",
            "estimate": {"usd": 0.5}, "clusters": [{"cluster_id": "j-1", "state": "TERMINATED"}],
        },
    }  # fmt: skip


def changes_of(pictures: Pictures) -> dict[str, Any]:
    """What `changes` of `run.json` says of them (docs/formats.md)."""
    new = [IMAGES + name for name in sorted(pictures.new)]
    before = len(pictures.names) + len(pictures.rejects) - len(new)
    return {
        "since": {"run_id": PREVIOUS_RUN_ID, "slug": "previous", "published_at": "2026-11-20T10:12:00+00:00"},
        "images": {
            "before": before, "now": before + len(new), "added": len(new), "changed": 0, "gone": 0,
            "examples": {"added": new[:20], "changed": [], "gone": []},
        },
        "values": {"featurized": {"before": 3, "now": len(pictures.names)}, "usd": {"before": 0.5, "now": 0.4321}},
        "settings": {"variance": {"before": None, "now": 0.9}},
    }  # fmt: skip


def write_bucket(root: Path, pictures: Pictures, *, every: int = 1, most: int = 100_000) -> RunFiles:
    """Lay a run into `root` as its bucket: manifest, answers, feature table, matrix and what explains it.

    One picture of `every` has a thumbnail; of more than `most` a sample is shown.
    """
    run = RunLayout(BucketLayout(BUCKET), RUN_ID)
    paths = [IMAGES + name for name in pictures.names]
    etags = [f"etag-{name}" for name in pictures.names]
    scores = {f"pc_{at + 1}": column for at, column in enumerate(pictures.scores.T)}
    matrix = pa.table({"path": paths, "label": pictures.labels, **scores})
    _parquet(root, run.result_file("matrix.parquet").key, matrix)
    drawn = {label: jpeg(pictures.colours.get(label, colour_of(label))) for label in set(pictures.labels)}
    thumbnails = [None if at % every else drawn[label] for at, label in enumerate(pictures.labels)]
    put_pictures(root, PICTURES_FILE, [Stored(*row) for row in zip(paths, thumbnails, strict=True)])
    answers: list[dict[str, Any]] = [
        *({"path": path, "label": label, "etag": etag, "file": PICTURES_FILE, "row": row}
          for row, (path, label, etag) in enumerate(zip(paths, pictures.labels, etags, strict=True))),
        *({"path": IMAGES + name, "label": "x", "etag": "r", "stage": "decode", "reason": reason,
           "detail": "it ended early"} for name, reason in pictures.rejects),
    ]  # fmt: skip
    answers.sort(key=itemgetter("path"))
    manifest = pa.table(
        {
            "path": [answer["path"] for answer in answers],
            "etag": [answer["etag"] for answer in answers],
            "label": [answer["label"] for answer in answers],
            "size": pa.array([12_345] * len(answers), pa.int64()),
        }
    )
    k = len(scores)
    shares = [0.5 * 0.5**at for at in range(k + 3)]
    rows = "".join(f"{at + 1},1.0,{share},0.5,{str(at < k).lower()}\n" for at, share in enumerate(shares))
    variance = "component,explained_variance,explained_variance_ratio,cumulative_ratio,kept\n" + rows
    (root / BUCKET / run.result_file("explained_variance.csv").key).write_text(variance, encoding="utf-8")
    _parquet(root, run.run_file("manifest.parquet").key, manifest)
    _parquet(root, run.answers.child("part-00000.parquet").key, pa.Table.from_pylist(answers, schema=ANSWERS))
    before = RunLayout(run.layout, PREVIOUS_RUN_ID) if pictures.new else None
    if before:
        old = [path.removeprefix(IMAGES) not in pictures.new for path in manifest["path"].to_pylist()]
        _parquet(root, before.run_file("manifest.parquet").key, manifest.filter(pa.array(old)))
    filesystem = pyarrow.fs.SubTreeFileSystem(str(root), pyarrow.fs.LocalFileSystem())
    copies = root / "copies"
    copies.mkdir(exist_ok=True)
    images = fetch_rows(filesystem, run, before, copies)
    with small_database() as lists:
        compare_with_before(lists, images)
        chosen = choose_shown(lists, note_pictures(lists, images), most)
    shown = gather_shown(images, chosen, copies / "components.f32")
    return RunFiles(filesystem, run, run.layout.feature_table(MODEL), shown, images)


@dataclass(frozen=True)
class Stored:
    """A row of the feature table."""

    path: str
    thumbnail: bytes | None
    width: int = 640
    height: int = 480


def put_pictures(root: Path, name: str, rows: Sequence[Stored]) -> None:
    """Write a file of the feature table."""
    table = pa.Table.from_pylist([{"etag": "1", **vars(row)} for row in rows], schema=TABLE_SCHEMA)
    _parquet(root, f"features/model={MODEL}/{name}", table)


def write_site(
    folder: Path, pictures: Pictures, *, weights: str = "imagenet", every: int = 1, most: int = 100_000
) -> Path:
    """The explorer as it lies under `results/<slug>/`; returns the address of its page."""
    files = write_bucket(folder / "buckets", pictures, every=every, most=most)
    results = folder / "results"
    page = results / "explorer"
    shutil.copytree(site.PAGE, page)
    data = page / "data"
    data.mkdir()
    write_data(data, files)
    site.write_script(data / "offline.js", [data / name for name in site.FETCHED if (data / name).exists()])
    if not (data / "quality.json").exists():
        write_quality(page / "index.html", quality_of(sorted(set(pictures.labels)), pictures.names))
    changes = changes_of(pictures) if pictures.new else None
    facts = json.dumps(run_facts(pictures, weights=weights) | {"changes": changes}).encode()
    (results / "run.json").write_bytes(facts)
    (folder / "run.json").write_bytes(facts)
    site.write_script(data / "run.js", [results / "run.json"])
    return page / "index.html"


def _parquet(root: Path, key: str, table: pa.Table) -> None:
    path = root / BUCKET / key
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)
