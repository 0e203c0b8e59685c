"""Augmentation that a GAN can learn through, for small data sets (Zhao et al. 2020, arXiv:2006.10738)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from t2f.errors import require
from t2f.networks.sharing import drawn


class DiffAugment(nn.Module):
    """Change images at random, real ones and drawn ones alike, in both steps.

    `policy` is a part of color, translation, cutout, with the paper's strengths; none of them: nothing changes. All
    randomness is by image and in shares of the width, so several scales of the same images can be changed alike.
    Nothing is translated at 4x4, where an eighth is no pixel.
    (B, 3, r, r) -> the same shape, differentiable.
    """

    def __init__(self, policy: Sequence[str]) -> None:
        super().__init__()
        unknown = set(policy) - {"color", "translation", "cutout"}
        require(not unknown, f"DiffAugment's policy has {', '.join(unknown)}: choose among color, translation, cutout.")
        self.policy = tuple(policy)

    def forward(self, images: Tensor) -> Tensor:
        return self.change(images, self.draw(len(images), images.device))

    def draw(self, count: int, device: torch.device) -> Tensor:
        """Seven numbers in [0, 1) an image: (count, 7); no randomness is used up where nothing changes."""
        return drawn(torch.rand, count, 7, device=device) if self.policy else torch.empty(count, 7, device=device)

    def change(self, images: Tensor, numbers: Tensor) -> Tensor:
        """The images (B, 3, r, r), changed as `numbers` (B, 7) say."""
        dtype = images.dtype
        numbers = numbers[:, :, None, None, None]
        if "color" in self.policy:
            images = images + (numbers[:, 0] - 0.5)  # brightness
            grey = images.mean(dim=1, keepdim=True)
            images = (images - grey) * (2 * numbers[:, 1]) + grey  # saturation
            mean = images.mean(dim=(1, 2, 3), keepdim=True)
            images = (images - mean) * (numbers[:, 2] + 0.5) + mean  # contrast
        size = images.shape[-1]
        places = torch.arange(size, device=images.device)
        if "translation" in self.policy:
            most = round(size / 8)
            down, right = ((numbers[:, axis].flatten() * (2 * most + 1)).long() - most for axis in (3, 4))
            padded = F.pad(images, (1, 1, 1, 1))  # one border pixel of 0 stands for all that comes from outside
            rows = (places[None] - down[:, None] + 1).clamp(0, size + 1)
            columns = (places[None] - right[:, None] + 1).clamp(0, size + 1)
            batch = torch.arange(len(images), device=images.device)[:, None, None]
            images = padded.permute(0, 2, 3, 1)[batch, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
        if "cutout" in self.policy:
            side = round(size / 2)
            top, left = ((numbers[:, axis].flatten() * (size + 1)).long() - side // 2 for axis in (5, 6))
            in_rows = (places[None] >= top[:, None]) & (places[None] < top[:, None] + side)
            in_columns = (places[None] >= left[:, None]) & (places[None] < left[:, None] + side)
            images = images * ~(in_rows[:, None, :, None] & in_columns[:, None, None, :])
        return images.to(dtype)
