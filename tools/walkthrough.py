"""`make notebook`: opens notebooks/walkthrough.ipynb on this machine, or runs it from its first cell to its last.

    tools/walkthrough.py open|run [--images FOLDER] [--weights FILE.h5] [--out FILE.ipynb]

Beside Jupyter it starts an S3 server on a folder and fills a bucket with pictures (drawn ones, unless a folder is
given) and a model, so that the notebook finds what it finds on a cluster. Runs in the environment `notebook`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if __name__ == "__main__":  # run as a file: Python then looks for modules beside it only
    PROJECT = Path(__file__).resolve().parent.parent
    sys.path[:0] = [str(PROJECT), str(PROJECT / "plugins")]

import nbformat
import obstore
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from obstore.store import S3Store

from tools.draw_images import Drawing, write_images
from tools.local_run import processes, s3_server

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

PROJECT = Path(__file__).resolve().parent.parent
NOTEBOOK = PROJECT / "notebooks" / "walkthrough.ipynb"
CACHE = PROJECT / ".cache"
BUCKET = "verger-walkthrough"
REGION = "eu-west-1"
# Enough for every label to be a cloud of its own in the plots, few enough for a minute on two cores.
DRAWN = Drawing(images=240, labels=8, difficulty="medium", broken=8)
ENDINGS = frozenset({".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"})
CELL_SECONDS = 300
INTERRUPTED = 130


class WalkthroughError(Exception):
    """The notebook cannot be opened or run; the message is for the person who asked."""


@dataclass(frozen=True)
class Asked:
    """What the command line asks for.

    Attributes:
        images: a folder of pictures, one folder a label; None to draw some.
        weights: the ImageNet weights as an .h5 file; None for those that Keras has or downloads, else random ones.
        out: where `run` leaves the notebook with its outputs; None to open it in JupyterLab.
    """

    images: Path | None
    weights: Path | None
    out: Path | None


def parse_args(arguments: Sequence[str]) -> Asked:
    """The command line. Raises WalkthroughError."""
    parser = argparse.ArgumentParser(
        prog="walkthrough.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("open", "run"))
    parser.add_argument("--images", default="", metavar="FOLDER", help="one folder a label; default: drawn ones")
    parser.add_argument("--weights", default="", metavar="FILE.h5", help="default: Keras' own, else random ones")
    parser.add_argument("--out", type=Path, default=CACHE / "walkthrough.ipynb", help="of `run`: with its outputs")
    parsed = parser.parse_args(arguments)
    images = Path(parsed.images).expanduser() if parsed.images else None
    weights = Path(parsed.weights).expanduser() if parsed.weights else None
    if images is not None and not any(pictures_in(images)):
        raise WalkthroughError(f"IMAGES={images} holds no pictures: give a folder with one folder of pictures a label")
    if weights is not None and not weights.is_file():
        raise WalkthroughError(f"WEIGHTS={weights} does not exist: give an .h5 file of Keras' MobileNetV2, no top")
    return Asked(images, weights, parsed.out if parsed.what == "run" else None)


def pictures_in(folder: Path) -> Iterator[Path]:
    """The picture files one folder or more below a folder, ascending."""
    return (path for path in sorted(folder.rglob("*")) if path.suffix.lower() in ENDINGS and path.parent != folder)


def prepared_model(weights: Path | None) -> Path:
    """The folder of a model, prepared by the environment that has TensorFlow when it is not there yet.

    Raises:
        WalkthroughError: it cannot be prepared.
    """
    models = CACHE / "models"
    program = [PROJECT / ".venv/model/bin/python", PROJECT / "tools/prepare_model.py"]
    arguments: list[str | Path] = ["--output-dir", models, *(("--weights", weights) if weights else ())]
    done = subprocess.run([*program, *arguments], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise WalkthroughError("the model could not be prepared: its own message stands above")
    return models / str(json.loads(done.stdout.splitlines()[-1])["fingerprint"])


def fill_bucket(store: S3Store, images: Path, model: Path) -> None:
    """The bucket's content: `images/<label>/<file>` and `models/<fingerprint>/`."""
    for path in pictures_in(images):
        obstore.put(store, f"images/{path.relative_to(images).as_posix()}", path.read_bytes(), use_multipart=False)
    for path in sorted(model.iterdir()):
        obstore.put(store, f"models/{model.name}/{path.name}", path.read_bytes(), use_multipart=False)


