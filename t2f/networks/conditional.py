"""All that it takes to draw: condition -> embedding -> [c, z] -> face."""

from __future__ import annotations

from torch import Tensor, nn

from t2f.networks.conditioning import ConditioningAugmentation
from t2f.networks.interfaces import Generator


class ConditionalGenerator(nn.Module):
    """Encoder, conditioning augmentation and generator, in the order of the data's path.

    The encoder maps conditions (B, ...), token ids or numbers, to embeddings (B, E). Without `conditioning`
    the embedding itself is the generator's condition.
    """

    def __init__(self, encoder: nn.Module, conditioning: ConditioningAugmentation | None, generator: Generator) -> None:
        super().__init__()
        self.encoder = encoder
        self.conditioning = conditioning
        self.generator = generator
        self.noise_dim = generator.noise_dim + (conditioning.dim if conditioning else 0)

    def forward(self, conditions: Tensor, noise: Tensor, resolution: int, alpha: float = 1.0) -> Tensor:
        """Conditions (B, ...), noise (B, noise_dim) -> images (B, 3, resolution, resolution), about [-1, 1]."""
        return self.generator.image(self.draw(self.encoder(conditions), noise, resolution, alpha)[0])

    def draw(
        self, embedding: Tensor, noise: Tensor, resolution: int, alpha: float
    ) -> tuple[Tensor, tuple[Tensor, Tensor] | None]:
        """Embeddings (B, E), noise (B, noise_dim) -> float32 pictures; the condition's mu and log sigma^2 (B, dim).

        The first part of the noise moves the condition about its mean, the rest is z.
        """
        if self.conditioning is None:
            return self.generator(embedding, noise, resolution, alpha).float(), None
        shake, z = noise.split([self.conditioning.dim, self.generator.noise_dim], dim=1)
        condition, mean, log_variance = self.conditioning(embedding, shake)
        return self.generator(condition, z, resolution, alpha).float(), (mean, log_variance)
