"""What a sweep came to: one table, one CSV file, one plot, and what failed with how to run it again."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from t2f.sweeps.job import Job, jobs_in
from t2f.training.loggers.csv import CLOCK, read_rows
from t2f.utils.checkpoints import CHECKPOINT_KEY, read_checkpoint
from t2f.utils.errors import UserError, require
from t2f.utils.extras import install_command
from t2f.utils.files import atomic_write
from t2f.utils.quoting import in_shell, override, show_exactly, train

MOST_FIGURES = 3
"""How many figures the terminal shows; the CSV file has all."""


def report(folder: Path, console: Console) -> dict[str, Job]:
    """Write `sweep.csv` and `sweep.png` of all jobs in a folder, print the table and the failures; the jobs."""
    jobs = jobs_in(folder)
    require(bool(jobs), f"There is no job of a sweep in {folder}: start one with python train.py -m ...")
    settings = differing(jobs)
    rows = [
        {
            "job": name,
            **{key: settings[key][name] for key in settings},
            "images": images_of(folder / name, job),
            "minutes": round(job.minutes, 2),
            "status": "unfinished" if job.status == "running" else job.status,
            **{key: value for key, value in job.figures.items() if not key.startswith("images_")},
            "error": job.error,
        }
        for name, job in jobs.items()
    ]
    write_csv(rows, folder / "sweep.csv")
    figures = figures_of(jobs)
    show(rows, [*settings], figures[:MOST_FIGURES], console)
    written = "sweep.csv"
    try:
        plot(rows, settings, figures[0] if figures else "minutes", folder / "sweep.png")
        written = "sweep.csv and sweep.png"
    except ModuleNotFoundError:
        console.print(f"For a plot of the sweep, install matplotlib: {install_command('experiments')}", markup=False)
    show_exactly(f"{written} in {in_shell(str(folder))}", console)
    show_failures(folder, jobs, console)
    return jobs


def images_of(folder: Path, job: Job) -> int:
    """The images that a job has seen; of one that did not end well, those of its last checkpoint or metrics."""
    if "images_seen" in job.figures:
        return int(job.figures["images_seen"])
    with suppress(UserError):  # there is none, or no whole one
        return int(read_checkpoint(folder / "checkpoints/last.ckpt", mmap=True)[CHECKPOINT_KEY]["images_seen"])
    _, rows = read_rows(folder / "metrics.csv")
    return int(rows[-1][CLOCK]) if rows else 0


def parts_of(override: str) -> tuple[str, str]:
    """`++model.lr=3` -> `model.lr`, `3`."""
    key, _, value = override.partition("=")
    return key.lstrip("+~"), value


def differing(jobs: dict[str, Job]) -> dict[str, dict[str, str]]:
    """Setting -> job -> value, of the settings that are not the same in all jobs."""
    values = {name: dict(map(parts_of, job.overrides)) for name, job in jobs.items()}
    keys = dict.fromkeys(key for each in values.values() for key in each)
    table = {key: {name: each.get(key, "") for name, each in values.items()} for key in keys}
    return {key: column for key, column in table.items() if len(set(column.values())) > 1}


def figures_of(jobs: dict[str, Job]) -> list[str]:
    """The figures worth a column: measured of the runs, and not the same in all."""
    measured: dict[str, set[float]] = {}
    for job in jobs.values():
        for name, value in job.figures.items():
            if not name.startswith("images_"):
                measured.setdefault(name, set()).add(value)
    varied = [name for name, values in measured.items() if len(values) > 1]
    return varied or list(measured)


def write_csv(rows: list[dict[str, Any]], file: Path) -> None:
    """All rows; a cell is empty where a job has no such value."""
    columns = [column for column in dict.fromkeys(key for row in rows for key in row) if column != "error"]
    with (
        atomic_write(file, f"the sweep's table {file}") as side,
        side.open("w", newline="", encoding="utf-8") as opened,
    ):
        writer = csv.DictWriter(opened, [*columns, "error"], restval="")
        writer.writeheader()
        writer.writerows(rows)


def show(rows: list[dict[str, Any]], settings: Sequence[str], figures: Sequence[str], console: Console) -> None:
    """The rows as a table in the terminal."""
    table = Table(title=f"Sweep of {len(rows)} jobs")
    columns = ["job", *settings, *figures, "images", "minutes", "status"]
    headings = short_names(settings)
    for column in columns:
        number = column in figures or column in ("images", "minutes")
        heading = headings.get(column, column).replace("_", " ")  # which breaks into lines
        table.add_column(heading, justify="right" if number else "left", overflow="fold")
    for row in rows:
        values = (cell(row.get(column, "")) for column in columns)
        table.add_row(*map(escape, values), style=COLORS.get(row["status"], ""))
    console.print(table)


def short_names(keys: Sequence[str]) -> dict[str, str]:
    """Each dotted key's shortest end that no other of them has.

    >>> short_names(["model.optimizers.generator.lr", "model.optimizers.discriminator.lr", "seed"])["seed"]
    'seed'
    >>> list(short_names(["model.a.lr", "model.b.lr", "model.objectives.kl.weight"]).values())
    ['a.lr', 'b.lr', 'weight']
    """
    ends = {key: [".".join(key.split(".")[start:]) for start in range(key.count("."), -1, -1)] for key in keys}
    taken = Counter(end for each in ends.values() for end in each)
    return {key: next(end for end in each if taken[end] == 1 or end == key) for key, each in ends.items()}


COLORS = {"failed": "red", "unfinished": "yellow", "stopped": "yellow"}


def cell(value: Any) -> str:
    """A value as the terminal's table shows it."""
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float) or ("." in value and is_number(value)):
        return f"{float(value):.4g}"
    return str(value)


