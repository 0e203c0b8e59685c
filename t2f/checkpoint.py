"""Checkpoints: written to the side and renamed, read without unpickling code, enough to draw from anywhere."""

from __future__ import annotations

import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from hydra.utils import get_class, instantiate
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.plugins.io import TorchCheckpointIO
from rich.console import Console
from torch import nn

from t2f.errors import UserError, disk_errors, require
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
        return read_checkpoint(Path(path), map_location or "cpu")


def read_checkpoint(path: Path, map_location: Any = "cpu") -> dict[str, Any]:
    """A checkpoint of ours as a dictionary. Raises `UserError` for anything else."""
    if not path.is_file():
        raise UserError(f"There is no checkpoint {path}: give the path of a .ckpt file in a run's checkpoints folder.")
    try:
        checkpoint = torch.load(path, map_location=map_location, weights_only=True)
    except PermissionError as error:
        raise UserError(f"There is no permission to read the checkpoint {path}.") from error
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
            networks = build_networks(OmegaConf.to_container(OmegaConf.create(card["config"])))
            networks.load_state_dict(weights)
            tokenizer = WordTokenizer.from_json(card["tokenizer"], card["max_tokens"])
        except UserError:
            raise
        except Exception as error:  # a file from anywhere can be wrong in any way
            reason = str(error).partition("\n")[0] or type(error).__name__
            raise UserError(f"{path} holds a model that this version of t2f cannot build: {reason}") from error
        return cls(networks.eval(), tokenizer, card["resolution"], card["alpha"])

    @torch.inference_mode()
    def __call__(self, captions: list[str], noise: torch.Tensor, batch_size: int = 64) -> torch.Tensor:
        """N captions and noise (N, noise_dim) -> float images (N, 3, r, r), about [-1, 1]."""
        batches = zip(self.tokenizer(captions).split(batch_size), noise.split(batch_size), strict=True)
        return torch.cat([self.networks(tokens, z, self.resolution, self.alpha) for tokens, z in batches])


def build_networks(config: Any) -> TextToFace:
    """Build the drawing networks of a checkpoint's plain config, and nothing else.

    A config names the classes to call, so one from a stranger could call anything: only our own modules may
    be, and no value may refer to another that would be looked up later.
    """
    networks_config = config["model"]["networks"]
    for value in values_of(networks_config):
        require("${" not in str(value), f"The checkpoint's config has an unresolved value {value}: do not trust it.")
    for target in targets_of(networks_config):
        require(target.startswith("t2f."), f"The checkpoint asks to call {target}, which is not ours: do not trust it.")
        try:
            found = get_class(target)
        except Exception as error:
            raise UserError(f"The checkpoint asks for {target}, which this version of t2f does not have.") from error
        ours = issubclass(found, nn.Module) and found.__module__.startswith("t2f.")
        require(ours, f"The checkpoint asks to call {target}, which is no network of t2f: do not trust it.")
    networks = instantiate(OmegaConf.create(networks_config))
    require(isinstance(networks, TextToFace), f"The checkpoint's networks are a {type(networks).__name__}.")
    assert isinstance(networks, TextToFace)
    return networks


def values_of(config: Any) -> list[Any]:
    """Every key and leaf of a nested plain config."""
    if isinstance(config, Mapping):
        return [leaf for key, value in config.items() for leaf in (key, *values_of(value))]
    if isinstance(config, list | tuple):
        return [leaf for value in config for leaf in values_of(value)]
    return [config]


def targets_of(config: Any) -> list[str]:
    """Every `_target_` of a nested plain config."""
    if isinstance(config, Mapping):
        own = [str(config["_target_"])] if "_target_" in config else []
        return own + [target for value in config.values() for target in targets_of(value)]
    if isinstance(config, list | tuple):
        return [target for value in config for target in targets_of(value)]
    return []


def checkpoint_to_resume(cfg: DictConfig) -> Path | None:
    """The checkpoint that `ckpt_path` or `resume` asks for, or None to start anew.

    Says on the terminal which settings are not those that the checkpoint was trained with.
    """
    if cfg.ckpt_path is not None:
        path = Path(cfg.ckpt_path)
    elif cfg.resume:
        path = Path(cfg.paths.run) / "checkpoints" / "last.ckpt"
    else:
        return None
    if not path.is_file():
        raise UserError(
            f"There is no checkpoint {path} to resume from: name one with ckpt_path=..., or leave resume=true away."
        )
    saved = OmegaConf.create(read_checkpoint(path)[CHECKPOINT_KEY]["config"])
    for group in ("seed", "data", "text", "model", "loss", "growth"):
        before, now = OmegaConf.select(saved, group), OmegaConf.select(cfg, group)
        for key, old, new in differences(before, now, group):
            Console(stderr=True).print(f"note: resuming with {key}={new}, trained so far with {old}", style="yellow")
    return path


def differences(before: Any, now: Any, key: str) -> list[tuple[str, Any, Any]]:
    """(key, before, now) of the leaves that differ; what is not yet set (`???`) differs from nothing."""
    if isinstance(before, DictConfig) and isinstance(now, DictConfig):
        names = [*before, *(name for name in now if name not in before)]
        pairs = [(name, before.get(name), None if OmegaConf.is_missing(now, name) else now.get(name)) for name in names]
        known = [(name, old, new) for name, old, new in pairs if not OmegaConf.is_missing(now, name)]
        return [each for name, old, new in known for each in differences(old, new, f"{key}.{name}")]
    return [] if before == now else [(key, before, now)]
