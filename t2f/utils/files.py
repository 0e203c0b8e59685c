"""Files that are whole, or not there."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from t2f.utils.errors import disk_errors

LEFT_BY_A_CRASH = ".*.part-*"
"""What a process that was killed while it wrote leaves in the folder."""


@contextmanager
def atomic_write(path: Path, what: str) -> Iterator[Path]:
    """A place beside `path`, in its folder, for a file that takes the path's place when the block ends well.

    Raises `UserError`, which names `what`, where the disk is full or cannot be written.
    """
    side = path.with_name(f".{path.name}.part-{secrets.token_hex(4)}")  # hosts that share a disk share process numbers
    with disk_errors(what):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield side
            side.replace(path)
        finally:
            side.unlink(missing_ok=True)
