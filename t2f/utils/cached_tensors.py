"""A cache of tensors on disk, and a checksum of weights for its keys."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

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


def weights_checksum(title: str, module: nn.Module) -> str:
    """Return the SHA-256 of a title and of the names and values of a module's weights, as hexadecimal digits."""
    digest = hashlib.sha256(title.encode())
    for name, weights in module.state_dict().items():
        digest.update(name.encode())
        digest.update(weights.cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()
