"""Atomic writes of files."""

from __future__ import annotations

import csv
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from t2f.utils.errors import disk_errors

PARTIAL_FILES = ".*.part-*"
"""Glob pattern of the files that a process leaves behind if it is killed while it writes."""


@contextmanager
def atomic_write(path: Path, what: str) -> Iterator[Path]:
    """Replace a file atomically: other processes see the old content or all of the new content.

    Args:
        path: The file. Its folder is created if it is missing.
        what: Name of the file in error messages, as in "the table sweep.csv".

    Yields:
        A temporary path in the same folder. It replaces `path` if the block ends without an error, and is deleted
        otherwise.

    Raises:
        UserError: If the disk is full or the path cannot be written.
    """
    # A random suffix, because hosts that share a disk may have processes with equal ids.
    temporary = path.with_name(f".{path.name}.part-{secrets.token_hex(4)}")
    with disk_errors(what):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def write_csv(path: Path, columns: Iterable[str], rows: Iterable[Mapping[str, Any]], what: str) -> None:
    """Write a CSV file atomically, with empty cells for missing values; see `atomic_write`."""
    with atomic_write(path, what) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [*columns])
        writer.writeheader()
        writer.writerows(rows)
