"""One job of a sweep: run unless it is finished, and recorded however it ends."""

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
from t2f.utils.errors import disk_errors, in_short, require
from t2f.utils.files import atomic_write
from t2f.utils.instantiate import as_typed
from t2f.utils.processes import RunLocked, exclusive_run, first_process, locked

RECORD = "job.json"


@dataclass
class Job:
    """What is known of one job; `status` is running (also of one that was killed), stopped, failed or finished."""

    overrides: list[str]
    status: str = "running"
    minutes: float = 0.0
    figures: dict[str, float] = field(default_factory=dict)
    error: str = ""

    @classmethod
    def read(cls, folder: Path) -> Job | None:
        """The record in a job's folder, None where there is none."""
        file = folder / RECORD
        return cls(**json.loads(file.read_text(encoding="utf-8"))) if file.exists() else None

    @rank_zero_only
    def write(self, folder: Path) -> None:
        """Replace the record, so that it is whole at any moment; of several processes, the first one's counts."""
        with atomic_write(folder / RECORD, f"the job's record in {folder}") as side:
            side.write_text(json.dumps(asdict(self), indent=2), encoding="utf-8")


def run_job(train: Callable[[DictConfig], dict[str, float]], cfg: DictConfig) -> float | None:
    """Train, or go on where an earlier attempt stopped, or leave it where one finished; the objective's figure.

    An error is written down in `job.json`, with its stack trace in `error.txt`, and goes no further: the other jobs
    of the sweep are worth having. The objective is then None. So it is of a job that another process is in, whose
    record is that one's to write.
    """
    folder = Path(cfg.paths.run)
    try:
        with exclusive_run(folder):
            return go_on_with(train, cfg, folder)
    except RunLocked as error:
        print(f"error: {error} (the sweep goes on)", file=sys.stderr)
        return None


def go_on_with(train: Callable[[DictConfig], dict[str, float]], cfg: DictConfig, folder: Path) -> float | None:
    """The job in a folder that is this process's alone."""
    overrides = as_typed(HydraConfig.get().overrides.task)
    job = Job.read(folder) or Job(overrides)
    require(
        job.overrides == overrides,
        f"{folder} holds another job ({' '.join(job.overrides)}): go on with a sweep by the command that it was "
        "started with, or give a new one another hydra.sweep.dir.",
    )
    if job.status != "finished":
        if launched_by_joblib(HydraConfig.get()):
            # Its processes start others in a way of its own, of which those that draw or read faces do not know.
            multiprocessing.set_start_method(None, force=True)
        cfg.resume = AUTO
        attempt(train, cfg, job, folder)
    return job.figures.get(cfg.optimized_metric) if cfg.optimized_metric and job.status == "finished" else None


def attempt(train: Callable[[DictConfig], dict[str, float]], cfg: DictConfig, job: Job, folder: Path) -> None:
    """Train once and record how it went."""
    job.status, job.error, job.figures = "running", "", {}
    (folder / "error.txt").unlink(missing_ok=True)
    job.write(folder)
    before, start = job.minutes, time.perf_counter()
    try:
        job.figures = train(cfg)
        job.status = "finished"
        require(
            not first_process() or cfg.optimized_metric in (None, *job.figures),  # only the first process measures
            f"optimized_metric={cfg.optimized_metric} is none of this run's figures, "
            f"which are {', '.join(job.figures)}.",
        )
    except (SystemExit, KeyboardInterrupt):  # by Ctrl-C or another signal, which is meant for the whole sweep
        job.status = "stopped"
        job.write(folder)
        if launched_by_joblib(HydraConfig.get()):
            wait_for_others(Path(HydraConfig.get().sweep.dir))
        raise
    except Exception as error:
        job.status = "failed"
        job.error = in_short(error)
        job.write(folder)
        with disk_errors(f"the error in {folder}"):
            (folder / "error.txt").write_text(traceback.format_exc(), encoding="utf-8")
        if distributed.is_initialized() and distributed.get_world_size() > 1:
            raise  # the other processes are still in this job, and must not meet this one in the next
    finally:
        job.minutes = before + (time.perf_counter() - start) / 60
        job.write(folder)
    tell(job, folder)


def tell(job: Job, folder: Path) -> None:
    """One line of how a job ended, with its number: where they run beside each other, the lines are mixed."""
    which = f"[{HydraConfig.get().job.num}] {' '.join(job.overrides)}"
    if job.status == "finished":
        print(f"{which}: finished in {job.minutes:.1f} minutes", flush=True)
    else:
        print(f"error: {which}: {job.error} (the sweep goes on; {folder / 'error.txt'})", file=sys.stderr, flush=True)


def launched_by_joblib(hydra: Any) -> bool:
    """Whether the jobs of a sweep, by Hydra's part of the config, run in processes that joblib starts."""
    return bool(hydra.launcher._target_.endswith(".JoblibLauncher"))


def wait_for_others(sweep: Path) -> None:
    """Wait while other jobs of a sweep are being trained: when the first one ends by a signal, joblib kills the others.

    They have got it too, as a rule, and save; if not, they are waited for to their end.
    """
    for place, job in jobs_in(sweep).items():
        if job.status == "running":
            with locked(sweep / place, wait=True):
                pass


def jobs_in(folder: Path) -> dict[str, Job]:
    """All jobs somewhere in a folder, by their own folders' paths in it, in the order of their numbers."""

    def order(place: Path) -> list[tuple[bool, int, str]]:
        return [(not part.isdigit(), int(part) if part.isdigit() else 0, part) for part in place.parts]

    places = sorted((file.parent.relative_to(folder) for file in folder.rglob(RECORD)), key=order)
    jobs = {str(place): Job.read(folder / place) for place in places}
    return {place: job for place, job in jobs.items() if job is not None}
