"""All that it takes to draw: words -> embedding -> condition -> [c, z] -> face."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from t2f.networks.conditioning import ConditioningAugmentation
from t2f.networks.progressive import Generator


class TextToFace(nn.Module):
    """Text encoder, conditioning augmentation and generator, in the order of the data's path.

    The encoder maps token ids (B, L) to embeddings (B, E); the latent is [c, z] of the generator's size.
    """

    def __init__(self, encoder: nn.Module, conditioning: ConditioningAugmentation, generator: Generator) -> None:
        super().__init__()
        self.encoder = encoder
        self.conditioning = conditioning
        self.generator = generator
        self.noise_dim = generator.latent_dim

    def forward(self, tokens: Tensor, noise: Tensor, resolution: int, alpha: float = 1.0) -> Tensor:
        """Token ids (B, L), noise (B, noise_dim) -> images (B, 3, resolution, resolution), about [-1, 1]."""
        return self.draw(self.encoder(tokens), noise, resolution, alpha)[0]

    def draw(self, embedding: Tensor, noise: Tensor, resolution: int, alpha: float) -> tuple[Tensor, Tensor, Tensor]:
        """Embeddings (B, E), noise (B, noise_dim) -> images, and the condition's mu and log sigma^2 (B, dim).

        The first part of the noise moves the condition about its mean, the rest is z.
        """
        shake, z = noise.split([self.conditioning.dim, self.noise_dim - self.conditioning.dim], dim=1)
        condition, mean, log_variance = self.conditioning(embedding, shake)
        image = self.generator(torch.cat([condition, z], dim=1), resolution, alpha)
        return image.float(), mean, log_variance
