"""Sweeps whose jobs run in processes, started and stopped as from a terminal."""

import csv
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from conftest import ROOT, TINY
from pytorch_lightning import Callback, LightningModule, Trainer
from test_train import start

from t2f.sweeps.job import Job, jobs_in
from t2f.utils.checkpoints import read_checkpoint
from t2f.utils.processes import exclusive_run

WITH_JOBLIB = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]


class KillOnce(Callback):
    """Kill the process of seed 2 at 72 images, unless `file` exists, as the system does when memory is full."""

    def __init__(self, file: str) -> None:
        self.file = Path(file)

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: object) -> None:
        if pl_module.seed == 2 and pl_module.images_seen >= 72 and not self.file.exists():
            self.file.touch()
            os.kill(os.getpid(), signal.SIGKILL)


def run(*overrides: str, launcher: Sequence[str] = ()) -> "subprocess.CompletedProcess[str]":
    """Run `python train.py -m`, or `python LAUNCHER train.py -m`."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "tests"), "COLUMNS": "200", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *launcher, "train.py", "-m", *TINY, *overrides]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_a_signal_to_a_sweep_makes_all_jobs_save(tmp_path: Path) -> None:
    """Only the process of the sweep receives it. The cache is empty, so the jobs also render the avatars."""
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher", reason="the joblib launcher is not installed")
    folders = [f"hydra.sweep.dir={tmp_path}/sweep", f"paths.cache={tmp_path}/cache"]
    with start("-m", *TINY, *WITH_JOBLIB, *folders, "seed=1,2,3", "growth.images=[48,100000]") as process:
        deadline = time.monotonic() + 200
        while len(checkpoints := list(tmp_path.glob("sweep/*/checkpoints/4px.ckpt"))) < 2:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.terminate()
        out, error = process.communicate(timeout=100)
    assert process.returncode == 128 + signal.SIGTERM, error
    assert [job.status for job in jobs_in(tmp_path / "sweep").values()][:2] == ["stopped", "stopped"]
    for checkpoint in checkpoints:
        images_seen = read_checkpoint(checkpoint.with_name("last.ckpt"))["t2f"]["images_seen"]
        assert f"Stopped after {images_seen:,} of 100,048 images." in out
    assert "Sweep of" in out
    (command,) = (line for line in out.splitlines() if line.startswith("To run all unfinished jobs: "))
    assert "seed=1,2,3" in command
    assert f"hydra.sweep.dir={tmp_path}/sweep" in command


@pytest.mark.slow
def test_a_sweep_reports_a_killed_job_and_resumes_it(tmp_path: Path) -> None:
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher", reason="the joblib launcher is not installed")
    trap = f"+callbacks.trap={{_target_: sweeps.test_launchers.KillOnce, file: '{tmp_path}/killed'}}"
    command = [*WITH_JOBLIB, f"hydra.sweep.dir={tmp_path}/sweep", "seed=1,2", trap]
    first = run(*command)
    assert first.returncode == 1
    assert "Sweep of 2 jobs" in first.stdout
    jobs = jobs_in(tmp_path / "sweep")
    assert jobs["1"].status == "running"  # a killed process cannot record its end
    assert "unfinished" in first.stdout
    second = run(*command)
    assert second.returncode == 0, second.stderr
    assert [job.status for job in jobs_in(tmp_path / "sweep").values()] == ["finished"] * 2
    # Parallel jobs share the terminal: each prints one line with its number, and not the details of a run.
    lines = [line for run in (first, second) for line in run.stdout.splitlines() if re.match(r"\[\d+\]", line)]
    assert [re.sub(r" .* seed=", " ... seed=", line) for line in sorted(lines)][-1].startswith("[1] ... seed=2")
    assert all(" finished in " in line for line in lines)
    for word in ("Growth", "Next:", "parameters"):
        assert word not in first.stdout + second.stdout
    with (tmp_path / "sweep/1/metrics.csv").open(newline="") as file:
        assert [int(row["images_seen"]) for row in csv.DictReader(file)] == [16, 32, 48, 64, 80, 96]


@pytest.mark.slow
def test_two_workers_of_a_search_share_its_study(tmp_path: Path) -> None:
    """The same command is started in two terminals at once."""
    optuna = pytest.importorskip("optuna", reason="Optuna is not installed")
    search = ["hydra/sweeper=search", "hydra.sweeper.n_trials=1", "name=search", f"paths.runs={tmp_path}"]
    search += ["growth.images=[16,16]", "optimized_metric=images_seen"]
    with start("-m", *TINY, *search) as one, start("-m", *TINY, *search) as other:
        outputs = [process.communicate(timeout=200) for process in (one, other)]
    assert [one.returncode, other.returncode] == [0, 0], outputs
    trials = optuna.load_study("search", f"sqlite:///{tmp_path}/search.optuna.db").trials
    assert [trial.state.name for trial in trials] == ["COMPLETE"] * 2
    jobs = jobs_in(tmp_path / "search-sweep")
    assert len({str(Path(name).parent) for name in jobs}) == 2  # a folder for each worker
    tried = {f"model.ema.half_life={trial.params['model.ema.half_life']}" for trial in trials}
    assert len(tried) == 2
    assert tried <= {override for job in jobs.values() for override in job.overrides}


@pytest.mark.slow
def test_a_sweep_of_runs_in_several_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The processes of Lightning log the training; the process of the sweep adds the evaluation."""
    pytest.importorskip("wandb", reason="wandb is not installed")
    monkeypatch.setenv("WANDB_MODE", "offline")
    on_two = ["trainer=ddp_spawn", "trainer.devices=2", "trainer.accelerator=cpu", "logger=wandb"]
    evaluation = ["evaluation=default", "evaluation.count=20", "evaluation.text_alignment={}"]
    evaluation += ["features._target_=fixtures.toy.TinyFeatures", "~features.resolution"]
    completed = run(*on_two, *evaluation, "seed=1", f"hydra.sweep.dir={tmp_path}/sweep")
    assert completed.returncode == 0, completed.stdout + completed.stderr
    (job,) = jobs_in(tmp_path / "sweep").values()
    assert job.status == "finished"
    assert job.metrics["images_seen"] == 96
    assert job.metrics["frechet_distance_tiny"] > 0
    folder = tmp_path / "sweep/0"
    assert read_checkpoint(folder / "checkpoints/last.ckpt")["t2f"]["images_seen"] == 96
    with (folder / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["images_seen"]) for row in rows] == [16, 32, 48, 64, 80, 96]
    assert all(row["loss/generator"] for row in rows)
    assert rows[-1]["evaluation/frechet_distance_tiny"]
    # The process of the sweep continues the same run of Weights & Biases.
    runs = sorted((folder / "wandb").glob("offline-run-*"))
    assert {run.name.rpartition("-")[2] for run in runs} == {(folder / "wandb_id.txt").read_text()}


def test_a_sweep_with_torchrun_is_refused(tmp_path: Path) -> None:
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    completed = run("seed=1,2", f"hydra.sweep.dir={tmp_path}/sweep", launcher=torchrun)
    assert completed.returncode == 1
    assert "several processes per job with trainer=ddp_spawn" in completed.stderr
    assert not (tmp_path / "sweep").exists()


def test_a_job_of_another_process_is_skipped(tmp_path: Path) -> None:
    """As when the same command is started twice."""
    folder = tmp_path / "sweep/0"
    other = Job(["other"])
    folder.mkdir(parents=True)
    other.write(folder)
    with exclusive_run(folder):
        completed = run("seed=1,2", f"hydra.sweep.dir={tmp_path}/sweep")
    assert completed.returncode == 1
    assert f"error: Another process is training in {folder}" in completed.stderr
    jobs = jobs_in(tmp_path / "sweep")
    assert jobs["0"] == other
    assert jobs["1"].status == "finished"
    assert not (folder / "error.txt").exists()
