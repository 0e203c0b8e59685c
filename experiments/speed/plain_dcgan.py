"""faCeGAN's network and step as its author wrote them, in plain PyTorch: float32, eager, nothing shared.

Image (or noise) and label each pass a first layer of their own; the label is repeated over the whole picture, the fakes
are drawn once for each of the two steps, and Adam is PyTorch's by default. Same widths, loss and batch as
`experiment=facegan_original`, with logits in place of sigmoid and BCE, as ours.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def down(inputs: int, outputs: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, 4, 2, 1), nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2)]


def up(inputs: int, outputs: int) -> list[nn.Module]:
    return [nn.ConvTranspose2d(inputs, outputs, 4, 2, 1), nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2)]


class PlainGenerator(nn.Module):
    """noise (B, noise), labels (B, labels) -> images (B, 3, 64, 64)."""

    def __init__(self, labels: int, noise: int, width: int) -> None:
        super().__init__()
        self.from_noise = nn.Sequential(nn.ConvTranspose2d(noise, width, 4), nn.BatchNorm2d(width), nn.LeakyReLU(0.2))
        self.from_label = nn.Sequential(nn.ConvTranspose2d(labels, width, 4), nn.BatchNorm2d(width), nn.LeakyReLU(0.2))
        self.layers = nn.Sequential(
            *up(2 * width, width),
            *up(width, width // 2),
            *up(width // 2, width // 4),
            nn.ConvTranspose2d(width // 4, 3, 4, 2, 1),
            nn.Tanh(),
        )

    def forward(self, noise: Tensor, labels: Tensor) -> Tensor:
        first = [self.from_noise(noise[:, :, None, None]), self.from_label(labels[:, :, None, None])]
        return self.layers(torch.cat(first, dim=1))


class PlainDiscriminator(nn.Module):
    """images (B, 3, 64, 64), labels (B, labels) -> logits (B,)."""

    def __init__(self, labels: int, width: int) -> None:
        super().__init__()
        self.from_image = nn.Sequential(nn.Conv2d(3, width // 2, 4, 2, 1), nn.LeakyReLU(0.2))
        self.from_label = nn.Sequential(nn.Conv2d(labels, width // 2, 4, 2, 1), nn.LeakyReLU(0.2))
        self.layers = nn.Sequential(
            *down(width, 2 * width),
            *down(2 * width, 4 * width),
            *down(4 * width, 8 * width),
            nn.Conv2d(8 * width, 1, 4),
        )

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        planes = labels[:, :, None, None].expand(-1, -1, *images.shape[2:])
        return self.layers(torch.cat([self.from_image(images), self.from_label(planes)], dim=1)).flatten()


def plain(
    batch: int, device: torch.device, labels: int = 2, widths: tuple[int, int] = (512, 128)
) -> Callable[[], None]:
    """One step of both networks on made-up 64-pixel images."""
    torch.manual_seed(0)
    generator = PlainGenerator(labels, 100, widths[0]).to(device)
    discriminator = PlainDiscriminator(labels, widths[1]).to(device)
    for_generator, for_discriminator = (
        torch.optim.Adam(network.parameters(), lr=0.0002, betas=(0.5, 0.999)) for network in (generator, discriminator)
    )
    images, told = torch.rand(batch, 3, 64, 64, device=device) * 2 - 1, torch.randn(batch, labels, device=device)

    def step() -> None:
        with torch.no_grad():
            fake = generator(torch.randn(batch, 100, device=device), told)
        loss = F.softplus(-discriminator(images, told)).mean() + F.softplus(discriminator(fake, told)).mean()
        for_discriminator.zero_grad()
        loss.backward()
        for_discriminator.step()
        fake = generator(torch.randn(batch, 100, device=device), told)
        loss = F.softplus(-discriminator(fake, told)).mean()
        for_generator.zero_grad()
        loss.backward()
        for_generator.step()

    return step
