"""What this machine can give, as the system and its control group say it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from verger.here import machine
from verger.here.machine import (
    PROGRAM_MIB,
    WORKER_MIB,
    Machine,
    PlaceError,
    check_can_work,
    choose_processes,
    machine_region,
    read_machine,
)
from verger.run.deployment import Deployment
from verger.run.eu_guard import OutsideEuError


def system(folder: Path, files: dict[str, str]) -> Machine:
    meminfo = "MemTotal:  8388608 kB\nMemAvailable:  6291456 kB\n"
    for name, content in ({"proc/meminfo": meminfo, "proc/self/cgroup": "0::/\n"} | files).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return read_machine(folder, folder / "proc")


def test_without_limits_the_machine_s_own_count(tmp_path: Path) -> None:
    found = system(tmp_path, {"cpu.max": "max 100000\n", "memory.max": "max\n", "memory.current": "1\n"})
    assert found.free_mib == 6144
    assert found.processors >= 1


@pytest.mark.parametrize(
    "files",
    [
        {
            "cpu.max": "100000 100000\n",
            "memory.max": str(2**31),
            "memory.current": str(2**30),
            "memory.stat": f"anon 5\ninactive_file {2**29}\n",
        },
        {
            "cpu/cpu.cfs_quota_us": "150000",
            "cpu/cpu.cfs_period_us": "100000",
            "memory/memory.limit_in_bytes": str(2**31),
            "memory/memory.usage_in_bytes": str(2**30),
            "memory/memory.stat": f"total_rss 5\ntotal_inactive_file {2**29}\n",
            "proc/self/cgroup": "5:cpu,cpuacct:/on/the/host\n4:memory:/on/the/host\n",
        },
        {
            "system.slice/airflow.service/cpu.max": "max 100000\n",
            "system.slice/cpu.max": "100000 100000\n",
            "system.slice/airflow.service/memory.max": str(2**31),
            "system.slice/airflow.service/memory.current": str(2**29),
            "system.slice/airflow.service/memory.stat": "inactive_file 0\n",
            "proc/self/cgroup": "0::/system.slice/airflow.service\n",
        },
    ],
    ids=["version 2", "version 1 in a container", "a service of systemd"],
)
def test_a_control_group_s_limits_count_and_files_that_can_be_read_again_do_not(
    tmp_path: Path, files: dict[str, str]
) -> None:
    found = system(tmp_path, files)
    assert (found.processors, found.free_mib) == (1, 1536)


@given(st.integers(1, 64), st.integers(0, 300_000), st.integers(0, 64), st.integers(0, 10**7), st.floats(0, 20_000))
def test_all_workers_together_fit_into_the_memory_and_none_waits_for_a_processor(
    processors: int, free: int, most: int, images: int, peak: float
) -> None:
    program = PROGRAM_MIB + images / 1000
    try:
        chosen = choose_processes(Machine(processors, free, "x86_64"), most, images, peak)
    except PlaceError:
        assert (program + max(WORKER_MIB, peak)) * 1.25 >= free
        return
    assert 1 <= chosen <= processors
    assert most == 0 or chosen <= most
    assert program + chosen * max(WORKER_MIB, peak) <= free


def metadata(region: str | None) -> Callable[[str, float], str]:
    """EC2's metadata service, or none."""

    def ask(_: str, __: float) -> str:
        if region is None:
            raise ConnectionRefusedError
        return region

    return ask


@pytest.mark.parametrize(
    ("told", "variable", "found"),
    [
        ("eu-west-3", None, "eu-west-3"),
        ("eu-west-3", "eu-west-1", "eu-west-3"),
        (None, "eu-north-1", "eu-north-1"),
        ("nova", "eu-north-1", "eu-north-1"),
        ("<html>", "eu-north-1", "eu-north-1"),
    ],
)
def test_the_region_is_the_metadata_s_or_the_installation_s(
    monkeypatch: pytest.MonkeyPatch, told: str | None, variable: str | None, found: str
) -> None:
    monkeypatch.setattr(machine, "ask_instance", metadata(told))
    assert machine_region(Deployment(Path(), machine_region=variable), is_local=False) == found


def test_a_machine_that_nobody_places_in_the_eu_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "ask_instance", metadata(None))
    with pytest.raises(PlaceError, match="VERGER_MACHINE_REGION"):
        machine_region(Deployment(Path()), is_local=False)
    for region in ("us-east-1", "eu-west-2"):
        monkeypatch.setattr(machine, "ask_instance", metadata(region))
        with pytest.raises(OutsideEuError, match=f"'{region}', which is not in the EU"):
            machine_region(Deployment(Path(), machine_region="eu-west-1"), is_local=False)
    assert machine_region(Deployment(Path()), is_local=True) == "local"


def test_what_is_missing_is_named_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(PlaceError, match=r"VERGER_NODE_PYTHON is ''\): make an environment"):
        check_can_work(Deployment(Path()), "litert", is_local=True)
    python = tmp_path / "python"
    deployment = Deployment(Path(), node_python=python)
    with pytest.raises(PlaceError, match=r"VERGER_NODE_PYTHON is '.*python'"):
        check_can_work(deployment, "litert", is_local=True)
    python.touch()
    assert check_can_work(deployment, "litert", is_local=True) == "local"
    with pytest.raises(PlaceError, match="engine is 'keras'"):
        check_can_work(deployment, "keras", is_local=True)
