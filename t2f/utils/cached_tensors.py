"""A cache of tensors on disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from t2f.utils.files import atomic_write

Tensors = dict[str, Tensor]


def cached_tensors(path: Path, compute: Callable[[], Tensors]) -> Tensors:
    """Load tensors from a cache file; compute and store them if the file is missing or damaged.

    Args:
        path: Cache file in the safetensors format.
        compute: Returns the tensors by name. Called only if the file cannot be read.

    Returns:
        Tensors by name, on the CPU, contiguous and without gradients.

    Raises:
        UserError: If the file cannot be written.
    """
    try:
        return load_file(path)
    except (OSError, SafetensorError):
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in compute().items()}
    with atomic_write(path, f"the cached file {path}") as temporary:
        temporary.write_bytes(save(tensors))
    return tensors
