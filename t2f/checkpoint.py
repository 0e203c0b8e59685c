"""Checkpoints: written to the side and renamed, read without unpickling code, enough to draw from anywhere."""

from __future__ import annotations

import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from hydra.errors import InstantiationException
from hydra.utils import get_class, instantiate
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.plugins.io import TorchCheckpointIO
from torch import nn

from t2f.errors import UserError, disk_errors
from t2f.networks.text_to_face import TextToFace
from t2f.systems.base import CHECKPOINT_KEY
from t2f.text.tokenizer import WordTokenizer


class SafeCheckpointIO(TorchCheckpointIO):
    """Lightning's checkpoint files, made safe against a crash while writing and against code when reading."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        path = Path(path)
        side = path.with_name(f".{path.name}.part")
        with disk_errors(f"the checkpoint {path}"):
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                with side.open("wb") as file:
                    torch.save(checkpoint, file)
                    file.flush()
                    os.fsync(file.fileno())
                side.replace(path)
            except RuntimeError as error:
                # torch reports a failed write as its own error, with the cause lost.
                raise UserError(f"The checkpoint {path} could not be written ({error}): is the disk full?") from error
            finally:
                side.unlink(missing_ok=True)

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        return read_checkpoint(Path(path), map_location)


def read_checkpoint(path: Path, map_location: Any = "cpu") -> dict[str, Any]:
    """A checkpoint of ours as a dictionary. Raises `UserError` for anything else."""
    if not path.is_file():
        raise UserError(f"There is no checkpoint {path}: give the path of a .ckpt file in a run's checkpoints folder.")
    try:
        checkpoint = torch.load(path, map_location=map_location, weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError, ValueError, KeyError, OSError) as error:
        raise UserError(
            f"{path} is no whole checkpoint (truncated, or not made by t2f): use another of the run's checkpoints."
        ) from error
    if not isinstance(checkpoint, dict) or CHECKPOINT_KEY not in checkpoint:
        raise UserError(f"{path} is a checkpoint, but not one that t2f made: train with train.py to get one.")
    return checkpoint


def find_checkpoint(path: Path) -> Path:
    """A checkpoint itself, or the newest last.ckpt in a run's folder or a folder of runs."""
    if not path.is_dir():
        return path
    found = sorted(path.rglob("last.ckpt"), key=lambda each: each.stat().st_mtime)
    if not found:
        raise UserError(f"There is no checkpoint in the folder {path}: train one with python train.py.")
    return found[-1]


class Painter:
    """The averaged networks of a checkpoint with their tokenizer: all that it takes to draw."""

    def __init__(self, networks: TextToFace, tokenizer: WordTokenizer, resolution: int, alpha: float) -> None:
        self.networks = networks
        self.tokenizer = tokenizer
        self.resolution = resolution
        self.alpha = alpha

    @classmethod
    def load(cls, path: Path) -> Painter:
        """Read a checkpoint on the CPU."""
        checkpoint = read_checkpoint(path)
        card = checkpoint[CHECKPOINT_KEY]
        weights = {
            name.removeprefix("ema."): value
            for name, value in checkpoint["state_dict"].items()
            if name.startswith("ema.")
        }
        try:
            networks = build_networks(OmegaConf.create(card["config"]).model.networks)
            networks.load_state_dict(weights)
            tokenizer = WordTokenizer.from_json(card["tokenizer"], card["max_tokens"])
        except (InstantiationException, RuntimeError, KeyError, TypeError) as error:
            reason = str(error).splitlines()[0]
            raise UserError(f"{path} holds a model that this version of t2f cannot build: {reason}") from error
        return cls(networks.eval(), tokenizer, card["resolution"], card["alpha"])

    @torch.inference_mode()
    def __call__(self, captions: list[str], noise: torch.Tensor, batch_size: int = 64) -> torch.Tensor:
        """N captions and noise (N, noise_dim) -> float images (N, 3, r, r), about [-1, 1]."""
        batches = zip(self.tokenizer(captions).split(batch_size), noise.split(batch_size), strict=True)
        return torch.cat([self.networks(tokens, z, self.resolution, self.alpha) for tokens, z in batches])


def build_networks(config: DictConfig) -> TextToFace:
    """Build the drawing networks of a checkpoint's config, and nothing else.

    A config names the classes to call, so one from a stranger could call anything: only our own modules may be.
    """
    for target in targets_of(OmegaConf.to_container(config)):
        try:
            found = get_class(target)
        except Exception as error:
            raise UserError(f"The checkpoint asks for {target}, which this version of t2f does not have.") from error
        if not (issubclass(found, nn.Module) and found.__module__.startswith("t2f.")):
            raise UserError(f"The checkpoint asks to call {target}, which is no network of t2f: do not trust it.")
    networks = instantiate(config)
    if not isinstance(networks, TextToFace):
        raise UserError(f"The checkpoint's networks are a {type(networks).__name__}, not a TextToFace.")
    return networks


def targets_of(config: Any) -> list[str]:
    """Every `_target_` in a nested config."""
    if isinstance(config, Mapping):
        own = [str(config["_target_"])] if "_target_" in config else []
        return own + [target for value in config.values() for target in targets_of(value)]
    if isinstance(config, list | tuple):
        return [target for value in config for target in targets_of(value)]
    return []
