import os
import signal
from pathlib import Path

import pytest

from t2f.utils.errors import UserError
from t2f.utils.files import LEFT_BY_A_CRASH, atomic_write


def test_a_file_is_replaced_at_once_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "deep/table.csv"
    with atomic_write(path, "the table") as side:
        assert side.suffix != ".csv"  # or it would be found as one
        side.write_text("old")
        assert not path.exists()
    assert path.read_text() == "old"
    with pytest.raises(ZeroDivisionError), atomic_write(path, "the table") as side:
        side.write_text(f"half {1 / 0}" if side.write_text("half") else "")
    assert path.read_text() == "old"
    assert [file.name for file in path.parent.iterdir()] == ["table.csv"]


def test_a_process_that_is_killed_leaves_the_old_file_and_what_can_be_told_from_one(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    path.write_text("old")
    process = os.fork()
    if not process:
        with atomic_write(path, "it") as side:
            side.write_text("half")
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(process, 0)
    assert path.read_text() == "old"
    (left,) = tmp_path.glob(LEFT_BY_A_CRASH)
    assert left.read_text() == "half"


def test_what_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(UserError, match="The table could not be written"),
        atomic_write(tmp_path / "file/x", "the table"),
    ):
        pass
