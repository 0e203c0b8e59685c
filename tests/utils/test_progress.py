"""What takes a while tells of it: in a terminal (a pty), and in a file (a pipe)."""

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
from t2f.utils.progress import DISPLAY, Task, followed

WORK = """
import time
from t2f.utils import progress
from t2f.utils.progress import Task, followed
progress.FIRST_LINE, progress.BETWEEN_LINES, progress.BEFORE_ESTIMATE = 0.2, 0.4, 0.1
with Task("Training", 100, stays=True) as training:
    training.advance(40)
    time.sleep(0.3)
    for _ in followed(range(10), "Reading faces", 640, of_each=64):
        time.sleep(0.1)
    with Task("Tracing the model"):
        time.sleep(0.5)
    training.advance(60)
    time.sleep(0.5)
"""


def through_a_pipe(script: str) -> str:
    ended = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    return ended.stdout


def through_a_pty(script: str) -> str:
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    process = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, env=environment, stdout=theirs)
    os.close(theirs)
    shown = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # Linux's way to say that the other end is closed
            break
        if not part:
            break
        shown += part
    os.close(ours)
    assert process.wait() == 0
    return shown.decode()


def test_a_file_gets_a_line_now_and_then_of_what_is_being_done() -> None:
    lines = through_a_pipe(WORK).splitlines()
    assert lines[0] == "Training  40/100"
    reading = [line for line in lines if line.startswith("Reading faces")]
    assert 2 <= len(reading) <= 4
    assert all(re.fullmatch(r"Reading faces  \d+/640(  \d:\d\d:\d\d left)?", line) for line in reading)
    assert any(re.fullmatch(r"Tracing the model  0:00:0\d so far", line) for line in lines)
    # While something else was done, the training said nothing of itself.
    assert {line for line in lines[1:] if line.startswith("Training")} == {"Training  100/100  0:00:00 left"}
    assert "\x1b" not in "".join(lines)


def test_a_terminal_gets_bars_and_what_waits_says_so() -> None:
    shown = through_a_pty(WORK)
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown)
    training = re.findall(r"Training[^\r\n]*", plain)
    assert any("40/100" in line for line in training)
    assert any(line.rstrip().endswith("waits") for line in training)
    assert "100/100" in training[-1], "the training's bar stays"
    assert re.search(r"Reading faces .*\d+/640", plain)
    assert re.search(r"Tracing the model .*so far", plain)


def test_short_work_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(followed("abc", "Reading", 3)) == ["a", "b", "c"]
    with Task("Tracing"):
        pass
    assert capsys.readouterr().out == ""


def test_nothing_is_left_of_what_failed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(progress, "FIRST_LINE", 0.05)
    with pytest.raises(ValueError, match="broken"), Task("Reading"):
        raise ValueError("broken")
    time.sleep(0.2)
    assert DISPLAY.tasks == [] and capsys.readouterr().out == ""


def test_a_process_beside_the_first_says_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "FIRST_LINE", 0.05)
    for _ in followed(range(2), "Drawing", 2, quiet=True):
        time.sleep(0.1)
    assert capsys.readouterr().out == ""


def test_a_job_beside_others_tells_its_number(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "number_of_job", lambda: 3)
    monkeypatch.setattr(progress, "FIRST_LINE", 0.05)
    monkeypatch.setattr(progress, "BETWEEN_LINES", 10)
    with Task("Training", 10):
        time.sleep(0.2)
    progress.terminal().print("a table")
    assert capsys.readouterr().out == "[3] Training  0/10\n"


def test_all_that_takes_long_is_told_by_this_one_module() -> None:
    """rich's own bars show nothing in a file."""
    users = [path.name for path in (ROOT / "t2f").rglob("*.py") if "rich.progress" in path.read_text(encoding="utf-8")]
    assert users == [Path(progress.__file__).name]
