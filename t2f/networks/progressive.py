"""ProGAN's generator and a text-conditional discriminator that grow together (Karras et al. 2018, arXiv:1710.10196).

All depths are built at once, so that optimizer states and checkpoints keep one shape. The resolution and alpha of a
call select the layers.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from t2f.networks.base import Alpha, Discriminator, Generator
from t2f.networks.diffaugment import DiffAugment
from t2f.networks.heads import MatchingHead
from t2f.networks.layers import EqualizedConv2d, EqualizedLinear, PixelNorm


def fade(old: Tensor, new: Tensor, alpha: Alpha) -> Tensor:
    """Blend the newest layers in (figure 2 of the paper): (1 - alpha) * old + alpha * new.

    Returns:
        The blend, in the wider of the two dtypes. Under autocast on CUDA, layers that end with an interpolation give
        float32, others half precision.
    """
    dtype = torch.promote_types(old.dtype, new.dtype)  # torch.lerp does not promote
    if isinstance(alpha, Tensor):  # in its precision, since half precision would round alpha
        return torch.lerp(old.to(alpha.dtype), new.to(alpha.dtype), alpha).to(dtype)
    return torch.lerp(old.to(dtype), new.to(dtype), alpha)


def upsample(x: Tensor) -> Tensor:
    """Double height and width by nearest neighbors."""
    return F.interpolate(x, scale_factor=2.0, mode="nearest")


def is_fading(alpha: Alpha) -> bool:
    return isinstance(alpha, Tensor) or alpha < 1


def faded_reals(images: Tensor, resolution: int, alpha: Alpha) -> Tensor:
    """Downsample real images, and blend them as the generator blends its own during a fade.

    Args:
        images: float (B, 3, R, R), R a multiple of `resolution`.
        resolution: Side of the result, in pixels.
        alpha: Fade-in weight, in [0, 1].

    Returns:
        float (B, 3, resolution, resolution).
    """
    now = F.avg_pool2d(images, images.shape[-1] // resolution)
    if not is_fading(alpha):
        return now
    return fade(upsample(F.avg_pool2d(now, 2)), now, alpha)


class GeneratorStart(nn.Module):
    """The 4x4 block: latent (B, latent_dim) -> features (B, channels, 4, 4)."""

    def __init__(self, latent_dim: int, channels: int) -> None:
        super().__init__()
        self.norm = PixelNorm()
        # A 4x4 transposed convolution of a 1x1 map is a linear layer; the gain is the paper's code's.
        self.first = EqualizedLinear(latent_dim, channels * 16, gain=2**0.5 / 4)
        self.second = EqualizedConv2d(channels, channels, 3, padding=1)

    def forward(self, latent: Tensor, memory_format: torch.memory_format) -> Tensor:
        x = self.first(self.norm(latent)).unflatten(1, (-1, 4, 4))
        x = x.contiguous(memory_format=memory_format)  # later layers keep this layout
        x = self.norm(F.leaky_relu(x, 0.2))
        return self.norm(F.leaky_relu(self.second(x), 0.2))


class GeneratorBlock(nn.Module):
    """Upsample, then two 3x3 convolutions: (B, in, H, W) -> (B, out, 2H, 2W)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv1 = EqualizedConv2d(in_channels, out_channels, 3, padding=1)
        self.conv2 = EqualizedConv2d(out_channels, out_channels, 3, padding=1)
        self.norm = PixelNorm()

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(F.leaky_relu(self.conv1(upsample(x)), 0.2))
        return self.norm(F.leaky_relu(self.conv2(x), 0.2))


