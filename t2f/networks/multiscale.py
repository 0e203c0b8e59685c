"""All scales at once, without growth: MSG-GAN (Karnewar & Wang 2020, arXiv:1903.06048) on ProGAN's blocks.

The generator outputs an image at every scale. The discriminator takes all of them and concatenates each with the
features of its size. As in StackGAN++ (Zhang et al. 2018, arXiv:1710.10916) there is a conditional and an unconditional
score.

A sample is a pyramid: the images of all scales, 4x4 first, flattened to one row (B, P), so that losses and penalties do
not depend on scales.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from t2f.networks.base import Alpha, Discriminator
from t2f.networks.diffaugment import DiffAugment
from t2f.networks.heads import MatchingHead
from t2f.networks.layers import EqualizedConv2d
from t2f.networks.progressive import DiscriminatorBlock, ProgressiveGenerator, resolution_of


def flatten_pyramid(images: Sequence[Tensor]) -> Tensor:
    """Flatten images (B, 3, 4, 4), (B, 3, 8, 8), ... to a pyramid (B, P)."""
    return torch.cat([image.flatten(1) for image in images], dim=1)


def unflatten_pyramid(
    pyramid: Tensor, scales: int, memory_format: torch.memory_format = torch.channels_last
) -> list[Tensor]:
    """Split a pyramid (B, P) into images (B, 3, 4, 4), (B, 3, 8, 8), ..."""
    sizes = [resolution_of(scale + 1) for scale in range(scales)]
    parts = pyramid.split([3 * size**2 for size in sizes], dim=1)
    images = [part.unflatten(1, (3, size, size)) for part, size in zip(parts, sizes, strict=True)]
    return [image.contiguous(memory_format=memory_format) for image in images]


class MultiScaleGenerator(ProgressiveGenerator):
    """Generates pyramids (B, P) of images, about [-1, 1]; arguments as those of `ProgressiveGenerator`."""

    grows = False

    def forward(self, condition: Tensor, noise: Tensor, resolution: int, alpha: Alpha) -> Tensor:
        x = self.start(torch.cat([condition, noise], dim=1), self.memory_format)
        images = [self.to_rgb[0](x)]
        for block, to_rgb in zip(self.blocks, self.to_rgb[1:], strict=True):
            x = block(x)
            images.append(to_rgb(x))
        return flatten_pyramid(images)

    def to_image(self, sample: Tensor) -> Tensor:
        return unflatten_pyramid(sample, len(self.to_rgb), self.memory_format)[-1]


class MultiScaleDiscriminator(Discriminator):
    """Scores pyramids (B, P) with text embeddings (B, embedding_dim); arguments as `ProgressiveDiscriminator`'s.

    Images of lower scales are concatenated with the features (the paper's phi_simple). Unlike in the paper, a 1x1
    convolution joins the smallest, and the minibatch standard deviation is computed once, in the head.
    """

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
        super().__init__()
        self.augment = augment
        self.scales = len(channels)
        self.max_resolution = resolution_of(self.scales)
        self.from_rgb = EqualizedConv2d(3, channels[-1], 1)
        downwards = list(itertools.pairwise(reversed(channels)))
        self.blocks = nn.ModuleList(
            DiscriminatorBlock(wide + 3 * (number > 0), narrow) for number, (wide, narrow) in enumerate(downwards)
        )
        self.join = EqualizedConv2d(channels[0] + 3 * (self.scales > 1), channels[0], 1)
        self.head = MatchingHead(channels[0], embedding_dim, text_dim, project, unconditional, classes)

    def to_sample(self, images: Tensor, resolution: int, alpha: Alpha) -> Tensor:
        size = images.shape[-1]
        return flatten_pyramid([F.avg_pool2d(images, size // resolution_of(n + 1)) for n in range(self.scales)])

    def extract(self, sample: Tensor, resolution: int, alpha: Alpha) -> Tensor:
        numbers = self.augment.draw(len(sample), sample.device)
        images = unflatten_pyramid(sample, self.scales, self.memory_format)
        *images, largest = (self.augment.change(image, numbers) for image in images)
        added = self.added_features(largest)
        x = F.leaky_relu(self.from_rgb(largest), 0.2)
        for block, image in zip(self.blocks, reversed(images), strict=True):
            x = block(x)
            if image.shape[-1] in added:
                x = x + added[image.shape[-1]]
            x = torch.cat([x, image.to(x.dtype)], dim=1)
        features: Tensor = self.head(F.leaky_relu(self.join(x), 0.2))
        return features

    def added_features(self, image: Tensor) -> dict[int, Tensor]:
        """Return features to add to those of the blocks, by their size in pixels; here none.

        Args:
            image: (B, 3, R, R), the largest scale, augmented.
        """
        return {}
