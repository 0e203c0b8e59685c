"""Adversarial losses: functions of the discriminator's logits (B,) that return the loss of each row, (B,).

Each is used by the conditional, the mismatched and the unconditional term of `t2f.objectives.adversarial`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor


class GANLoss(ABC):
    """A pair of losses.

    Attributes:
        relativistic: Whether the generator's loss also depends on the logits of real samples.
    """

    relativistic: ClassVar[bool] = False

    @abstractmethod
    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return the discriminator's loss on logits of real and fake samples."""

    @abstractmethod
    def mismatched(self, mismatched: Tensor, real: Tensor) -> Tensor:
        """Return the discriminator's loss on logits of real samples with mismatched text, and with their own."""

    @abstractmethod
    def generator(self, fake: Tensor, real: Tensor | None) -> Tensor:
        """Return the generator's loss on logits of fake samples; `real` is given to relativistic losses."""


class PointwiseLoss(GANLoss):
    """A loss that is a sum over single logits. Subclasses implement the three functions of one logit."""

    @abstractmethod
    def discriminator_on_real(self, logits: Tensor) -> Tensor:
        """Return the discriminator's loss on logits that should be high."""

    @abstractmethod
    def discriminator_on_fake(self, logits: Tensor) -> Tensor:
        """Return the discriminator's loss on logits that should be low."""

    @abstractmethod
    def generator_on_fake(self, logits: Tensor) -> Tensor:
        """Return the generator's loss on the logits of its samples."""

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return self.discriminator_on_real(real) + self.discriminator_on_fake(fake)

    def mismatched(self, mismatched: Tensor, real: Tensor) -> Tensor:
        return self.discriminator_on_fake(mismatched)

    def generator(self, fake: Tensor, real: Tensor | None) -> Tensor:
        return self.generator_on_fake(fake)


class NonSaturating(PointwiseLoss):
    """Goodfellow et al. 2014, arXiv:1406.2661, section 3: D softplus(-real) + softplus(fake); G softplus(-fake)."""

    def discriminator_on_real(self, logits: Tensor) -> Tensor:
        return F.softplus(-logits)

    def discriminator_on_fake(self, logits: Tensor) -> Tensor:
        return F.softplus(logits)

    def generator_on_fake(self, logits: Tensor) -> Tensor:
        return F.softplus(-logits)


class Hinge(PointwiseLoss):
    """Lim & Ye 2017, arXiv:1705.02894: D max(0, 1 - real) + max(0, 1 + fake); G -fake."""

    def discriminator_on_real(self, logits: Tensor) -> Tensor:
        return F.relu(1 - logits)

    def discriminator_on_fake(self, logits: Tensor) -> Tensor:
        return F.relu(1 + logits)

    def generator_on_fake(self, logits: Tensor) -> Tensor:
        return -logits


class LeastSquares(PointwiseLoss):
    """LSGAN (Mao et al. 2017, arXiv:1611.04076, equation 9): D 1/2 (real - 1)^2 + 1/2 fake^2; G 1/2 (fake - 1)^2."""

    def discriminator_on_real(self, logits: Tensor) -> Tensor:
        return 0.5 * (logits - 1).square()

    def discriminator_on_fake(self, logits: Tensor) -> Tensor:
        return 0.5 * logits.square()

    def generator_on_fake(self, logits: Tensor) -> Tensor:
        return 0.5 * (logits - 1).square()


class Wasserstein(PointwiseLoss):
    """WGAN (Arjovsky et al. 2017, arXiv:1701.07875) with ProGAN's drift: D -real + fake + drift * real^2; G -fake.

    Args:
        drift: Weight of the squared logits of real samples (Karras et al. 2018, arXiv:1710.10196, appendix A.1).
    """

    def __init__(self, drift: float = 0.001) -> None:
        self.drift = drift

    def discriminator_on_real(self, logits: Tensor) -> Tensor:
        return -logits + self.drift * logits.square()

    def discriminator_on_fake(self, logits: Tensor) -> Tensor:
        return logits

    def generator_on_fake(self, logits: Tensor) -> Tensor:
        return -logits


class Relativistic(GANLoss):
    """Relativistic pairing (Jolicoeur-Martineau 2018, arXiv:1807.00734), as in R3GAN, to be used with R1 and R2.

    R3GAN (Huang et al. 2024, arXiv:2501.05441, equation 2): D softplus(fake - real); G softplus(real - fake).
    """

    relativistic = True

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return F.softplus(fake - real)

    def mismatched(self, mismatched: Tensor, real: Tensor) -> Tensor:
        return F.softplus(mismatched - real)

    def generator(self, fake: Tensor, real: Tensor | None) -> Tensor:
        assert real is not None
        return F.softplus(real - fake)
