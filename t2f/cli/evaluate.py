"""The command `t2f evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from rich.console import Console
from yaml import YAMLError  # type: ignore[import-untyped]  # it has no types

import t2f
from t2f.data.datasets.avatars import Avatars
from t2f.data.datasets.photographs import ImageDataset
from t2f.evaluation.provenance import provenance, shared_features
from t2f.evaluation.report import show, write_report
from t2f.inference.load import find, load
from t2f.inference.pipeline import Pipeline
from t2f.inference.trust import build_ours
from t2f.training.batches.datamodule import FaceDataset
from t2f.utils.errors import UserError, first_line, require
from t2f.utils.instantiate import build, from_yaml
from t2f.utils.quoting import path_argument, print_verbatim, shell_command

PACKAGE = Path(t2f.__file__).parent
CONF = PACKAGE / "conf" if (PACKAGE / "conf").is_dir() else PACKAGE.parent / "conf"
"""Part of the wheel; in a clone, beside the package."""


def evaluate(model: str, overrides: list[str], out: Path | None) -> None:
    """Evaluate a model on its data set, and write and print the report; see `t2f.cli.app.evaluate`.

    Without `out`, the report is written to the run's folder, or to the current one for a model that is not in a run.

    Raises:
        UserError: an override is invalid, or the model or its data set cannot be loaded.
    """
    path = find(model)
    name = model if path.is_dir() else str(path)
    cfg = compose_evaluation([each for each in overrides if not each.startswith("data.")])
    pipeline = load(path)
    dataset = load_dataset(pipeline, cfg.paths.cache, [each for each in overrides if each.startswith("data.")])
    pipeline.networks.to(select_device(cfg.device))
    evaluation = build(cfg.evaluation)
    console = Console()
    console.print(
        f"Evaluating {name} with {evaluation.count:,} generated faces. The first evaluation on a data set also "
        "extracts the features of its real images and trains the classifiers, which takes some minutes on a CPU.",
        markup=False,
        highlight=False,
    )
    result = evaluation(pipeline, dataset, pipeline.conditioner)
    result.notes += shared_features(evaluation, pipeline.config)
    about = provenance(evaluation, dataset, pipeline.config, pipeline.images_seen, pipeline.device)
    command = shell_command(
        "t2f", "evaluate", path_argument(name), *overrides, *(["--out", str(out)] if out is not None else [])
    )
    folder = out or (Path() if path.is_dir() else run_folder(path))
    write_report(result, {**about, "command": command}, folder, "report")
    show(result, console)
    files = (shell_command(str(folder / name)) for name in ("report.md", "report.json"))
    print_verbatim(f"Report: {', '.join(files)}", console)


def compose_evaluation(overrides: list[str]) -> DictConfig:
    """Compose conf/evaluate.yaml with overrides.

    Raises:
        UserError: an override is invalid.
    """
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            return compose("evaluate", overrides=overrides)
    except HydraException as error:
        reason = " ".join(str(error).split())
        raise UserError(f"The settings are invalid for conf/evaluate.yaml: {reason}") from error


def load_dataset(pipeline: Pipeline, cache: str, overrides: list[str]) -> FaceDataset:
    """Build and prepare the data set that a model was trained on, with overrides such as data.folder=/path/to/celeba.

    Raises:
        UserError: the checkpoint has no data set, an override is invalid, or the data cannot be read.
    """
    config = from_yaml(pipeline.config).get("data")
    if not isinstance(config, dict):
        raise UserError("The checkpoint contains no data set config, so it cannot be evaluated.")
    typed = " ".join(overrides)
    try:
        dotted = OmegaConf.from_dotlist([each.removeprefix("data.") for each in overrides])
        changes: Any = OmegaConf.to_container(dotted, resolve=True)
    except (OmegaConfBaseException, YAMLError) as error:
        raise UserError(f"{typed} cannot be parsed ({first_line(error)}): correct the value after the =.") from error
    known = ", ".join(f"data.{name}" for name in config if name != "_target_")
    require(changes.keys() <= config.keys(), f"{typed} is not a setting of this data set, which has {known}.")
    try:
        merged = {**config, **changes, "cache": cache}
        dataset: FaceDataset = build_ours(merged, ("t2f.data",), (Avatars, ImageDataset))
    except (TypeError, ValueError) as error:
        raise UserError(f"The model's data set cannot be built with these settings ({error}): see data.*.") from error
    dataset.prepare()
    return dataset


def select_device(name: str) -> torch.device:
    """Return a device by name; "auto" is the accelerator if there is one, else the CPU."""
    if name == "auto":
        return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
    try:
        torch.empty(1, device=name)
        return torch.device(name)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"There is no device {name} here: choose auto, cpu, cuda, cuda:1, ... or mps.") from error


def run_folder(checkpoint: Path) -> Path:
    """Return the folder of the run that a checkpoint belongs to; outside a run, the checkpoint's own folder."""
    return checkpoint.parent.parent if checkpoint.parent.name == "checkpoints" else checkpoint.parent
