"""Find checkpoint files and read them without unpickling code."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import torch

from t2f.utils.errors import UserError

CHECKPOINT_KEY = "t2f"
"""Key of t2f's own entries in a Lightning checkpoint: config, conditioner, images seen and growth."""


def read_checkpoint(path: Path, mmap: bool = False) -> dict[str, Any]:
    """Read a checkpoint of t2f.

    Args:
        path: The .ckpt file.
        mmap: Map the weights into memory, so that each is read when it is used.

    Returns:
        The checkpoint's dictionary, with tensors on the CPU.

    Raises:
        UserError: If the file is not a complete checkpoint written by t2f.
    """
    checkpoint = load_file(path, "cpu", mmap)
    if not isinstance(checkpoint, dict) or CHECKPOINT_KEY not in checkpoint:
        raise UserError(f"{path} is a checkpoint, but t2f did not write it: train with train.py to get one.")
    return checkpoint


def load_file(path: Path, map_location: Any, mmap: bool = False) -> Any:
    """Load a file written by `torch.save` that contains only tensors and plain values.

    Args:
        path: The file.
        map_location: Device of the tensors, as in `torch.load`.
        mmap: Map the tensors into memory, as in `torch.load`.

    Raises:
        UserError: If the file is missing, damaged or contains other objects.
    """
    if os.path.isdir(path):
        raise UserError(f"{path} is a folder, not a checkpoint: give one of the .ckpt files in it.")
    if not os.path.isfile(path):
        raise UserError(
            f"There is no file or folder {path}: give a .ckpt file, or a folder of runs to use its newest checkpoint."
        )
    try:
        return torch.load(path, map_location=map_location, weights_only=True, mmap=mmap)
    except PermissionError as error:
        raise UserError(f"There is no permission to read the checkpoint {path}.") from error
    except (RuntimeError, EOFError, pickle.UnpicklingError, ValueError, KeyError, OSError) as error:
        raise UserError(
            f"{path} is not a complete checkpoint (truncated or not written by t2f): use another checkpoint of the run."
        ) from error


def find_checkpoint(path: Path) -> Path:
    """Return the newest last.ckpt below a folder; return any other path unchanged.

    Raises:
        UserError: If the folder contains no last.ckpt.
    """
    if not os.path.isdir(path):
        return path
    checkpoints = list(path.rglob("last.ckpt"))
    if not checkpoints:
        raise UserError(f"There is no checkpoint in the folder {path}: train one with python train.py.")
    return max(checkpoints, key=lambda checkpoint: checkpoint.stat().st_mtime)
