"""Models by name: the pretrained one, a checkpoint, a run, a folder of safetensors, one on the Hugging Face Hub.

A folder holds what the Hub's conventions ask for: `model.safetensors` with the weights, `config.json` with what else it
takes to draw, and a model card, `README.md`.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from t2f.evaluation.runs import REPORTS
from t2f.inference.pipeline import Pipeline
from t2f.utils.checkpoints import find_checkpoint
from t2f.utils.errors import UserError, require
from t2f.utils.extras import install_command
from t2f.utils.files import atomic_write

PRETRAINED = "pretrained"
WEIGHTS, CONFIG, CARD = "model.safetensors", "config.json", "README.md"


def load(model: str | Path = PRETRAINED, device: str | torch.device = "cpu") -> Pipeline:
    """What draws faces from descriptions; see `Pipeline`.

    `model`: "pretrained", which comes with t2f and draws cartoon faces; or a .ckpt file, a run's folder, a folder that
    `t2f export` wrote, or OWNER/NAME on the Hugging Face Hub, of a certain revision by OWNER/NAME@REVISION. Nothing of
    a file is run as code.

    Raises `UserError` where there is no such model.
    """
    pipeline = load_anywhere(str(model))
    pipeline.networks.to(device)
    return pipeline


def load_anywhere(model: str) -> Pipeline:
    """A model by what a user may call it, on the CPU."""
    place = find(model)
    return load_folder(place) if place.is_dir() else Pipeline.load(place)


def find(model: str) -> Path:
    """The folder of safetensors or the checkpoint that a user may call so."""
    path = Path(__file__).parent / "pretrained" if model == PRETRAINED else Path(model)
    try:
        exported, there = is_exported(path), path.exists()
    except (OSError, ValueError) as error:
        raise UserError(f"No file or folder can be named {model[:40]}...: name a model.") from error
    if exported:
        return path
    on_the_hub = re.fullmatch(r"([\w-][\w.-]*)/[\w-][\w.-]*(@[\w./-]+)?", model, re.ASCII)
    if there or path.suffix == ".ckpt" or on_the_hub is None:
        return find_checkpoint(path)
    owner, revision = on_the_hub[1], on_the_hub[2]
    require(
        revision is not None or not Path(owner).is_dir(),
        f"There is no {path.name} in the folder {owner}; for the Hub's model of that name, write {model}@main.",
    )
    return download(model)


def is_exported(folder: Path) -> bool:
    """Whether this is a folder that `save_folder` wrote, whole or not."""
    return (folder / WEIGHTS).is_file() or (folder / CONFIG).is_file()


def holds_model(folder: Path) -> bool:
    """Whether this is an exported model, a run, or a folder of runs; disks are not searched."""
    places = ("", "checkpoints/", "*/checkpoints/", "*/*/checkpoints/")
    return is_exported(folder) or any(next(folder.glob(f"{place}last.ckpt"), None) is not None for place in places)


def load_folder(folder: Path) -> Pipeline:
    """The model of a folder that `save_folder` wrote."""
    for name in (CONFIG, WEIGHTS):
        require((folder / name).is_file(), f"{folder} is no whole model: {name} is missing.")
    try:
        card = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        weights = load_file(folder / WEIGHTS)
    except (OSError, ValueError, RecursionError, SafetensorError) as error:
        raise UserError(f"{folder} is no whole model ({error}): export it anew, or download it again.") from error
    require(isinstance(card, dict), f"{folder / CONFIG} is not the config of a t2f model.")
    return Pipeline.from_card(card, {name: value.float() for name, value in weights.items()}, folder)


def save_folder(pipeline: Pipeline, folder: Path, half: bool = False) -> None:
    """Write weights, in half precision if asked, and config."""
    weights = {
        name: value.half() if half and value.is_floating_point() else value.contiguous()
        for name, value in pipeline.networks.state_dict().items()
    }
    config = json.dumps(pipeline.card, indent=1, ensure_ascii=False)
    with (
        atomic_write(folder / CONFIG, f"the model in {folder}") as config_side,
        atomic_write(folder / WEIGHTS, f"the model in {folder}") as weights_side,
    ):
        weights_side.write_bytes(save(weights, metadata={"format": "pt"}))
        config_side.write_text(config, encoding="utf-8")


def download(model: str) -> Path:
    """The folder of OWNER/NAME, or OWNER/NAME@REVISION, on the Hugging Face Hub, kept in the Hub's own cache."""
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
    except ModuleNotFoundError as error:
        raise UserError(
            f"There is no file or folder {model}; for a model of that name on the Hugging Face Hub, "
            f"{install_command('hub')} installs what downloads it."
        ) from error
    repository, _, revision = model.partition("@")
    try:
        files = [WEIGHTS, CONFIG, CARD, REPORTS[0]]
        return Path(snapshot_download(repository, revision=revision or None, allow_patterns=files))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise UserError(f"There is no file or folder {model}, nor can it be had from the Hub: {reason}") from error
