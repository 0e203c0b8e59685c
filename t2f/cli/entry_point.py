"""What stands around every command: signals, output that nobody reads any more, errors that end in one sentence."""

from __future__ import annotations

import errno
import io
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from t2f.utils.errors import one_sentence_errors
from t2f.utils.signals import exit_on_signals

NOBODY_READS = (errno.EIO, errno.EPIPE)
"""Errors of writing to a terminal that was closed, and to a pipe whose reader has ended."""


@contextmanager
def command_line() -> Iterator[None]:
    """Let a signal or an error that the user can mend end the block with one line and an exit status."""
    outlive_readers()
    with exit_on_signals(), one_sentence_errors():
        yield


class OutlivesReaders(io.FileIO):
    """A file descriptor to which writing goes on, to no effect, when its terminal or its reader is gone."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data) or 0
        except OSError as error:
            if error.errno not in NOBODY_READS:
                raise
            return memoryview(data).nbytes


def outlive_readers() -> None:
    """Let no work end because nobody reads what it prints: `| head -1`, or a connection that was lost."""
    sys.stdout, sys.stderr = (that_outlives(stream) for stream in (sys.stdout, sys.stderr))


def that_outlives(stream: TextIO) -> TextIO:
    """The same stream for its descriptor; itself, where another program has put something in its place."""
    if type(stream) is not io.TextIOWrapper or isinstance(getattr(stream.buffer, "raw", None), OutlivesReaders):
        return stream
    stream.flush()
    raw = OutlivesReaders(stream.fileno(), "w", closefd=False)
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def run_hydra(main: Callable[[], Any]) -> None:
    """A function of `hydra.main`, at the command line."""
    import hydra._internal.utils as hydra

    # What a resolver raises, Hydra prints with its whole stack trace, and has no public way to be kept from it but
    # HYDRA_FULL_ERROR, which the processes of a run would inherit. Tried with Hydra 1.3.
    hydra.run_and_report = lambda func: func()
    with command_line():
        main()
