"""Signals while faces are drawn or decoded by several processes, as a terminal sends them: to all at once."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SCRIPT = """
import sys, time
from t2f.cli.entry_point import command_line
from t2f.data.images.decode import in_parallel

def wait(number):
    print("working", flush=True)
    time.sleep(60)

if __name__ == "__main__":
    with command_line():
        print("starting", flush=True)
        list(in_parallel(wait, range(10), loader.workers=2))
"""
AVATARS = """
import sys
from t2f.cli.entry_point import command_line
from t2f.data.datasets.avatars import Avatars

if __name__ == "__main__":
    with command_line():
        print("starting", flush=True)
        Avatars(sys.argv[1], count=100_000, held_out=10, loader.workers=2).prepare()
"""


def start(tmp_path: Path, text: str) -> subprocess.Popen[str]:
    script = tmp_path / "script.py"
    script.write_text(text)
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    return subprocess.Popen(
        [sys.executable, str(script), str(tmp_path / "cache")],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def alive(group: int) -> bool:
    """Whether any process of a group lives, be it for a moment more."""
    for _ in range(100):
        shown = subprocess.run(["ps", "-eo", "pgid=,stat="], check=True, capture_output=True, text=True).stdout
        if not any(
            line.split()[0] == str(group) and not line.split()[1].startswith("Z") for line in shown.splitlines()
        ):
            return False
        time.sleep(0.1)
    return True


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
@pytest.mark.parametrize("moment", ["starting", "working"])
def test_a_signal_to_the_whole_group_ends_the_work_in_one_line(tmp_path: Path, name: str, moment: str) -> None:
    process = start(tmp_path, SCRIPT)
    assert process.stdout is not None
    while process.stdout.readline().strip() != moment:
        pass
    time.sleep(0.2 if moment == "starting" else 0)  # the processes are being started
    os.killpg(process.pid, signal.Signals[name])
    began = time.monotonic()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.Signals[name]
    assert err == f"Stopped by {name}.\n"
    assert time.monotonic() - began < 20  # nobody waits for what is begun
    assert not alive(process.pid)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_faces_that_are_being_drawn_leave_nothing_half_written(tmp_path: Path, name: str) -> None:
    process = start(tmp_path, AVATARS)
    while not list(tmp_path.glob("cache/.*/images.npy")):
        time.sleep(0.05)
    time.sleep(1)
    os.killpg(process.pid, signal.Signals[name])
    _, err = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.Signals[name]
    assert err == f"Stopped by {name}.\n"
    assert not list(tmp_path.glob("cache/*")) + list(tmp_path.glob("cache/.*"))


def test_workers_end_with_their_parent_however_it_ends(tmp_path: Path) -> None:
    process = start(tmp_path, SCRIPT)
    assert process.stdout is not None
    while process.stdout.readline().strip() != "working":
        pass
    process.kill()
    process.stdout.close()
    process.wait()
    assert not alive(process.pid)