def show_failures(folder: Path, jobs: dict[str, Job], console: Console) -> None:
    """What failed, why, and the command that runs it again alone."""
    failed = {name: job for name, job in jobs.items() if job.status == "failed"}
    if not failed:
        return
    console.print(f"{len(failed)} of {len(jobs)} jobs failed:", style="bold red")
    for name, job in failed.items():
        place = folder / name
        where = [override("hydra.sweep.dir", place.parent), override("hydra.sweep.subdir", place.name)]
        again = train(*job.overrides, *where, sweep=True)
        for line in (f"  {name}: {job.error}", f"     again: {again}"):
            show_exactly(line, console)


def plot(rows: list[dict[str, Any]], settings: dict[str, dict[str, str]], figure: str, file: Path) -> None:
    """The figure of every job against each setting that differs; jobs that did not finish are crosses below."""
    from matplotlib.figure import Figure

    names = short_names([*settings])
    panels = settings or {"job": {row["job"]: row["job"] for row in rows}}
    picture = Figure(figsize=(max(4, 3.2 * len(panels)), 3.2), layout="constrained")
    known = [row for row in rows if isinstance(row.get(figure), int | float) and row["status"] == "finished"]
    missing = [row for row in rows if row not in known]
    low = min((row[figure] for row in known), default=0.0)
    high = max((row[figure] for row in known), default=1.0)
    floor = low - 0.1 * ((high - low) or 1)
    for axes, (setting, values) in zip(picture.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True):
        places = positions(values)
        axes.scatter([places[row["job"]] for row in known], [row[figure] for row in known], s=18, alpha=0.7)
        axes.scatter([places[row["job"]] for row in missing], [floor] * len(missing), marker="x", color="tab:red", s=18)
        if not all(map(is_number, values.values())):
            axes.set_xticks(sorted(set(places.values())), list(dict.fromkeys(values.values())), fontsize=7)
        axes.set_xlabel(names.get(setting, setting), fontsize=8)
    picture.axes[0].set_ylabel(figure, fontsize=8)
    with atomic_write(file, f"the sweep's plot {file}") as side:
        picture.savefig(side, format="png", dpi=100)


def positions(values: dict[str, str]) -> dict[str, float]:
    """Where on the axis each job's value of a setting stands: numbers at themselves, names in the order they came."""
    if all(map(is_number, values.values())):
        return {job: float(value) for job, value in values.items()}
    names = list(dict.fromkeys(values.values()))
    return {job: float(names.index(value)) for job, value in values.items()}


def is_number(text: str) -> bool:
    """Whether a setting's value is a number, as Python reads them."""
    try:
        float(text)
    except ValueError:
        return False
    return True
