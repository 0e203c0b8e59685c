"""The exponential moving average of the generating networks."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class EMA:
    """Averages weights over images seen. A value that is `half_life` images old has half the weight of a new one.

    Args:
        half_life: In images; 0: the average equals the networks.
        ramp: Upper bound of the half-life as a fraction of the images seen, as in StyleGAN2-ADA (Karras et al. 2020,
            arXiv:2006.06676), above 0. It shortens the average early in training.

    Raises:
        ValueError: An argument is out of range.
    """

    def __init__(self, half_life: float = 5000, ramp: float = 0.05) -> None:
        if half_life < 0:
            raise ValueError(f"half_life is {half_life}: it must be 0 (none) or above.")
        if ramp <= 0:
            raise ValueError(f"ramp is {ramp}: it must be above 0.")
        self.half_life = half_life
        self.ramp = ramp

    def weight(self, images: int, images_seen: int) -> float:
        """Return the weight of the model in its next average, in [0, 1].

        Args:
            images: Images since the last update.
            images_seen: Images since the start of training.
        """
        half_life = min(self.half_life, self.ramp * max(images_seen, 1))
        return 1 - 0.5 ** (images / half_life) if half_life else 1.0

    @torch.no_grad()
    def update(self, average: nn.Module, model: nn.Module, weight: float | Tensor) -> None:
        """Move the average towards the model, in place: all parameters, and batch norm's statistics.

        Args:
            average: A copy of the model.
            model: The model.
            weight: Weight of the model, in [0, 1]; a float or a 0-d tensor.
        """
        pairs = zip(average.state_dict().values(), model.state_dict().values(), strict=True)
        followers, leaders = zip(*((a, b) for a, b in pairs if a.is_floating_point()), strict=True)
        if self.half_life == 0:
            torch._foreach_copy_(followers, leaders)
        elif isinstance(weight, Tensor):  # for which lerp takes a tensor of each weight's shape
            differences = torch._foreach_sub(leaders, followers)
            torch._foreach_mul_(differences, weight)
            torch._foreach_add_(followers, differences)
        else:
            torch._foreach_lerp_(followers, leaders, weight)
