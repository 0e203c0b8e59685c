"""Which attributes a picture shows."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def classification_loss(logits: Tensor, attributes: Tensor) -> Tensor:
    """Logits (B, A) of attributes (B, A), 1 or 0, or -1 where unknown -> a scalar: -log P of the known, a picture.

    AC-GAN's classifier (Odena et al. 2017, arXiv:1610.09585, equation 3) for attributes that do not exclude each other.
    """
    unlikely = F.binary_cross_entropy_with_logits(logits, attributes.clamp(min=0).to(logits.dtype), reduction="none")
    return (unlikely * (attributes >= 0)).sum(dim=1).mean()
