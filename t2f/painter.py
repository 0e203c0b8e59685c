"""All that it takes to draw, from a checkpoint of whatever origin."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from hydra.utils import get_class, instantiate
from omegaconf import OmegaConf
from torch import nn

from t2f.checkpoint import CHECKPOINT_KEY, read_checkpoint
from t2f.conditions.base import Conditioner, load_conditioner
from t2f.errors import UserError, require
from t2f.networks.conditional import ConditionalGenerator


class Painter:
    """The averaged networks of a checkpoint with their conditioner: all that it takes to draw."""

    def __init__(self, networks: ConditionalGenerator, conditioner: Conditioner, resolution: int, alpha: float) -> None:
        self.networks = networks
        self.conditioner = conditioner
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
            conditioner = load_conditioner(card["conditioner"])
        except UserError:
            raise
        except Exception as error:  # a file from anywhere can be wrong in any way
            reason = str(error).partition("\n")[0] or type(error).__name__
            raise UserError(f"{path} holds a model that this version of t2f cannot build: {reason}") from error
        return cls(networks.eval(), conditioner, card["resolution"], card["alpha"])

    @torch.inference_mode()
    def __call__(self, descriptions: list[str], noise: torch.Tensor, batch_size: int = 64) -> torch.Tensor:
        """N descriptions and noise (N, noise_dim) -> float images (N, 3, r, r), about [-1, 1]."""
        batches = zip(self.conditioner(descriptions).split(batch_size), noise.split(batch_size), strict=True)
        return torch.cat([self.networks(rows, z, self.resolution, self.alpha) for rows, z in batches])


def build_networks(config: Any) -> ConditionalGenerator:
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
    require(isinstance(networks, ConditionalGenerator), f"The checkpoint's networks are a {type(networks).__name__}.")
    assert isinstance(networks, ConditionalGenerator)
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
