"""The attribute-conditioned DCGAN of faCeGAN, after Radford et al. 2016, arXiv:1511.06434.

Image (or noise) and label each have a first layer of their own, whose outputs are concatenated.
"""

from __future__ import annotations

import itertools
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from t2f.networks.base import Alpha, Discriminator, Generator, Head
from t2f.networks.diffaugment import DiffAugment


def initialize(module: nn.Module) -> None:
    """Initialize convolutions ~ N(0, 0.02) (section 4 of the paper), batch norm's scale ~ N(1, 0.02) (faCeGAN)."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)


def doublings(resolution: int) -> int:
    """Return how often 4 is doubled to reach a resolution.

    Raises:
        ValueError: The resolution is not 8, 16, 32, ...
    """
    number = int(math.log2(max(resolution, 8) / 4))
    if resolution != 4 * 2**number:
        raise ValueError(f"resolution is {resolution}: a DCGAN generates 8, 16, 32, 64, ... pixels.")
    return number


def first_layer(inputs: int, outputs: int) -> nn.Sequential:
    """(B, inputs, 1, 1) -> (B, outputs, 4, 4)."""
    return nn.Sequential(
        nn.ConvTranspose2d(inputs, outputs, 4), nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2, inplace=True)
    )


class DCGANGenerator(Generator):
    """Generates images (B, 3, resolution, resolution) in [-1, 1].

    Args:
        condition_dim: Length of the condition.
        noise_dim: Length of the noise.
        width: Channels of each first layer. At 64x64 the layers have 2 * width, width, width / 2 and width / 4.
        resolution: Side of an image: 8, 16, 32, ... pixels.

    Raises:
        ValueError: There is no noise, or the resolution is not supported.
    """

    grows = False

    def __init__(self, condition_dim: int, noise_dim: int, width: int, resolution: int) -> None:
        super().__init__()
        if noise_dim < 1:
            raise ValueError(f"noise_dim is {noise_dim}: it must be at least 1.")
        self.noise_dim = noise_dim
        self.max_resolution = resolution
        self.from_noise = first_layer(noise_dim, width)
        self.from_condition = first_layer(condition_dim, width)
        widths = [2 * width, *(width // 2**number for number in range(doublings(resolution) - 1))]
        layers: list[nn.Module] = []
        for wide, narrow in itertools.pairwise(widths):
            layers += [
                nn.ConvTranspose2d(wide, narrow, 4, 2, 1),
                nn.BatchNorm2d(narrow),
                nn.LeakyReLU(0.2, inplace=True),
            ]
        self.layers = nn.Sequential(*layers, nn.ConvTranspose2d(widths[-1], 3, 4, 2, 1), nn.Tanh())
        self.apply(initialize)

    def forward(self, condition: Tensor, noise: Tensor, resolution: int, alpha: Alpha) -> Tensor:
        parts = [self.from_noise(noise[:, :, None, None]), self.from_condition(condition[:, :, None, None])]
        image: Tensor = self.layers(torch.cat(parts, dim=1).contiguous(memory_format=self.memory_format))
        return image


class DCGANHead(Head):
    """All of the discriminator behind the first layer, which has joined image and text: `conditional_logits` alone.

    Args:
        embedding_dim: Length of a text embedding.
        width: As `DCGANDiscriminator`'s.
        resolution: Side of an image, in pixels.
    """

    def __init__(self, embedding_dim: int, width: int, resolution: int) -> None:
        super().__init__()
        self.from_embedding = nn.Conv2d(embedding_dim, width // 2, 4, 2, 1)
        widths = [width * 2**number for number in range(doublings(resolution))]
        layers: list[nn.Module] = []
        for narrow, wide in itertools.pairwise(widths):
            layers += [nn.Conv2d(narrow, wide, 4, 2, 1), nn.BatchNorm2d(wide), nn.LeakyReLU(0.2, inplace=True)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, 4))

    def conditional_logits(self, features: Tensor, text_embedding: Tensor) -> Tensor:
        text = F.leaky_relu(convolve_constant(self.from_embedding, text_embedding, features.shape[-1]), 0.2)
        score: Tensor = self.layers(torch.cat([features, text.to(features.dtype)], dim=1))
        return score.float().flatten()


class DCGANDiscriminator(Discriminator):
    """Scores images (B, 3, resolution, resolution) with text embeddings (B, embedding_dim).

    Args:
        embedding_dim: Length of a text embedding.
        width: Channels behind the first layer, half of them the image's. At 64x64 the layers have width, 2 * width,
            4 * width and 8 * width.
        resolution: Side of an image: 8, 16, 32, ... pixels.
        augment: Applied to every sample.

    Raises:
        ValueError: The resolution is not supported.
    """

    def __init__(self, embedding_dim: int, width: int, resolution: int, augment: DiffAugment) -> None:
        super().__init__()
        self.augment = augment
        self.max_resolution = resolution
        self.from_image = nn.Conv2d(3, width // 2, 4, 2, 1)
        self.head = DCGANHead(embedding_dim, width, resolution)
        self.apply(initialize)

    def to_sample(self, images: Tensor, resolution: int, alpha: Alpha) -> Tensor:
        return F.avg_pool2d(images, images.shape[-1] // resolution)

    def extract(self, sample: Tensor, resolution: int, alpha: Alpha) -> Tensor:
        image = self.augment(sample)
        return F.leaky_relu(self.from_image(image.contiguous(memory_format=self.memory_format)), 0.2)


def convolve_constant(convolution: nn.Conv2d, values: Tensor, size: int) -> Tensor:
    """Apply a 4x4 convolution of stride 2 and padding 1 to constant maps: values (B, C) -> (B, C', size, size).

    The result has only nine distinct values a channel, since only borders depend on the padding. They are computed on
    6x6, and the middle is repeated. With 40 labels at 64x64 this saves more than the image's first layer costs.
    """
    nine = convolution(values[:, :, None, None].expand(-1, -1, 6, 6))
    places = torch.arange(size, device=values.device)
    index = (places > 0).long() + (places == size - 1).long()  # 0, 1, ..., 1, 2, without a copy from the CPU
    result: Tensor = nine[:, :, index][:, :, :, index]
    return result
