"""A multi-scale generator that scales the feature maps of each block by condition and noise.

StyleGAN (Karras et al. 2019, arXiv:1812.04948) feeds a mapping of the latent to each layer as scales of its feature
maps. Here ProGAN's pixel norm after each convolution replaces its instance normalization.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from t2f.networks.base import Alpha
from t2f.networks.layers import EqualizedConv2d, EqualizedLinear, PixelNorm
from t2f.networks.multiscale import MultiScaleGenerator, flatten_pyramid


class ModulatedBlock(nn.Module):
    """Bilinear upsampling and two modulated 3x3 convolutions: (B, in, H, W) -> (B, out, 2H, 2W).

    Args:
        in_channels, out_channels: Channels before and after.
        style_dim: Length of the style vector, of which a linear layer makes the scale of each channel.
    """

    def __init__(self, in_channels: int, out_channels: int, style_dim: int) -> None:
        super().__init__()
        self.conv1 = EqualizedConv2d(in_channels, out_channels, 3, padding=1)
        self.conv2 = EqualizedConv2d(out_channels, out_channels, 3, padding=1)
        self.style1 = EqualizedLinear(style_dim, in_channels, gain=1.0)
        self.style2 = EqualizedLinear(style_dim, out_channels, gain=1.0)
        self.norm = PixelNorm()

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        x = F.interpolate(x * self.scale(self.style1, style, x), scale_factor=2.0, mode="bilinear")
        x = self.norm(F.leaky_relu(self.conv1(x), 0.2))
        return self.norm(F.leaky_relu(self.conv2(x * self.scale(self.style2, style, x)), 0.2))

    def scale(self, layer: nn.Module, style: Tensor, x: Tensor) -> Tensor:
        scale: Tensor = 1 + layer(style)
        return scale[:, :, None, None].to(x.dtype)


class ModulatedGenerator(MultiScaleGenerator):
    """Generates pyramids (B, P) of images, about [-1, 1]; arguments as those of `ProgressiveGenerator`."""

    def __init__(self, condition_dim: int, latent_dim: int, channels: Sequence[int]) -> None:
        super().__init__(condition_dim, latent_dim, channels)
        self.blocks = nn.ModuleList(ModulatedBlock(a, b, latent_dim) for a, b in itertools.pairwise(channels))
        self.mapping = nn.Sequential(
            PixelNorm(),
            EqualizedLinear(latent_dim, latent_dim),
            nn.LeakyReLU(0.2),
            EqualizedLinear(latent_dim, latent_dim),
            nn.LeakyReLU(0.2),
        )

    def forward(self, condition: Tensor, noise: Tensor, resolution: int, alpha: Alpha) -> Tensor:
        latent = torch.cat([condition, noise], dim=1)
        style = self.mapping(latent)
        x = self.start(latent, self.memory_format)
        images = [self.to_rgb[0](x)]
        for block, to_rgb in zip(self.blocks, self.to_rgb[1:], strict=True):
            x = block(x, style)
            images.append(to_rgb(x))
        return flatten_pyramid(images)
