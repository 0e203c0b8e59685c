"""Gradient penalties on the discriminator."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from t2f.objectives.base import GANStep, Objective
from t2f.objectives.double_backward import FastDoubleBackward
from t2f.utils.distributed import sharded_rand

Critic = Callable[[Tensor], Tensor]
"""Maps samples (B, ...) to scores (B,)."""


class GradientPenalty(Objective):
    """A penalty on the gradient of the discriminator's scores with respect to its samples.

    The score is the sum of the conditional logit of labeled samples and of the unconditional one, if there is one. No
    gradient reaches the text encoder. The term is computed in the precision of the run, but in float32 instead of
    float16, in which squared gradients underflow.
    """

    requires = frozenset({"conditional_logits"})

    @abstractmethod
    def penalty(self, critic: Critic, real: Tensor, fake: Tensor) -> Tensor:
        """Return the unweighted penalty, a scalar.

        Args:
            critic: The discriminator, with text and resolution bound.
            real: float32 samples (B, ...).
            fake: float32 samples of the same shape.
        """

    def discriminator_loss(self, step: GANStep) -> Tensor:
        with penalty_precision(step.real.device.type):
            return self.penalty(partial(total_score, step), step.real, step.fake)


def total_score(step: GANStep, sample: Tensor) -> Tensor:
    output = step.discriminate(sample, step.text_embedding.detach())
    score = torch.where(step.labeled, output.conditional_logits, 0.0)
    return score + output.unconditional_logits if "unconditional_logits" in output.head.outputs else score


class R1(GradientPenalty):
    """1/2 E ||grad D(real)||^2 (Mescheder et al. 2018, arXiv:1801.04406, equation 9)."""

    def penalty(self, critic: Critic, real: Tensor, fake: Tensor) -> Tensor:
        return 0.5 * squared_gradient_norm(critic, real).mean()


class R2(GradientPenalty):
    """1/2 E ||grad D(fake)||^2 (the same paper, equation 10)."""

    def penalty(self, critic: Critic, real: Tensor, fake: Tensor) -> Tensor:
        return 0.5 * squared_gradient_norm(critic, fake).mean()


class WGANGP(GradientPenalty):
    """E (||grad D(x)|| - 1)^2, x between real and fake (Gulrajani et al. 2017, arXiv:1704.00028, equation 3)."""

    def penalty(self, critic: Critic, real: Tensor, fake: Tensor) -> Tensor:
        fraction = sharded_rand(len(real), *[1] * (real.ndim - 1), device=real.device).to(real.dtype)
        interpolated = torch.lerp(real, fake.detach(), fraction)
        norm = (squared_gradient_norm(critic, interpolated) + 1e-12).sqrt()
        return (norm - 1).square().mean()


def squared_gradient_norm(critic: Critic, samples: Tensor) -> Tensor:
    """Compute ||d critic(x) / d x||^2 of each of the samples (B, ...): float (B,), differentiable once more."""
    samples = samples.detach().requires_grad_(True)
    with FastDoubleBackward():
        scores = critic(samples)
    (gradient,) = torch.autograd.grad(scores.sum(), samples, create_graph=True)
    return gradient.flatten(1).square().sum(dim=1)


def penalty_precision(device: str) -> torch.autocast:
    """Return the autocast of the run, disabled for float16. bfloat16 has the range of float32."""
    dtype = torch.get_autocast_dtype(device)
    return torch.autocast(device, dtype, enabled=torch.is_autocast_enabled(device) and dtype != torch.float16)
