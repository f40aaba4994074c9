"""The bootstrap action, run for real on this machine."""

import os
import re
import subprocess
from pathlib import Path

import pytest


def bootstrap(project: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = ["bash", str(project / "bootstrap" / "bootstrap.sh"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **variables})


@pytest.fixture(scope="module")
def prefix(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    prefix = tmp_path_factory.mktemp("node") / "verger"
    done = bootstrap(project, *arguments(project, prefix))
    assert done.returncode == 0, done.stderr
    assert "made in" in done.stdout
    return prefix


def arguments(project: Path, prefix: Path) -> list[str]:
    return ["--requirements", str(project / "bootstrap" / "requirements.txt"), "--prefix", str(prefix)]


def test_the_node_s_python_has_what_the_jobs_import_and_no_spark_or_tensorflow(prefix: Path) -> None:
    check = "import ai_edge_litert, deltalake, numpy, obstore, PIL, pyarrow, importlib.util as u; "
    check += "assert not u.find_spec('pyspark') and not u.find_spec('tensorflow')"
    subprocess.run([str(prefix / "venv" / "bin" / "python"), "-c", check], check=True)


def test_the_keras_engine_is_not_ready_without_tensorflow(project: Path, prefix: Path) -> None:
    done = bootstrap(project, *arguments(project, prefix), "--engine", "keras")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("bootstrap: error: the packages cannot be imported: ModuleNotFound")


#: Tells which of its packages' shared libraries a process has loaded.
LOADED = """
import re, sys
maps = open('/proc/self/maps').read()
print(*sorted(set(re.findall(r'site-packages/([^ \\n]+[.]so[^ \\n]*)', maps))), sep='\\n')
"""


def loaded_libraries(prefix: Path, script: str, folder: Path) -> set[str]:
    command = [str(prefix / "venv" / "bin" / "python"), "-c", script + LOADED]
    paths = {"PYTHONPATH": f"{folder}:{folder / 'plugins'}"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, **paths})
    return set(done.stdout.splitlines())


def test_the_bootstrap_s_last_check_loads_every_shared_library_that_the_jobs_load(project: Path, prefix: Path) -> None:
    """A library that a node's own C library is too old for fails there, and not in the middle of a step.

    What runs on Spark's side alone (it imports pyspark) uses no other package than these modules.
    """
    words = (project / "bootstrap" / "bootstrap.sh").read_text()
    modules = ", ".join(re.findall(r'modules="\$modules, (.*)"', words))
    checked = loaded_libraries(prefix, f"import ai_edge_litert.interpreter, {modules}\n", project)
    assert "ai_edge_litert.interpreter" in words
    jobs = """
import io
from PIL import Image
from ai_edge_litert.interpreter import Interpreter
from spark_jobs.pca import feature_blocks, moments, pca_model_files, results_writer
from spark_jobs.steps import manifest, model_files, table_upkeep
from spark_jobs.store import answers_store, object_store, remote_file, table_file, table_store
from spark_jobs.worker import decode, fetch, infer
from verger_rules import answers, csv_text
for kind in decode.FORMATS:
    stored = io.BytesIO()
    Image.new('RGB', (300, 240), (200, 30, 40)).save(stored, kind)
    decode.decode_image(stored.getvalue(), 10**8)
"""
    # Pillow tries all its readers when it looks for WebP's, and does without those that do not load.
    used = {file for file in loaded_libraries(prefix, jobs, project) if "avif" not in file}
    assert used
    assert used <= checked, sorted(used - checked)


@pytest.mark.parametrize(
    "library",
    [
        "ai_edge_litert/_pywrap*interpreter*.so",
        "PIL/_imaging.*.so",
        "obstore/_obstore*.so",
        "pyarrow/_parquet.*.so",
        "deltalake/_internal*.so",
    ],
)
def test_a_library_that_does_not_load_on_this_node_fails_the_bootstrap_with_its_name(
    project: Path, prefix: Path, library: str
) -> None:
    (file, *_) = (prefix / "venv" / "lib" / "python3.11" / "site-packages").glob(library)
    whole = file.read_bytes()
    file.unlink()  # pip may have made it a link into its cache
    file.write_bytes(b"no ELF")
    try:
        done = bootstrap(project, *arguments(project, prefix))
    finally:
        file.write_bytes(whole)
    assert done.returncode == 1
    assert "the packages cannot be imported" in done.stderr.splitlines()[-1]
    assert file.name in done.stderr.splitlines()[-1]


@pytest.mark.long
def test_tensorflow_is_installed_where_the_keras_engine_is_asked_for(project: Path, tmp_path: Path) -> None:
    requirements = str(project / "bootstrap" / "requirements-keras.txt")
    done = bootstrap(project, "--requirements", requirements, "--engine", "keras", "--prefix", str(tmp_path / "v"))
    assert done.returncode == 0, done.stderr
    assert "ready: " in done.stdout


def test_both_engines_nodes_have_the_same_versions_of_what_both_need(project: Path) -> None:
    def pins(name: str) -> set[str]:
        lines = (project / "bootstrap" / name).read_text().splitlines()
        return {line.split(" ")[0] for line in lines if "==" in line and not line.startswith((" ", "#"))}

    assert pins("requirements.txt") < pins("requirements-keras.txt")
    assert any(pin.startswith("tensorflow==") for pin in pins("requirements-keras.txt"))
    assert not any(pin.startswith("tensorflow==") for pin in pins("requirements.txt"))


def test_a_second_run_finds_the_packages_and_is_done(project: Path, prefix: Path) -> None:
    done = bootstrap(project, *arguments(project, prefix))
    assert done.returncode == 0
    assert "is there already" in done.stdout
    assert [path.name for path in prefix.glob(".bootstrap*")] == []


def test_a_package_without_its_hash_is_refused_and_the_old_environment_stays(
    project: Path, prefix: Path, tmp_path: Path
) -> None:
    before = (prefix / "venv").resolve()
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("six==1.16.0\n")
    done = bootstrap(project, "--requirements", str(requirements), "--prefix", str(prefix))
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("bootstrap: error: pip could not install")
    assert (prefix / "venv").resolve() == before


@pytest.fixture(scope="module")
def wheelhouse(project: Path, prefix: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The nodes' packages as files, fetched by pip as docs/operations.md says."""
    folder = tmp_path_factory.mktemp("wheels")
    pip = [str(prefix / "venv" / "bin" / "python"), "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    wanted = ["--only-binary", ":all:", "--require-hashes", "--requirement", "bootstrap/requirements.txt"]
    subprocess.run([*pip, *wanted, "--dest", str(folder)], check=True, cwd=project)
    return folder


#: Nothing listens there: whoever asks an index fails.
NO_INDEX = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_EXTRA_INDEX_URL": "", "PIP_RETRIES": "0"}


def test_with_a_wheelhouse_no_index_is_asked(project: Path, wheelhouse: Path, tmp_path: Path) -> None:
    done = bootstrap(project, *arguments(project, tmp_path / "v"), "--wheelhouse", f"{wheelhouse}/", **NO_INDEX)
    assert done.returncode == 0, done.stderr
    assert "ready: " in done.stdout
    assert not (tmp_path / "v").joinpath("wheels").exists()


def test_a_wheelhouse_that_lacks_a_package_is_refused_and_never_completed_from_elsewhere(
    project: Path, wheelhouse: Path, tmp_path: Path
) -> None:
    partial = tmp_path / "partial"
    partial.mkdir()
    (one, *_) = wheelhouse.glob("obstore-*.whl")
    partial.joinpath(one.name).write_bytes(one.read_bytes())
    done = bootstrap(project, *arguments(project, tmp_path / "v"), "--wheelhouse", str(partial))
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("bootstrap: error: pip could not install")


def test_an_empty_wheelhouse_is_one_clear_error(project: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = bootstrap(project, *arguments(project, tmp_path / "v"), "--wheelhouse", str(tmp_path / "empty"))
    assert done.returncode == 1
    assert str(tmp_path / "empty") in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ([], "--requirements"),
        (["--requirements"], "--requirements has no value"),
        (["--requirements", "x"], "--prefix"),
        (["--requirements", "x", "--prefix", "opt"], "'opt'"),
        (["--requirments", "x"], "--requirments"),
        (["--requirements", "x", "--engine", "torch"], "'torch'"),
        (["--requirements", "x", "--prefix", "/p", "--end-after-minutes", "soon"], "'soon'"),
        (["--requirements", "x", "--prefix", "/p", "--end-after-minutes", "0"], "'0'"),
        # and, above all, not switched off:
        (["--requirements", "x", "--prefix", "/p", "--end-after-minutes", "90"], "no node of a cluster"),
    ],
)
def test_a_wrong_argument_is_one_clear_error(project: Path, words: list[str], named: str) -> None:
    done = bootstrap(project, *words)
    assert done.returncode == 1
    assert named in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_requirements_that_cannot_be_read_are_named(project: Path, tmp_path: Path) -> None:
    done = bootstrap(project, "--requirements", str(tmp_path / "none.txt"), "--prefix", str(tmp_path / "p"))
    assert done.returncode == 1
    assert "none.txt could not be read" in done.stderr
