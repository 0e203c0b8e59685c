import os
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from t2f.training.resolvers import run_folder, sweep_folder
from t2f.training.resume import SafeCheckpointIO, checkpoint_to_resume, newest_whole
from t2f.utils.checkpoints import read_checkpoint
from t2f.utils.errors import UserError
from t2f.utils.files import PARTIAL_FILES


def write(path: Path, images_seen: int) -> Path:
    """A small checkpoint."""
    card = {"images_seen": images_seen, "config": "seed: 0"}
    SafeCheckpointIO().save_checkpoint({"t2f": card, "state_dict": {"weight": torch.ones(1000)}}, path)
    return path


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def flip_a_bit(path: Path) -> None:
    """In the middle of the weights: the file still opens."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_the_newest_checkpoint_is_that_of_most_images_whatever_the_files_dates(tmp_path: Path) -> None:
    """Copying a run gives all its files new dates."""
    for name, images in (("000000200", 200), ("last", 300), ("4px", 100)):
        path = write(tmp_path / f"{name}.ckpt", images)
        os.utime(path, (1000 - images, 1000 - images))
    assert newest_whole(tmp_path) == tmp_path / "last.ckpt"


@pytest.mark.parametrize("damage", [truncate, flip_a_bit, lambda path: path.write_bytes(b"")])
def test_a_damaged_checkpoint_is_passed_over_with_a_word(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: object
) -> None:
    write(tmp_path / "4px.ckpt", 100)
    older = write(tmp_path / "000000200.ckpt", 200)
    newest = write(tmp_path / "last.ckpt", 300)
    assert callable(damage)
    damage(newest)
    assert newest_whole(tmp_path) == older
    assert f"note: passing over {newest}, which is damaged" in capsys.readouterr().err
    damage(older)
    assert newest_whole(tmp_path) == tmp_path / "4px.ckpt"
    damage(tmp_path / "4px.ckpt")
    assert newest_whole(tmp_path) is None


def test_resume_takes_the_newest_run_of_the_name_that_has_a_whole_checkpoint(tmp_path: Path) -> None:
    for name, run in (("t2f", "2026-01-01"), ("t2f", "2026-01-02"), ("t2f", "2026-01-03"), ("other", "2026-01-04")):
        write(tmp_path / name / run / "checkpoints/last.ckpt", 100)
    truncate(tmp_path / "t2f/2026-01-03/checkpoints/last.ckpt")
    (tmp_path / "t2f/2026-01-05").mkdir()
    for resume in (True, "auto"):
        assert run_folder(str(tmp_path), "t2f", resume) == str(tmp_path / "t2f" / "2026-01-02")
    assert run_folder(str(tmp_path), "t2f", str(tmp_path / "other/2026-01-04")) == str(tmp_path / "other/2026-01-04")
    assert not Path(run_folder(str(tmp_path), "t2f", False)).exists()
    assert Path(run_folder(str(tmp_path), "new", "auto")).parent == tmp_path / "new"
    with pytest.raises(UserError, match=r"There is no run in .*/new to resume: .* resume=auto to start anew where"):
        run_folder(str(tmp_path), "new", True)
    assert Path(run_folder(str(tmp_path), "new", True, "last.ckpt")).parent == tmp_path / "new"


def test_where_there_is_nothing_to_resume_auto_starts_and_true_says_so(tmp_path: Path) -> None:
    settings = {"ckpt_path": None, "paths": {"run": str(tmp_path)}}
    assert checkpoint_to_resume(OmegaConf.create({**settings, "resume": "auto"})) is None
    for resume in (True, str(tmp_path)):
        with pytest.raises(UserError, match=r"no checkpoint in .* resume=auto to start anew"):
            checkpoint_to_resume(OmegaConf.create({**settings, "resume": resume}))
    write(tmp_path / "checkpoints/last.ckpt", 100)
    found = {
        resume: checkpoint_to_resume(OmegaConf.create({**settings, "resume": resume})) for resume in (True, "auto")
    }
    assert set(found.values()) == {tmp_path / "checkpoints/last.ckpt"}


def test_a_place_that_cannot_hold_runs_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"since .*file is no folder that you may write to: set paths\.runs"):
        run_folder(str(tmp_path / "file" / "runs"), "t2f", False)


def test_a_crash_while_writing_leaves_the_checkpoint_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "last.ckpt", 100)

    def crash(*args: object) -> None:
        os._exit(0)

    process = os.fork()
    if not process:
        monkeypatch.setattr(os, "fsync", crash)
        write(path, 200)
    os.waitpid(process, 0)
    assert read_checkpoint(path)["t2f"]["images_seen"] == 100
    assert list(tmp_path.glob(PARTIAL_FILES))  # and is not taken for a checkpoint
    assert newest_whole(tmp_path) == path


def test_a_run_that_is_named_is_one(tmp_path: Path) -> None:
    run = tmp_path / "t2f/run"
    checkpoint = write(run / "checkpoints/last.ckpt", 100)
    (tmp_path / "file").touch()
    (run / "config.yaml").touch()
    for place, told in (
        (checkpoint, f"is a part: write resume={run} .*ckpt_path={checkpoint}"),
        (run / "checkpoints", rf"is a part: write resume={run}\.$"),
        (run / "config.yaml", rf"is a part: write resume={run}\.$"),
        (run / "nope", "There is no run .*nope to resume"),
        (tmp_path / "file", "is a file"),
        (tmp_path / "file/run", "There is no run .*file/run"),
        (tmp_path, "no checkpoint in"),
        ("x" * 300, "no name of a folder"),
    ):
        with pytest.raises(UserError, match=told):
            run_folder(str(tmp_path), "t2f", str(place))


def test_a_checkpoint_may_be_named_by_its_run(tmp_path: Path) -> None:
    run = tmp_path / "run"
    write(run / "checkpoints/last.ckpt", 100)
    newest = write(run / "checkpoints/best.ckpt", 200)
    for place in (run, run / "checkpoints", newest):
        cfg = {"ckpt_path": str(place), "resume": False, "paths": {"run": str(tmp_path / "new")}}
        assert checkpoint_to_resume(OmegaConf.create(cfg)) == newest
    for place, told in (
        (tmp_path, "no whole checkpoint in the folder .*: give that of a run"),
        (tmp_path / "nope", "no file or folder .*nope: give ckpt_path a .ckpt file, or the folder of a run"),
    ):
        with pytest.raises(UserError, match=told):
            checkpoint_to_resume(OmegaConf.create({**cfg, "ckpt_path": str(place)}))


@pytest.mark.parametrize("name", ["..", "../a", "/a", "", " ", ".", "a/../../b", "a\0b"])
def test_a_name_stays_in_the_folder_of_runs(tmp_path: Path, name: str) -> None:
    for folder in (lambda: run_folder(str(tmp_path), name, False), lambda: sweep_folder(str(tmp_path), name)):
        with pytest.raises(UserError, match="is no name of a folder"):
            folder()


def test_a_name_may_have_parts(tmp_path: Path) -> None:
    assert Path(run_folder(str(tmp_path), "a/b (1)", False)).parent == tmp_path / "a/b (1)"
    assert Path(sweep_folder(str(tmp_path), "a/b (1)")).parent == tmp_path / "a/b (1)-sweep"
