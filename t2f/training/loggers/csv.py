"""A CSV logger that survives resuming, and an end for wandb's runs."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import Logger, TensorBoardLogger
from pytorch_lightning.utilities import rank_zero_only

from t2f.utils.errors import disk_errors
from t2f.utils.files import atomic_write

CLOCK = "images_seen"


class CSVLogger(Logger):
    """One row a moment, `images_seen` first; a metric that appears later adds a column.

    Lightning's own deletes the file of an earlier part of the run; this one keeps its rows, except those
    that the resumed run is about to write again. Killed at any moment, it leaves a whole file.
    """

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = Path(path)
        self.columns: list[str] = []
        self.rows: list[dict[str, Any]] = []
        self.has_read = False
        self.append = False  # not to a file of an earlier part of the run: its end may be cut off, or be stale
        self.clock: int | None = None

    @property
    def name(self) -> str:
        return "csv"

    @property
    def version(self) -> str:
        return ""

    @rank_zero_only
    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """The run's config is already in its folder."""

    def read(self) -> None:
        """Take in what an earlier part of the run, or another process of it, has written."""
        self.has_read, self.append = True, False
        self.columns, self.rows = read_rows(self.path)

    def go_back(self, clock: int) -> None:
        """Drop the rows of an earlier part of the run after `clock` images; what is next logged at it adds to its row.

        Raises `UserError` when the disk is full.
        """
        self.read()
        kept = [row for row in self.rows if int(row[CLOCK]) <= clock]
        if len(kept) < len(self.rows):
            self.rows = kept
            self.write_anew()
        self.clock = int(kept[-1][CLOCK]) if kept else None

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        if not self.has_read:
            self.read()
        row: dict[str, Any] = {CLOCK: step, **{name: f"{value:.6g}" for name, value in metrics.items()}}
        if step == self.clock:
            row = {**self.rows[-1], **row}
        kept = [old for old in self.rows if int(old[CLOCK]) < (step or 0)]
        new_columns = [name for name in row if name not in self.columns]
        append = self.append and len(kept) == len(self.rows) and not new_columns
        self.rows, self.columns, self.clock = [*kept, row], self.columns + new_columns, step
        if not append:
            self.write_anew()
            return
        with disk_errors(f"the metrics {self.path}"), self.path.open("a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, self.columns).writerow(row)

    def write_anew(self) -> None:
        """All rows."""
        with (
            atomic_write(self.path, f"the metrics {self.path}") as side,
            side.open("w", newline="", encoding="utf-8") as file,
        ):
            writer = csv.DictWriter(file, self.columns)
            writer.writeheader()
            writer.writerows(self.rows)
        self.append = True


def read_rows(path: Path) -> tuple[list[str], list[dict[str, Any]]]:
    """The columns and the whole rows of a file of metrics, which need not be there."""
    if not path.exists():
        return [CLOCK], []
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        rows: list[dict[str, Any]] = [row for row in reader if row[CLOCK].isdigit() and None not in row.values()]
        return list(reader.fieldnames or [CLOCK]), rows


@rank_zero_only
def go_back(logger: Logger, clock: int) -> None:
    """Let a logger forget what an earlier part of the run logged after `clock` images, where it can."""
    if isinstance(logger, CSVLogger):
        logger.go_back(clock)
    elif isinstance(logger, TensorBoardLogger) and clock:
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog

        # TensorBoard hides what earlier files of the folder hold from this step on.
        start = Event(session_log=SessionLog(status=SessionLog.START))
        logger.experiment.file_writer.add_event(start, step=clock + 1)


@contextmanager
def finish_wandb() -> Iterator[None]:
    """End the block's wandb run however the block ends, so that the next job of a sweep starts its own."""
    failed = True
    try:
        yield
        failed = False
    except SystemExit as stopped:  # by a signal, saved and ready to go on
        failed = not (isinstance(stopped.code, int) and stopped.code > 128)
        raise
    finally:
        wandb = sys.modules.get("wandb")
        if wandb is not None and wandb.run is not None:
            wandb.finish(exit_code=int(failed))
