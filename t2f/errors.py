"""Errors that end in one sentence."""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager


class UserError(Exception):
    """Something that the user can mend. The message says what is wrong, where, and what to do."""


@contextmanager
def disk_errors(what: str) -> Iterator[None]:
    """Turn the operating system's errors on writing `what` into one sentence."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UserError(
                f"The disk is full, so {what} could not be written: free some space and run again."
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise UserError(
                f"No permission to write {what}: choose another folder (paths.cache=... or paths.runs=...)."
            ) from error
        raise


@contextmanager
def one_sentence_errors() -> Iterator[None]:
    """Print a `UserError`, also one that Hydra has wrapped, as one sentence and exit with status 1."""
    try:
        yield
    except Exception as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, UserError):
            cause = cause.__cause__ or cause.__context__
        if cause is None:
            raise
        print(f"error: {cause}", file=sys.stderr)
        raise SystemExit(1) from None
