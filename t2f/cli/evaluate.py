"""The whole table of what a trained model is worth."""

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
from t2f.evaluation.provenance import provenance
from t2f.evaluation.report import show, write_report
from t2f.inference.load import find, load
from t2f.inference.pipeline import Pipeline
from t2f.inference.trust import build_ours
from t2f.training.batches.datamodule import FaceDataset
from t2f.utils.errors import UserError, require
from t2f.utils.instantiate import build, from_yaml
from t2f.utils.quoting import path_argument, print_verbatim, shell_command

PACKAGE = Path(t2f.__file__).parent
CONF = PACKAGE / "conf" if (PACKAGE / "conf").is_dir() else PACKAGE.parent / "conf"
"""Part of the wheel; in a clone, beside the package."""


def evaluate(model: str, overrides: list[str], out: Path | None) -> None:
    """Measure a model as conf/evaluate.yaml and `overrides` say, with the data that it was trained on.

    Overrides of `data` say where these are, data.folder=/where/celeba/is, or take others; the report tells them. It
    goes into `out`, or the run's folder; of a model without one, into the present folder.
    """
    place = find(model)
    name = model if place.is_dir() else str(place)
    cfg = compose_evaluation([each for each in overrides if not each.startswith("data.")])
    pipeline = load(place)
    source = source_of(pipeline, cfg.paths.cache, [each for each in overrides if each.startswith("data.")])
    pipeline.networks.to(device_of(cfg.device))
    evaluation = build(cfg.evaluation)
    console = Console()
    console.print(
        f"Measuring {name} by {evaluation.count:,} faces. Where these data have not been measured yet, the "
        "real faces are read and readers are taught first, which takes some minutes on a CPU.",
        markup=False,
        highlight=False,
    )
    result = evaluation(pipeline, source, pipeline.conditioner)
    about = provenance(evaluation, source, pipeline.config, pipeline.images_seen, pipeline.device)
    command = shell_command(
        "t2f", "evaluate", path_argument(name), *overrides, *(["--out", str(out)] if out is not None else [])
    )
    folder = out or (Path() if place.is_dir() else run_folder(place))
    write_report(result, {**about, "command": command}, folder, "report")
    show(result, console)
    files = (shell_command(str(folder / name)) for name in ("report.md", "report.json"))
    print_verbatim(f"The report: {', '.join(files)}", console)


def compose_evaluation(overrides: list[str]) -> DictConfig:
    """conf/evaluate.yaml with overrides."""
    require(
        (CONF / "evaluate.yaml").is_file(),
        f"There is no {CONF / 'evaluate.yaml'}: install t2f from a clone, with pip install -e .",
    )
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            return compose("evaluate", overrides=overrides)
    except HydraException as error:
        reason = " ".join(str(error).split())
        raise UserError(f"These settings do not fit conf/evaluate.yaml: {reason}") from error


def source_of(pipeline: Pipeline, cache: str, overrides: list[str]) -> FaceDataset:
    """The prepared data that a model was trained on, with overrides such as data.folder=..., and this cache."""
    config = from_yaml(pipeline.config).get("data")
    if not isinstance(config, dict):
        raise UserError("The checkpoint does not tell which data it was trained on, so it cannot be evaluated.")
    try:
        dotted = OmegaConf.from_dotlist([each.removeprefix("data.") for each in overrides])
        changed: Any = OmegaConf.to_container(dotted, resolve=True)
    except (OmegaConfBaseException, YAMLError) as error:
        reason = str(error).partition("\n")[0]
        raise UserError(f"{' '.join(overrides)} cannot be read ({reason}): mend what is after the =.") from error
    known = ", ".join(f"data.{name}" for name in config if name != "_target_")
    require(changed.keys() <= config.keys(), f"{' '.join(overrides)} does not fit these data: they have {known}.")
    try:
        whole = {**config, **changed, "cache": cache}
        source: FaceDataset = build_ours(whole, ("t2f.data",), (Avatars, ImageDataset))
    except (TypeError, ValueError) as error:
        raise UserError(f"The model's data cannot be read with these settings ({error}): see data.*.") from error
    source.prepare()
    return source


def device_of(name: str) -> torch.device:
    """A device by its name; auto is a GPU, if there is one."""
    if name == "auto":
        return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
    try:
        torch.empty(1, device=name)
        return torch.device(name)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"There is no device {name} here: choose auto, cpu, cuda, cuda:1, ... or mps.") from error


def run_folder(checkpoint: Path) -> Path:
    """The folder of the run that wrote a checkpoint; of one that lies elsewhere, its own folder."""
    return checkpoint.parent.parent if checkpoint.parent.name == "checkpoints" else checkpoint.parent
