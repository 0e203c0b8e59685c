"""What stands around a Hydra run: the resolvers that `conf/` uses, and quiet libraries."""

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

from t2f.training.resume import AUTO, run_named, run_to_resume
from t2f.utils.errors import UserError, require
from t2f.utils.processes import launch_name
from t2f.utils.quoting import format_override, shell_command


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


def run_folder(runs: str, name: str, resume: bool | str | None, ckpt_path: str | None = None) -> str:
    """A new folder, named by the time, the same in all processes of a run.

    With `resume` true or auto, the newest one of this name that has a whole checkpoint, if any; otherwise the one that
    `resume` names. Where there is none, auto begins a new one, and so does true with a `ckpt_path` to begin with.

    Raises `UserError` where there is none to resume, or none can be made.
    """
    if not isinstance(resume, bool) and resume is not None and resume != AUTO:
        require_readable(Path(str(resume)))
        folder = run_named(str(resume))
        require(
            writable(folder),
            f"The run {folder} cannot go on in its folder, which may not be written to: go on in a new one with "
            f"{shell_command(format_override('ckpt_path', folder))} instead of resume.",
        )
        return str(folder)
    parent = place_of_runs(runs, name, "")
    require_readable(parent)
    stopped = run_to_resume(parent) if resume else None
    require(
        stopped is not None or resume is not True or ckpt_path is not None,
        f"There is no run in {parent} to resume: give the name or the paths.runs of one that has a checkpoint, "
        f"resume={AUTO} to start anew where there is none, or no resume to start anew.",
    )
    return str(stopped or parent / launch_name())


def sweep_folder(runs: str, name: str) -> str:
    """A new folder for a sweep, named by the time. Raises `UserError` where none can be made."""
    return str(place_of_runs(runs, name, "-sweep") / launch_name())


def place_of_runs(runs: str, name: str, ending: str) -> Path:
    """The folder for all runs of a name. Raises `UserError` where none can be."""
    for key, value in (("paths.runs", runs), ("name", name)):
        require(
            isinstance(value, str | int | float),
            f"{key}={value} is no name of a folder: give a text, in quotes if need be.",
        )
    runs, name = str(runs), str(name)
    within = name.strip() not in ("", ".") and not Path(name).is_absolute() and ".." not in Path(name).parts
    require(
        within and "\0" not in name,
        f"name={name} is no name of a folder in {runs}: give one without .., and set where runs are by paths.runs.",
    )
    parent = Path(f"{Path(runs) / name}{ending}")
    try:
        there = next(folder for folder in (parent, *parent.absolute().parents) if folder.exists())
    except OSError as error:
        raise UserError(
            f"No run can be kept in {parent} ({error.strerror}): set paths.runs=FOLDER, or another name."
        ) from error
    require(
        writable(there),
        f"No run can be kept in {parent}, since {there} is no folder that you may write to: set paths.runs=FOLDER.",
    )
    return parent


def writable(folder: Path) -> bool:
    return folder.is_dir() and os.access(folder, os.R_OK | os.W_OK | os.X_OK)


def require_readable(folder: Path) -> None:
    """Raise `UserError` for a run's folder in whose path Hydra, which keeps it in its own config, reads a reference."""
    require(
        "${" not in str(folder.absolute()),
        f"No run can be kept in {folder.absolute()}, for Hydra takes ${{ in a path for a reference: set "
        "paths.runs=FOLDER to one without it.",
    )


def require_numbers(cfg: DictConfig) -> None:
    """Raise `UserError` for a setting of the command line that is no number, where the configs have one.

    In a job of Hydra's; a launcher's processes cannot compose the configs, and are not asked.
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
            require(value is None or is_number(value), f"{key} is {value}: it must be a number.")


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def quiet_libraries() -> None:
    """Leave out what Lightning says of itself: advertisements, and warnings of what is meant to be so."""
    for library in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(library).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message=r".*module\(s\) in eval mode at the start of training.*")  # the EMA
    warnings.filterwarnings("ignore", message=r".*isinstance\(treespec, LeafSpec\).*")  # Lightning's own call
    warnings.filterwarnings("ignore", message=r".*does not have many workers.*")  # batches are read from memory


def register_resolvers() -> None:
    """Make `${t2f.precision:...}`, `${t2f.run_folder:...}` and `${t2f.sweep_folder:...}` known to OmegaConf."""
    OmegaConf.register_new_resolver("t2f.precision", precision_for, replace=True)
    OmegaConf.register_new_resolver("t2f.run_folder", run_folder, use_cache=True, replace=True)
    OmegaConf.register_new_resolver("t2f.sweep_folder", sweep_folder, use_cache=True, replace=True)
