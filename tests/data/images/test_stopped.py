"""Signals to the process group, as a terminal sends them, while several processes render or decode faces."""

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
from t2f.data.images.decode import parallel_map

def wait(number):
    print("working", flush=True)
    time.sleep(60)

if __name__ == "__main__":
    with command_line():
        print("starting", flush=True)
        list(parallel_map(wait, range(10), workers=2))
"""
AVATARS = """
import sys
from t2f.cli.entry_point import command_line
from t2f.data.datasets.avatars import Avatars

if __name__ == "__main__":
    with command_line():
        print("starting", flush=True)
        Avatars(sys.argv[1], count=100_000, held_out=10, workers=2).prepare()
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
    """Return whether any process of a group is still running after 10 seconds."""
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
def test_a_signal_to_the_process_group_stops_the_pool_with_one_line(tmp_path: Path, name: str, moment: str) -> None:
    process = start(tmp_path, SCRIPT)
    assert process.stdout is not None
    while process.stdout.readline().strip() != moment:
        pass
    time.sleep(0.2 if moment == "starting" else 0)  # while the pool starts
    os.killpg(process.pid, signal.Signals[name])
    start_time = time.monotonic()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.Signals[name]
    assert err == f"Stopped by {name}.\n"
    assert time.monotonic() - start_time < 20  # running tasks are not awaited
    assert not alive(process.pid)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_while_rendering_leaves_no_partial_cache(tmp_path: Path, name: str) -> None:
    process = start(tmp_path, AVATARS)
    while not list(tmp_path.glob("cache/.*/images.npy")):
        time.sleep(0.05)
    time.sleep(1)
    os.killpg(process.pid, signal.Signals[name])
    _, err = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.Signals[name]
    assert err == f"Stopped by {name}.\n"
    assert not list(tmp_path.glob("cache/*")) + list(tmp_path.glob("cache/.*"))


def test_workers_exit_when_their_parent_is_killed(tmp_path: Path) -> None:
    process = start(tmp_path, SCRIPT)
    assert process.stdout is not None
    while process.stdout.readline().strip() != "working":
        pass
    process.kill()
    process.stdout.close()
    process.wait()
    assert not alive(process.pid)
