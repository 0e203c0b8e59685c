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

from t2f.networks.layers import EqualizedConv2d, EqualizedLinear, MinibatchStdDev, PixelNorm


def fade(old: Tensor, new: Tensor, alpha: float) -> Tensor:
    """Blend the newest layers in (figure 2 of the paper): (1 - alpha) * old + alpha * new."""
    return torch.lerp(old, new, alpha)


def upsample(x: Tensor) -> Tensor:
    """Double height and width by nearest neighbours."""
    return F.interpolate(x, scale_factor=2.0, mode="nearest")


def faded_reals(images: Tensor, resolution: int, alpha: float) -> Tensor:
    """Real images as the networks see them now: pooled to `resolution`, blended like the generator's.

    (B, 3, R, R) -> (B, 3, resolution, resolution); R is `resolution` or a multiple of it.
    """
    now = F.avg_pool2d(images, images.shape[-1] // resolution)
    if alpha >= 1:
        return now
    return fade(upsample(F.avg_pool2d(now, 2)), now, alpha)


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


class Generator(nn.Module):
    """latent (B, latent_dim), resolution, alpha -> image (B, 3, resolution, resolution), about [-1, 1].

    `channels` are those at 4x4, 8x8, ...: their number sets the final resolution.
    """

    def __init__(self, latent_dim: int, channels: Sequence[int]) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.max_resolution = 4 * 2 ** (len(channels) - 1)
        self.norm = PixelNorm()
        # A 4x4 transposed convolution of a 1x1 map is a linear layer; the gain is the paper's code's.
        self.first = EqualizedLinear(latent_dim, channels[0] * 16, gain=2**0.5 / 4)
        self.second = EqualizedConv2d(channels[0], channels[0], 3, padding=1)
        self.blocks = nn.ModuleList(GeneratorBlock(a, b) for a, b in itertools.pairwise(channels))
        self.to_rgb = nn.ModuleList(EqualizedConv2d(width, 3, 1, gain=1.0) for width in channels)

    def forward(self, latent: Tensor, resolution: int, alpha: float) -> Tensor:
        depth = depth_of(resolution)
        x = self.first(self.norm(latent)).reshape(len(latent), -1, 4, 4)
        # The latent is the only input without a memory format, so channels-last convolutions start here.
        x = x.contiguous(memory_format=torch.channels_last)
        x = self.norm(F.leaky_relu(x, 0.2))
        x = self.norm(F.leaky_relu(self.second(x), 0.2))
        before = x
        for block in self.blocks[:depth]:
            before, x = x, block(x)
        image = self.to_rgb[depth](x)
        if depth > 0 and alpha < 1:
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


class Discriminator(nn.Module):
    """image (B, 3, r, r) and text embedding (B, embedding_dim) -> scores (B,), unbounded: high is real and matching.

    The text joins the 4x4 features at the final block, compressed to `text_dim` and repeated over the map,
    as in GAN-CLS (Reed et al. 2016, arXiv:1605.05396, section 4.1). With `project` the score has a second
    term, the inner product of the picture's features with the projected text (Miyato & Koyama 2018,
    arXiv:1802.05637, equation 3), which teaches the words sooner; unlike theirs, it has a layer of features of
    its own and is scaled by 1 / sqrt(width), and the other term sees the text too.
    """

    def __init__(self, channels: Sequence[int], embedding_dim: int, text_dim: int, project: bool = True) -> None:
        super().__init__()
        width = channels[0]
        self.from_rgb = nn.ModuleList(EqualizedConv2d(3, each, 1) for each in channels)
        self.blocks = nn.ModuleList(DiscriminatorBlock(b, a) for a, b in itertools.pairwise(channels))
        self.spread = MinibatchStdDev()
        self.conv = EqualizedConv2d(width + 1, width, 3, padding=1)
        self.compress = EqualizedLinear(embedding_dim, text_dim)
        self.join = EqualizedConv2d(width + text_dim, width, 1)
        self.dense = EqualizedLinear(width * 16, width)
        self.score = EqualizedLinear(width, 1, gain=1.0)
        self.features = EqualizedLinear(width * 16, width) if project else None
        self.projection = EqualizedLinear(embedding_dim, width, gain=1.0) if project else None

    def forward(self, image: Tensor, embedding: Tensor, resolution: int, alpha: float) -> Tensor:
        return self.judge(self.see(image, resolution, alpha), embedding)

    def see(self, image: Tensor, resolution: int, alpha: float) -> Tensor:
        """The part that needs no text: image (B, 3, r, r) -> features (B, C, 4, 4)."""
        depth = depth_of(resolution)
        image = image.contiguous(memory_format=torch.channels_last)
        x = F.leaky_relu(self.from_rgb[depth](image), 0.2)
        if depth > 0:
            x = self.blocks[depth - 1](x)
            if alpha < 1:
                x = fade(F.leaky_relu(self.from_rgb[depth - 1](F.avg_pool2d(image, 2)), 0.2).to(x.dtype), x, alpha)
            for index in range(depth - 2, -1, -1):
                x = self.blocks[index](x)
        return F.leaky_relu(self.conv(self.spread(x)), 0.2)

    def judge(self, seen: Tensor, embedding: Tensor) -> Tensor:
        """The part that weighs picture against text: features (B, C, 4, 4), embedding (B, E) -> scores (B,)."""
        text = self.compress(embedding)[:, :, None, None].expand(-1, -1, *seen.shape[2:])
        x = F.leaky_relu(self.join(torch.cat([seen, text.to(seen.dtype)], dim=1)), 0.2)
        x = F.leaky_relu(self.dense(x.flatten(1)), 0.2)
        score = self.score(x).float().squeeze(1)
        if self.features is not None and self.projection is not None:
            features = F.leaky_relu(self.features(seen.flatten(1)), 0.2).float()
            score = score + (features * self.projection(embedding).float()).sum(1) / features.shape[1] ** 0.5
        return score


def depth_of(resolution: int) -> int:
    """4 -> 0, 8 -> 1, 16 -> 2, ..."""
    return resolution.bit_length() - 3
