"""The layers of ProGAN (Karras et al. 2018, "Progressive Growing of GANs", arXiv:1710.10196)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class EqualizedConv2d(nn.Module):
    """Convolution with equalized learning rate (section 4.1): w_hat = w * gain / sqrt(fan_in), w ~ N(0, 1).

    Maps (B, in_channels, H, W) to (B, out_channels, H', W').
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int, padding: int = 0, gain: float = 2**0.5):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.scale = gain / math.sqrt(in_channels * kernel**2)
        self.padding = padding

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight * self.scale, self.bias, padding=self.padding)


class EqualizedLinear(nn.Module):
    """Linear layer with equalized learning rate: (..., in_features) -> (..., out_features)."""

    def __init__(self, in_features: int, out_features: int, gain: float = 2**0.5):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_features, in_features))
        self.bias = nn.Parameter(torch.zeros(out_features))
        self.scale = gain / math.sqrt(in_features)

    def forward(self, x: Tensor) -> Tensor:
        # Scaling the input is equivalent and cheaper; the unscaled weight also stays in the autocast cache.
        return F.linear(x * self.scale, self.weight, self.bias)


class PixelNorm(nn.Module):
    """b = a / sqrt(mean over channels of a^2 + 1e-8) (section 4.2), for any shape (B, C, ...)."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.square().mean(dim=1, keepdim=True) + 1e-8)


class MinibatchStdDev(nn.Module):
    """Appends a channel with the standard deviation over groups of the batch, averaged to one number (section 3).

    Maps (B, C, H, W) to (B, C + 1, H, W). As in the paper's code, the group size is the largest divisor of B up to
    `group_size`, so that the number means the same at every batch size.
    """

    def __init__(self, group_size: int = 4) -> None:
        super().__init__()
        self.group_size = group_size

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        group = max(size for size in range(1, self.group_size + 1) if batch % size == 0)
        grouped = x.float().reshape(group, batch // group, channels, height, width)
        from_mean = grouped - grouped.mean(dim=0)
        variance = from_mean.square().mean(dim=0)  # var() takes six times as long on a CPU
        stddev = (variance + 1e-8).sqrt().mean(dim=(1, 2, 3))
        plane = stddev.to(x.dtype).repeat(group).reshape(batch, 1, 1, 1).expand(batch, 1, height, width)
        return torch.cat([x, plane], dim=1)
