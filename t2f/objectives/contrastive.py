"""Contrastive learning of images and text."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from t2f.objectives.base import GANStep, Objective
from t2f.utils.distributed import all_gather


class Contrastive(Objective):
    """An image must be more similar to its own text than to all others of the global batch, and a text likewise.

    XMC-GAN's loss between images and sentences (Zhang et al. 2021, arXiv:2101.04702, equations 1 and 3): the
    discriminator learns from labeled real samples, the generator from its own.
    """

    requires = frozenset({"similarity"})

    def discriminator_loss(self, step: GANStep) -> Tensor:
        return contrastive_loss(step.real_output.similarity, same_text(step), all_gather(step.labeled))

    def generator_loss(self, step: GANStep) -> Tensor:
        similarity = step.fake_output.similarity
        return contrastive_loss(similarity, same_text(step), torch.ones_like(similarity[0], dtype=torch.bool))


def same_text(step: GANStep) -> Tensor:
    """Return which texts of the global batch are equal, bool (N, N)."""
    rows = all_gather(step.conditions).flatten(1)
    return (rows[:, None] == rows).all(dim=2)


def contrastive_loss(similarity: Tensor, same: Tensor, valid: Tensor) -> Tensor:
    """Compute -log exp(s_ii) / sum_j exp(s_ij), averaged over i and over both directions.

    Args:
        similarity: float (N, N), images in rows, texts in columns; each image's own text on the diagonal.
        same: bool (N, N), which texts are equal. An equal text is no negative.
        valid: bool (N,), which pairs count, as positives and as negatives.

    Returns:
        A scalar.
    """
    index = torch.arange(len(similarity), device=similarity.device)
    excluded = (same | ~valid | ~valid[:, None]) & (index != index[:, None])
    similarity = similarity.masked_fill(excluded, float("-inf"))
    target = torch.where(valid, index, -100)  # which cross_entropy ignores
    return 0.5 * (F.cross_entropy(similarity, target) + F.cross_entropy(similarity.T, target))
