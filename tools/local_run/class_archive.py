"""Class data sharing: what a JVM has loaded and checked once, kept in a file that the next one maps into its memory.

`tools/make_class_archives.py` makes the files at set-up. One fits one Java and one class path; with any other the JVM
starts as if it were not there (https://docs.oracle.com/en/java/javase/17/vm/class-data-sharing.html).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

#: Its name in the folder of the jars that it is made for.
NAME = "classes.jsa"
# An archive that does not fit is no news to anybody.
_QUIET = ("-Xlog:cds=off", "-Xlog:cds+dynamic=off")


def reading(archive: Path) -> tuple[str, ...]:
    """The JVM's options to start from an archive; none when there is none."""
    return (f"-XX:SharedArchiveFile={archive}", *_QUIET) if archive.is_file() else ()


def writing(archive: Path) -> tuple[str, ...]:
    """The JVM's options to write an archive when it ends by itself or by SIGTERM."""
    return (f"-XX:ArchiveClassesAtExit={archive}", *_QUIET)
