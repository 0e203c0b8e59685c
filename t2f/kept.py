"""Tensors that are costly to make, made once and kept in the cache folder."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from t2f.errors import disk_errors

Tensors = dict[str, Tensor]


def kept(path: Path, make: Callable[[], Tensors]) -> Tensors:
    """The tensors of the file `path`; if it is not there, or damaged, of `make()`, which are then put there."""
    try:
        return load_file(path)
    except (OSError, SafetensorError):
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in make().items()}
    with disk_errors(f"the cached file {path}"):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, side = tempfile.mkstemp(prefix=f".{path.stem}-", dir=path.parent)
        try:
            with open(handle, "wb") as file:
                file.write(save(tensors))
            os.chmod(side, 0o644)
            os.replace(side, path)
        finally:
            Path(side).unlink(missing_ok=True)
    return tensors
