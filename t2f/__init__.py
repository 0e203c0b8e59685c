"""t2f: text-to-face GANs with PyTorch Lightning and Hydra."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from t2f.inference.load import load

# By default, OpenMP threads spin while they wait for each other, which takes CPU time from the threads that still
# compute (experiments/threads). "passive" lets them sleep. OpenMP reads the variable once, when torch is imported, so
# t2f must be imported before torch.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

__version__ = "0.2.0"
__all__ = ["load"]


def __getattr__(name: str) -> Any:
    """Import `load` at its first use: importing torch takes seconds, and `t2f --help` does not need it."""
    if name != "load":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from t2f.inference.load import load

    return load
