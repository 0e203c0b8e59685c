"""Entry points of all commands: signals, closed terminals and pipes, and errors in one sentence."""

from __future__ import annotations

import errno
import io
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from t2f.utils.errors import one_sentence_errors
from t2f.utils.signals import exit_on_signals

CLOSED_OUTPUT = (errno.EIO, errno.EPIPE)
"""Errors of a write to a closed terminal, and to a pipe without a reader."""


@contextmanager
def command_line() -> Iterator[None]:
    """Turn a signal or a `UserError` in the block into one line on stderr and an exit status."""
    ignore_closed_output()
    with exit_on_signals(), one_sentence_errors():
        yield


class ClosedOutputIO(io.FileIO):
    """File descriptor whose writes are discarded once its terminal or pipe is closed."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data) or 0
        except OSError as error:
            if error.errno not in CLOSED_OUTPUT:
                raise
            return memoryview(data).nbytes


def ignore_closed_output() -> None:
    """Keep a run alive when its output is closed, as by `| head -1` or a lost connection."""
    sys.stdout, sys.stderr = (with_closed_output_ignored(stream) for stream in (sys.stdout, sys.stderr))


def with_closed_output_ignored(stream: TextIO) -> TextIO:
    """Reopen a text stream on its descriptor; a stream that is not a plain text file is returned unchanged."""
    if type(stream) is not io.TextIOWrapper or isinstance(getattr(stream.buffer, "raw", None), ClosedOutputIO):
        return stream
    stream.flush()
    raw = ClosedOutputIO(stream.fileno(), "w", closefd=False)
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def run_hydra(main: Callable[[], Any]) -> None:
    """Run a function decorated with `hydra.main` as a command."""
    with command_line():
        # Here, because these imports take seconds, in which signals are handled already.
        from t2f.training.resolvers import register_resolvers
        from t2f.utils.private_api import raise_errors_of_hydra

        register_resolvers()
        raise_errors_of_hydra()
        main()
