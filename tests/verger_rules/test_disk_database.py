"""Where long lists are worked on: bounded, refused when the disk has no room, and gone afterwards."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import duckdb
import pyarrow as pa
import pytest
from verger_rules.disk_database import DiskDatabaseError, DiskLimits, disk_database


def limits(folder: Path, memory_mib: int = 256) -> DiskLimits:
    return DiskLimits(folder, memory_mib, "VERGER_SPILL_FOLDER", "VERGER_PLAN_MEMORY_MIB")


def test_nothing_stays_whether_it_ends_well_or_not(tmp_path: Path) -> None:
    with disk_database(limits(tmp_path)) as space:
        space.execute("CREATE TABLE previous (path VARCHAR)")
        space.add("previous", pa.table({"path": ["a"]}))
        assert list(tmp_path.iterdir()) == [space.folder]
    with pytest.raises(LookupError), disk_database(limits(tmp_path)) as space:
        space.row("SELECT 1 WHERE false")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(DiskDatabaseError, match=r"(?s)missing.*No such file.*VERGER_SPILL_FOLDER"):
        disk_database(limits(tmp_path / "missing")).__enter__()


def test_a_file_in_its_place_is_too(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DiskDatabaseError, match="VERGER_SPILL_FOLDER"):
        disk_database(limits(tmp_path / "file")).__enter__()


def test_a_full_disk_is_told_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=100 * 2**20))
    with pytest.raises(DiskDatabaseError, match=r"has 100 MiB free, and this run needs about 256"):
        disk_database(limits(tmp_path)).__enter__()
    assert list(tmp_path.iterdir()) == []


def test_a_disk_without_room_for_what_is_to_come_is_told_when_it_is_known(tmp_path: Path) -> None:
    with pytest.raises(DiskDatabaseError, match="this run needs about"), disk_database(limits(tmp_path)) as space:
        space.check_room(10**12)


def test_what_a_killed_process_has_left_is_removed_by_the_next_and_what_another_works_in_is_not(tmp_path: Path) -> None:
    """SIGKILL in the middle, as a machine without memory does it."""
    program = (
        "import os, pathlib, signal\n"
        "from verger_rules.disk_database import DiskLimits, disk_database\n"
        f"with disk_database(DiskLimits(pathlib.Path({str(tmp_path)!r}), 256, '', '')):\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run([sys.executable, "-c", program], check=False, env={**os.environ, "PYTHONPATH": "plugins"})
    assert killed.returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    with disk_database(limits(tmp_path)) as working:
        for folder in (left, working.folder):
            os.utime(folder, (0, 0))
        with disk_database(limits(tmp_path)):
            assert working.folder.is_dir()
            assert not left.exists()


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        duckdb.IOException("Could not write file: No space left on device"),
        duckdb.OutOfMemoryException("failed to offload data block (1.0 GiB/1.0 GiB used)"),
    ],
    ids=str,
)
def test_a_disk_that_fills_in_the_middle_is_the_same_error(tmp_path: Path, error: Exception) -> None:
    with pytest.raises(DiskDatabaseError, match="there is no room left in"), disk_database(limits(tmp_path)):
        raise error
    assert list(tmp_path.iterdir()) == []


def test_too_little_memory_is_told_as_such_with_the_setting(tmp_path: Path) -> None:
    error = duckdb.OutOfMemoryException("failed to allocate data of size 64.0 MiB (556.3 MiB/512.0 MiB used)")
    with (
        pytest.raises(DiskDatabaseError, match=r"memory does not suffice: .*Set VERGER_PLAN_MEMORY_MIB higher"),
        disk_database(limits(tmp_path)),
    ):
        raise error


def test_a_full_disk_elsewhere_is_told_by_its_own_name(tmp_path: Path) -> None:
    error = OSError(errno.ENOSPC, "No space left on device", "/elsewhere/file")
    with pytest.raises(DiskDatabaseError, match="no room left in /elsewhere/file"), disk_database(limits(tmp_path)):
        raise error


def test_what_is_no_matter_of_room_keeps_its_own_name(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), disk_database(limits(tmp_path)):
        raise FileNotFoundError("a file of the table is gone")


def test_lists_that_memory_cannot_hold_are_sorted_on_the_disk(tmp_path: Path) -> None:
    """A million rows of 200 bytes in a database of 96 MiB."""
    with disk_database(limits(tmp_path, 96)) as space:
        space.execute("CREATE TABLE previous (path VARCHAR)")
        space.execute(
            "INSERT INTO previous SELECT lpad(((i * 7919) % 1000000)::VARCHAR, 200, '0') FROM range(1000000) t(i)"
        )
        batches = space.batches("SELECT path FROM previous ORDER BY path", 20_000)
        numbers = [int(path) for batch in batches for path in batch["path"].to_pylist()]
    assert numbers == list(range(1_000_000))
