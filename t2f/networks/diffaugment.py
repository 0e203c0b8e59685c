"""Differentiable augmentation for small data sets (Zhao et al. 2020, arXiv:2006.10738)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from t2f.utils.distributed import sharded_rand


class DiffAugment(nn.Module):
    """Augments real and fake images (B, 3, r, r) in both steps.

    The random numbers belong to an image and are fractions of its width, so that several scales of one image get the
    same augmentation. At 4x4 there is no translation, since an eighth of the width is less than a pixel.

    Args:
        policy: Any of `color`, `translation` and `cutout`, with the paper's strengths. Empty: no augmentation.

    Raises:
        ValueError: The policy has an unknown name.
    """

    def __init__(self, policy: Sequence[str]) -> None:
        super().__init__()
        unknown = set(policy) - {"color", "translation", "cutout"}
        if unknown:
            raise ValueError(f"policy has {', '.join(unknown)}: choose among color, translation, cutout.")
        self.policy = tuple(policy)

    def forward(self, images: Tensor) -> Tensor:
        return self.change(images, self.draw(len(images), images.device))

    def draw(self, count: int, device: torch.device) -> Tensor:
        """Draw seven numbers in [0, 1) for each image: (count, 7). For an empty policy they are uninitialized."""
        return sharded_rand(count, 7, device=device) if self.policy else torch.empty(count, 7, device=device)

    def change(self, images: Tensor, numbers: Tensor) -> Tensor:
        """Augment images (B, 3, r, r) by the numbers (B, 7) that `draw` returned."""
        dtype = images.dtype
        numbers = numbers[:, :, None, None, None]
        if "color" in self.policy:
            images = images + (numbers[:, 0] - 0.5)  # brightness
            gray = images.mean(dim=1, keepdim=True)
            images = (images - gray) * (2 * numbers[:, 1]) + gray  # saturation
            mean = images.mean(dim=(1, 2, 3), keepdim=True)
            images = (images - mean) * (numbers[:, 2] + 0.5) + mean  # contrast
        size = images.shape[-1]
        places = torch.arange(size, device=images.device)
        if "translation" in self.policy:
            limit = round(size / 8)
            down, right = ((numbers[:, axis].flatten() * (2 * limit + 1)).long() - limit for axis in (3, 4))
            padded = F.pad(images, (1, 1, 1, 1))  # a border of one zero stands for all pixels outside
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
