"""What the two networks minimise, given the discriminator's scores.

`real`, `fake` and `wrong` are scores (B,) of real images with their text, of generated images with
the text that asked for them, and of real images with another's text. In matching-aware training
(GAN-CLS, Reed et al. 2016, arXiv:1605.05396, algorithm 1) `wrong` counts as fake; `wrong_weight`
says how much, where the paper weighs both by 1/2. Every loss gives a scalar.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch.nn.functional as F
from torch import Tensor


class AdversarialLoss(ABC):
    """A pair of losses."""

    needs_real_in_generator_step = False

    def __init__(self, wrong_weight: float = 1.0) -> None:
        self.wrong_weight = wrong_weight

    @abstractmethod
    def discriminator(self, real: Tensor, fake: Tensor, wrong: Tensor | None) -> Tensor:
        """The discriminator's loss, without penalties."""

    @abstractmethod
    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        """The generator's loss; `real` is given where `needs_real_in_generator_step`."""


class ScoreLoss(AdversarialLoss):
    """A loss on each score by itself; subclasses say how one that should be high, or low, is punished."""

    @abstractmethod
    def on_real(self, score: Tensor) -> Tensor:
        """The discriminator's loss (B,) on scores that should be high."""

    @abstractmethod
    def on_fake(self, score: Tensor) -> Tensor:
        """The discriminator's loss (B,) on scores that should be low."""

    @abstractmethod
    def on_generated(self, score: Tensor) -> Tensor:
        """The generator's loss (B,) on the scores of its images."""

    def discriminator(self, real: Tensor, fake: Tensor, wrong: Tensor | None) -> Tensor:
        loss = self.on_real(real).mean() + self.on_fake(fake).mean()
        if wrong is not None:
            loss = loss + self.wrong_weight * self.on_fake(wrong).mean()
        return loss

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        return self.on_generated(fake).mean()


class Logistic(ScoreLoss):
    """Non-saturating (Goodfellow et al. 2014): D softplus(-real) + softplus(fake); G softplus(-fake)."""

    def on_real(self, score: Tensor) -> Tensor:
        return F.softplus(-score)

    def on_fake(self, score: Tensor) -> Tensor:
        return F.softplus(score)

    def on_generated(self, score: Tensor) -> Tensor:
        return F.softplus(-score)


class Hinge(ScoreLoss):
    """Hinge (Lim & Ye 2017, arXiv:1705.02894): D max(0, 1 - real) + max(0, 1 + fake); G -fake."""

    def on_real(self, score: Tensor) -> Tensor:
        return F.relu(1 - score)

    def on_fake(self, score: Tensor) -> Tensor:
        return F.relu(1 + score)

    def on_generated(self, score: Tensor) -> Tensor:
        return -score


class LeastSquares(ScoreLoss):
    """LSGAN (Mao et al. 2017, arXiv:1611.04076, equation 9): D 1/2 (real - 1)^2 + 1/2 fake^2; G 1/2 (fake - 1)^2."""

    def on_real(self, score: Tensor) -> Tensor:
        return 0.5 * (score - 1).square()

    def on_fake(self, score: Tensor) -> Tensor:
        return 0.5 * score.square()

    def on_generated(self, score: Tensor) -> Tensor:
        return 0.5 * (score - 1).square()


class Wasserstein(ScoreLoss):
    """WGAN (Arjovsky et al. 2017, arXiv:1701.07875) with ProGAN's drift (appendix A.1).

    D -real + fake + drift * real^2; G -fake. Its gradient penalty is `Interpolated`.
    """

    def __init__(self, wrong_weight: float = 1.0, drift: float = 0.001) -> None:
        super().__init__(wrong_weight)
        self.drift = drift

    def on_real(self, score: Tensor) -> Tensor:
        return -score + self.drift * score.square()

    def on_fake(self, score: Tensor) -> Tensor:
        return score

    def on_generated(self, score: Tensor) -> Tensor:
        return -score


class Relativistic(AdversarialLoss):
    """Relativistic pairing (Jolicoeur-Martineau 2018, arXiv:1807.00734).

    As in R3GAN (Huang et al. 2024, arXiv:2501.05441, equation 2), to be used with R1 and R2:
    D softplus(fake - real) + wrong_weight * softplus(wrong - real); G softplus(real - fake).
    """

    needs_real_in_generator_step = True

    def discriminator(self, real: Tensor, fake: Tensor, wrong: Tensor | None) -> Tensor:
        loss = F.softplus(fake - real).mean()
        if wrong is not None:
            loss = loss + self.wrong_weight * F.softplus(wrong - real).mean()
        return loss

    def generator(self, fake: Tensor, real: Tensor | None = None) -> Tensor:
        if real is None:
            raise ValueError("the relativistic generator loss needs the scores of real images")
        return F.softplus(real - fake).mean()
