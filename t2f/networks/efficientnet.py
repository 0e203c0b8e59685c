"""EfficientNet-Lite0 with ImageNet weights as a frozen part of a discriminator."""

from __future__ import annotations

import itertools
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from t2f.metrics.efficientnet import pretrained_network

CHANNELS = (24, 40, 112, 320)
"""Channels of the feature maps at strides 4, 8, 16 and 32."""


class FrozenEfficientNet(nn.Module):
    """Maps images (B, 3, r, r), about [-1, 1], to feature maps (B, C, s, s) at strides 4, 8, 16 and 32.

    Gradients reach the images. The weights are buffers outside of the state dict, so that no optimizer trains them and
    no checkpoint contains them. Batch norm is fused into the convolutions.

    Args:
        resolution: Side that images are resized to, a multiple of 32. The finest map has a quarter of it.

    Raises:
        MissingPackage: If timm or the package of the weights is not installed.
        ValueError: If `resolution` is out of range.
    """

    def __init__(self, resolution: int) -> None:
        super().__init__()
        if resolution < 32 or resolution % 32:
            raise ValueError(f"resolution is {resolution}: it must be 32, 64, 96, ... pixels.")
        self.resolution = resolution
        self.network: Any = pretrained_network()
        fuse_batch_norms(self.network)
        freeze(self.network)

    def forward(self, images: Tensor) -> list[Tensor]:
        if images.shape[-1] != self.resolution:
            images = F.interpolate(images, size=(self.resolution, self.resolution), mode="bilinear")
        maps: list[Tensor] = self.network.forward_intermediates(images, indices=(1, 2, 3, 4), intermediates_only=True)
        return maps


def fuse_batch_norms(network: nn.Module) -> None:
    """Fuse each batch norm of timm's EfficientNet, in evaluation mode, into the convolution before it, in place."""
    for module in network.modules():
        children = list(module.named_children())
        for (name, convolution), (norm_name, norm) in itertools.pairwise(children):
            if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(module, name, fuse_conv_bn_eval(convolution, norm))
                setattr(module, norm_name, norm.act)


def freeze(network: nn.Module) -> None:
    """Turn all parameters and buffers into buffers outside of the state dict, in place."""
    for module in network.modules():
        values = dict([*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)])
        for name, value in values.items():
            delattr(module, name)
            module.register_buffer(name, value.detach(), persistent=False)
