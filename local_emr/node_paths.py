"""Paths of an EMR node, moved into the folder that plays the node's root on this machine."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

# What an EMR node has and this machine must not: packages under /opt, disks under /mnt. A path counts where a value
# or a word in it begins; `s3://bucket/opt/x` is none.
_NODE_PATH = re.compile(
    r"""(?:(?<=^)|(?<=[=:,;\s"'<>(])|(?<=file://)|(?<=local://))(?=/(?:opt|mnt)(?:/|$|[\s"',:;)]))"""
)
_OTHER_URI = re.compile(r"^(?:[\w.-]+=)?(?!file:|local:)[a-z][a-z0-9+.-]*://", re.IGNORECASE)


def on_node(value: str, node_root: Path) -> str:
    """The value with its paths under /opt and /mnt moved below `node_root`; other addresses stay as they are.

    Works on plain paths, `--option=/opt/x`, `key=/mnt/x`, path lists, `file:///opt/x` and the text of a shell command.
    """
    if _OTHER_URI.match(value):
        return value
    return _NODE_PATH.sub(lambda _: str(node_root), value)
