"""How the variants of Fruits-360 lie in their archives, and where their pictures go.

As of November 2026, in the archives that GitHub makes of https://github.com/fruits-360, below a folder that is called
like the repository and its branch:

    100x100          Training/<label>/<file>, Test/<label>/<file>
    original-size    the same, and Validation/<label>/<file>
    3-body-problem   Training/<label>/<variety>/<file>, Test/<label>/<variety>/<file>
    multi            test-multiple_fruits/<what is in it>_<number>.jpg

Kaggle's archive holds all of them, each in a folder like fruits-360_100x100/.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

#: The parts that Fruits-360 is divided into.
PARTS = {"training": "Training", "test": "Test", "validation": "Validation"}
#: The one part of pictures with several fruits.
SEVERAL = "test-multiple_fruits"
_REPOSITORY = re.compile(r"fruits-360[-_](100x100|original-size|3-body-problem|multi)(?:[-_].*)?")
_NUMBER = re.compile(r"[ _-]*\d+$")
#: The label of a picture of several fruits whose name is a number alone.
UNNAMED = "unnamed"


@dataclass(frozen=True)
class Variant:
    """One variant of the data set.

    Attributes:
        name: as the data set calls it; empty for any archive with parts.
        url: where its archive is fetched.
        parts: the parts that it has.
        shape: how its pictures lie, for people.
        place: where a picture goes, by the folders and the file of its name; None for what is not a picture of a part.
    """

    name: str
    url: str
    parts: tuple[str, ...]
    shape: str
    place: Callable[[Sequence[str]], PurePosixPath | None]


def _in_any(names: Sequence[str]) -> PurePosixPath | None:
    """`<collection>/<part>/<label>/<file>`, whatever the collection is called."""
    if len(names) < 3 or names[-3].lower() not in PARTS:  # noqa: PLR2004 - part, label, file
        return None
    *above, part, label, file = names
    return PurePosixPath(above[-1] if above else "fruits-360", PARTS[part.lower()], label, file)


def _in_parts(variant: str) -> Callable[[Sequence[str]], PurePosixPath | None]:
    """`<part>/<label>/<file>` of one variant."""

    def place(names: Sequence[str]) -> PurePosixPath | None:
        found = _in_any(names)
        return _below(variant, names[:-3], *found.parts[1:]) if found else None

    return place


def _in_varieties(names: Sequence[str]) -> PurePosixPath | None:
    """`<part>/<label>/<variety>/<file>`: the label has to be the last folder, so the variety goes into the file's name.

    The varieties of a label have files of the same names, and Training and Test have different varieties.
    """
    found = _in_any(names[:-1])
    if found is None:
        return _in_parts("3-body-problem")(names)
    *_, part, label, variety = found.parts
    return _below("3-body-problem", names[:-4], part, label, f"{variety} {names[-1]}")


def _of_several(names: Sequence[str]) -> PurePosixPath | None:
    """`test-multiple_fruits/<what is in it>_<number>.jpg`: a picture's name is what there is of a label."""
    *above, folder, file = ("", *names) if len(names) == 1 else names
    if folder == SEVERAL:
        return _below("multi", above, SEVERAL, _NUMBER.sub("", PurePosixPath(file).stem) or UNNAMED, file)
    if above and above[-1] == SEVERAL:
        return _below("multi", above[:-1], SEVERAL, folder, file)
    return None


def _below(variant: str, above: Sequence[str], *rest: str) -> PurePosixPath | None:
    """The place in a variant's folder; None when the folders above say that the picture is of another variant."""
    named = [found[1] for folder in above if (found := _REPOSITORY.fullmatch(folder))]
    return PurePosixPath(f"fruits-360-{variant}", *rest) if not named or named[-1] == variant else None


def _variant(
    name: str, parts: tuple[str, ...], shape: str, place: Callable[[Sequence[str]], PurePosixPath | None]
) -> Variant:
    # GitHub's own address of the archive of a branch; github.com/.../archive/refs/heads/main.zip leads there.
    return Variant(
        name, f"https://codeload.github.com/fruits-360/fruits-360-{name}/zip/refs/heads/main", parts, shape, place
    )


#: A copy in the EU (Ireland) on S3, which lets a download be continued; some 1.4 GB. Kaggle's asks for an account.
ANY = Variant(
    "",
    "https://s3.eu-west-1.amazonaws.com/course.oc-static.com/projects/Data_Scientist_P8/fruits.zip",
    tuple(PARTS.values()),
    "<part>/<label>/<picture>",
    _in_any,
)
VARIANTS = {
    variant.name: variant
    for variant in (
        _variant("100x100", ("Training", "Test"), "<part>/<label>/<picture>", _in_parts("100x100")),
        _variant(
            "original-size", ("Training", "Validation", "Test"), "<part>/<label>/<picture>", _in_parts("original-size")
        ),
        _variant("3-body-problem", ("Training", "Test"), "<part>/<label>/<variety>/<picture>", _in_varieties),
        _variant("multi", (SEVERAL,), f"{SEVERAL}/<what is in it>_<number>.jpg", _of_several),
    )
}
