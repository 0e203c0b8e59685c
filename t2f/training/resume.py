"""Checkpoints of a training: written to the side and renamed, and gone on from."""

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
from pytorch_lightning.utilities import rank_zero_only
from rich.console import Console

from t2f.utils.checkpoints import CHECKPOINT_KEY, load_file, read_checkpoint
from t2f.utils.errors import UserError, require
from t2f.utils.files import atomic_write
from t2f.utils.instantiate import from_yaml
from t2f.utils.quoting import format_override, shell_command

AUTO = "auto"
"""The `resume` that goes on where there is something to go on from, and starts anew where there is not."""

HOW_FAST = "model.performance"
"""Settings within these groups that decide how fast the run is, not what is learnt."""

# What must be as it was for a run to go on as if it had never stopped.
GROUPS = (
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
USED = ("seed", "data", "labeled_fraction", "conditioning", "model", "growth")
"""Those that the run reads; it reads the others where `conditioning` and `model` refer to them."""


class SafeCheckpointIO(TorchCheckpointIO):
    """Lightning's checkpoint files, made safe against a crash while writing and against code when reading."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        path = Path(path)
        with atomic_write(path, f"the checkpoint {path}") as side, side.open("wb") as file:
            try:
                torch.save(checkpoint, file)
                file.flush()
                os.fsync(file.fileno())
            except RuntimeError as error:
                # torch reports a failed write as its own error, with the cause lost.
                raise UserError(f"The checkpoint {path} could not be written ({error}): is the disk full?") from error

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        return load_file(Path(path), map_location or "cpu")


def checkpoint_to_resume(cfg: DictConfig) -> Path | None:
    """The checkpoint that `ckpt_path` or `resume` asks for, or None to start anew.

    Says on the terminal which settings are not those that the checkpoint was trained with.
    """
    folder = Path(cfg.paths.run) / "checkpoints"
    # A run that has come further goes on from there, though it began with another's checkpoint.
    path = newest_whole(folder) if cfg.resume == AUTO or (cfg.resume and cfg.ckpt_path is None) else None
    if path is None and cfg.ckpt_path is not None:
        path = Path(str(cfg.ckpt_path))
        require(
            os.path.exists(path),
            f"There is no file or folder {path}: give ckpt_path a .ckpt file, or the folder of a run.",
        )
        if os.path.isdir(path):
            path = newest_of(path)
    elif path is None and cfg.resume and cfg.resume != AUTO:
        raise UserError(
            f"There is no checkpoint in {folder} to resume from: give a resume or ckpt_path that exists, "
            f"resume={AUTO} to start anew where there is none, or neither to start anew."
        )
    if path is None:
        return None
    saved = from_yaml(read_checkpoint(path, mmap=True)[CHECKPOINT_KEY]["config"])
    for group in USED:
        for key, old, new in differences(saved.get(group), OmegaConf.select(cfg, group), group):
            if key.startswith(HOW_FAST):
                continue
            warn(f"resuming with {key}={new}, trained so far with {old}")
    return path


def newest_whole(folder: Path) -> Path | None:
    """The checkpoint of `folder` with the most images seen that is whole, or None; says which ones it passed over."""
    clocks, damaged = {}, []
    for path in folder.glob("*.ckpt"):
        try:
            clocks[path] = read_checkpoint(path, mmap=True)[CHECKPOINT_KEY]["images_seen"]
        except UserError:
            damaged.append(path)
    newest = None
    for path in sorted(clocks, key=lambda path: (clocks[path], path.name), reverse=True):
        with zipfile.ZipFile(path) as file:  # torch does not look at the checksums that it wrote
            if file.testzip() is None:
                newest = path
                break
        damaged.append(path)
    for path in damaged:
        warn_of_damage(path, newest)
    return newest


@cache
def warn_of_damage(path: Path, newest: Path | None) -> None:
    """Once, though a run looks for its checkpoint twice: to find its folder, and to go on."""
    warn(f"passing over {path}, which is damaged; the newest whole checkpoint beside it is {newest}")


def newest_of(folder: Path) -> Path:
    """The newest whole checkpoint of a run's folder, or of its folder of checkpoints. Raises `UserError` if none is."""
    newest = newest_whole(folder / "checkpoints") or newest_whole(folder)
    require(
        newest is not None, f"There is no whole checkpoint in the folder {folder}: give that of a run, or a .ckpt file."
    )
    assert newest is not None
    return newest


def run_named(resume: str) -> Path:
    """The folder of the run that `resume` names. Raises `UserError` for another folder, a file, and for nothing."""
    place = Path(resume)
    try:
        there, is_folder = place.exists(), place.is_dir()
        run = next((part for part in (place, *place.parents) if (part / "checkpoints").is_dir()), None)
    except (OSError, ValueError) as error:
        raise UserError(f"resume={resume[:40]}... is no name of a folder: give a run's folder.") from error
    if run is not None and run != place and there:
        instead = f" (to go on in a new folder: {shell_command(format_override('ckpt_path', place))})"
        raise UserError(
            f"resume takes the folder of a run, of which {place} is a part: write "
            f"{shell_command(format_override('resume', run))}{instead if place.suffix == '.ckpt' else ''}."
        )
    require(there, f"There is no run {place} to resume: give the folder of one, or resume=true for the newest.")
    require(is_folder, f"resume takes the folder of a run, but {place} is a file.")
    require(
        run is not None and newest_whole(place / "checkpoints") is not None,
        f"There is no checkpoint in {place / 'checkpoints'} to resume from: give a resume or ckpt_path that exists, "
        f"resume={AUTO} to start anew where there is none, or neither to start anew.",
    )
    return place


def run_to_resume(parent: Path) -> Path | None:
    """The newest run in `parent` that has a whole checkpoint, or None."""
    runs = sorted({path.parent.parent for path in parent.glob("*/checkpoints/*.ckpt")}, reverse=True)
    return next((run for run in runs if newest_whole(run / "checkpoints")), None)


@rank_zero_only
def warn(what: str) -> None:
    """A note on the terminal, by one process of all."""
    Console(stderr=True).print(f"note: {what}", style="yellow", markup=False, highlight=False, soft_wrap=True)


def differences(before: Any, now: Any, key: str) -> list[tuple[str, Any, Any]]:
    """(key, before, now) of the leaves that differ between a plain value and one of Hydra's config.

    What is not yet set (`???`) differs from nothing.
    """
    if isinstance(now, DictConfig):
        before = before if isinstance(before, Mapping) else {}
        names: list[Any] = [*before, *(name for name in now if name not in before)]
        known = [name for name in names if not is_unset(now, name)]
        return [each for name in known for each in differences(before.get(name), now.get(name), f"{key}.{name}")]
    now = OmegaConf.to_container(now, resolve=True) if isinstance(now, ListConfig) else now
    return [] if before == now else [(key, before, now)]


def is_unset(config: DictConfig, name: str) -> bool:
    """Whether a value is `???`, or refers to one that is."""
    try:
        config.get(name)
    except InterpolationToMissingValueError:
        return True
    return OmegaConf.is_missing(config, name)
