"""Checkpoints of a training: written to the side and renamed, and gone on from."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationToMissingValueError
from pytorch_lightning.plugins.io import TorchCheckpointIO
from rich.console import Console

from t2f.checkpoint import CHECKPOINT_KEY, read_checkpoint
from t2f.errors import UserError, disk_errors

# What must be as it was for a run to go on as if it had never stopped.
GROUPS = ("seed", "data", "labelled_share", "conditioning", "text", "augment", "model", "loss", "growth", "lr_schedule")


class SafeCheckpointIO(TorchCheckpointIO):
    """Lightning's checkpoint files, made safe against a crash while writing and against code when reading."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        path = Path(path)
        side = path.with_name(f".{path.name}.part")
        with disk_errors(f"the checkpoint {path}"):
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                with side.open("wb") as file:
                    torch.save(checkpoint, file)
                    file.flush()
                    os.fsync(file.fileno())
                side.replace(path)
            except RuntimeError as error:
                # torch reports a failed write as its own error, with the cause lost.
                raise UserError(f"The checkpoint {path} could not be written ({error}): is the disk full?") from error
            finally:
                side.unlink(missing_ok=True)

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        return read_checkpoint(Path(path), map_location or "cpu")


def checkpoint_to_resume(cfg: DictConfig) -> Path | None:
    """The checkpoint that `ckpt_path` or `resume` asks for, or None to start anew.

    Says on the terminal which settings are not those that the checkpoint was trained with.
    """
    if cfg.ckpt_path is not None:
        path = Path(cfg.ckpt_path)
    elif cfg.resume:
        path = Path(cfg.paths.run) / "checkpoints" / "last.ckpt"
    else:
        return None
    if not path.is_file():
        raise UserError(
            f"There is no checkpoint {path} to resume from: give ckpt_path or resume one that exists, or neither to "
            "start anew."
        )
    saved = OmegaConf.create(read_checkpoint(path)[CHECKPOINT_KEY]["config"])
    for group in GROUPS:
        before, now = OmegaConf.select(saved, group), OmegaConf.select(cfg, group)
        for key, old, new in differences(before, now, group):
            note = f"note: resuming with {key}={new}, trained so far with {old}"
            Console(stderr=True).print(note, style="yellow", markup=False, soft_wrap=True)
    return path


def differences(before: Any, now: Any, key: str) -> list[tuple[str, Any, Any]]:
    """(key, before, now) of the leaves that differ; what is not yet set (`???`) differs from nothing."""
    if isinstance(before, DictConfig) and isinstance(now, DictConfig):
        names = [*before, *(name for name in now if name not in before)]
        known = [name for name in names if not is_unset(now, name)]
        return [each for name in known for each in differences(before.get(name), now.get(name), f"{key}.{name}")]
    return [] if before == now else [(key, before, now)]


def is_unset(config: DictConfig, name: str) -> bool:
    """Whether a value is `???`, or refers to one that is."""
    try:
        config.get(name)
    except InterpolationToMissingValueError:
        return True
    return OmegaConf.is_missing(config, name)