def kernel_environment(s3: s3_server.S3Endpoint, model: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """What the notebook's kernel finds: AWS's variables, Spark of this machine, and where its input lies.

    The notebook itself is the same here and on a cluster: all that differs is in these variables.
    """
    own = {name: value for name, value in environment.items() if not name.startswith(("AWS_", "SPARK_", "PYSPARK_"))}
    conf = {
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.log.level": "ERROR",
    }
    flags = " ".join(f'--conf "{name}={value}"' for name, value in conf.items())
    return own | {
        "AWS_ENDPOINT_URL_S3": s3.url,
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": s3.access_key,
        "AWS_SECRET_ACCESS_KEY": s3.secret_key,
        "AWS_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "PYSPARK_SUBMIT_ARGS": f"--master local[*] {flags} pyspark-shell",
        "PYSPARK_PYTHON": sys.executable,
        "PYTHONPATH": os.pathsep.join([str(PROJECT), str(PROJECT / "plugins")]),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
        "VERGER_BUCKET": BUCKET,
        "VERGER_MODEL_URI": f"s3://{BUCKET}/models/{model.name}",
    }


def run_notebook(out: Path, environment: Mapping[str, str]) -> None:
    """Run every cell in a kernel of its own and keep the notebook with its outputs, also when a cell fails.

    Raises:
        WalkthroughError: a cell failed, or took too long.
    """
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    client = NotebookClient(notebook, timeout=CELL_SECONDS, resources={"metadata": {"path": str(NOTEBOOK.parent)}})
    try:
        client.execute(env=dict(environment))
    except (CellExecutionError, CellTimeoutError, DeadKernelError, AssertionError) as error:
        # AssertionError: what nbclient makes of a kernel that died.
        raise WalkthroughError(f"a cell of {NOTEBOOK.name} failed:\n{error}\n{out} shows how far it came") from error
    finally:
        out.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, out)


def open_notebook(environment: Mapping[str, str]) -> int:
    """Open it in JupyterLab, which answers on this machine only and asks for its token; Jupyter's exit code."""
    command = [sys.executable, "-m", "jupyterlab", "--ip", "127.0.0.1", str(NOTEBOOK)]
    return subprocess.run(command, env=dict(environment), check=False).returncode


def walk(asked: Asked) -> int:
    """Start what the notebook needs, then Jupyter or the run. The exit code. Raises WalkthroughError, ServerError."""
    model = prepared_model(asked.weights)
    with tempfile.TemporaryDirectory(prefix="walkthrough-", dir=CACHE) as scratch:
        work = Path(scratch)
        images = asked.images or work / "drawn"
        if asked.images is None:
            write_images(images, DRAWN)
        settings = s3_server.S3Settings(
            data=work / "s3", work=work / "s3proxy", log=work / "s3.log", jars=CACHE / "jars/s3proxy"
        )
        (settings.data / BUCKET).mkdir(parents=True)  # a folder of the server's is a bucket
        with s3_server.running(settings) as s3:
            fill_bucket(_store(s3), images, model)
            environment = kernel_environment(s3, model, os.environ)
            if asked.out is None:
                return open_notebook(environment)
            run_notebook(asked.out, environment)
    print(f"{asked.out}: every cell ran")
    return 0


def _store(s3: s3_server.S3Endpoint) -> S3Store:
    return S3Store(
        BUCKET,
        endpoint=s3.url,
        region=REGION,
        access_key_id=s3.access_key,
        secret_access_key=s3.secret_key,
        virtual_hosted_style_request=False,
        client_options={"allow_http": True},
    )


def main() -> int:
    """The program."""
    try:
        return walk(parse_args(sys.argv[1:]))
    except (WalkthroughError, processes.ServerError, OSError) as error:
        print(f"verger: error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
