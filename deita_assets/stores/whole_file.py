"""Small files that readers see whole or not at all.

What belongs here: replacing one file at once. What does not: folders (new_folder), or what has to be on the disk before
anything after it (new_folder.sync).
"""

from __future__ import annotations

import os
from pathlib import Path


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file beside its place and rename it: a kill leaves the old one, and a hidden `.part` at most."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}.part")
    fresh.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
    fresh.replace(path)
