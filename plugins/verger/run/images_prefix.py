"""Where pictures may lie in the bucket: one rule for the form, the settings and `VERGER_IMAGES_PREFIX`."""

from verger.storage.file_names import harmful_character

#: The bucket's top folders that Verger writes itself (docs/formats.md).
OWN_FOLDERS = frozenset(
    {"certificates", "code", "features", "logs", "models", "rejects", "reports", "results", "runs", "wheels"}
)
#: Half of what a key of S3 may have: the other half is for the label and the file.
MAX_BYTES = 512

_HOW = "write it like images/ or 2026/summer/, folders with one / after each and without . and .."


def check_images_prefix(prefix: object) -> str | None:
    """What is wrong with a prefix and what to do; None when pictures may lie there.

    It must stand in its normal form: S3 takes `a/../b/`, `./b/` and `b/` for three folders, while browsers, programs
    and servers that keep objects as files take them for one, and that one may be Verger's own.
    """
    if not isinstance(prefix, str):
        return _HOW
    *folders, end = prefix.split("/")
    if end or not folders or any(folder in {"", ".", ".."} for folder in folders):
        return _HOW
    if harmful_character(prefix) or "\\" in prefix:
        return f"{_HOW}, and without backslashes, line breaks and other control characters"
    if len(prefix.encode()) > MAX_BYTES:
        return f"it is longer than {MAX_BYTES} bytes, choose a shorter one"
    # Servers that keep objects as files may not tell Results/ from results/.
    if folders[0].casefold() in OWN_FOLDERS:
        return "that folder is Verger's own, choose another"
    return None


def form_pattern() -> str:
    r"""The rule as far as a pattern can tell it, for Python's `re` and for browsers.

    `(?![\s\S])` is the end: before `$`, Python lets a line break pass.
    """
    own = "|".join("".join(f"[{letter}{letter.upper()}]" for letter in name) for name in sorted(OWN_FOLDERS))
    return (
        rf"^(?!(?:{own})/)(?:(?!\.{{1,2}}/)[^/\\\x00-\x1f\x7f-\x9f\u2028\u2029\u202d\u202e\ufffe\uffff]+/)+(?![\s\S])"
    )
