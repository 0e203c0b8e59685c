"""t2f: text-to-face GANs with PyTorch Lightning and Hydra."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from t2f.inference.load import load

# A thread of torch's that has done its part of an operation sleeps until the others have done theirs. By default it
# spins, and beside any other program it so takes the very core that the last one waits for (experiments/threads).
# OpenMP reads this once, when torch is imported, so what imports both imports t2f first.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

__version__ = "0.2.0"
__all__ = ["load"]


def __getattr__(name: str) -> Any:
    """`load`, at its first use: torch takes seconds to import, and `t2f --help` does not need it."""
    if name != "load":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from t2f.inference.load import load

    return load