class ProgressiveGenerator(Generator):
    """Generates images (B, 3, resolution, resolution), about [-1, 1], from the latent [condition, noise].

    Args:
        condition_dim: Length of the condition.
        latent_dim: Length of condition and noise together.
        channels: Channels at 4x4, 8x8, ...; their number sets the final resolution.

    Raises:
        ValueError: `latent_dim` leaves no noise.
    """

    grows = True

    def __init__(self, condition_dim: int, latent_dim: int, channels: Sequence[int]) -> None:
        super().__init__()
        if latent_dim <= condition_dim:
            raise ValueError(f"latent_dim is {latent_dim}: it must be above the condition's {condition_dim}.")
        self.noise_dim = latent_dim - condition_dim
        self.max_resolution = resolution_of(len(channels))
        self.start = GeneratorStart(latent_dim, channels[0])
        self.blocks = nn.ModuleList(GeneratorBlock(a, b) for a, b in itertools.pairwise(channels))
        self.to_rgb = nn.ModuleList(EqualizedConv2d(width, 3, 1, gain=1.0) for width in channels)

    def forward(self, condition: Tensor, noise: Tensor, resolution: int, alpha: Alpha) -> Tensor:
        depth = depth_of(resolution)
        before = x = self.start(torch.cat([condition, noise], dim=1), self.memory_format)
        for block in self.blocks[:depth]:
            before, x = x, block(x)
        image: Tensor = self.to_rgb[depth](x)
        if depth > 0 and is_fading(alpha):
            image = fade(upsample(self.to_rgb[depth - 1](before)), image, alpha)
        return image


class DiscriminatorBlock(nn.Module):
    """Two 3x3 convolutions, then halve: (B, in, 2H, 2W) -> (B, out, H, W)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv1 = EqualizedConv2d(in_channels, in_channels, 3, padding=1)
        self.conv2 = EqualizedConv2d(in_channels, out_channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.leaky_relu(self.conv1(x), 0.2)
        return F.avg_pool2d(F.leaky_relu(self.conv2(x), 0.2), 2)


class ProgressiveDiscriminator(Discriminator):
    """Scores images (B, 3, r, r) with text embeddings (B, embedding_dim).

    Args:
        channels: Channels at 4x4, 8x8, ..., as the generator's.
        augment: Applied to every sample.
        embedding_dim, text_dim, project, unconditional, classes: See `MatchingHead`.
    """

    def __init__(
        self,
        channels: Sequence[int],
        embedding_dim: int,
        text_dim: int,
        project: bool,
        unconditional: bool,
        classes: int,
        augment: DiffAugment,
    ) -> None:
        super().__init__()
        self.augment = augment
        self.max_resolution = resolution_of(len(channels))
        self.from_rgb = nn.ModuleList(EqualizedConv2d(3, each, 1) for each in channels)
        self.blocks = nn.ModuleList(DiscriminatorBlock(b, a) for a, b in itertools.pairwise(channels))
        self.head = MatchingHead(channels[0], embedding_dim, text_dim, project, unconditional, classes)

    def to_sample(self, images: Tensor, resolution: int, alpha: Alpha) -> Tensor:
        return faded_reals(images, resolution, alpha)

    def extract(self, sample: Tensor, resolution: int, alpha: Alpha) -> Tensor:
        depth = depth_of(resolution)
        image = self.augment(sample).contiguous(memory_format=self.memory_format)
        x = F.leaky_relu(self.from_rgb[depth](image), 0.2)
        if depth > 0:
            x = self.blocks[depth - 1](x)
            if is_fading(alpha):
                x = fade(F.leaky_relu(self.from_rgb[depth - 1](F.avg_pool2d(image, 2)), 0.2), x, alpha)
            for index in range(depth - 2, -1, -1):
                x = self.blocks[index](x)
        features: Tensor = self.head(x)
        return features


def depth_of(resolution: int) -> int:
    """Return the number of blocks of a resolution: 4 -> 0, 8 -> 1, 16 -> 2, ..."""
    return resolution.bit_length() - 3


def resolution_of(stages: int) -> int:
    """Return the resolution that this many stages reach: 1 -> 4, 2 -> 8, 3 -> 16, ..."""
    return 4 * 2 ** (stages - 1)
