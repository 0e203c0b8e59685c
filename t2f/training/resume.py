"""Atomic checkpoint files, and the choice of the checkpoint to resume from."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import InterpolationToMissingValueError
from pytorch_lightning.plugins.io import TorchCheckpointIO

from t2f.utils.checkpoints import CHECKPOINT_KEY, load_file, read_checkpoint
from t2f.utils.errors import UserError, require
from t2f.utils.files import atomic_write
from t2f.utils.instantiate import from_yaml
from t2f.utils.progress import print_note
from t2f.utils.quoting import format_override, shell_command

AUTO = "auto"
"""Value of `resume`: resume if there is a checkpoint, else start a new run."""

PERFORMANCE = "model.performance"
"""Settings that change the speed of a run, but not its result."""

TRAINING_SETTINGS = (
    "seed",
    "data",
    "labeled_fraction",
    "conditioning",
    "text",
    "augment",
    "model",
    "loss",
    "growth",
    "lr_schedule",
)
"""Settings that change the result of a run."""

COMPARED = ("seed", "data", "labeled_fraction", "conditioning", "model", "growth")
"""Those of them that the run reads; it reads the others where these refer to them."""


class SafeCheckpointIO(TorchCheckpointIO):
    """Writes checkpoints atomically, and loads only tensors and plain values."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        path = Path(path)
        with atomic_write(path, f"the checkpoint {path}") as side, side.open("wb") as file:
            try:
                torch.save(checkpoint, file)
                file.flush()
                os.fsync(file.fileno())
            except RuntimeError as error:
                # torch reports a failed write as RuntimeError, without the cause.
                raise UserError(f"The checkpoint {path} could not be written ({error}): is the disk full?") from error

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        return load_file(Path(path), map_location or "cpu")


def checkpoint_to_resume(cfg: DictConfig) -> Path | None:
    """Return the checkpoint that `ckpt_path` or `resume` select, or None for a new run.

    Settings that differ from those of the checkpoint are reported in the terminal.

    Args:
        cfg: The config of the run: `resume`, `ckpt_path`, `paths.run` and the settings to compare.

    Raises:
        UserError: There is no such checkpoint.
    """
    folder = Path(cfg.paths.run) / "checkpoints"
    # With resume=auto, the run's own checkpoints are newer than the one that it started from.
    path = newest_checkpoint(folder) if cfg.resume == AUTO or (cfg.resume and cfg.ckpt_path is None) else None
    if path is None and cfg.ckpt_path is not None:
        path = Path(str(cfg.ckpt_path))
        require(
            os.path.exists(path),
            f"There is no file or folder {path}: set ckpt_path to a .ckpt file, or to the folder of a run.",
        )
        if os.path.isdir(path):
            path = require_checkpoint(path)
    elif path is None and cfg.resume and cfg.resume != AUTO:
        raise UserError(no_checkpoint(folder))
    if path is None:
        return None
    saved = from_yaml(read_checkpoint(path, mmap=True)[CHECKPOINT_KEY]["config"])
    for group in COMPARED:
        for key, old, new in differences(saved.get(group), OmegaConf.select(cfg, group), group):
            if not key.startswith(PERFORMANCE):
                print_note(f"resuming with {key}={new}, trained so far with {old}")
    return path


def no_checkpoint(folder: Path) -> str:
    return (
        f"There is no checkpoint in {folder} to resume from: set resume or ckpt_path to a run that has one, "
        f"resume={AUTO} to start a new run if there is none, or leave out both."
    )


def newest_checkpoint(folder: Path) -> Path | None:
    """Return the intact checkpoint of `folder` with the most images seen, or None. Damaged ones are reported."""
    images_seen, damaged = {}, []
    for path in folder.glob("*.ckpt"):
        try:
            images_seen[path] = read_checkpoint(path, mmap=True)[CHECKPOINT_KEY]["images_seen"]
        except UserError:
            damaged.append(path)
    newest = None
    for path in sorted(images_seen, key=lambda path: (images_seen[path], path.name), reverse=True):
        with zipfile.ZipFile(path) as file:  # torch writes checksums, but does not verify them
            if file.testzip() is None:
                newest = path
                break
        damaged.append(path)
    for path in damaged:
        warn_of_damage(path, newest)
    return newest


@cache  # a run looks for its checkpoint twice: to choose its folder, and to load it
def warn_of_damage(path: Path, newest: Path | None) -> None:
    print_note(f"skipping {path}, which is damaged; the newest intact checkpoint in its folder is {newest}")


def require_checkpoint(folder: Path) -> Path:
    """Return the newest intact checkpoint of a run's folder, or of its folder of checkpoints.

    Raises:
        UserError: There is none.
    """
    newest = newest_checkpoint(folder / "checkpoints") or newest_checkpoint(folder)
    if newest is None:
        raise UserError(f"There is no intact checkpoint in the folder {folder}: give a run's folder, or a .ckpt file.")
    return newest


def require_run(resume: str) -> Path:
    """Return the folder of the run that `resume` names.

    Raises:
        UserError: It is a file, another folder, or does not exist.
    """
    path = Path(resume)
    try:
        exists, is_dir = path.exists(), path.is_dir()
        run = next((part for part in (path, *path.parents) if (part / "checkpoints").is_dir()), None)
    except (OSError, ValueError) as error:
        raise UserError(f"resume={resume[:40]}... is not the name of a folder: give a run's folder.") from error
    if run is not None and run != path and exists:
        instead = f" (to continue in a new folder: {shell_command(format_override('ckpt_path', path))})"
        raise UserError(
            f"resume needs the folder of a run, but {path} is a part of one: write "
            f"{shell_command(format_override('resume', run))}"
            f"{instead if path.suffix == '.ckpt' else ''}."
        )
    require(exists, f"There is no run {path} to resume: give a run's folder, or resume=true for the newest run.")
    require(is_dir, f"resume needs the folder of a run, but {path} is a file.")
    checkpoints = path / "checkpoints"
    require(run is not None and newest_checkpoint(checkpoints) is not None, no_checkpoint(checkpoints))
    return path


def newest_run(parent: Path) -> Path | None:
    """Return the newest run in `parent` that has an intact checkpoint, or None."""
    runs = sorted({path.parent.parent for path in parent.glob("*/checkpoints/*.ckpt")}, reverse=True)
    return next((run for run in runs if newest_checkpoint(run / "checkpoints")), None)


def differences(before: Any, now: Any, key: str) -> list[tuple[str, Any, Any]]:
    """Compare a plain value with a value of a config.

    Args:
        before: The plain value.
        now: The value of the config. Values that are not yet set (`???`) are ignored.
        key: The full key of the value.

    Returns:
        (key, before, now) of each leaf that differs.
    """
    if isinstance(now, DictConfig):
        before = before if isinstance(before, Mapping) else {}
        names: list[Any] = [*before, *(name for name in now if name not in before)]
        known = [name for name in names if not is_unset(now, name)]
        return [each for name in known for each in differences(before.get(name), now.get(name), f"{key}.{name}")]
    now = OmegaConf.to_container(now, resolve=True) if isinstance(now, ListConfig) else now
    return [] if before == now else [(key, before, now)]


def is_unset(config: DictConfig, name: str) -> bool:
    """Return whether a value is `???`, or an interpolation of one that is."""
    try:
        config.get(name)
    except InterpolationToMissingValueError:
        return True
    return OmegaConf.is_missing(config, name)
