"""What Hydra calls around a sweep: a check before, a report after, and a hand for the jobs that a signal stops."""

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
from t2f.training.resolvers import require_readable
from t2f.utils.errors import one_sentence_errors
from t2f.utils.extras import install_command
from t2f.utils.instantiate import as_typed
from t2f.utils.processes import one_at_a_time
from t2f.utils.quoting import override, show_exactly, train, value_of, without
from t2f.utils.signals import StopRequest

EXTRAS = {
    "hydra_plugins.hydra_optuna_sweeper": "optuna",
    "hydra_plugins.hydra_joblib_launcher": "joblib",
    "hydra_plugins.hydra_ray_launcher": "ray",
    "hydra_plugins.hydra_submitit_launcher": "slurm",
}


STOP = StopRequest()
"""What the sweep itself has heard; not the callback's, for that is sent to the processes of the jobs."""


class Sweep(Callback):
    """Say which extra a missing plugin comes with; show all jobs at the end, with status 1 if any is unfinished.

    Jobs in processes of a launcher are told of a signal that only the sweep has got, and save; so the sweep itself
    does not end at once, but with the first of them, which waits for the others.

    The sweep's folder is settled before it starts: a job may have a `name` of its own, from its experiment, but it is
    still one of this sweep's.
    """

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        for part in (config.hydra.launcher, config.hydra.sweeper):
            package = part._target_.rsplit(".", 2)[0]
            if package in EXTRAS and not installed(package):
                # Hydra turns a callback's exceptions into warnings, but not this one.
                extra = EXTRAS[package]
                raise SystemExit(f"error: {part._target_} is not installed: {install_command(extra)} installs it.")
        if "TORCHELASTIC_RUN_ID" in os.environ and int(os.environ["WORLD_SIZE"]) > 1:
            raise SystemExit(
                "error: torchrun would start the whole sweep in each of its processes, and they part at the first job "
                "that fails: start it with python, and several processes a job with trainer=ddp_spawn."
            )
        objective = config.optimized_metric or (config.hydra.sweeper.get("params") or {}).get("optimized_metric")
        if objective and not config.evaluation and not objective.startswith("images_"):
            raise SystemExit(
                f"error: optimized_metric={objective} is a figure of the evaluation: leave out evaluation=none."
            )
        if isinstance(config.hydra.sweeper.get("storage"), str):
            prepare_storage(config.hydra.sweeper.storage, Path(config.paths.runs))
        folder = str(config.hydra.sweep.dir)
        with one_sentence_errors():
            require_readable(Path(folder))
        with read_write(config.hydra):
            config.hydra.sweep.dir = folder
            config.hydra.overrides.hydra.append(override("hydra.sweep.dir", folder))
        if launched_by_joblib(config.hydra):
            STOP.listen(pass_on=lambda number: tell_jobs(number, Path(folder)))
        atexit.register(show, config, incomplete=True)  # for one that is cut off: Hydra does not tell

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        atexit.unregister(show)
        STOP.ignore()
        jobs = jobs_in(Path(config.hydra.sweep.dir))
        alone = the_one_asked_for(config, jobs)
        failed = any(job.status != "finished" for place, job in jobs.items() if alone in (None, place))
        show(config, incomplete=failed and alone is None)
        if failed:
            raise SystemExit(1)


def the_one_asked_for(config: DictConfig, jobs: dict[str, Job]) -> str | None:
    """The folder of the single job that is run again, as the report told, or None."""
    overrides = as_typed(config.hydra.overrides.hydra)
    asked = [each for each in overrides if each.startswith("hydra.sweep.subdir=")]
    place = value_of(asked[-1]) if asked else ""
    return place if place in jobs else None


def prepare_storage(storage: str, runs: Path) -> None:
    """Let the first of several workers that start at one moment make a search's tables, which SQLite would mix up."""
    from optuna.storages import RDBStorage

    try:
        with one_at_a_time(runs):
            RDBStorage(storage)
    except Exception as error:  # Hydra would turn it into a warning
        raise SystemExit(f"error: hydra.sweeper.storage={storage} cannot keep a study: {error}") from error


def tell_jobs(number: int, sweep: Path) -> None:
    """Pass a signal on to the processes of the jobs; where none is in a job, nothing is to be saved, and all ends."""
    for process in multiprocessing.active_children():
        if process.pid is not None:
            os.kill(process.pid, number)
    if all(job.status != "running" for job in jobs_in(sweep).values()):
        raise SystemExit(128 + number)


def show(config: DictConfig, incomplete: bool) -> None:
    """Report on the jobs there are; of an incomplete sweep, say how it goes on."""
    folder, console = Path(config.hydra.sweep.dir), Console()
    if not jobs_in(folder):
        return
    with one_sentence_errors():
        report(folder, console)
    if incomplete:
        asked = as_typed(config.hydra.overrides.task) + as_typed(config.hydra.overrides.hydra)
        kept = without(asked, "hydra.mode", "hydra.sweep.dir")
        what = "To go on with the search"  # in a folder of its own
        if config.hydra.sweeper._target_.endswith(".BasicSweeper"):
            what = "To run all that is missing"
            kept.append(override("hydra.sweep.dir", folder))
        show_exactly(f"{what}: {train(*kept, sweep=True)}", console)


def installed(package: str) -> bool:
    """Whether a package in a namespace that may itself be missing is there."""
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:
        return False
