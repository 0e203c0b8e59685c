"""Tensors that are costly to make, made once and kept in the cache folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from t2f.utils.files import atomic_write

Tensors = dict[str, Tensor]


def cached_tensors(path: Path, make: Callable[[], Tensors]) -> Tensors:
    """The tensors of the file `path`; if it is not there, or damaged, of `make()`, which are then put there."""
    try:
        return load_file(path)
    except (OSError, SafetensorError):
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in make().items()}
    with atomic_write(path, f"the cached file {path}") as side:
        side.write_bytes(save(tensors))
    return tensors
