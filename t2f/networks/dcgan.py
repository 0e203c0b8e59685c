"""The attribute-conditioned DCGAN of faCeGAN (Radford et al. 2016, arXiv:1511.06434, made conditional).

Image (or noise) and label each pass a first layer of their own and are then joined.
"""

from __future__ import annotations

import itertools
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from t2f.errors import require
from t2f.networks.diffaugment import DiffAugment
from t2f.networks.interfaces import Alpha, Discriminator, Generator


def initialize(module: nn.Module) -> None:
    """Convolutions ~ N(0, 0.02) (section 4 of the paper), batch norm's scale ~ N(1, 0.02) (faCeGAN's train.py)."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)


def doublings(resolution: int) -> int:
    """How often 4 is doubled to reach a resolution."""
    number = int(math.log2(max(resolution, 8) / 4))
    require(
        resolution == 4 * 2**number, f"The DCGAN draws 8, 16, 32, 64, ... pixels, not {resolution}: set resolution."
    )
    return number


def first_layer(inputs: int, outputs: int) -> nn.Sequential:
    """(B, inputs, 1, 1) -> (B, outputs, 4, 4)."""
    return nn.Sequential(
        nn.ConvTranspose2d(inputs, outputs, 4), nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2, inplace=True)
    )


class DCGANGenerator(Generator):
    """condition (B, condition_dim), noise (B, noise_dim) -> image (B, 3, resolution, resolution) in [-1, 1].

    At 64x64 five transposed convolutions, of 2 x `width`, width, width / 2 and width / 4 channels between.
    """

    grows = False

    def __init__(self, condition_dim: int, noise_dim: int, width: int, resolution: int) -> None:
        super().__init__()
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


class DCGANDiscriminator(Discriminator):
    """image (B, 3, resolution, resolution) and embedding (B, embedding_dim) -> scores (B,): logits of being real.

    At 64x64 five convolutions, of `width`, 2 x width, 4 x width and 8 x width channels between.
    """

    def __init__(self, embedding_dim: int, width: int, resolution: int, augment: DiffAugment) -> None:
        super().__init__()
        self.augment = augment
        self.from_image = nn.Conv2d(3, width // 2, 4, 2, 1)
        self.from_embedding = nn.Conv2d(embedding_dim, width // 2, 4, 2, 1)
        widths = [width * 2**number for number in range(doublings(resolution))]
        layers: list[nn.Module] = []
        for narrow, wide in itertools.pairwise(widths):
            layers += [nn.Conv2d(narrow, wide, 4, 2, 1), nn.BatchNorm2d(wide), nn.LeakyReLU(0.2, inplace=True)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, 4))
        self.apply(initialize)

    def picture(self, images: Tensor, resolution: int, alpha: float) -> Tensor:
        return F.avg_pool2d(images, images.shape[-1] // resolution)

    def see(self, picture: Tensor, resolution: int, alpha: Alpha) -> Tensor:
        image = self.augment(picture)
        return F.leaky_relu(self.from_image(image.contiguous(memory_format=self.memory_format)), 0.2)

    def judge(self, seen: Tensor, embedding: Tensor) -> Tensor:
        told = F.leaky_relu(convolve_constant(self.from_embedding, embedding, seen.shape[-1]), 0.2)
        score: Tensor = self.layers(torch.cat([seen, told.to(seen.dtype)], dim=1))
        return score.float().flatten()


def convolve_constant(convolution: nn.Conv2d, values: Tensor, size: int) -> Tensor:
    """A 4x4 convolution of stride 2 and padding 1 over maps that are constant: values (B, C) -> (B, C', size, size).

    Its result has only nine different values, for the borders see the padding: they are taken on 6x6, and the middle
    is repeated. With 40 labels at 64x64 that saves more than the image's own first layer costs.
    """
    nine = convolution(values[:, :, None, None].expand(-1, -1, 6, 6))
    places = torch.ones(size, dtype=torch.int64, device=values.device)
    places[0], places[-1] = 0, 2
    result: Tensor = nine[:, :, places][:, :, :, places]
    return result
