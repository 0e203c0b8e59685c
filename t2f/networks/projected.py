"""A multi-scale discriminator that also reads the features of a frozen network.

Projected GAN (Sauer et al. 2021, arXiv:2111.01007) discriminates in the feature space of a pretrained classifier, which
needs far fewer images. Here the features of each scale are added to those of the discriminator's own blocks, so that
one score, with the text, depends on pixels and features.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from t2f.networks.base import Alpha
from t2f.networks.diffaugment import DiffAugment
from t2f.networks.efficientnet import CHANNELS, FrozenEfficientNet
from t2f.networks.layers import EqualizedConv2d, PixelNorm
from t2f.networks.multiscale import MultiScaleDiscriminator, unflatten_pyramid


class ProjectedDiscriminator(MultiScaleDiscriminator):
    """Scores pyramids (B, P) of at least 64 pixels with text embeddings (B, embedding_dim).

    EfficientNet-Lite0 gets the images at 128 pixels. Its feature maps of 32, 16, 8 and 4 pixels are normalized over
    channels and, after a trained 1x1 convolution, added to the features of the discriminator's blocks.

    Args:
        channels, embedding_dim, text_dim, project, unconditional, classes, augment: See `MultiScaleDiscriminator`.

    Raises:
        MissingPackage: If timm or the package of the weights is not installed.
        ValueError: If the images have less than 64 pixels.
    """

    features_name = "EfficientNet-Lite0"
    """Name of the features. A report has a note if the same features measure the result."""

    def __init__(
        self,
        channels: Sequence[int],
        embedding_dim: int,
        text_dim: int,
        project: bool,
        unconditional: bool,
        classes: int,
        augment: DiffAugment,
    ) -> None:
        super().__init__(channels, embedding_dim, text_dim, project, unconditional, classes, augment)
        if len(channels) < 5:
            raise ValueError(f"channels has {len(channels)} values: it must have at least 5, for 64 pixels.")
        self.backbone = FrozenEfficientNet(128)
        self.norm = PixelNorm()
        # Finest first, as the backbone's maps.
        self.from_maps = nn.ModuleList(
            EqualizedConv2d(width, own, 1) for width, own in zip(CHANNELS, reversed(channels[:4]), strict=True)
        )

    def extract(self, sample: Tensor, resolution: int, alpha: Alpha) -> Tensor:
        numbers = self.augment.draw(len(sample), sample.device)
        images = unflatten_pyramid(sample, self.scales, self.memory_format)
        *images, largest = (self.augment.change(image, numbers) for image in images)
        maps = {
            each.shape[-1]: from_map(self.norm(each))
            for each, from_map in zip(self.backbone(largest), self.from_maps, strict=True)
        }
        x = F.leaky_relu(self.from_rgb(largest), 0.2)
        for block, image in zip(self.blocks, reversed(images), strict=True):
            x = block(x)
            if image.shape[-1] in maps:
                x = x + maps[image.shape[-1]]
            x = torch.cat([x, image.to(x.dtype)], dim=1)
        features: Tensor = self.head(F.leaky_relu(self.join(x), 0.2))
        return features
