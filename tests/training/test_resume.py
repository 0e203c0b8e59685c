import os
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from t2f.training.resolvers import run_folder, sweep_folder
from t2f.training.resume import SafeCheckpointIO, checkpoint_to_resume, newest_checkpoint
from t2f.utils.checkpoints import read_checkpoint
from t2f.utils.errors import UserError
from t2f.utils.files import PARTIAL_FILES


def write(path: Path, images_seen: int) -> Path:
    """Write a small checkpoint."""
    metadata = {"images_seen": images_seen, "config": "seed: 0"}
    SafeCheckpointIO().save_checkpoint({"t2f": metadata, "state_dict": {"weight": torch.ones(1000)}}, path)
    return path


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def flip_a_bit(path: Path) -> None:
    """Damage the weights in a file that can still be opened."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_the_newest_checkpoint_has_the_most_images_seen(tmp_path: Path) -> None:
    """File dates do not matter, since copying a run changes them."""
    for name, images in (("000000200", 200), ("last", 300), ("4px", 100)):
        path = write(tmp_path / f"{name}.ckpt", images)
        os.utime(path, (1000 - images, 1000 - images))
    assert newest_checkpoint(tmp_path) == tmp_path / "last.ckpt"


@pytest.mark.parametrize("damage", [truncate, flip_a_bit, lambda path: path.write_bytes(b"")])
def test_a_damaged_checkpoint_is_skipped_with_a_note(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: object
) -> None:
    write(tmp_path / "4px.ckpt", 100)
    older = write(tmp_path / "000000200.ckpt", 200)
    newest = write(tmp_path / "last.ckpt", 300)
    assert callable(damage)
    damage(newest)
    assert newest_checkpoint(tmp_path) == older
    assert f"note: skipping {newest}, which is damaged" in capsys.readouterr().err
    damage(older)
    assert newest_checkpoint(tmp_path) == tmp_path / "4px.ckpt"
    damage(tmp_path / "4px.ckpt")
    assert newest_checkpoint(tmp_path) is None


def test_resume_selects_the_newest_run_of_the_name_with_an_intact_checkpoint(tmp_path: Path) -> None:
    for name, run in (("t2f", "2026-01-01"), ("t2f", "2026-01-02"), ("t2f", "2026-01-03"), ("other", "2026-01-04")):
        write(tmp_path / name / run / "checkpoints/last.ckpt", 100)
    truncate(tmp_path / "t2f/2026-01-03/checkpoints/last.ckpt")
    (tmp_path / "t2f/2026-01-05").mkdir()
    for resume in (True, "auto"):
        assert run_folder(str(tmp_path), "t2f", resume) == str(tmp_path / "t2f" / "2026-01-02")
    assert run_folder(str(tmp_path), "t2f", str(tmp_path / "other/2026-01-04")) == str(tmp_path / "other/2026-01-04")
    assert not Path(run_folder(str(tmp_path), "t2f", False)).exists()
    assert Path(run_folder(str(tmp_path), "new", "auto")).parent == tmp_path / "new"
    with pytest.raises(UserError, match=r"There is no run in .*/new to resume: .* resume=auto to start a new run if"):
        run_folder(str(tmp_path), "new", True)
    assert Path(run_folder(str(tmp_path), "new", True, "last.ckpt")).parent == tmp_path / "new"


def test_without_a_checkpoint_auto_starts_a_new_run_and_true_is_an_error(tmp_path: Path) -> None:
    settings = {"ckpt_path": None, "paths": {"run": str(tmp_path)}}
    assert checkpoint_to_resume(OmegaConf.create({**settings, "resume": "auto"})) is None
    for resume in (True, str(tmp_path)):
        with pytest.raises(UserError, match=r"no checkpoint in .* resume=auto to start a new run"):
            checkpoint_to_resume(OmegaConf.create({**settings, "resume": resume}))
    write(tmp_path / "checkpoints/last.ckpt", 100)
    found = {
        resume: checkpoint_to_resume(OmegaConf.create({**settings, "resume": resume})) for resume in (True, "auto")
    }
    assert set(found.values()) == {tmp_path / "checkpoints/last.ckpt"}


def test_a_folder_that_cannot_hold_runs_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"since .*file is not a writable folder: set paths\.runs"):
        run_folder(str(tmp_path / "file" / "runs"), "t2f", False)


def test_a_crash_while_writing_keeps_the_previous_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "last.ckpt", 100)

    def crash(*args: object) -> None:
        os._exit(0)

    process = os.fork()
    if not process:
        monkeypatch.setattr(os, "fsync", crash)
        write(path, 200)
    os.waitpid(process, 0)
    assert read_checkpoint(path)["t2f"]["images_seen"] == 100
    assert list(tmp_path.glob(PARTIAL_FILES))  # not counted as a checkpoint
    assert newest_checkpoint(tmp_path) == path


def test_resume_must_name_the_folder_of_a_run(tmp_path: Path) -> None:
    run = tmp_path / "t2f/run"
    checkpoint = write(run / "checkpoints/last.ckpt", 100)
    (tmp_path / "file").touch()
    (run / "config.yaml").touch()
    for path, message in (
        (checkpoint, f"is a part of one: write resume={run} .*ckpt_path={checkpoint}"),
        (run / "checkpoints", rf"is a part of one: write resume={run}\.$"),
        (run / "config.yaml", rf"is a part of one: write resume={run}\.$"),
        (run / "nope", "There is no run .*nope to resume"),
        (tmp_path / "file", "is a file"),
        (tmp_path / "file/run", "There is no run .*file/run"),
        (tmp_path, "no checkpoint in"),
        ("x" * 300, "not the name of a folder"),
    ):
        with pytest.raises(UserError, match=message):
            run_folder(str(tmp_path), "t2f", str(path))


def test_ckpt_path_may_be_a_file_or_the_folder_of_a_run(tmp_path: Path) -> None:
    run = tmp_path / "run"
    write(run / "checkpoints/last.ckpt", 100)
    newest = write(run / "checkpoints/best.ckpt", 200)
    for path in (run, run / "checkpoints", newest):
        cfg = {"ckpt_path": str(path), "resume": False, "paths": {"run": str(tmp_path / "new")}}
        assert checkpoint_to_resume(OmegaConf.create(cfg)) == newest
    for path, message in (
        (tmp_path, "no intact checkpoint in the folder .*: give a run's folder"),
        (tmp_path / "nope", "no file or folder .*nope: set ckpt_path to a .ckpt file, or to the folder of a run"),
    ):
        with pytest.raises(UserError, match=message):
            checkpoint_to_resume(OmegaConf.create({**cfg, "ckpt_path": str(path)}))


@pytest.mark.parametrize("name", ["..", "../a", "/a", "", " ", ".", "a/../../b", "a\0b"])
def test_a_name_must_stay_in_the_folder_of_runs(tmp_path: Path, name: str) -> None:
    for folder in (lambda: run_folder(str(tmp_path), name, False), lambda: sweep_folder(str(tmp_path), name)):
        with pytest.raises(UserError, match="is not the name of a folder"):
            folder()


def test_a_name_may_contain_subfolders(tmp_path: Path) -> None:
    assert Path(run_folder(str(tmp_path), "a/b (1)", False)).parent == tmp_path / "a/b (1)"
    assert Path(sweep_folder(str(tmp_path), "a/b (1)")).parent == tmp_path / "a/b (1)-sweep"
