"""The adversarial terms: conditional, mismatched and unconditional."""

from __future__ import annotations

from torch import Tensor

from t2f.objectives.base import GANStep, Objective, masked_mean
from t2f.objectives.gan_losses import GANLoss


class _Adversarial(Objective):
    """An adversarial term.

    Args:
        loss: The adversarial loss.
        weight: See `Objective`.
    """

    def __init__(self, loss: GANLoss, weight: float = 1.0) -> None:
        super().__init__(weight)
        self.loss = loss


class Conditional(_Adversarial):
    """Tells real samples with their text from fake samples with the text they are generated from.

    The discriminator compares labeled rows. The generator learns from all rows, or, with a relativistic loss, from
    labeled rows, since only there the real sample has the same text.
    """

    requires = frozenset({"conditional_logits"})

    def discriminator_loss(self, step: GANStep) -> Tensor:
        real, fake = (output.conditional_logits for output in (step.real_output, step.fake_output))
        step.metrics |= {
            "score/real": masked_mean(real, step.labeled),
            "score/fake": masked_mean(fake, step.labeled),
            "accuracy/real": masked_mean((real > 0).float(), step.labeled),
            "accuracy/fake": masked_mean((fake < 0).float(), step.labeled),
        }
        return masked_mean(self.loss.discriminator(real, fake), step.labeled)

    def generator_loss(self, step: GANStep) -> Tensor:
        fake = step.fake_output.conditional_logits
        if not self.loss.relativistic:
            return self.loss.generator(fake, None).mean()
        return masked_mean(self.loss.generator(fake, step.real_output.conditional_logits), step.labeled)


class Mismatched(_Adversarial):
    """Tells real samples with their text from real samples with other text: matching-aware training.

    GAN-CLS (Reed et al. 2016, arXiv:1605.05396, algorithm 1) gives this term and that of fake samples weight 1/2 each.
    """

    requires = frozenset({"conditional_logits"})
    uses_mismatched_text = True

    def discriminator_loss(self, step: GANStep) -> Tensor:
        assert step.mismatched_text is not None
        mismatched = step.real_output.with_text(step.mismatched_text).conditional_logits
        step.metrics["score/mismatched"] = masked_mean(mismatched, step.labeled)
        return masked_mean(self.loss.mismatched(mismatched, step.real_output.conditional_logits), step.labeled)


class Unconditional(_Adversarial):
    """Tells real samples from fake ones independently of the text, as StackGAN++ does beside its conditional loss.

    Zhang et al. 2018, arXiv:1710.10916, equations 3 and 4. Unlabeled samples contribute.
    """

    requires = frozenset({"unconditional_logits"})
    uses_unlabeled = True

    def discriminator_loss(self, step: GANStep) -> Tensor:
        real, fake = (output.unconditional_logits for output in (step.real_output, step.fake_output))
        step.metrics |= {"score/real_unconditional": real.mean(), "score/fake_unconditional": fake.mean()}
        return self.loss.discriminator(real, fake).mean()

    def generator_loss(self, step: GANStep) -> Tensor:
        real = step.real_output.unconditional_logits if self.loss.relativistic else None
        return self.loss.generator(step.fake_output.unconditional_logits, real).mean()
