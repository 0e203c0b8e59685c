"""Which words belong to which picture, asked of a whole batch at once."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def contrastive_loss(similarity: Tensor, same: Tensor) -> Tensor:
    """Similarities (B, B) of pictures, in rows, and words, in columns -> a scalar: their own words are in the diagonal.

    XMC-GAN's loss between pictures and sentences (Zhang et al. 2021, arXiv:2101.04702, equations 1 and 3), in both
    directions: -log exp(s_ii) / sum_j exp(s_ij). Where `same`, bool (B, B), says that two have the same words, neither
    counts as wrong for the other.
    """
    others = same & ~torch.eye(len(same), dtype=torch.bool, device=same.device)
    similarity = similarity.masked_fill(others, float("-inf"))
    own = torch.arange(len(similarity), device=similarity.device)
    return 0.5 * (F.cross_entropy(similarity, own) + F.cross_entropy(similarity.T, own))


def same_rows(conditions: Tensor) -> Tensor:
    """Conditions (B, ...) -> which of them are equal, bool (B, B)."""
    rows = conditions.flatten(1)
    return (rows[:, None] == rows).all(dim=2)
