"""What a file's name says, wherever it lies: whose file it is, what may be a key, how it is printed."""

import re
import unicodedata

#: Folders that systems and programs keep for themselves beside people's files, in lower case. Names that begin with a
#: dot need no entry: `.ipynb_checkpoints`, `.thumbnails`, `.Trash-1000`, `.@__thumb`, `.git`.
_SYSTEM_FOLDERS = frozenset({
    "__macosx", "temporary items", "network trash folder", "thevolumesettingsfolder",  # macOS: in zips, on shares
    "$recycle.bin", "recycler", "recycled", "system volume information",  # Windows
    "@eadir", "#recycle", "#snapshot", "@tmp", "@sharebin",  # Synology
    "@recycle", "@recently-snapshot",  # QNAP
    "~snapshot",  # NetApp
    "lost+found", "lost.dir",  # Linux, Android
    "__pycache__",
})  # fmt: skip
#: What chkdsk names the folders that it saves lost files in.
_FOUND = re.compile(r"found\.\d{3}")
_SYSTEM_FILES = frozenset(
    {"thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "picasa.ini", "zbthumbnail.info", "icon\r"}
)
#: What Hadoop and EMR put beside a folder.
_HADOOP_FOLDER = "_$folder$"
#: A regular expression of RE2 that, capitals apart, finds every name that `system_part` may take for a system's, and
#: few others: lists of millions are looked through with it.
MAY_BE_OF_A_SYSTEM = (
    r"(?:^|/)(?:\.|found\.[0-9]{3}/|(?:"
    + "|".join(re.escape(name) for name in sorted(_SYSTEM_FOLDERS))
    + ")/|(?:"
    + "|".join(re.escape(name) for name in sorted(_SYSTEM_FILES))
    + r")\z)|_\$folder\$\z"
)

#: Embeddings, overrides and isolates: they change the direction of what comes after them, so a name could rewrite the
#: line that it stands in (https://www.unicode.org/reports/tr9/#Directional_Formatting_Characters).
_TURNS_TEXT = "\u202a-\u202e\u2066-\u2069"
#: C0, DEL and C1 command a terminal, two separators end a line, halves of surrogate pairs are not UTF-8.
_NEVER_PRINTED = re.compile(f"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff{_TURNS_TEXT}]")
#: Of those, isolates and embeddings are in honest Arabic and Hebrew names, overrides in none. U+FFFE and U+FFFF cannot
#: stand in XML, in which S3 is told what to delete (https://www.w3.org/TR/xml/#charsets).
_NEVER_A_KEY = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202d\u202e\ufffe\uffff\ud800-\udfff]")


def system_part(name: str) -> str | None:
    """The folder (ending in `/`) or file of a name that belongs to a system or is hidden; None for people's own files.

    `name` is relative to where the pictures begin, with `/` between folders: what lies above that does not count.
    Capitals do not count either, as on the systems whose folders these are.
    """
    *folders, file = name.split("/")
    end = 0
    for folder in folders:
        end += len(folder) + 1
        if _is_hidden(folder) or (known := folder.lower()) in _SYSTEM_FOLDERS or _FOUND.fullmatch(known):
            return name[:end]
    return name if _is_hidden(file) or file.lower() in _SYSTEM_FILES or file.endswith(_HADOOP_FOLDER) else None


def _is_hidden(part: str) -> bool:
    return part.startswith(".") and part not in {".", ".."}


def is_folder(key: str, size: int) -> bool:
    """Whether an object is what consoles create for an empty folder, and no file of anybody's."""
    return key.endswith("/") and not size


def harmful_character(name: str) -> str | None:
    """The first character of a name that no key may hold, as `U+000A`; None when there is none.

    Everything else that is UTF-8 may stand in a key: spaces of all widths, joiners of emoji, soft hyphens, private and
    unassigned characters, which are only newer than Python's tables.
    """
    found = _NEVER_A_KEY.search(name)
    return f"U+{ord(found[0]):04X}" if found else None


def printable(name: str) -> str:
    r"""A name as it can stand in a log, on a terminal or in a page: `\x1b` or `\u202e` for what would act there."""
    return _NEVER_PRINTED.sub(lambda found: _escaped(ord(found[0])), name)


def _escaped(code: int) -> str:
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"  # noqa: PLR2004 -- two digits, or four


def one_form(text: str) -> str:
    """A text in Unicode's form NFC: the same letters are then the same characters, whatever system wrote them."""
    return unicodedata.normalize("NFC", text)
