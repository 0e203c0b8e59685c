"""Report on a sweep: a table, a CSV file, a plot, and the failed jobs with the commands that run them again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from t2f.evaluation.runs import unique_suffix
from t2f.sweeps.job import Job, jobs_in
from t2f.training.loggers.csv import IMAGES_SEEN, read_rows
from t2f.utils.checkpoints import CHECKPOINT_KEY, read_checkpoint
from t2f.utils.errors import UserError, require
from t2f.utils.extras import install_command
from t2f.utils.files import atomic_write, write_csv
from t2f.utils.quoting import format_override, print_verbatim, shell_command, train_command

MAX_METRICS = 3
"""Metrics in the terminal's table. The CSV file contains all."""
STATUS_STYLES = {"failed": "red", "unfinished": "yellow", "stopped": "yellow"}

Row = dict[str, Any]


def report(folder: Path, console: Console) -> dict[str, Job]:
    """Write `sweep.csv` and `sweep.png`, and print the table and the failed jobs.

    The folder may have several sweeps. The plot needs matplotlib; without it, the report prints how to install it.

    Returns:
        The jobs by their paths relative to the folder.

    Raises:
        UserError: If there are no jobs in the folder, or the files cannot be written.
    """
    jobs = jobs_in(folder)
    require(bool(jobs), f"There is no job of a sweep in {folder}: start one with python train.py -m ...")
    settings = varied_settings(jobs)
    rows = [
        {
            "job": name,
            **{key: values[name] for key, values in settings.items()},
            "images": _images_seen(folder / name, job),
            "minutes": round(job.minutes, 2),
            "status": "unfinished" if job.status == "running" else job.status,
            **{key: value for key, value in job.metrics.items() if not key.startswith("images_")},
            "error": job.error,
        }
        for name, job in jobs.items()
    ]
    columns = dict.fromkeys(key for row in rows for key in row if key != "error")
    write_csv(folder / "sweep.csv", [*columns, "error"], rows, f"the sweep's table {folder / 'sweep.csv'}")
    metrics = _varied_metrics(jobs)
    _print_table(rows, [*settings], metrics[:MAX_METRICS], console)
    files = "sweep.csv"
    try:
        _plot(rows, settings, metrics[0] if metrics else "minutes", folder / "sweep.png")
        files = "sweep.csv and sweep.png"
    except ModuleNotFoundError:
        console.print(f"For a plot of the sweep, install matplotlib: {install_command('experiments')}", markup=False)
    print_verbatim(f"{files} in {shell_command(str(folder))}", console)
    print_failures(folder, jobs, console)
    return jobs


def _images_seen(folder: Path, job: Job) -> int:
    """Return the images seen by a job. For an unfinished job, read them from the last checkpoint or the metrics."""
    if "images_seen" in job.metrics:
        return int(job.metrics["images_seen"])
    with suppress(UserError):  # the checkpoint is missing or damaged
        return int(read_checkpoint(folder / "checkpoints/last.ckpt", mmap=True)[CHECKPOINT_KEY]["images_seen"])
    _, rows = read_rows(folder / "metrics.csv")
    return int(rows[-1][IMAGES_SEEN]) if rows else 0


def _split_override(override: str) -> tuple[str, str]:
    """`++model.lr=3` -> `model.lr`, `3`."""
    key, _, value = override.partition("=")
    return key.lstrip("+~"), value


def varied_settings(jobs: dict[str, Job]) -> dict[str, dict[str, str]]:
    """Return the settings that differ between the jobs, as {setting: {job: value}}."""
    overrides = {name: dict(map(_split_override, job.overrides)) for name, job in jobs.items()}
    keys = dict.fromkeys(key for values in overrides.values() for key in values)
    settings = {key: {name: values.get(key, "") for name, values in overrides.items()} for key in keys}
    return {key: values for key, values in settings.items() if len(set(values.values())) > 1}


def _varied_metrics(jobs: dict[str, Job]) -> list[str]:
    """Return the names of the metrics that differ between the jobs, or of all metrics if none differs."""
    metrics: dict[str, set[float]] = {}
    for job in jobs.values():
        for name, value in job.metrics.items():
            if not name.startswith("images_"):
                metrics.setdefault(name, set()).add(value)
    return [name for name, values in metrics.items() if len(values) > 1] or list(metrics)


