"""What stands around a Hydra run: the resolvers that `conf/` uses, and quiet libraries."""

from __future__ import annotations

import logging
import os
import warnings
from pathlib import Path

import torch
from omegaconf import OmegaConf

from t2f.errors import require
from t2f.processes import launch_name
from t2f.resume import AUTO, run_to_resume


def precision_for(asked: str | int, accelerator: str) -> str | int:
    """Lightning's precision that was asked for, or of `auto` the one that suits the device."""
    return fast_precision(accelerator) if asked == "auto" else asked


def fast_precision(accelerator: str) -> str:
    """Lightning's precision for the device that will train: bf16 where its arithmetic is fast, else float32."""
    if accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.get_device_capability() >= (8, 0) else "32-true"
    if accelerator == "mps" or (accelerator == "auto" and torch.backends.mps.is_available()):
        return "32-true"
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    fast = capabilities.get("avx512_bf16") or capabilities.get("amx_bf16")
    return "bf16-mixed" if fast else "32-true"


def run_folder(runs: str, name: str, resume: bool | str) -> str:
    """A new folder, named by the time, the same in all processes of a run.

    With `resume` true or auto, the newest one of this name that has a whole checkpoint, if any; otherwise the one that
    `resume` names.

    Raises `UserError` where none can be made.
    """
    if isinstance(resume, str) and resume != AUTO:
        return resume
    parent = Path(runs) / str(name)
    there = next(folder for folder in (parent, *parent.absolute().parents) if folder.exists())
    require(
        there.is_dir() and os.access(there, os.W_OK | os.X_OK),
        f"No run can be kept in {parent}, since {there} is no folder that you may write to: set paths.runs=FOLDER.",
    )
    stopped = run_to_resume(parent) if resume else None
    return str(stopped or parent / launch_name())


def quiet_libraries() -> None:
    """Leave out what Lightning says of itself: advertisements, and warnings of what is meant to be so."""
    for library in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(library).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message=r".*module\(s\) in eval mode at the start of training.*")  # the EMA
    warnings.filterwarnings("ignore", message=r".*isinstance\(treespec, LeafSpec\).*")  # Lightning's own call
    warnings.filterwarnings("ignore", message=r".*does not have many workers.*")  # batches are read from memory


def register_resolvers() -> None:
    """Make `${t2f.precision:...}`, `${t2f.run_folder:...}` and `${t2f.launch:}` known to OmegaConf."""
    OmegaConf.register_new_resolver("t2f.precision", precision_for, replace=True)
    OmegaConf.register_new_resolver("t2f.run_folder", run_folder, use_cache=True, replace=True)
    OmegaConf.register_new_resolver("t2f.launch", launch_name, use_cache=True, replace=True)
