"""A CSV logger that survives resuming, and helpers for all loggers of a run."""

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
from t2f.utils.files import write_csv

IMAGES_SEEN = "images_seen"
"""The CSV column and wandb metric of the horizontal axis of all plots."""


class CSVLogger(Logger):
    """Writes one row per step, `images_seen` first. A new metric adds a column.

    Lightning's own CSVLogger deletes the file of an earlier part of the run. This one keeps its rows, except those that
    the resumed run writes again. After a crash, only the last row may be incomplete.

    Args:
        path: The CSV file.
    """

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = Path(path)
        self.columns: list[str] = []
        self.rows: list[dict[str, Any]] = []
        self.has_read = False
        self.can_append = False  # the last row of an earlier part of the run may be incomplete
        self.last_step: int | None = None

    @property
    def name(self) -> str:
        return "csv"

    @property
    def version(self) -> str:
        return ""

    @rank_zero_only
    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Do nothing: `RecordConfig` saves the config."""

    def read(self) -> None:
        """Read the rows of an earlier part of the run, or of another process."""
        self.has_read, self.can_append = True, False
        self.columns, self.rows = read_rows(self.path)

    def discard_after(self, images_seen: int) -> None:
        """Discard the rows after `images_seen`. Metrics that are logged next at that step extend its row.

        Raises:
            UserError: The disk is full.
        """
        self.read()
        kept = [row for row in self.rows if int(row[IMAGES_SEEN]) <= images_seen]
        if len(kept) < len(self.rows):
            self.rows = kept
            self.rewrite()
        self.last_step = int(kept[-1][IMAGES_SEEN]) if kept else None

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        if not self.has_read:
            self.read()
        row: dict[str, Any] = {IMAGES_SEEN: step, **{name: f"{value:.6g}" for name, value in metrics.items()}}
        if step == self.last_step:
            row = {**self.rows[-1], **row}
        kept = [old for old in self.rows if int(old[IMAGES_SEEN]) < (step or 0)]
        new_columns = [name for name in row if name not in self.columns]
        append = self.can_append and len(kept) == len(self.rows) and not new_columns
        self.rows, self.columns, self.last_step = [*kept, row], self.columns + new_columns, step
        if not append:
            self.rewrite()
            return
        with disk_errors(f"the metrics {self.path}"), self.path.open("a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, self.columns).writerow(row)

    def rewrite(self) -> None:
        write_csv(self.path, self.columns, self.rows, f"the metrics {self.path}")
        self.can_append = True


def read_rows(path: Path) -> tuple[list[str], list[dict[str, Any]]]:
    """Return the columns and the complete rows of a file of metrics, which may be missing."""
    if not path.exists():
        return [IMAGES_SEEN], []
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        rows: list[dict[str, Any]] = [row for row in reader if row[IMAGES_SEEN].isdigit() and None not in row.values()]
        return list(reader.fieldnames or [IMAGES_SEEN]), rows


@rank_zero_only
def discard_after(logger: Logger, images_seen: int) -> None:
    """Discard what an earlier part of the run logged after `images_seen`, if the logger supports it."""
    if isinstance(logger, CSVLogger):
        logger.discard_after(images_seen)
    elif isinstance(logger, TensorBoardLogger) and images_seen:
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog

        # From this step on, TensorBoard ignores the earlier files in the folder.
        start = Event(session_log=SessionLog(status=SessionLog.START))
        logger.experiment.file_writer.add_event(start, step=images_seen + 1)


@contextmanager
def finish_wandb() -> Iterator[None]:
    """Finish the wandb run at the end of the block, also after an error. The next job of a sweep then starts its own.

    A run that a signal stopped is resumable, and counts as successful.
    """
    failed = True
    try:
        yield
        failed = False
    except SystemExit as stopped:
        failed = not (isinstance(stopped.code, int) and stopped.code > 128)
        raise
    finally:
        wandb = sys.modules.get("wandb")
        if wandb is not None and wandb.run is not None:
            wandb.finish(exit_code=int(failed))
