"""ProGAN's generator and a text-conditional, matching-aware discriminator that grow together.

All depths are built at once, so that optimiser state and checkpoints keep one shape; the resolution
and alpha of each call say which layers take part.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from t2f.networks.diffaugment import DiffAugment
from t2f.networks.interfaces import Alpha, Discriminator, Generator
from t2f.networks.layers import EqualizedConv2d, EqualizedLinear, PixelNorm
from t2f.networks.matching import MatchingHead


def fade(old: Tensor, new: Tensor, alpha: Alpha) -> Tensor:
    """Blend the newest layers in (figure 2 of the paper): (1 - alpha) * old + alpha * new.

    The result has the wider of the two types. Autocast decides which layers give float32: on CUDA, for one, those that
    end with an interpolation.
    """
    if isinstance(alpha, Tensor):
        return old + alpha * (new - old)  # lerp's weight would have to be on the same device
    dtype = torch.promote_types(old.dtype, new.dtype)  # lerp does not promote
    return torch.lerp(old.to(dtype), new.to(dtype), alpha)


def upsample(x: Tensor) -> Tensor:
    """Double height and width by nearest neighbours."""
    return F.interpolate(x, scale_factor=2.0, mode="nearest")


def is_fading(alpha: Alpha) -> bool:
    return isinstance(alpha, Tensor) or alpha < 1


def faded_reals(images: Tensor, resolution: int, alpha: float) -> Tensor:
    """Real images as the networks see them now: pooled to `resolution`, blended like the generator's.

    (B, 3, R, R) -> (B, 3, resolution, resolution); R is `resolution` or a multiple of it.
    """
    now = F.avg_pool2d(images, images.shape[-1] // resolution)
    if alpha >= 1:
        return now
    return fade(upsample(F.avg_pool2d(now, 2)), now, alpha)


class GeneratorStart(nn.Module):
    """latent (B, latent_dim) -> features (B, channels, 4, 4)."""

    def __init__(self, latent_dim: int, channels: int) -> None:
        super().__init__()
        self.norm = PixelNorm()
        # A 4x4 transposed convolution of a 1x1 map is a linear layer; the gain is the paper's code's.
        self.first = EqualizedLinear(latent_dim, channels * 16, gain=2**0.5 / 4)
        self.second = EqualizedConv2d(channels, channels, 3, padding=1)

    def forward(self, latent: Tensor, memory_format: torch.memory_format) -> Tensor:
        x = self.first(self.norm(latent)).unflatten(1, (-1, 4, 4))
        x = x.contiguous(memory_format=memory_format)  # which what follows keeps; the latent has none
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
    """[condition, noise] (B, latent_dim), resolution, alpha -> image (B, 3, resolution, resolution), about [-1, 1].

    `channels` are those at 4x4, 8x8, ...: their number sets the final resolution.
    """

    grows = True

    def __init__(self, condition_dim: int, latent_dim: int, channels: Sequence[int]) -> None:
        super().__init__()
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
    """image (B, 3, r, r) and embedding (B, embedding_dim) -> scores (B,); its end is a `MatchingHead`.

    `augment` changes at random every picture that it sees.
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
        self.has_unconditional_score = unconditional
        self.compares = project
        self.classes = classes if project else None
        self.augment = augment
        self.from_rgb = nn.ModuleList(EqualizedConv2d(3, each, 1) for each in channels)
        self.blocks = nn.ModuleList(DiscriminatorBlock(b, a) for a, b in itertools.pairwise(channels))
        self.head = MatchingHead(channels[0], embedding_dim, text_dim, project, unconditional, classes)

    def picture(self, images: Tensor, resolution: int, alpha: float) -> Tensor:
        return faded_reals(images, resolution, alpha)

    def see(self, picture: Tensor, resolution: int, alpha: Alpha) -> Tensor:
        depth = depth_of(resolution)
        image = self.augment(picture).contiguous(memory_format=self.memory_format)
        x = F.leaky_relu(self.from_rgb[depth](image), 0.2)
        if depth > 0:
            x = self.blocks[depth - 1](x)
            if is_fading(alpha):
                x = fade(F.leaky_relu(self.from_rgb[depth - 1](F.avg_pool2d(image, 2)), 0.2), x, alpha)
            for index in range(depth - 2, -1, -1):
                x = self.blocks[index](x)
        return self.head.see(x)

    def judge(self, seen: Tensor, embedding: Tensor) -> Tensor:
        return self.head.judge(seen, embedding)

    def judge_alone(self, seen: Tensor) -> Tensor:
        return self.head.judge_alone(seen)

    def compare(self, seen: Tensor, embedding: Tensor) -> Tensor:
        return self.head.compare(seen, embedding)

    def classify(self, seen: Tensor, embedding: Tensor) -> tuple[Tensor, Tensor]:
        return self.head.classify(seen, embedding)


def depth_of(resolution: int) -> int:
    """4 -> 0, 8 -> 1, 16 -> 2, ..."""
    return resolution.bit_length() - 3


def resolution_of(stages: int) -> int:
    """1 -> 4, 2 -> 8, 3 -> 16, ...: the resolution that this many stages reach."""
    return 4 * 2 ** (stages - 1)
