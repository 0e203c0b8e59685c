"""OmegaConf resolvers that `conf/` uses, and checks and settings at the start of a Hydra run."""

from __future__ import annotations

import logging
import os
import warnings
from pathlib import Path
from typing import Any

import torch
from hydra import compose
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from t2f.training.resume import AUTO, newest_run, require_run
from t2f.utils.errors import UserError, require
from t2f.utils.processes import launch_name
from t2f.utils.quoting import format_override, shell_command


def resolve_precision(precision: str | int, accelerator: str) -> str | int:
    """Replace `auto` by the precision that suits the device.

    Args:
        precision: A precision of Lightning's Trainer, or auto.
        accelerator: An accelerator of Lightning's Trainer.
    """
    return fast_precision(accelerator) if precision == AUTO else precision


def fast_precision(accelerator: str) -> str:
    """Return bf16-mixed on devices with fast bfloat16 arithmetic, else 32-true."""
    if accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.get_device_capability() >= (8, 0) else "32-true"
    if accelerator == "mps" or (accelerator == "auto" and torch.backends.mps.is_available()):
        return "32-true"
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    fast = capabilities.get("avx512_bf16") or capabilities.get("amx_bf16")
    return "bf16-mixed" if fast else "32-true"


def run_folder(runs: str, name: str, resume: bool | str | None, ckpt_path: str | None = None) -> str:
    """Return the folder of a run, the same in all of its processes.

    Args:
        runs: Folder of all runs.
        name: Name of the run; a new folder is `runs/name/TIME`.
        resume: True or auto: the newest run of this name that has an intact checkpoint. A path: that run's folder.
            Otherwise, a new folder.
        ckpt_path: Checkpoint to start from. With it, or if `resume` is auto, a missing run leads to a new folder.

    Raises:
        UserError: There is no run to resume, or its folder cannot be created or written to.
    """
    if not isinstance(resume, bool) and resume is not None and resume != AUTO:
        require_no_interpolation(Path(str(resume)))
        folder = require_run(str(resume))
        require(
            writable(folder),
            f"The run {folder} cannot be resumed, since its folder is not writable: continue in a new one with "
            f"{shell_command(format_override('ckpt_path', folder))} instead of resume.",
        )
        return str(folder)
    parent = parent_folder(runs, name, suffix="")
    require_no_interpolation(parent)
    resumed = newest_run(parent) if resume else None
    require(
        resumed is not None or resume is not True or ckpt_path is not None,
        f"There is no run in {parent} to resume: set name or paths.runs to those of a run that has a checkpoint, "
        f"resume={AUTO} to start a new run if there is none, or leave out resume.",
    )
    return str(resumed or parent / launch_name())


def sweep_folder(runs: str, name: str) -> str:
    """Return the folder of a new sweep, `runs/name-sweep/TIME`.

    Raises:
        UserError: The folder cannot be created.
    """
    return str(parent_folder(runs, name, suffix="-sweep") / launch_name())


def parent_folder(runs: str, name: str, suffix: str) -> Path:
    """Return the folder of all runs of a name, or raise `UserError` if it cannot be created or written to."""
    for key, value in (("paths.runs", runs), ("name", name)):
        require(
            isinstance(value, str | int | float),
            f"{key}={value} is not the name of a folder: give a text, in quotes if needed.",
        )
    runs, name = str(runs), str(name)
    within = name.strip() not in ("", ".") and not Path(name).is_absolute() and ".." not in Path(name).parts
    require(
        within and "\0" not in name,
        f"name={name} is not the name of a folder in {runs}: give a name without .., and set paths.runs to choose "
        "another folder.",
    )
    parent = Path(f"{Path(runs) / name}{suffix}")
    try:
        existing = next(folder for folder in (parent, *parent.absolute().parents) if folder.exists())
    except OSError as error:
        raise UserError(
            f"The folder {parent} cannot be used ({error.strerror}): set paths.runs=FOLDER, or another name."
        ) from error
    require(
        writable(existing),
        f"The folder {parent} cannot be used, since {existing} is not a writable folder: set paths.runs=FOLDER.",
    )
    return parent


def writable(folder: Path) -> bool:
    return folder.is_dir() and os.access(folder, os.R_OK | os.W_OK | os.X_OK)


def require_no_interpolation(folder: Path) -> None:
    """Raise `UserError` for a path with `${`: Hydra stores it in its own config, where it would be interpolated."""
    require(
        "${" not in str(folder.absolute()),
        f"The folder {folder.absolute()} cannot be used, since Hydra reads ${{ in a path as an interpolation: set "
        "paths.runs=FOLDER to a path without it.",
    )


def require_numbers(cfg: DictConfig) -> None:
    """Check that overrides of numbers are numbers or null.

    Processes of a launcher cannot compose the configs, so the check is skipped there.

    Raises:
        UserError: An override is not a number, but the value in the configs is.
    """
    if not GlobalHydra.instance().is_initialized():
        return
    hydra = HydraConfig.get()
    keys = {setting: setting.partition("=")[0].lstrip("+~") for setting in hydra.overrides.task}
    groups = [setting for setting, key in keys.items() if key in hydra.runtime.choices]
    configs = compose(hydra.job.config_name, overrides=groups)
    for key in keys.values():
        if key not in hydra.runtime.choices and is_number(OmegaConf.select(configs, key)):
            value = OmegaConf.select(cfg, key)
            # A list is valid where one number stands for all stages of growth.
            valid = value is None or is_number(value) or OmegaConf.is_list(value)
            require(valid, f"{key} is {value}: it must be a number.")


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def quiet_libraries() -> None:
    """Silence Lightning's advertisements, and its warnings about intended behavior."""
    for library in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(library).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message=r".*module\(s\) in eval mode at the start of training.*")  # the EMA
    warnings.filterwarnings("ignore", message=r".*isinstance\(treespec, LeafSpec\).*")  # Lightning's own call
    warnings.filterwarnings("ignore", message=r".*does not have many workers.*")  # batches are read from memory
    # The first step of each kind runs before it is recorded as a CUDA graph.
    warnings.filterwarnings("ignore", message=r".*instance was constructed with capturable=True.*")
    # A bidirectional LSTM reads each direction by itself, with a part of the weights.
    warnings.filterwarnings("ignore", message=r".*not part of single contiguous chunk of memory.*")


def register_resolvers() -> None:
    """Register `${t2f.precision:...}`, `${t2f.run_folder:...}` and `${t2f.sweep_folder:...}` with OmegaConf."""
    OmegaConf.register_new_resolver("t2f.precision", resolve_precision, replace=True)
    OmegaConf.register_new_resolver("t2f.run_folder", run_folder, use_cache=True, replace=True)
    OmegaConf.register_new_resolver("t2f.sweep_folder", sweep_folder, use_cache=True, replace=True)
