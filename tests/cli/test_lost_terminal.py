"""Runs whose terminal, connection or output pipe is closed."""

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
from fixtures.command_line import fork_train, wait_for

from t2f.cli.entry_point import ClosedOutputIO, with_closed_output_ignored
from t2f.utils.checkpoints import read_checkpoint

LONG = [*TINY, "growth.images=[48,100000]", "callbacks.metrics.every=1000", "callbacks.sample_grids.every=100000"]


def images_seen(run: Path) -> int:
    return int(read_checkpoint(run / "checkpoints/last.ckpt")["t2f"]["images_seen"])


def wait_until(condition: Callable[[], bool]) -> None:
    for _ in range(3000):
        if condition():
            return
        time.sleep(0.1)
    raise AssertionError("the condition was not met within five minutes")


def train_on_a_terminal(tmp_path: Path, run: Path, *ignored: int) -> tuple[int, int]:
    """Start a training in a new terminal; return its process id and our end of the terminal."""
    parent_end, child_end = pty.openpty()
    process = os.fork()
    if process:
        os.close(child_end)
        return process, parent_end
    try:
        os.close(parent_end)
        os.setsid()
        fcntl.ioctl(child_end, termios.TIOCSCTTY, 0)
        for descriptor in (0, 1, 2):
            os.dup2(child_end, descriptor)
        for number in ignored:
            signal.signal(number, signal.SIG_IGN)
        os.chdir(ROOT)
        overrides = [*LONG, f"paths.runs={tmp_path}", f"hydra.run.dir={run}", "callbacks.checkpoints.every=200"]
        os.execv(sys.executable, [sys.executable, "train.py", *overrides])
    finally:
        os._exit(1)


def read_until(terminal: int, text: bytes) -> None:
    output = b""
    deadline = time.monotonic() + 200
    while text not in output:
        assert time.monotonic() < deadline, output
        if select.select([terminal], [], [], 1)[0]:
            output += os.read(terminal, 65536)


def test_a_run_saves_when_its_terminal_is_closed(tmp_path: Path) -> None:
    run = tmp_path / "run"
    process, terminal = train_on_a_terminal(tmp_path, run)
    read_until(terminal, b"Stage 2/2")
    os.close(terminal)
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    assert status == 128 + signal.SIGHUP
    assert images_seen(run) >= 48


def test_a_run_under_nohup_continues_when_its_terminal_is_closed(tmp_path: Path) -> None:
    run = tmp_path / "run"
    process, terminal = train_on_a_terminal(tmp_path, run, signal.SIGHUP)
    read_until(terminal, b"Stage 2/2")
    os.close(terminal)
    wait_until((run / "checkpoints/000000200.ckpt").exists)
    os.kill(process, signal.SIGTERM)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 128 + signal.SIGTERM
    assert images_seen(run) > 200


def test_a_hangup_signal_stops_the_run_with_a_message(tmp_path: Path) -> None:
    run = tmp_path / "run"
    process = fork_train(tmp_path / "log", *LONG, f"paths.runs={tmp_path}", f"hydra.run.dir={run}")
    wait_until((run / "checkpoints/last.ckpt").exists)
    os.kill(process, signal.SIGHUP)
    ended = wait_for(process, tmp_path / "log")
    assert ended.status == 128 + signal.SIGHUP
    assert "Stopped by SIGHUP." in ended.err
    assert "Traceback" not in ended.err
    assert f"resume={run}" in ended.out


def test_a_closed_pipe_does_not_stop_the_run(tmp_path: Path) -> None:
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
    assert all(line.startswith("note: ") for line in (tmp_path / "err").read_text().splitlines())
    assert len(shell.stdout.splitlines()) == 1
    assert images_seen(run) == 96


def test_only_errors_of_closed_output_are_ignored(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    stream = open(writing, "w")  # noqa: SIM115  # like sys.stdout
    wrapped = with_closed_output_ignored(stream)
    assert with_closed_output_ignored(wrapped) is wrapped
    print("read", file=wrapped, flush=True)
    assert os.read(reading, 100) == b"read\n"
    os.close(reading)
    print("lost", file=wrapped, flush=True)
    stream.close()
    if Path("/dev/full").exists():
        with pytest.raises(OSError, match="No space left"):
            ClosedOutputIO("/dev/full", "w").write(b"full")
