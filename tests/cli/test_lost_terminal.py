"""Runs whose terminal is closed, whose connection is lost, or whose output nobody reads any more."""

import fcntl
import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import ROOT, TINY
from fixtures.typing_at import fork_train, wait_for

from t2f.cli.entry_point import OutlivesReaders, that_outlives
from t2f.utils.checkpoints import read_checkpoint

LONG = [*TINY, "growth.images=[48,100000]", "callbacks.metrics.every=1000", "callbacks.sample_grids.every=100000"]


def seen(run: Path) -> int:
    return int(read_checkpoint(run / "checkpoints/last.ckpt")["t2f"]["images_seen"])


def wait_until(condition: Callable[[], bool]) -> None:
    for _ in range(3000):
        if condition():
            return
        time.sleep(0.1)
    raise AssertionError("it has not come to pass within minutes")


def train_on_a_terminal(tmp_path: Path, run: Path, *ignored: int) -> tuple[int, int]:
    """A training as the only program of a new terminal: its process, and the terminal's other end."""
    ours, theirs = pty.openpty()
    process = os.fork()
    if process:
        os.close(theirs)
        return process, ours
    try:
        os.close(ours)
        os.setsid()
        fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)
        for descriptor in (0, 1, 2):
            os.dup2(theirs, descriptor)
        for number in ignored:
            signal.signal(number, signal.SIG_IGN)
        os.chdir(ROOT)
        words = [*LONG, f"paths.runs={tmp_path}", f"hydra.run.dir={run}", "callbacks.checkpoints.every=200"]
        os.execv(sys.executable, [sys.executable, "train.py", *words])
    finally:
        os._exit(1)


def read_until(terminal: int, words: bytes) -> None:
    shown = b""
    deadline = time.monotonic() + 200
    while words not in shown:
        assert time.monotonic() < deadline, shown
        if select.select([terminal], [], [], 1)[0]:
            shown += os.read(terminal, 65536)


def test_a_terminal_that_is_closed_lets_the_run_save(tmp_path: Path) -> None:
    run = tmp_path / "run"
    process, terminal = train_on_a_terminal(tmp_path, run)
    read_until(terminal, b"Stage 2/2")
    os.close(terminal)
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    assert status == 128 + signal.SIGHUP
    assert seen(run) >= 48


def test_a_run_that_is_to_outlive_its_terminal_does(tmp_path: Path) -> None:
    """As nohup starts it."""
    run = tmp_path / "run"
    process, terminal = train_on_a_terminal(tmp_path, run, signal.SIGHUP)
    read_until(terminal, b"Stage 2/2")
    os.close(terminal)
    wait_until((run / "checkpoints/000000200.ckpt").exists)
    os.kill(process, signal.SIGTERM)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 128 + signal.SIGTERM
    assert seen(run) > 200


def test_a_hangup_is_a_signal_like_others(tmp_path: Path) -> None:
    run = tmp_path / "run"
    process = fork_train(tmp_path / "log", *LONG, f"paths.runs={tmp_path}", f"hydra.run.dir={run}")
    wait_until((run / "checkpoints/last.ckpt").exists)
    os.kill(process, signal.SIGHUP)
    ended = wait_for(process, tmp_path / "log")
    assert ended.status == 128 + signal.SIGHUP
    assert "Stopped by SIGHUP." in ended.err
    assert "Traceback" not in ended.err
    assert f"resume={run}" in ended.out


def test_a_reader_that_ends_does_not_end_the_run(tmp_path: Path) -> None:
    run = tmp_path / "run"
    command = f"{sys.executable} train.py {' '.join(TINY)} paths.runs={tmp_path} hydra.run.dir={run}"
    shell = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command} 2>{tmp_path}/err | head -1"],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    assert shell.returncode == 0
    assert (tmp_path / "err").read_text() == ""
    assert len(shell.stdout.splitlines()) == 1
    assert seen(run) == 96


def test_errors_of_writing_are_told_but_for_those_of_a_lost_reader(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    stream = open(writing, "w")  # noqa: SIM115  # as sys.stdout is
    lasting = that_outlives(stream)
    assert that_outlives(lasting) is lasting
    print("read", file=lasting, flush=True)
    assert os.read(reading, 100) == b"read\n"
    os.close(reading)
    print("lost", file=lasting, flush=True)
    stream.close()
    if Path("/dev/full").exists():
        with pytest.raises(OSError, match="No space left"):
            OutlivesReaders("/dev/full", "w").write(b"full")