def _print_table(rows: Sequence[Row], settings: Sequence[str], metrics: Sequence[str], console: Console) -> None:
    table = Table(title=f"Sweep of {len(rows)} jobs")
    columns = ["job", *settings, *metrics, "images", "minutes", "status"]
    headings = short_names(settings)
    for column in columns:
        numeric = column in metrics or column in ("images", "minutes")
        heading = headings.get(column, column).replace("_", " ")  # rich breaks lines at blanks
        table.add_column(heading, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        cells = (_format_cell(row.get(column, "")) for column in columns)
        table.add_row(*map(escape, cells), style=STATUS_STYLES.get(row["status"], ""))
    console.print(table)


def short_names(keys: Sequence[str]) -> dict[str, str]:
    """Return the shortest unique suffix of each dotted key.

    >>> short_names(["model.optimizers.generator.lr", "model.optimizers.discriminator.lr", "seed"])["seed"]
    'seed'
    >>> list(short_names(["model.a.lr", "model.b.lr", "model.objectives.kl.weight"]).values())
    ['a.lr', 'b.lr', 'weight']
    """
    parts = [key.split(".") for key in keys]
    return {key: ".".join(unique_suffix(each, parts, min_parts=1)) for key, each in zip(keys, parts, strict=True)}


def _format_cell(value: Any) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float) or ("." in value and _is_number(value)):
        return f"{float(value):.4g}"
    return str(value)


def print_failures(folder: Path, jobs: dict[str, Job], console: Console) -> None:
    """Print the error of each failed job, and the command that runs the job again."""
    failed = {name: job for name, job in jobs.items() if job.status == "failed"}
    if not failed:
        return
    console.print(f"{len(failed)} of {len(jobs)} jobs failed:", style="bold red")
    for name, job in failed.items():
        path = folder / name
        location = [format_override("hydra.sweep.dir", path.parent), format_override("hydra.sweep.subdir", path.name)]
        print_verbatim(f"  {name}: {job.error}", console)
        print_verbatim(f"     run again: {train_command(*job.overrides, *location, sweep=True)}", console)


def _plot(rows: Sequence[Row], settings: Mapping[str, Mapping[str, str]], metric: str, path: Path) -> None:
    """Plot a metric of all jobs against each setting. Crosses at the bottom are jobs that are not finished."""
    from matplotlib.figure import Figure

    names = short_names([*settings])
    panels = settings or {"job": {row["job"]: row["job"] for row in rows}}
    figure = Figure(figsize=(max(4, 3.2 * len(panels)), 3.2), layout="constrained")
    finished = [row for row in rows if isinstance(row.get(metric), int | float) and row["status"] == "finished"]
    unfinished = [row for row in rows if row not in finished]
    low = min((row[metric] for row in finished), default=0.0)
    high = max((row[metric] for row in finished), default=1.0)
    bottom = low - 0.1 * ((high - low) or 1)
    all_axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (setting, values) in zip(all_axes, panels.items(), strict=True):
        x = axis_values(values)
        axes.xaxis.update_units(list(x.values()))  # categories in the order of the jobs
        axes.scatter([x[row["job"]] for row in finished], [row[metric] for row in finished], s=18, alpha=0.7)
        axes.scatter(
            [x[row["job"]] for row in unfinished], [bottom] * len(unfinished), marker="x", color="tab:red", s=18
        )
        axes.tick_params(axis="x", labelsize=7)
        axes.set_xlabel(names.get(setting, setting), fontsize=8)
    all_axes[0].set_ylabel(metric, fontsize=8)
    with atomic_write(path, f"the sweep's plot {path}") as temporary:
        figure.savefig(temporary, format="png", dpi=100)


def axis_values(values: Mapping[str, str]) -> dict[str, float] | dict[str, str]:
    """Convert the values of a setting to numbers if all are numeric; otherwise keep them as categories."""
    return (
        {job: float(value) for job, value in values.items()} if all(map(_is_number, values.values())) else dict(values)
    )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
