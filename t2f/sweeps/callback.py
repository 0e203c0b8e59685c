"""Hydra callback that checks a sweep before it starts, forwards signals to its jobs and reports on them at the end."""

from __future__ import annotations

import atexit
import multiprocessing
import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, read_write
from rich.console import Console

from t2f.sweeps.job import Job, jobs_in, launched_by_joblib
from t2f.sweeps.report import report
from t2f.training.resolvers import require_no_interpolation
from t2f.utils.errors import one_sentence_errors
from t2f.utils.extras import install_command
from t2f.utils.instantiate import raw_overrides
from t2f.utils.processes import folder_lock
from t2f.utils.quoting import drop_overrides, format_override, override_value, print_verbatim, train_command
from t2f.utils.signals import StopRequest

EXTRAS = {
    "hydra_plugins.hydra_optuna_sweeper": "optuna",
    "hydra_plugins.hydra_joblib_launcher": "joblib",
    "hydra_plugins.hydra_ray_launcher": "ray",
    "hydra_plugins.hydra_submitit_launcher": "slurm",
}
"""The extra of t2f that installs each Hydra plugin."""

STOP = StopRequest()
"""Signals to the process of the sweep. Global, because the callback is pickled for the processes of the jobs."""


class Sweep(Callback):
    """Check the config of a sweep, and print the report on all jobs at the end, with status 1 if a job is unfinished.

    The folder of the sweep is fixed before the first job starts, because an experiment may change the `name` of a job,
    from which the folder is derived.

    With the joblib launcher, a signal to the sweep is forwarded to the processes of the jobs. Each job saves a
    checkpoint; the first job to stop waits for the others and then ends the sweep.
    """

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        # Hydra turns the exceptions of callbacks into warnings, except SystemExit.
        for plugin in (config.hydra.launcher, config.hydra.sweeper):
            package = plugin._target_.rsplit(".", 2)[0]
            if package in EXTRAS and not is_installed(package):
                command = install_command(EXTRAS[package])
                raise SystemExit(f"error: {plugin._target_} is not installed: {command} installs it.")
        if "TORCHELASTIC_RUN_ID" in os.environ and int(os.environ["WORLD_SIZE"]) > 1:
            raise SystemExit(
                "error: torchrun would start the whole sweep in each of its processes, which diverge at the first job "
                "that fails: start the sweep with python, and use several processes per job with trainer=ddp_spawn."
            )
        metric = config.optimized_metric or (config.hydra.sweeper.get("params") or {}).get("optimized_metric")
        if metric and not config.evaluation and not metric.startswith("images_"):
            raise SystemExit(f"error: optimized_metric={metric} is a metric of the evaluation: remove evaluation=none.")
        if isinstance(config.hydra.sweeper.get("storage"), str):
            create_storage(config.hydra.sweeper.storage, Path(config.paths.runs))
        folder = str(config.hydra.sweep.dir)
        with one_sentence_errors():
            require_no_interpolation(Path(folder))
        with read_write(config.hydra):
            config.hydra.sweep.dir = folder
            config.hydra.overrides.hydra.append(format_override("hydra.sweep.dir", folder))
        if launched_by_joblib(config.hydra):
            STOP.listen(forward=lambda number: forward_to_jobs(number, Path(folder)))
        atexit.register(print_report, config, incomplete=True)  # Hydra calls no callback if the sweep is interrupted

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        atexit.unregister(print_report)
        STOP.restore()
        jobs = jobs_in(Path(config.hydra.sweep.dir))
        single = selected_job(config, jobs)
        failed = any(job.status != "finished" for name, job in jobs.items() if single in (None, name))
        print_report(config, incomplete=failed and single is None)
        if failed:
            raise SystemExit(1)


def selected_job(config: DictConfig, jobs: dict[str, Job]) -> str | None:
    """Return the job that `hydra.sweep.subdir` selects to run again, or None."""
    overrides = raw_overrides(config.hydra.overrides.hydra)
    subdirs = [override_value(each) for each in overrides if each.startswith("hydra.sweep.subdir=")]
    return subdirs[-1] if subdirs and subdirs[-1] in jobs else None


def create_storage(storage: str, runs: Path) -> None:
    """Create the tables of an Optuna study, under a lock because SQLite fails if several workers do so at once."""
    from optuna.storages import RDBStorage

    try:
        with folder_lock(runs):
            RDBStorage(storage)
    except Exception as error:  # of optuna, sqlalchemy or a database driver
        raise SystemExit(f"error: hydra.sweeper.storage={storage} cannot store a study: {error}") from error


def forward_to_jobs(number: int, sweep: Path) -> None:
    """Send a signal to the processes of the jobs. If no job is running, exit at once."""
    for process in multiprocessing.active_children():
        if process.pid is not None:
            os.kill(process.pid, number)
    if all(job.status != "running" for job in jobs_in(sweep).values()):
        raise SystemExit(128 + number)


def print_report(config: DictConfig, incomplete: bool) -> None:
    """Report on the jobs so far. If the sweep is incomplete, print the command that continues it."""
    folder, console = Path(config.hydra.sweep.dir), Console()
    if not jobs_in(folder):
        return
    with one_sentence_errors():
        report(folder, console)
    if incomplete:
        overrides = raw_overrides(config.hydra.overrides.task) + raw_overrides(config.hydra.overrides.hydra)
        overrides = drop_overrides(overrides, "hydra.mode", "hydra.sweep.dir")
        purpose = "To continue the search"  # in a new folder
        if config.hydra.sweeper._target_.endswith(".BasicSweeper"):
            purpose = "To run all unfinished jobs"
            overrides.append(format_override("hydra.sweep.dir", folder))
        print_verbatim(f"{purpose}: {train_command(*overrides, sweep=True)}", console)


def is_installed(package: str) -> bool:
    """Whether a package can be imported. Its parent, a namespace package, may be missing, too."""
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:
        return False
