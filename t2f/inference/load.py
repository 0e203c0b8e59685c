"""Models by name: an included one, a checkpoint, a run, an exported folder, or a repository on the Hugging Face Hub.

An exported folder has the files that the Hub's conventions name: `model.safetensors` with the weights, `config.json`
with the metadata of `Pipeline.metadata`, and the model card `README.md`.
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
from t2f.utils.errors import UserError, first_line, require
from t2f.utils.extras import install_command
from t2f.utils.files import atomic_write

PRETRAINED = "pretrained"
INCLUDED = (PRETRAINED, "photos")
"""Names of the models that are part of t2f: folders beside this file."""
WEIGHTS, CONFIG, MODEL_CARD = "model.safetensors", "config.json", "README.md"


def load(model: str | Path = PRETRAINED, device: str | torch.device = "cpu") -> Pipeline:
    """Load a text-to-face pipeline. No code from the model's files is executed.

    Args:
        model: "pretrained" or "photos", the models for cartoon faces and for photographs that are part of t2f; a .ckpt
            file; the folder of a run; a folder that `t2f export` wrote; or OWNER/NAME or OWNER/NAME@REVISION on the
            Hugging Face Hub.
        device: the device for the networks.

    Raises:
        UserError: there is no such model, or it cannot be loaded.
    """
    path = find(str(model))
    pipeline = load_folder(path) if path.is_dir() else Pipeline.load(path)
    pipeline.networks.to(device)
    return pipeline


def find(model: str) -> Path:
    """Return the exported folder or the checkpoint of a model name; see `load`. Download it if it is on the Hub."""
    path = Path(__file__).parent / model if model in INCLUDED else Path(model)
    try:
        exported, exists = is_exported(path), path.exists()
    except (OSError, ValueError) as error:
        raise UserError(f"{model[:40]}... is not a valid file name: give a model.") from error
    if exported:
        return path
    on_hub = re.fullmatch(r"([\w-][\w.-]*)/[\w-][\w.-]*(@[\w./-]+)?", model, re.ASCII)
    if exists or path.suffix == ".ckpt" or on_hub is None:
        return find_checkpoint(path)
    owner, revision = on_hub[1], on_hub[2]
    require(  # so that a mistyped path of a run does not end in a request to the Hub
        revision is not None or not Path(owner).is_dir(),
        f"There is no {path.name} in the folder {owner}; for the model of that name on the Hub, give {model}@main.",
    )
    return download(model)


def is_exported(folder: Path) -> bool:
    """Return whether `save_folder` wrote this folder, complete or not."""
    return (folder / WEIGHTS).is_file() or (folder / CONFIG).is_file()


def holds_model(folder: Path) -> bool:
    """Return whether this is an exported model, a run, or a folder of runs; deeper folders are not searched."""
    patterns = ("", "checkpoints/", "*/checkpoints/", "*/*/checkpoints/")
    return is_exported(folder) or any(next(folder.glob(f"{each}last.ckpt"), None) is not None for each in patterns)


def load_folder(folder: Path) -> Pipeline:
    """Load a folder that `save_folder` wrote; the weights become float32.

    Raises:
        UserError: a file is missing or damaged.
    """
    for name in (CONFIG, WEIGHTS):
        require((folder / name).is_file(), f"The model in {folder} is incomplete: {name} is missing.")
    try:
        metadata = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        weights = load_file(folder / WEIGHTS)
    except (OSError, ValueError, RecursionError, SafetensorError) as error:
        raise UserError(f"The model in {folder} is damaged ({error}): export or download it again.") from error
    require(isinstance(metadata, dict), f"{folder / CONFIG} is not the config of a t2f model.")
    return Pipeline.from_metadata(metadata, {name: value.float() for name, value in weights.items()}, folder)


def save_folder(pipeline: Pipeline, folder: Path, half: bool = False) -> None:
    """Write the weights and the metadata of a pipeline.

    Args:
        pipeline: the model.
        folder: the folder to write to; it is created if necessary.
        half: whether to convert the weights to float16.
    """
    weights = {
        name: value.half() if half and value.is_floating_point() else value.contiguous()
        for name, value in pipeline.networks.state_dict().items()
    }
    config = json.dumps(pipeline.metadata, indent=1, ensure_ascii=False)
    with (
        atomic_write(folder / CONFIG, f"the model in {folder}") as temporary_config,
        atomic_write(folder / WEIGHTS, f"the model in {folder}") as temporary_weights,
    ):
        temporary_weights.write_bytes(save(weights, metadata={"format": "pt"}))
        temporary_config.write_text(config, encoding="utf-8")


def download(model: str) -> Path:
    """Download OWNER/NAME or OWNER/NAME@REVISION from the Hugging Face Hub into the cache of its client.

    Raises:
        UserError: the client is not installed, or the download failed.
    """
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
    except ModuleNotFoundError as error:
        raise UserError(
            f"There is no file or folder {model}; to download a model of that name from the Hugging Face Hub, "
            f"install its client with {install_command('hub')}."
        ) from error
    repository, _, revision = model.partition("@")
    try:
        files = [WEIGHTS, CONFIG, MODEL_CARD, REPORTS[0]]
        return Path(snapshot_download(repository, revision=revision or None, allow_patterns=files))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError) as error:
        raise UserError(
            f"There is no file or folder {model}, and downloading it from the Hugging Face Hub failed: "
            f"{first_line(error)}"
        ) from error
