"""A multi-scale discriminator that also reads the features of a frozen network.

Projected GAN (Sauer et al. 2021, arXiv:2111.01007) discriminates in the feature space of a pretrained classifier, which
needs far fewer images. Here the features of each scale are added to those of the discriminator's own blocks, so that
one score, with the text, depends on pixels and features.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from t2f.networks.efficientnet import CHANNELS, FrozenEfficientNet
from t2f.networks.layers import EqualizedConv2d, PixelNorm
from t2f.networks.multiscale import MultiScaleDiscriminator


class ProjectedDiscriminator(MultiScaleDiscriminator):
    """Scores pyramids (B, P) of at least 64 pixels with text embeddings (B, embedding_dim).

    EfficientNet-Lite0 gets the images at 128 pixels. Its feature maps of 32, 16, 8 and 4 pixels are normalized over
    channels and, after a trained 1x1 convolution, added to the features of the discriminator's blocks.

    Args:
        channels: Channels at 4x4, 8x8, ..., at least five values.
        **settings: See `MultiScaleDiscriminator`.

    Raises:
        MissingPackage: If timm or the package of the weights is not installed.
        ValueError: If the images have less than 64 pixels.
    """

    features_name = "EfficientNet-Lite0"
    """Name of the features. A report has a note if the same features measure the result."""

    def __init__(self, channels: Sequence[int], **settings: Any) -> None:
        if len(channels) < 5:
            raise ValueError(f"channels has {len(channels)} values: it must have at least 5, for 64 pixels.")
        super().__init__(channels, **settings)
        self.backbone = FrozenEfficientNet(128)
        self.norm = PixelNorm()
        # Finest first, as the backbone's maps.
        self.from_maps = nn.ModuleList(
            EqualizedConv2d(width, own, 1) for width, own in zip(CHANNELS, reversed(channels[:4]), strict=True)
        )

    def added_features(self, image: Tensor) -> dict[int, Tensor]:
        maps = zip(self.backbone(image), self.from_maps, strict=True)
        return {each.shape[-1]: from_map(self.norm(each)) for each, from_map in maps}
