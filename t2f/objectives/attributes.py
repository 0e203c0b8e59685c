"""Classification of attributes by the discriminator."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from t2f.objectives.base import GANStep, Objective, masked_mean


class AttributeClassification(Objective):
    """The discriminator classifies the attributes of real samples, from the image and from the text.

    AC-GAN's loss of real samples (Odena et al. 2017, arXiv:1610.09585, equation 3). Unlike there, the generator does
    not learn from the classifier. It makes image and text features represent small details, such as a smile.
    """

    requires = frozenset({"attribute_logits"})

    def discriminator_loss(self, step: GANStep) -> Tensor:
        image, text = step.real_output.attribute_logits
        of_images = classification_loss(image, step.attributes).mean()
        of_texts = masked_mean(classification_loss(text, step.attributes), step.labeled)
        step.metrics |= {"attributes/images": of_images, "attributes/texts": of_texts}
        return of_images + of_texts


def classification_loss(logits: Tensor, attributes: Tensor) -> Tensor:
    """Compute the negative log-likelihood of the known attributes, which need not exclude each other.

    Args:
        logits: float (B, A).
        attributes: int8 (B, A), 1, 0, or -1 where unknown.

    Returns:
        float (B,), the sum over the attributes of a row.
    """
    loss = F.binary_cross_entropy_with_logits(logits, attributes.clamp(min=0).to(logits.dtype), reduction="none")
    return (loss * (attributes >= 0)).sum(dim=1)
