"""Complete sweeps through train.py, with tiny images and networks."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import ROOT, sweep
from hydra import compose, initialize_config_dir
from hydra.core.plugins import Plugins
from hydra.types import HydraContext
from omegaconf import OmegaConf
from pytorch_lightning import Callback, LightningModule, Trainer

from t2f.sweeps import callback
from t2f.sweeps.job import jobs_in
from t2f.utils.checkpoints import read_checkpoint


class FailOnce(Callback):
    """Fail the run of a seed at 72 images, during a fade-in, unless `file` exists."""

    def __init__(self, file: str, seed: int) -> None:
        self.file = Path(file)
        self.seed = seed

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: object) -> None:
        if pl_module.seed == self.seed and pl_module.images_seen >= 72 and not self.file.exists():
            self.file.touch()
            raise RuntimeError("out of power")


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "sweep.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_sweep_continues_after_a_failed_job_and_resumes_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "sweep"
    trap = f"+callbacks.trap={{_target_: sweeps.test_sweep.FailOnce, file: {tmp_path}/happened, seed: 2}}"
    command = ["seed=range(1,4)", trap, f"hydra.sweep.dir={folder}"]
    assert sweep(tmp_path, *command) == 1
    output = capsys.readouterr().out
    assert [(row["job"], row["seed"], row["status"], row["images"]) for row in rows(folder)] == [
        ("0", "1", "finished", "96"),
        ("1", "2", "failed", "64"),
        ("2", "3", "finished", "96"),
    ]
    assert rows(folder)[1]["error"] == "RuntimeError: out of power"
    assert "in on_train_batch_end" in (folder / "1/error.txt").read_text()
    assert "1 of 3 jobs failed:" in output
    assert f"""hydra.sweep.dir={folder} 'hydra.sweep.subdir="1"'""" in output
    assert (folder / "sweep.png").stat().st_size > 1000

    checkpoint_times = {job: (folder / job / "checkpoints/last.ckpt").stat().st_mtime_ns for job in ("0", "2")}
    assert sweep(tmp_path, *command) == 0
    assert "Resuming after 64 images." in capsys.readouterr().out
    assert [row["status"] for row in rows(folder)] == ["finished"] * 3
    assert {row["error"] for row in rows(folder)} == {""}
    assert checkpoint_times == {job: (folder / job / "checkpoints/last.ckpt").stat().st_mtime_ns for job in ("0", "2")}

    assert sweep(tmp_path, "seed=2", f"hydra.sweep.dir={tmp_path}/uninterrupted") == 0
    checkpoints = [read_checkpoint(tmp_path / f"{job}/checkpoints/last.ckpt") for job in ("sweep/1", "uninterrupted/0")]
    weights, expected = (checkpoint["state_dict"] for checkpoint in checkpoints)
    assert all((weights[name] == value).all() for name, value in expected.items())

    assert sweep(tmp_path, "seed=7", f"hydra.sweep.dir={folder}") == 1
    assert "0 contains another job (" in capsys.readouterr().err
    assert jobs_in(folder)["0"].status == "finished"

    # A single failed job is run again.
    for name in ("0", "2"):
        replace(jobs_in(folder)[name], status="failed").write(folder / name)
    assert sweep(tmp_path, "seed=3", trap, f"hydra.sweep.dir={folder}", "hydra.sweep.subdir=2") == 0
    output = capsys.readouterr().out
    assert "1 of 3 jobs failed:" in output
    assert "To run all unfinished jobs" not in output
    assert [job.status for job in jobs_in(folder).values()] == ["failed", "finished", "finished"]


def test_each_job_of_a_launcher_has_its_own_folder(tmp_path: Path) -> None:
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher", reason="the joblib launcher is not installed")
    # With n_jobs=1, joblib runs the jobs in this process; experiments/sweep uses more.
    assert sweep(tmp_path, "seed=1,2", "name=many", "hydra/launcher=joblib", "hydra.launcher.n_jobs=1") == 0
    (folder,) = (tmp_path / "many-sweep").iterdir()
    assert [(folder / job / "checkpoints/last.ckpt").exists() for job in ("0", "1")] == [True, True]


def test_a_search_stores_its_study_and_continues_after_failed_trials(tmp_path: Path) -> None:
    optuna = pytest.importorskip("optuna", reason="Optuna is not installed")
    search = ["hydra/sweeper=search", "name=search", "growth.images=[16,16]", "loss=logistic,hinge"]
    search += ["evaluation=default", "metrics=none", "evaluation.count=20"]
    assert sweep(tmp_path, *search, "hydra.sweeper.n_trials=2") == 0
    # Another worker continues the study. Its optimized metric does not exist.
    assert sweep(tmp_path, *search, "hydra.sweeper.n_trials=1", "optimized_metric=beauty") == 1
    trials = optuna.load_study("search", f"sqlite:///{tmp_path}/search.optuna.db").trials
    assert [trial.state.name for trial in trials] == ["COMPLETE", "COMPLETE", "FAIL"]
    jobs = jobs_in(tmp_path / "search-sweep")
    assert [job.status for job in jobs.values()] == ["finished", "finished", "failed"]
    assert "optimized_metric=beauty is not a metric of this run" in [*jobs.values()][2].error
    for trial, job in zip(trials, jobs.values(), strict=True):
        assert trial.value in (job.metrics["attribute_accuracy"], None)
        assert 0.0005 <= trial.params["model.optimizers.generator.lr"] <= 0.01
        assert f"model.ema.half_life={trial.params['model.ema.half_life']}" in job.overrides


def test_a_search_without_an_evaluation_is_refused() -> None:
    pytest.importorskip("optuna", reason="Optuna is not installed")
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        cfg = compose("train", ["hydra/sweeper=search", "evaluation=none"], return_hydra_config=True)
    with pytest.raises(SystemExit, match="optimized_metric=attribute_accuracy is a metric of the evaluation"):
        callback.Sweep().on_multirun_start(cfg)


@pytest.mark.parametrize("launcher", ["joblib", "ray", "submitit_local", "submitit_slurm"])
def test_launchers_accept_their_presets(launcher: str) -> None:
    if not callback.is_installed({"joblib": "joblib", "ray": "ray"}.get(launcher, "submitit")):
        pytest.skip(f"{launcher} is not installed")
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        cfg = compose("train", [f"hydra/launcher={launcher}", "hydra.job.num=0"], return_hydra_config=True)
    context = HydraContext(config_loader=None, callbacks=None)
    plugin = Plugins.instance().instantiate_launcher(hydra_context=context, task_function=len, config=cfg)
    assert plugin.task_function is len


@pytest.mark.parametrize(
    ("choice", "extra"),
    [
        ("launcher=joblib", "joblib"),
        ("launcher=ray", "ray"),
        ("launcher=submitit_slurm", "slurm"),
        ("sweeper=search", "optuna"),
    ],
)
def test_a_missing_plugin_is_reported_with_its_extra(choice: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callback, "is_installed", lambda package: False)
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        cfg = compose("train", [f"hydra/{choice}"], return_hydra_config=True)
    with pytest.raises(SystemExit, match=rf"is not installed: pip install -e '\.\[{extra}\]' installs it\."):
        callback.Sweep().on_multirun_start(cfg)
    assert extra in (ROOT / "pyproject.toml").read_text()


def test_the_record_of_a_job_is_json(tmp_path: Path) -> None:
    assert sweep(tmp_path, "seed=5", f"hydra.sweep.dir={tmp_path}/one") == 0
    record = json.loads((tmp_path / "one/0/job.json").read_text())
    assert record["status"] == "finished"
    assert "seed=5" in record["overrides"]
    assert record["metrics"]["images_seen"] == 96 == sum(OmegaConf.load(tmp_path / "one/0/config.yaml").growth.images)


def test_an_override_with_an_interpolation_is_printed_unresolved(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same command resumes the sweep."""
    trap = f"+callbacks.trap={{_target_: sweeps.test_sweep.FailOnce, file: {tmp_path}/happened, seed: 2}}"
    command = ["seed=2", "callbacks.sample_grids.seed=${seed}", trap, f"hydra.sweep.dir={tmp_path}/one"]
    assert sweep(tmp_path, *command) == 1
    assert "'callbacks.sample_grids.seed=${seed}'" in capsys.readouterr().out
    assert sweep(tmp_path, *command) == 0
    assert OmegaConf.load(tmp_path / "one/0/config.yaml").callbacks.sample_grids.seed == 2


def test_a_sweep_folder_with_an_interpolation_in_its_path_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sweep(tmp_path, "seed=2", rf"hydra.sweep.dir='{tmp_path}/\${{a}}'") == 1
    assert "cannot be used, since Hydra reads" in capsys.readouterr().err
