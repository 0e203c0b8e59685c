import os
import signal
from pathlib import Path

import pytest

from t2f.utils.errors import UserError
from t2f.utils.files import PARTIAL_FILES, atomic_write


def test_a_write_is_complete_or_has_no_effect(tmp_path: Path) -> None:
    path = tmp_path / "deep/table.csv"
    with atomic_write(path, "the table") as temporary:
        assert temporary.suffix != ".csv"  # or a search for tables would find it
        temporary.write_text("old")
        assert not path.exists()
    assert path.read_text() == "old"
    with pytest.raises(ZeroDivisionError), atomic_write(path, "the table") as temporary:
        temporary.write_text(f"half {1 / 0}" if temporary.write_text("half") else "")
    assert path.read_text() == "old"
    assert [file.name for file in path.parent.iterdir()] == ["table.csv"]


def test_a_killed_process_leaves_the_old_file_and_a_recognizable_partial_file(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    path.write_text("old")
    process = os.fork()
    if not process:
        with atomic_write(path, "the checkpoint") as temporary:
            temporary.write_text("half")
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(process, 0)
    assert path.read_text() == "old"
    (partial,) = tmp_path.glob(PARTIAL_FILES)
    assert partial.read_text() == "half"


def test_an_unwritable_path_raises_a_user_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(UserError, match="The table could not be written"),
        atomic_write(tmp_path / "file/x", "the table"),
    ):
        pass
