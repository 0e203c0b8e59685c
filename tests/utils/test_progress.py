"""Progress in a terminal (a pty) and in a file (a pipe)."""

import os
import pty
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import ROOT

from t2f.utils import progress
from t2f.utils.progress import DISPLAY, Task, track

WORK = """
import time
from t2f.utils import progress
from t2f.utils.progress import Task, track
progress.FIRST_LINE_SECONDS, progress.LINE_INTERVAL_SECONDS, progress.MIN_ESTIMATE_SECONDS = 0.2, 0.4, 0.1
with Task("Training", 100, transient=False) as training:
    training.advance(40)
    time.sleep(0.3)
    for _ in track(range(10), "Reading faces", 640, step=64):
        time.sleep(0.1)
    with Task("Tracing the model"):
        time.sleep(0.5)
    training.advance(60)
    time.sleep(0.5)
"""


def output_in_pipe(script: str) -> str:
    completed = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    return completed.stdout


def output_in_terminal(script: str) -> str:
    master, slave = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    process = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, env=environment, stdout=slave)
    os.close(slave)
    output = b""
    while True:
        try:
            part = os.read(master, 65536)
        except OSError:  # Linux raises it when the other end is closed
            break
        if not part:
            break
        output += part
    os.close(master)
    assert process.wait() == 0
    return output.decode()


def test_a_pipe_gets_lines_of_the_innermost_task() -> None:
    lines = output_in_pipe(WORK).splitlines()
    assert lines[0] == "Training  40/100"
    reading = [line for line in lines if line.startswith("Reading faces")]
    assert 2 <= len(reading) <= 4
    assert all(re.fullmatch(r"Reading faces  \d+/640(  \d:\d\d:\d\d left)?", line) for line in reading)
    assert any(re.fullmatch(r"Tracing the model  0:00:0\d so far", line) for line in lines)
    # The outer task prints no lines while a nested task runs.
    assert {line for line in lines[1:] if line.startswith("Training")} == {"Training  100/100  0:00:00 left"}
    assert "\x1b" not in "".join(lines)


def test_a_terminal_gets_bars_and_the_outer_task_waits() -> None:
    output = output_in_terminal(WORK)
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", output)
    training = re.findall(r"Training[^\r\n]*", plain)
    assert any("40/100" in line for line in training)
    assert any(line.rstrip().endswith("waits") for line in training)
    assert "100/100" in training[-1], "the bar remains at the end"
    assert re.search(r"Reading faces .*\d+/640", plain)
    assert re.search(r"Tracing the model .*so far", plain)


def test_a_short_task_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(track("abc", "Reading", 3)) == ["a", "b", "c"]
    with Task("Tracing"):
        pass
    assert capsys.readouterr().out == ""


def test_a_failed_task_is_removed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(progress, "FIRST_LINE_SECONDS", 0.05)
    with pytest.raises(ValueError, match="broken"), Task("Reading"):
        raise ValueError("broken")
    time.sleep(0.2)
    assert DISPLAY.tasks == [] and capsys.readouterr().out == ""


def test_a_quiet_task_prints_nothing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(progress, "FIRST_LINE_SECONDS", 0.05)
    for _ in track(range(2), "Generating", 2, quiet=True):
        time.sleep(0.1)
    assert capsys.readouterr().out == ""


def test_a_parallel_job_prints_its_number(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(progress, "parallel_job_number", lambda: 3)
    monkeypatch.setattr(progress, "FIRST_LINE_SECONDS", 0.05)
    monkeypatch.setattr(progress, "LINE_INTERVAL_SECONDS", 10)
    with Task("Training", 10):
        time.sleep(0.2)
    progress.run_console().print("a table")
    assert capsys.readouterr().out == "[3] Training  0/10\n"


def test_only_this_module_uses_the_bars_of_rich() -> None:
    """Those bars show nothing in a file."""
    users = [path.name for path in (ROOT / "t2f").rglob("*.py") if "rich.progress" in path.read_text(encoding="utf-8")]
    assert users == [Path(progress.__file__).name]
