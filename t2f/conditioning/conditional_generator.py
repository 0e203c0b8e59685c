"""The conditional generator: condition (token ids or a vector) -> text embedding -> [c, z] -> image."""

from __future__ import annotations

from torch import Tensor, nn

from t2f.conditioning.augmentation import ConditioningAugmentation, Moments
from t2f.networks.base import Alpha, Generator


class ConditionalGenerator(nn.Module):
    """Combines the text encoder, the conditioning augmentation and the generator.

    Args:
        encoder: Maps conditions (B, ...), token ids or vectors, to embeddings (B, E).
        conditioning: Maps embeddings to the generator's condition; None: the embedding is the condition.
        generator: Maps condition and noise to samples.
    """

    def __init__(self, encoder: nn.Module, conditioning: ConditioningAugmentation | None, generator: Generator) -> None:
        super().__init__()
        self.encoder = encoder
        self.conditioning = conditioning
        self.generator = generator
        self.noise_dim = generator.noise_dim + (conditioning.dim if conditioning else 0)

    def forward(self, conditions: Tensor, noise: Tensor, resolution: int, alpha: Alpha = 1.0) -> Tensor:
        """Generate images.

        Args:
            conditions: (B, ...), int64 token ids or float32 vectors.
            noise: float (B, noise_dim), standard normal.
            resolution: Height and width of the images, in pixels.
            alpha: Fade-in weight of the newest layers, in [0, 1].

        Returns:
            float32 (B, 3, resolution, resolution), approximately in [-1, 1].
        """
        return self.generator.to_image(self.generate(self.encoder(conditions), noise, resolution, alpha)[0])

    def generate(
        self, embedding: Tensor, noise: Tensor, resolution: int, alpha: Alpha
    ) -> tuple[Tensor, Moments | None]:
        """Generate samples from embeddings.

        Args:
            embedding: float (B, E).
            noise: float (B, noise_dim), standard normal: the noise of the conditioning augmentation, then z.
            resolution: Height and width of the largest image, in pixels.
            alpha: Fade-in weight of the newest layers, in [0, 1].

        Returns:
            float32 samples, and the mean and log-variance (B, dim) of the condition; None without augmentation.
        """
        if self.conditioning is None:
            return self.generator(embedding, noise, resolution, alpha).float(), None
        condition_noise, z = noise.split([self.conditioning.dim, self.generator.noise_dim], dim=1)
        condition, mean, log_variance = self.conditioning(embedding, condition_noise)
        return self.generator(condition, z, resolution, alpha).float(), (mean, log_variance)
