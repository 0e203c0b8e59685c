"""The command line as a user types it, without the seconds that the imports of a new process take."""

import io
import os
import runpy
import signal
import sys
import traceback
from pathlib import Path
from typing import NamedTuple

from conftest import ROOT

import train  # noqa: F401  # all that a run imports, before the fork


class Ended(NamedTuple):
    """How a command ended, and what it wrote."""

    status: int
    out: str
    err: str


def fork_train(log: Path, *words: str, environment: dict[str, str] | None = None) -> int:
    """`python train.py WORDS` in a fork of this process, in a group of its own; its number. Output goes into `log`."""
    process = os.fork()
    if process:
        return process
    status = 1
    try:
        os.setpgid(0, 0)
        for descriptor, ending in ((1, "out"), (2, "err")):
            file = os.open(f"{log}.{ending}", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(file, descriptor)
        sys.stdout, sys.stderr = map(unbuffered, (1, 2))
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
        os.environ.update(environment or {})
        sys.argv = ["train.py", *words]
        runpy.run_path(str(ROOT / "train.py"), run_name="__main__")
        status = 0
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else int(bool(ended.code))
        if isinstance(ended.code, str):
            print(ended.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    finally:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:  # or this process would go on with the tests
            os._exit(status)


def unbuffered(descriptor: int) -> io.TextIOWrapper:
    """A stream of text as Python starts with."""
    return io.TextIOWrapper(io.BufferedWriter(io.FileIO(descriptor, "w", closefd=False)), line_buffering=True)


def wait_for(process: int, log: Path) -> Ended:
    """The end of a process that `fork_train` started."""
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    out, err = (Path(f"{log}.{ending}") for ending in ("out", "err"))
    ended = Ended(status, *(file.read_text() if file.exists() else "" for file in (out, err)))
    for file in (out, err):
        file.unlink(missing_ok=True)
    return ended


def typed(folder: Path, *words: str, environment: dict[str, str] | None = None) -> Ended:
    """`python train.py WORDS`, to its end."""
    log = folder / "typed"
    return wait_for(fork_train(log, *words, environment=environment), log)
