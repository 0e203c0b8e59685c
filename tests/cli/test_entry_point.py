"""Errors of invalid settings and of folders that cannot be written."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import TINY
from fixtures.command_line import CompletedCommand, run_train

from t2f.training.resume import SafeCheckpointIO


def require_one_sentence(ended: CompletedCommand, message: str) -> None:
    """Check for an error of at most three lines that contains `message`."""
    assert ended.status == 1, ended
    assert "Traceback" not in ended.out + ended.err, ended.err
    lines = ended.err.strip().splitlines()
    assert len(lines) <= 3, ended.err
    assert lines[-1].startswith("error: "), ended.err
    assert message in lines[-1]


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    """A read-only disk with a run that has a checkpoint."""
    path = tmp_path / "read_only"
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "tmpfs", str(path)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("only root can mount a disk")
    try:
        write_run(path / "run")
        subprocess.run(["mount", "-o", "remount,ro", str(path)], check=True)
        yield path
    finally:
        subprocess.run(["umount", str(path)], check=True)


def write_run(folder: Path) -> Path:
    """Write the checkpoint of a run after 100 images."""
    path = folder / "checkpoints/last.ckpt"
    SafeCheckpointIO().save_checkpoint({"t2f": {"images_seen": 100, "config": "seed: 0"}, "state_dict": {}}, path)
    return path


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("paths.runs={}", "cannot be used, since"),
        ("paths.runs={}/below", "set paths.runs=FOLDER"),
        ("resume={}/run", "cannot be resumed, since its folder is not writable"),
        ("hydra.run.dir={}/new", "new cannot be used (Read-only file system)"),
        ("paths.cache={}", "could not be written (Read-only file system)"),
    ],
)
def test_a_read_only_folder_is_reported(tmp_path: Path, read_only: Path, setting: str, message: str) -> None:
    ended = run_train(tmp_path, *TINY, f"paths.runs={tmp_path}/runs", "data.count=41", setting.format(read_only))
    require_one_sentence(ended, message)


@pytest.mark.parametrize("setting", ["paths.runs={}", "hydra.sweep.dir={}/new"])
@pytest.mark.parametrize("launcher", [[], ["hydra/launcher=joblib"]], ids=["basic", "joblib"])
def test_a_read_only_folder_of_a_sweep_is_reported(
    tmp_path: Path, read_only: Path, setting: str, launcher: list[str]
) -> None:
    overrides = ["-m", *TINY, f"paths.runs={tmp_path}", "seed=1,2", *launcher, setting.format(read_only)]
    require_one_sentence(run_train(tmp_path, *overrides), str(read_only))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["name=" + 300 * "x"], "File name too long"),
        (["name=../elsewhere"], "is not the name of a folder"),
        (["name=''"], "is not the name of a folder"),
        (["name=null"], "name=None is not the name of a folder"),
        (["name=[a,b]"], "name=['a', 'b'] is not the name of a folder"),
        (["paths.runs=null"], "paths.runs=None is not the name of a folder"),
        (["name=/elsewhere"], "is not the name of a folder"),
        (["paths.runs=/dev/null/runs"], "/dev/null is not a writable folder"),
        (["paths.runs=" + 300 * "x"], "File name too long"),
        (["hydra.run.dir=/dev/null/run"], "/dev/null/run cannot be used (Not a directory)"),
        (["hydra.run.dir=" + 300 * "x"], "File name too long"),
        (["resume=true"], "runs/t2f to resume"),
        (["resume=/nope/run"], "There is no run /nope/run to resume"),
        (["resume=" + 300 * "x"], "is not the name of a folder"),
        (["resume=/dev/null"], "/dev/null is a file"),
        (["resume=conf"], "There is no checkpoint in conf/checkpoints to resume from"),
        (["ckpt_path=/nope/last.ckpt"], "no file or folder /nope/last.ckpt"),
        (["ckpt_path=" + 300 * "x"], "no file or folder xxx"),
        (["ckpt_path=conf"], "no intact checkpoint in the folder conf"),
        (["a=b=c"], "The override a=b=c cannot be parsed"),
        (["growth.images=[1,2"], "The override growth.images=[1,2 cannot be parsed"),
        (["name=run (1)"], "The override name=run (1) cannot be parsed"),
        (["just_words"], "The override just_words cannot be parsed"),
        (["data.cuont=3"], "There is no data.cuont in the config: did you mean data.count?"),
        (["sead=3"], "There is no sead in the config: did you mean seed?"),
        (["loss=no_such_loss"], "There is no loss/no_such_loss among the configs: choose one of cross_entropy, hinge"),
        (["lsos=hinge"], "There is no lsos in the config: did you mean loss?"),
        (["data=hub"], "data.dataset"),
        (["data.count=???"], "Missing mandatory value: data.count"),
        (["name=???"], "Missing mandatory value: name"),
        (["data.count=x"], "data.count is x: it must be a number"),
        (["data.held_out=1.5"], "data.held_out must be a whole number, at least 1, but is 1.5."),
        (["callbacks.sample_grids.every=often"], "callbacks.sample_grids.every is often: it must be a number"),
        (["resolution=abc"], "resolution is abc"),
        (["resolution=33"], "but resolution is 33"),
        (["seed=x"], "seed is x"),
        (["seed=-1"], "seed is -1"),
        (["name=${nope}"], "Interpolation key 'nope' not found"),
        (["model.optimizers.generator.lr=abc"], "model.optimizers.generator"),
        (["--config-name=nope"], "nope"),
        (["trainer.devices=x"], "trainer.devices is x: it must be a number"),
        (["trainer.max_epochs=x"], "trainer.max_epochs is x: it must be a number"),
        (["ckpt_path=3"], "no file or folder 3"),
        (["labeled_fraction=x"], "labeled_fraction is x: it must be a number"),
        (["growth.images=[3]"], "growth.images has 1 value(s) for 2 stage(s)"),
    ],
)
@pytest.mark.parametrize("sweep", [False, True], ids=["run", "sweep"])
def test_an_invalid_setting_is_reported_in_one_sentence(
    tmp_path: Path, settings: list[str], message: str, sweep: bool
) -> None:
    no_sweep = settings[0].startswith(("resume=", "hydra.run.dir="))
    if sweep and no_sweep:
        pytest.skip("a sweep resumes by its own folder")
    runs = [f"paths.runs={tmp_path}/runs"] if "paths.runs" not in settings[0] else []
    tiny = [each for each in TINY if settings != ["data=hub"] or not each.startswith("data.")]
    ended = run_train(tmp_path, *(["-m"] if sweep else []), *tiny, *runs, *settings)
    if sweep and ended.status == 1 and "(the sweep continues" in ended.err:
        assert message in ended.err
        assert "Traceback" not in ended.err
    else:
        require_one_sentence(ended, message)


def test_resume_accepts_runs_only_and_suggests_the_setting(tmp_path: Path) -> None:
    run = tmp_path / "my runs (1)/run"
    checkpoint = write_run(run)
    for path in (checkpoint, checkpoint.parent):
        ended = run_train(tmp_path, *TINY, f"paths.runs={tmp_path}", f'resume="{path}"')
        require_one_sentence(ended, f"""write 'resume="{run}"'""")
    assert sorted(each.name for each in run.iterdir()) == ["checkpoints"]


@pytest.mark.parametrize("resume", ["true", "nope"])
def test_a_refused_run_writes_nothing(tmp_path: Path, resume: str) -> None:
    run_train(tmp_path, *TINY, f"paths.runs={tmp_path}/runs", f"resume={resume}")
    assert not list(tmp_path.iterdir())


def test_hydra_full_error_prints_the_stack_trace(tmp_path: Path) -> None:
    wrong = [*TINY, f"paths.runs={tmp_path}", "resume=/nope/run"]
    ended = run_train(tmp_path, *wrong, environment={"HYDRA_FULL_ERROR": "1"})
    assert ended.status == 1
    assert "Traceback" in ended.err
    assert "require_run" in ended.err


def test_a_full_disk_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "full"
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(path)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("only root can mount a disk")
    try:
        (path / "filled").write_bytes(bytes(12288))
        ended = run_train(tmp_path, *TINY, f"paths.runs={path}")
    finally:
        subprocess.run(["umount", str(path)], check=True)
    require_one_sentence(ended, "disk is full")


def test_a_run_starts_without_a_home_folder(tmp_path: Path) -> None:
    cache = os.environ["T2F_CACHE"]
    ended = run_train(tmp_path, *TINY, f"paths.runs={tmp_path}", f"paths.cache={cache}", environment={"HOME": ""})
    assert ended.status == 0, ended.err
