"""All that it takes to draw, from a checkpoint of whatever origin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import nn

from t2f.checkpoint import CHECKPOINT_KEY, read_checkpoint
from t2f.conditions.base import Conditioner, load_conditioner
from t2f.errors import UserError, require
from t2f.networks.conditional import ConditionalGenerator
from t2f.trust import require_ours


class Painter:
    """The averaged networks of a checkpoint with their conditioner: all that it takes to draw."""

    def __init__(
        self,
        networks: ConditionalGenerator,
        conditioner: Conditioner,
        resolution: int,
        alpha: float,
        images_seen: int,
        config: str,
    ) -> None:
        """`config`: that of the training, as yaml."""
        self.networks = networks
        self.conditioner = conditioner
        self.resolution = resolution
        self.alpha = alpha
        self.images_seen = images_seen
        self.config = config

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
        place = (card["resolution"], card["alpha"], card["images_seen"])
        return cls(networks.eval(), conditioner, *place, card["config"])

    @property
    def noise_dim(self) -> int:
        return self.networks.noise_dim

    @property
    def device(self) -> torch.device:
        return next(self.networks.parameters()).device

    @torch.inference_mode()
    def sample(self, conditions: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Conditions (B, ...), noise (B, noise_dim) -> float images (B, 3, r, r), about [-1, 1]."""
        images: torch.Tensor = self.networks(conditions, noise, self.resolution, self.alpha)
        return images

    def __call__(self, descriptions: list[str], noise: torch.Tensor, batch_size: int = 64) -> torch.Tensor:
        """N descriptions and noise (N, noise_dim) -> float images (N, 3, r, r), about [-1, 1]."""
        batches = zip(self.conditioner(descriptions).split(batch_size), noise.split(batch_size), strict=True)
        return torch.cat([self.sample(rows.to(self.device), z.to(self.device)) for rows, z in batches])


def build_networks(config: Any) -> ConditionalGenerator:
    """Build the drawing networks of a checkpoint's plain config, and nothing else."""
    networks_config = config["model"]["networks"]
    require_ours(networks_config, "t2f", nn.Module)
    networks = instantiate(OmegaConf.create(networks_config))
    require(isinstance(networks, ConditionalGenerator), f"The checkpoint's networks are a {type(networks).__name__}.")
    assert isinstance(networks, ConditionalGenerator)
    return networks
