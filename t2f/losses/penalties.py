"""Gradient penalties on the discriminator.

A penalty may be lazy (StyleGAN2, Karras et al. 2020, arXiv:1912.04958, appendix B): taken only every
so many steps and weighted so many times more; Adam's own settings are left as they are.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor

from t2f.errors import require
from t2f.losses.double_backward import FastDoubleBackward
from t2f.networks.sharing import drawn

Critic = Callable[[Tensor], Tensor]


def squared_gradient_norm(critic: Critic, pictures: Tensor) -> Tensor:
    """||d critic(x) / d x||^2 for each of the pictures (B, ...) -> (B,), differentiable once more."""
    pictures = pictures.detach().requires_grad_(True)
    with FastDoubleBackward():
        scores = critic(pictures)
    (gradient,) = torch.autograd.grad(scores.sum(), pictures, create_graph=True)
    return gradient.flatten(1).square().sum(dim=1)


class GradientPenalty(ABC):
    """`weight` as its paper defines it; `every`: the steps between two takings, 1 for every step."""

    def __init__(self, weight: float, every: int = 1) -> None:
        require(every >= 1, f"A penalty's every is {every}: it must be at least 1.")
        self.weight = weight
        self.every = every

    @abstractmethod
    def __call__(self, critic: Critic, real: Tensor, fake: Tensor) -> Tensor:
        """The penalty to add to the discriminator's loss, a scalar.

        `critic` maps pictures (B, ...) to scores (B,), text and resolution bound; `real` and `fake` are
        float32 pictures.
        """


class R1(GradientPenalty):
    """weight / 2 * E ||grad D(real)||^2 (Mescheder et al. 2018, arXiv:1801.04406, equation 9)."""

    def __call__(self, critic: Critic, real: Tensor, fake: Tensor) -> Tensor:
        return 0.5 * self.weight * self.every * squared_gradient_norm(critic, real).mean()


class R2(GradientPenalty):
    """weight / 2 * E ||grad D(fake)||^2 (the same paper, equation 10)."""

    def __call__(self, critic: Critic, real: Tensor, fake: Tensor) -> Tensor:
        return 0.5 * self.weight * self.every * squared_gradient_norm(critic, fake).mean()


class Interpolated(GradientPenalty):
    """WGAN-GP: weight * E (||grad D(x)|| - 1)^2, x between real and fake (Gulrajani et al. 2017, arXiv:1704.00028)."""

    def __call__(self, critic: Critic, real: Tensor, fake: Tensor) -> Tensor:
        share = drawn(torch.rand, len(real), *[1] * (real.ndim - 1), device=real.device).to(real.dtype)
        between = torch.lerp(real, fake.detach(), share)
        norm = (squared_gradient_norm(critic, between) + 1e-12).sqrt()
        return self.weight * self.every * (norm - 1).square().mean()
