"""One job of a sweep: train unless it is finished, and record its outcome."""

from __future__ import annotations

import json
import multiprocessing
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig
from pytorch_lightning.utilities import rank_zero_only
from torch import distributed

from t2f.training.resume import AUTO
from t2f.utils.errors import disk_errors, require, short_message
from t2f.utils.files import atomic_write
from t2f.utils.instantiate import raw_overrides
from t2f.utils.processes import RunLocked, exclusive_run, folder_lock, is_rank_zero

RECORD = "job.json"

Train = Callable[[DictConfig], dict[str, float]]


@dataclass
class Job:
    """The record of a job.

    Attributes:
        overrides: Hydra overrides of the job.
        status: "running" (also after the process was killed), "stopped", "failed" or "finished".
        minutes: Training time of all attempts.
        metrics: Values returned by the training, by name.
        error: One-line message of a failed job.
    """

    overrides: list[str]
    status: str = "running"
    minutes: float = 0.0
    metrics: dict[str, float] = field(default_factory=dict)
    error: str = ""

    @classmethod
    def read(cls, folder: Path) -> Job | None:
        """Read the record of a job's folder; None if there is none."""
        file = folder / RECORD
        return cls(**json.loads(file.read_text(encoding="utf-8"))) if file.exists() else None

    @rank_zero_only
    def write(self, folder: Path) -> None:
        """Replace the record atomically. Only rank 0 writes."""
        with atomic_write(folder / RECORD, f"the job's record in {folder}") as temporary:
            temporary.write_text(json.dumps(asdict(self), indent=2), encoding="utf-8")


def run_job(train: Train, cfg: DictConfig) -> float | None:
    """Run a job of a sweep, or resume it. A job that is already finished is not run again.

    An error is recorded in `job.json`, with its stack trace in `error.txt`, and not raised, so that the sweep continues
    with the other jobs.

    Args:
        train: Trains with a config and returns metrics by name.
        cfg: Config of the job. `optimized_metric` names the metric to return.

    Returns:
        The optimized metric. None if the job failed or `optimized_metric` is not set. Also None if another process is
        running this job; that process writes the record.
    """
    folder = Path(cfg.paths.run)
    try:
        with exclusive_run(folder):
            return _run_locked_job(train, cfg, folder)
    except RunLocked as error:
        print(f"error: {error} (the sweep continues)", file=sys.stderr)
        return None


def _run_locked_job(train: Train, cfg: DictConfig, folder: Path) -> float | None:
    overrides = raw_overrides(HydraConfig.get().overrides.task)
    job = Job.read(folder) or Job(overrides)
    require(
        job.overrides == overrides,
        f"{folder} contains another job ({' '.join(job.overrides)}): continue a sweep with the command that started "
        "it, or give a new sweep another hydra.sweep.dir.",
    )
    if job.status != "finished":
        if launched_by_joblib(HydraConfig.get()):
            # joblib sets its own start method, with which the processes that decode images cannot be started.
            multiprocessing.set_start_method(None, force=True)
        cfg.resume = AUTO
        _train_and_record(train, cfg, job, folder)
    return job.metrics.get(cfg.optimized_metric) if cfg.optimized_metric and job.status == "finished" else None


def _train_and_record(train: Train, cfg: DictConfig, job: Job, folder: Path) -> None:
    job.status, job.error, job.metrics = "running", "", {}
    (folder / "error.txt").unlink(missing_ok=True)
    job.write(folder)
    minutes_before, start = job.minutes, time.perf_counter()
    try:
        job.metrics = train(cfg)
        job.status = "finished"
        require(
            not is_rank_zero() or cfg.optimized_metric in (None, *job.metrics),  # other ranks do not evaluate
            f"optimized_metric={cfg.optimized_metric} is not a metric of this run: choose one of "
            f"{', '.join(job.metrics)}.",
        )
    except (SystemExit, KeyboardInterrupt):  # a signal, which stops the whole sweep
        job.status = "stopped"
        job.write(folder)
        if launched_by_joblib(HydraConfig.get()):
            _wait_for_other_jobs(Path(HydraConfig.get().sweep.dir))
        raise
    except Exception as error:  # whatever ends a job is recorded
        job.status = "failed"
        job.error = short_message(error)
        job.write(folder)
        with disk_errors(f"the error in {folder}"):
            (folder / "error.txt").write_text(traceback.format_exc(), encoding="utf-8")
        if distributed.is_initialized() and distributed.get_world_size() > 1:
            raise  # the other processes are still in this job, and must not meet this one in the next job
    finally:
        job.minutes = minutes_before + (time.perf_counter() - start) / 60
        job.write(folder)
    _print_outcome(job, folder)


def _print_outcome(job: Job, folder: Path) -> None:
    """Print one line with the job's number, because the lines of parallel jobs are interleaved."""
    name = f"[{HydraConfig.get().job.num}] {' '.join(job.overrides)}"
    if job.status == "finished":
        print(f"{name}: finished in {job.minutes:.1f} minutes", flush=True)
    else:
        error = f"error: {name}: {job.error} (the sweep continues; {folder / 'error.txt'})"
        print(error, file=sys.stderr, flush=True)


def launched_by_joblib(hydra: Any) -> bool:
    """Whether the launcher of a config's `hydra` section is joblib."""
    return bool(hydra.launcher._target_.endswith(".JoblibLauncher"))


def _wait_for_other_jobs(sweep: Path) -> None:
    """Wait for the running jobs of a sweep, because joblib kills them when the first job ends by a signal.

    Usually the other jobs received the signal, too, and are saving. Otherwise this waits until they are finished.
    """
    for name, job in jobs_in(sweep).items():
        if job.status == "running":
            with folder_lock(sweep / name):
                pass


def jobs_in(folder: Path) -> dict[str, Job]:
    """Return all jobs below a folder by their relative paths, in the order of their numbers."""

    def order(path: Path) -> list[tuple[bool, int, str]]:
        return [(not part.isdigit(), int(part) if part.isdigit() else 0, part) for part in path.parts]

    paths = sorted((file.parent.relative_to(folder) for file in folder.rglob(RECORD)), key=order)
    jobs = {str(path): Job.read(folder / path) for path in paths}
    return {name: job for name, job in jobs.items() if job is not None}
