"""Checkpoints as files: found, and read without unpickling code."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch

from t2f.utils.errors import UserError

CHECKPOINT_KEY = "t2f"
"""Where a Lightning checkpoint holds what is ours: config, conditioner, clock and growth."""


def read_checkpoint(path: Path, mmap: bool = False) -> dict[str, Any]:
    """A checkpoint of ours as a dictionary; with `mmap`, its weights are read when they are used.

    Raises `UserError` for anything else.
    """
    checkpoint = read_file(path, "cpu", mmap)
    if not isinstance(checkpoint, dict) or CHECKPOINT_KEY not in checkpoint:
        raise UserError(f"{path} is a checkpoint, but not one that t2f made: train with train.py to get one.")
    return checkpoint


def read_file(path: Path, map_location: Any, mmap: bool = False) -> Any:
    """What torch saved in a file, tensors and plain values only. Raises `UserError` where that cannot be read."""
    if is_folder(path):
        raise UserError(f"{path} is a folder, not a checkpoint: give one of the .ckpt files in it.")
    if not is_file(path):
        raise UserError(
            f"There is no file or folder {path}: give a .ckpt file, or a folder of runs, of which the newest is taken."
        )
    try:
        return torch.load(path, map_location=map_location, weights_only=True, mmap=mmap)
    except PermissionError as error:
        raise UserError(f"There is no permission to read the checkpoint {path}.") from error
    except (RuntimeError, EOFError, pickle.UnpicklingError, ValueError, KeyError, OSError) as error:
        raise UserError(
            f"{path} is no whole checkpoint (truncated, or not made by t2f): use another of the run's checkpoints."
        ) from error


def is_file(path: Path) -> bool:
    """Whether this is a file; what is no possible name of one is none."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def is_folder(path: Path) -> bool:
    """Whether this is a folder; what is no possible name of one is none."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def find_checkpoint(path: Path) -> Path:
    """A checkpoint itself, or the newest last.ckpt in a run's folder or a folder of runs."""
    if not path.is_dir():
        return path
    found = sorted(path.rglob("last.ckpt"), key=lambda each: each.stat().st_mtime)
    if not found:
        raise UserError(f"There is no checkpoint in the folder {path}: train one with python train.py.")
    return found[-1]
